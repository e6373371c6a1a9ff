"""The function on AWS Lambda. What stands here runs before anything else of it is imported."""

from lambda_handler import collector

collector.put_off()
