"""Asks the function that was just deployed: is it there, is it this code, does it answer on the demo model.

    python -m lambda_handler.scripts.smoke_test FUNCTION CODE_VERSION [QUALIFIER]

No vendor is asked. An endpoint in AWS_ENDPOINT_URL_LAMBDA is honoured.
"""

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final, cast

from core.code_version import VARIABLE
from core.contract import CONTRACT_VERSION
from lambda_handler.scripts.problems import ScriptError

READ_SECONDS: Final = 930
"""More than the longest time-out of a function: an answer that takes so long is still read, and not asked for again."""
_EVENT: Final = {
    "provider": "DEMO",
    "model_name": "demo-echo",
    "prompt": "Is the deployment complete?",
    "contract_version": CONTRACT_VERSION,
}


def check(client: Any, *, function: str, code_version: str | None, qualifier: str | None) -> str:
    """One sentence of what was found.

    Args:
        client: Of boto3, for Lambda.
        function: Its name or ARN.
        code_version: What its configuration must say; None looks at no configuration (the emulator has none).
        qualifier: A version or an alias.

    Raises:
        ScriptError: It is not as it should be.
    """
    which: dict[str, str] = {"FunctionName": function, **({"Qualifier": qualifier} if qualifier else {})}
    exceptions = import_module("botocore.exceptions")
    try:
        if code_version is not None:
            configuration = client.get_function_configuration(**which)
            variables: dict[str, str] = configuration.get("Environment", {}).get("Variables", {})
            if variables.get(VARIABLE) != code_version:
                raise ScriptError(
                    f"{function} is of the code {variables.get(VARIABLE)}, not {code_version}: the deployment did not "
                    "reach it. Look at the stack's events, and deploy again."
                )
        answer = client.invoke(**which, Payload=json.dumps(_EVENT).encode())
    except (exceptions.BotoCoreError, exceptions.ClientError) as exc:
        raise ScriptError(
            f"{function} could not be asked: {exc}. Check the region (AWS_LAMBDA_REGION), and that you may use "
            "lambda:InvokeFunction and lambda:GetFunctionConfiguration on it."
        ) from exc
    text: str = answer["Payload"].read().decode("utf-8", "replace")
    try:
        decoded: object = json.loads(text)
    except ValueError:
        decoded = None
    response = cast("dict[str, object]", decoded) if isinstance(decoded, dict) else {}
    if answer.get("FunctionError") or not response.get("response"):
        raise ScriptError(
            f"{function} did not answer on the demo model: {text[:500]}. Its log says more: aws logs tail "
            f"/aws/lambda/{function} --since 5m"
        )
    return f"{function} answers" + (f", and is of the code {code_version}" if code_version else "")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not 2 <= len(given) <= 3:
        sys.stderr.write(f"{(__doc__ or '').strip()}\n")
        return 2
    config = import_module("botocore.config").Config(
        read_timeout=READ_SECONDS, retries={"total_max_attempts": 1}
    )
    client = import_module("boto3").client("lambda", config=config)
    qualifier = given[2] if len(given) == 3 else None
    try:
        found = check(client, function=given[0], code_version=given[1] or None, qualifier=qualifier)
    except ScriptError as error:
        sys.stderr.write(f"smoke test: error: {error}\n")
        return 1
    sys.stderr.write(f"smoke test: {found}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
