"""`doctor`'s look at AWS Lambda: the function, whether it may be invoked, its code, and what the fall-back needs here.

Nothing is executed and nothing is billed: the configuration is read, the permission is tried with Lambda's own dry run,
and that for Bedrock's models with a request that Bedrock refuses for its form after it has looked at the permission.
"""

import os
from collections.abc import Sequence
from typing import Final

from core.code_version import code_version
from core.errors import AgentLauncherError, InvocationError
from core.execution.aws_lambda import LambdaExecutor, LambdaTarget
from core.execution.lambda_errors import NotLambda
from core.execution.lambda_function import FunctionFacts
from core.interruption import Limits
from core.providers import registry
from core.providers.botocore_adapter import Aws, Purpose, Target
from core.services.checks import Check, Verdict, guarded
from core.settings import Settings

LOOK_SECONDS: Final = 5.0
"""How long one look may take."""
MAX_MODELS: Final = 3
"""How many of Bedrock's models are tried."""

_DEPLOY: Final = "Deploy it (lambda_handler/scripts/deploy.sh)."
_MAY_READ: Final = (
    "Allow lambda:GetFunctionConfiguration on the function to the user or role of this machine: without it the "
    "function's time-out and architecture are not known, and neither is what a run costs on Lambda."
)
_TO_BEDROCK: Final = "Fall-back to Bedrock"
_BEDROCK: Final = Purpose("BEDROCK", "BEDROCK_REGION", "")
_ALLOWED_IF: Final = frozenset({"validationexception", "resourcenotfoundexception", "modelnotreadyexception"})
"""Said after Bedrock has found that the credentials may ask it."""


def lambda_checks(
    settings: Settings, *, local_keys: Sequence[str], bedrock_models: Sequence[str] = ()
) -> list[Check]:
    """The checks; none where no function is named.

    Args:
        settings: Which function.
        local_keys: The providers for which this installation has a key of its own.
        bedrock_models: Those that agents ask with AWS credentials, beside BEDROCK_MODEL_ID; the first few are tried.
    """
    function = settings.lambda_agent_function_name
    if function is None:
        return []
    executor = LambdaExecutor(
        LambdaTarget(
            function=function,
            region=settings.aws_lambda_region,
            endpoint_url=settings.aws_endpoint_url_lambda,
        )
    )
    try:
        return _looks(executor, settings, local_keys, bedrock_models)
    finally:
        executor.close()


def _looks(
    executor: LambdaExecutor, settings: Settings, local_keys: Sequence[str], bedrock_models: Sequence[str]
) -> list[Check]:
    try:
        facts = executor.function(Limits(timeout_seconds=LOOK_SECONDS))
    except NotLambda as exc:
        return [_emulated(settings, exc)]
    except InvocationError:
        facts = None  # the dry run says whether that alone is missing
    invoked = guarded("Lambda invocation", lambda: _invocation(executor))
    if invoked.verdict is not Verdict.OK:
        return [invoked]
    if facts is None:
        unread = "Its configuration cannot be read."
        configured = Check(name="Lambda function", verdict=Verdict.WARNING, detail=unread, remedy=_MAY_READ)
        return [configured, invoked, *_fall_back(settings, frozenset(), local_keys, bedrock_models)]
    configured = _configuration(facts, settings)
    fall_back = _fall_back(settings, facts.variables, local_keys, bedrock_models)
    return [configured, invoked, _code(facts), *fall_back]


def _emulated(settings: Settings, error: NotLambda) -> Check:
    endpoint, name = settings.aws_endpoint_url_lambda, "Lambda invocation"
    if endpoint is None:
        return Check(name=name, verdict=Verdict.FAILED, detail=error.message)
    return Check(
        name=name,
        verdict=Verdict.OK,
        detail=f"{endpoint} answers, though not as AWS: as the runtime emulator, which tells nothing of its function.",
    )


def _invocation(executor: LambdaExecutor) -> Check:
    executor.dry_run(Limits(timeout_seconds=LOOK_SECONDS))
    return Check(
        name="Lambda invocation",
        verdict=Verdict.OK,
        detail=f"{executor.target.function} in {executor.region} can be reached, and may be invoked.",
    )


