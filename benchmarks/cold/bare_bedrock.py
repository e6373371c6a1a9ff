"""A handler with boto3 and nothing else."""

import boto3


def handle(event, context):
    del context
    client = boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url=event["base_url"])
    answer = client.converse(
        modelId=event["model_name"],
        system=[{"text": event["system_prompt"]}],
        messages=[{"role": "user", "content": [{"text": event["prompt"]}]}],
    )
    return {"response": answer["output"]["message"]["content"][0]["text"]}
