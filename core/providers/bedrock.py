"""Amazon Bedrock's Converse API, on boto3.

boto3 finds credentials and region, serialises and signs; our transport carries the request and the documented answer
is read here (`core.providers.botocore_adapter`). The frames of a stream are taken apart by botocore's own decoder,
which checks their sums; a stream is complete only when `messageStop` and `metadata` were received.

Who asks: the AWS credentials of this machine, by boto3's own chain. A Bedrock API key takes their place where a
request brings one or one is stored, or where `AWS_BEARER_TOKEN_BEDROCK` has one, which like any key in a variable is
sent to AWS, to the server that the environment names and to this machine, and to no other server that a request
names. Nor are requests to such a server signed: a signed request shows the session's token.

Where: the region in the model's ARN, else in a base URL of AWS, else `BEDROCK_REGION`, `AWS_REGION`,
`AWS_DEFAULT_REGION`, the profile's.

How a contract request becomes a Converse request:
- the context is in the last user turn (`AgentRequest.turns`), attachments are blocks of it, before its text;
- `response_schema` is `outputConfig.textFormat`, with its objects closed, because Claude takes no open one;
- `reasoning_effort` is `outputConfig.effort` for Claude from 4.6 on, and a model's own field for others; "minimal" is
  sent as "low" (`core.providers.rows_bedrock`).

An ARN that does not name its model (an application inference profile) is resolved once, with `GetInferenceProfile`,
for what the model takes and for the price. Where that is not allowed, the request is sent all the same.

How an answer comes back: what a guardrail put in its place is an answer with finish reason `content_filter`; one that
the model's own filter cut is the error `CONTENT_FILTERED` with the text that came before.
"""

import os
import re
import struct
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from core import redaction
from core.contract import AgentRequest
from core.errors import (
    AuthenticationFailed,
    BadProviderResponse,
    Cancelled,
    DeadlineExceeded,
    InvalidRequest,
    InvocationError,
    PermissionDenied,
)
from core.forks import renew_in_children
from core.interruption import Limits
from core.providers.base import Completion, Connection, Delta, ModelInfo
from core.providers.bedrock_errors import explainer
from core.providers.bedrock_wire import EventReader, read_answer, render
from core.providers.botocore_adapter import Aws, Purpose, Target
from core.providers.explaining import Head
from core.providers.features import require_features
from core.providers.http import Reply
from core.providers.keys import may_have_own_key, resolve_api_key
from core.providers.rows_bedrock import BEDROCK
from core.providers.wire import as_list, as_object, as_text, mend, object_or_empty

REGION_VARIABLES: Final = ("BEDROCK_REGION", "AWS_REGION", "AWS_DEFAULT_REGION")
RESOLVE_SECONDS: Final = 5.0
"""How long looking up an application inference profile may hold up a request."""
MAX_PAGES: Final = 50
MAX_PROFILES: Final = 1_024

_PURPOSE: Final = Purpose(BEDROCK.name, "BEDROCK_REGION", "The offline demo (DEMO) works without any.")
_NO_REGION: Final = "us-east-1"
"""Stands in a request to another server, where no region is known and none matters."""
_ARN: Final = re.compile(r"arn:[^:]*:bedrock:([a-z0-9-]*):[^/]*/(.+)")
_OPAQUE: Final = re.compile(r"arn:[^/]*:application-inference-profile/.*")
_AWS_HOST: Final = re.compile(
    r"https://(?:[a-z0-9-]+\.)?bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\."
    r"(?:vpce\.)?(?:amazonaws\.com(?:\.cn)?|api\.aws)(?::443)?(?:/.*)?",
    re.IGNORECASE,
)


class BedrockProvider:
    """See the module."""

    def __init__(self) -> None:
        self.aws = Aws(_PURPOSE)
        self.profiles = _Profiles()

    def complete(self, request: AgentRequest, limits: Limits) -> Completion:
        """The whole answer at once."""
        call = _Call(self, Connection.of(request), request.model_name, limits)
        reply = call.converse("converse", request)
        head = _head_of(reply)
        body = call.errors.object_in(head, b"".join(reply))
        answer = call.errors.answer_in(head, body, read_answer)
        return answer.completion(head, call.errors, asked=call.model)

    def stream(self, request: AgentRequest, limits: Limits) -> Generator[Delta | Completion]:
        """The answer as it is written."""
        call = _Call(self, Connection.of(request), request.model_name, limits)
        reply = call.converse("converse_stream", request)
        try:
            yield from call.follow(reply)
        finally:
            reply.close()

    def list_models(self, connection: Connection, limits: Limits) -> Sequence[ModelInfo]:
        """The region's models that can be asked by name, and the account's inference profiles."""
        call = _Call(self, connection, None, limits)
        found = dict(call.foundation_models())
        try:
            found.update(call.inference_profiles())
        except PermissionDenied:
            if not found:
                raise
        return [ModelInfo(name, label) for name, label in sorted(found.items())]


