"""The partition of a region, beside what botocore knows."""

import botocore.session
import pytest

from core.aws_regions import partition_of

SESSION = botocore.session.Session()
PARTITIONS = SESSION.get_available_partitions()


@pytest.mark.parametrize("partition", PARTITIONS)
def test_each_region_that_botocore_knows_is_in_its_partition(partition: str):
    regions = SESSION.get_available_regions("lambda", partition_name=partition)
    assert {partition_of(region) for region in regions} <= {partition}


def test_the_partitions_that_have_customers_were_tried():
    with_regions = {one for one in PARTITIONS if SESSION.get_available_regions("lambda", partition_name=one)}
    assert {"aws", "aws-cn", "aws-us-gov"} <= with_regions
    assert partition_of("us-gov-west-1") == "aws-us-gov"
    assert partition_of("cn-north-1") == "aws-cn"


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-3", "mars-north-1", ""])
def test_any_other_region_is_in_the_common_one(region: str):
    assert partition_of(region) == "aws"