def _configuration(facts: FunctionFacts, settings: Settings) -> Check:
    name = "Lambda function"
    what = [facts.name, facts.runtime or "", facts.architecture or ""]
    what += [f"{facts.memory_mb} MB" if facts.memory_mb else "", f"time-out {facts.timeout_seconds:g} s"]
    what += ["SnapStart" if facts.snap_start else "", "in a VPC" if facts.in_vpc else ""]
    detail = ", ".join(part for part in what if part)
    if facts.state not in {None, "Active", "Inactive"} or facts.update_status not in {None, "Successful"}:
        return Check(
            name=name,
            verdict=Verdict.FAILED if "Failed" in {facts.state, facts.update_status} else Verdict.WARNING,
            detail=f"{detail}; state {facts.state}, last update {facts.update_status}",
            remedy="Wait until AWS has finished with it; if it failed, deploy it again.",
        )
    if facts.timeout_seconds < min(settings.run_timeout_seconds, 30):
        return Check(
            name=name,
            verdict=Verdict.WARNING,
            detail=f"{detail}: too short for most models",
            remedy="Raise TimeoutSeconds (lambda_handler/template.yaml) and deploy.",
        )
    return Check(name=name, verdict=Verdict.OK, detail=detail)


def _code(facts: FunctionFacts) -> Check:
    name, ours = "Lambda code", code_version()
    if facts.code_version == ours:
        return Check(name=name, verdict=Verdict.OK, detail=f"{ours}, as here")
    if facts.code_version is None:
        detail = "The function does not say which version it is: it may not be ours."
    else:
        detail = f"Deployed is {facts.code_version}; here is {ours}."
    return Check(name=name, verdict=Verdict.WARNING, detail=detail, remedy=_DEPLOY)


def _fall_back(
    settings: Settings, there: frozenset[str], local_keys: Sequence[str], bedrock_models: Sequence[str]
) -> list[Check]:
    """Whether what runs there would run here, too: a fall-back that fails is none."""
    lacking = [
        spec.name
        for spec in registry.specs().values()
        if spec.needs_api_key
        and there.intersection(spec.api_key_variables)
        and spec.name not in local_keys
        and spec.key_variable_in_force() is None
    ]
    checks: list[Check] = []
    if lacking:
        checks.append(
            Check(
                name="Fall-back keys",
                verdict=Verdict.WARNING,
                detail=f"The function has a key for {', '.join(lacking)}, and this machine has none: no fall-back.",
                remedy="Add the key under Settings > Credentials.",
            )
        )
    if "BEDROCK" not in local_keys and registry.get_spec("BEDROCK").key_variable_in_force() is None:
        # With a key of Bedrock's own it is the key that may ask, and not these credentials.
        configured = [] if settings.bedrock_model_id is None else [settings.bedrock_model_id]
        models = list(dict.fromkeys([*configured, *bedrock_models]))[:MAX_MODELS]
        checks += [guarded(_TO_BEDROCK, lambda model=model: _bedrock(settings, model)) for model in models]
    if not checks:
        detail = "For what the function has keys for, this machine has one, too."
        checks.append(Check(name="Fall-back keys", verdict=Verdict.OK, detail=detail))
    return checks


def _bedrock(settings: Settings, model: str) -> Check:
    name, limits = _TO_BEDROCK, Limits(timeout_seconds=LOOK_SECONDS)
    aws = Aws(_BEDROCK)
    try:
        region = (
            settings.bedrock_region or os.environ.get("AWS_REGION") or aws.default_region() or "us-east-1"
        )
        endpoint = os.environ.get("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "").strip() or None
        where = Target(region, endpoint, None, signed=True)
        # Without a message it is refused as malformed, if it is not refused for want of permission.
        reply = aws.send("bedrock-runtime", "converse", {"modelId": model, "messages": []}, where, limits)
        headers = {key.lower(): value.decode("latin-1") for key, value in reply.headers}
        b"".join(reply)
    except AgentLauncherError as exc:
        return Check(
            name=name,
            verdict=Verdict.WARNING,
            detail=str(exc),
            remedy="Without it, a run on BEDROCK has no fall-back.",
        )
    finally:
        aws.close()
    said = headers.get(b"x-amzn-errortype", "").split(":", 1)[0].lower()
    if reply.status == 403 or (reply.status >= 400 and said not in _ALLOWED_IF):
        return Check(
            name=name,
            verdict=Verdict.WARNING,
            detail=f"This machine's AWS credentials may not ask {model} in {region} (HTTP {reply.status} {said}).",
            remedy="Allow them bedrock:InvokeModel and bedrock:InvokeModelWithResponseStream, as the function's role.",
        )
    return Check(name=name, verdict=Verdict.OK, detail=f"This machine may ask {model} in {region}, too.")