class _Profiles:
    """What is behind the application inference profiles; None for one that could not be looked up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, str | None] = {}
        renew_in_children(self)

    def after_fork(self) -> None:
        self._lock = threading.Lock()

    def known(self, arn: str) -> bool:
        with self._lock:
            return arn in self._known

    def get(self, arn: str) -> str | None:
        with self._lock:
            return self._known.get(arn)

    def put(self, arn: str, model: str | None) -> None:
        with self._lock:
            if len(self._known) >= MAX_PROFILES:
                self._known.clear()
            self._known[arn] = model


class _Call:
    """One request and what is needed to explain its failure."""

    def __init__(
        self, provider: BedrockProvider, connection: Connection, model: str | None, limits: Limits
    ) -> None:
        self._provider = provider
        self._limits = limits
        self._asked = model
        self._base_url = BEDROCK.base_url_in_force(connection.base_url)
        key = _api_key(connection)
        if key is not None:
            redaction.remember(key)
        self._target = Target(
            region=region_of(model, self._base_url) or provider.aws.default_region() or self._elsewhere(),
            endpoint=self._base_url,
            bearer=key,
            signed=key is None and _may_show_who_asks(connection.base_url),
        )
        self.model = _named_model(model or "")
        self.errors = explainer(model=model, key=key, region=self._target.region)

    def _elsewhere(self) -> str:
        if self._base_url is not None:
            return _NO_REGION
        raise InvalidRequest(
            "No AWS region is set for BEDROCK. Set BEDROCK_REGION, such as us-east-1, or the profile's region."
        )

    def converse(self, operation: str, request: AgentRequest) -> Reply:
        """Sends it; the reply has a success status, and its body unread."""
        if _OPAQUE.fullmatch(request.model_name):
            self.model = self._behind(request.model_name) or request.model_name
            require_features(BEDROCK, request.model_copy(update={"model_name": self.model}))
        return self._send("bedrock-runtime", operation, render(request, model=self.model), self._target)

    def _send(self, service: str, operation: str, parameters: Mapping[str, Any], target: Target) -> Reply:
        reply = self._provider.aws.send(service, operation, parameters, target, self._limits)
        if 200 <= reply.status < 300:
            return reply
        head = _head_of(reply)
        error = self.errors.status(head, object_or_empty(b"".join(reply)))
        if isinstance(error, AuthenticationFailed) and target.signed:
            self._provider.aws.forget()
        raise error

    def follow(self, reply: Reply) -> Generator[Delta | Completion]:
        """The answer in a stream of events."""
        head, reader = _head_of(reply), EventReader()
        for headers, payload in self._messages(head, reply):
            kind = headers.get(":message-type")
            if kind == "error":
                raise self.errors.reported(
                    head, headers.get(":error-code", ""), {"message": headers.get(":error-message")}
                )
            event = self.errors.object_in(head, payload, what="has an event that ")
            if kind == "exception":
                raise self.errors.reported(head, headers.get(":exception-type", ""), event)
            if text := reader.add(headers.get(":event-type", ""), event):
                yield Delta(text)
            if reader.complete:
                yield reader.answer().completion(head, self.errors, asked=self.model)
                return
        raise self.errors.cut(head)

    def _messages(self, head: Head, pieces: Iterable[bytes]) -> Iterator[tuple[dict[str, str], bytes]]:
        """The frames of a body, wherever the network cut it; one that is not whole at the end is left out."""
        codec = import_module("botocore.eventstream")
        buffer = codec.EventStreamBuffer()
        for piece in pieces:
            buffer.add_data(piece)
            while True:
                try:
                    message = buffer.next()
                    headers = {name: str(value) for name, value in message.headers.items()}
                except StopIteration:
                    break
                except (codec.ParserError, KeyError, ValueError, struct.error) as exc:
                    raise self.errors.nonsense(head, "is no event stream") from exc
                yield headers, message.payload

    # Beside the model itself: the service that knows what there is.

    def foundation_models(self) -> Iterator[tuple[str, str | None]]:
        """Names and labels of the models that can be asked without a profile."""
        body = self._ask("list_foundation_models", {"byOutputModality": "TEXT"})
        for item in self._list(body, "modelSummaries"):
            name = as_text(item.get("modelId"))
            ways = as_list(item.get("inferenceTypesSupported"))
            if name is not None and (ways is None or "ON_DEMAND" in ways) and BEDROCK.may_answer(name):
                label = " ".join(
                    filter(None, (as_text(item.get("providerName")), as_text(item.get("modelName"))))
                )
                yield mend(name), mend(label) or None

    def inference_profiles(self) -> Iterator[tuple[str, str | None]]:
        """Names and labels of the profiles: ids of AWS's own, ARNs of the account's."""
        token: str | None = None
        for _ in range(MAX_PAGES):
            body = self._ask(
                "list_inference_profiles", {"maxResults": 1000, **({"nextToken": token} if token else {})}
            )
            for item in self._list(body, "inferenceProfileSummaries"):
                of_the_account = item.get("type") == "APPLICATION"
                name = as_text(item.get("inferenceProfileArn" if of_the_account else "inferenceProfileId"))
                behind = _model_of_profile(item) or name
                if name is not None and behind is not None and BEDROCK.may_answer(behind):
                    label = as_text(item.get("inferenceProfileName"))
                    yield mend(name), None if label is None else mend(label)
            token = as_text(body.get("nextToken"))
            if token is None:
                return

    def _behind(self, arn: str) -> str | None:
        """The model behind an application inference profile; None if that cannot be learnt."""
        profiles = self._provider.profiles
        if profiles.known(arn):
            return profiles.get(arn)
        whole, remaining = self._limits, self._limits.remaining_seconds()
        self._limits = Limits(
            timeout_seconds=RESOLVE_SECONDS if remaining is None else min(RESOLVE_SECONDS, remaining),
            cancel=whole.cancel,
        )
        try:
            model = _model_of_profile(self._ask("get_inference_profile", {"inferenceProfileIdentifier": arn}))
        except (Cancelled, DeadlineExceeded):
            whole.check(sent=False)
            return None
        except PermissionDenied:
            model = None  # and will be next time
        except InvocationError:
            return None
        finally:
            self._limits = whole
        profiles.put(arn, model)
        return model

    def _ask(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, object]:
        target = Target(
            region=self._target.region,
            endpoint=_control_endpoint(self._base_url),
            bearer=self._target.bearer,
            signed=self._target.signed,
        )
        reply = self._send("bedrock", operation, parameters, target)
        return self.errors.object_in(_head_of(reply), b"".join(reply))

    def _list(self, body: Mapping[str, object], name: str) -> list[dict[str, object]]:
        items = as_list(body.get(name))
        if items is None:
            raise BadProviderResponse(
                f"The answer of BEDROCK has no {name}. Check that the base URL leads to Bedrock, then try again."
            )
        return [item for value in items if (item := as_object(value)) is not None]


def signs(base_url: str | None) -> bool:
    """Whether requests to this address are signed with the AWS credentials, if none brings a key."""
    return _may_show_who_asks(base_url) and BEDROCK.key_variable_in_force() is None


def _api_key(connection: Connection) -> str | None:
    """The Bedrock API key to send, if any; see the module."""
    key = resolve_api_key(BEDROCK, connection)
    if key is not None:
        return key
    # An address of AWS's own, which differs from the default one: a VPC endpoint, another region.
    variable = BEDROCK.key_variable_in_force()
    if variable is None or not _may_show_who_asks(connection.base_url):
        return None
    return resolve_api_key(BEDROCK, Connection())


def _may_show_who_asks(base_url: str | None) -> bool:
    """Whether requests to this address may show who this machine is."""
    return may_have_own_key(BEDROCK, base_url, os.environ) or bool(_AWS_HOST.fullmatch(base_url or ""))


def region_of(model: str | None, base_url: str | None) -> str | None:
    """The region of a request, if anything but the AWS profile says it; see the module."""
    if (arn := _ARN.match(model or "")) and arn[1]:
        return arn[1]
    if host := _AWS_HOST.fullmatch(base_url or ""):
        return host[1].lower()
    return next((value for name in REGION_VARIABLES if (value := os.environ.get(name, "").strip())), None)


def _control_endpoint(base_url: str | None) -> str | None:
    """Where the list of models is, for a server that answers instead of AWS's own."""
    if base_url is None or _AWS_HOST.fullmatch(base_url):
        return None
    return os.environ.get("AWS_ENDPOINT_URL_BEDROCK", "").strip() or base_url


def _named_model(model: str) -> str:
    """The model's or profile's id in a name that may be an ARN."""
    arn = _ARN.match(model)
    return model if arn is None or _OPAQUE.fullmatch(model) else arn[2]


def _model_of_profile(profile: Mapping[str, object]) -> str | None:
    """The id that has the price of what a profile asks: a model's, with where it may be asked before it."""
    arns = [
        arn
        for item in as_list(profile.get("models")) or ()
        if (arn := _ARN.match(as_text((as_object(item) or {}).get("modelArn")) or ""))
    ]
    if not arns:
        return None
    model, regions = arns[0][2], {arn[1] for arn in arns}
    if "" in regions:
        return f"global.{model}"
    if len(regions) == 1:
        return model
    areas = {region.partition("-")[0] for region in regions}
    area = areas.pop() if len(areas) == 1 else "global"
    return f"{'apac' if area == 'ap' else area}.{model}"


def _head_of(reply: Reply) -> Head:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in reply.headers}
    return Head.of(reply.status, headers, id_header="x-amzn-requestid")


def create() -> BedrockProvider:
    """The provider, for the registry."""
    return BedrockProvider()
