"""The environment of a process that is measured."""

import os
from typing import Final

_KEPT: Final = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT")


def child_environment(**more: str) -> dict[str, str]:
    """What a child needs of this process's environment, and no more: the operator's keys and settings stay here.

    Requests to AWS are signed, by everybody, with the keys of AWS's own examples.

    Args:
        more: Variables of this child's.
    """
    return {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        **more,
    }
