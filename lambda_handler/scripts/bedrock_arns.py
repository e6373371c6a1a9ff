"""What the function's role must be allowed to invoke for a model's name, as BedrockModelArns takes it.

python -m lambda_handler.scripts.bedrock_arns us-east-1 us.anthropic.claude-sonnet-4-6
"""

import re
import sys

from core.aws_regions import partition_of

_PROFILE = re.compile(r"(?:us|us-gov|eu|apac|ap|jp|au|ca|sa|me|af|global)\.(.+)")


def arns_for(model: str, *, region: str) -> list[str]:
    """The ARNs for a model's id or an inference profile's, of which the models behind it must be allowed, too.

    An ARN is returned as it is: what is behind an application inference profile, its name does not say.

    Args:
        model: As BEDROCK_MODEL_ID names it.
        region: The function's, for the partition (`arn:aws-us-gov:`).
    """
    if model.startswith("arn:"):
        return [model]
    bedrock = f"arn:{partition_of(region)}:bedrock:*"
    if behind := _PROFILE.fullmatch(model):
        return [
            f"{bedrock}:*:inference-profile/{model}",
            # In whatever region the profile sends a request to; of a global one the ARN has no region.
            f"{bedrock}::foundation-model/{behind[1]}",
        ]
    return [f"{bedrock}::foundation-model/{model}"]


if __name__ == "__main__":
    sys.stdout.write(
        ",".join(arn for name in sys.argv[2:] for arn in arns_for(name, region=sys.argv[1])) + "\n"
    )
