"""What follows from the name of an AWS region."""

from collections.abc import Mapping
from typing import Final

_PARTITIONS: Final[Mapping[str, str]] = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "us-isof-": "aws-iso-f",
    "eu-isoe-": "aws-iso-e",
    "eusc-": "aws-eusc",
}
"""By how a region's name begins. AWS keeps these apart from all other regions, and from each other."""


def partition_of(region: str) -> str:
    """What an ARN of that region says after `arn:`: "aws", or another partition's name (GovCloud, China)."""
    found = (partition for beginning, partition in _PARTITIONS.items() if region.startswith(beginning))
    return next(found, "aws")
