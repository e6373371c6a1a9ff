"""API keys that AWS Secrets Manager keeps, by the ARN in a request's `api_key_ref`.

botocore is imported when the first one is read: Lambda's own runtime has it, and the function's package does not.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, cast

from core import redaction
from core.errors import DeadlineExceeded, InvalidRequest, InvocationError, MissingApiKey, ProviderUnavailable
from core.forks import renew_in_children
from core.interruption import Limits

TTL_SECONDS: Final = 300.0
"""How long a value is used without asking again: a key that was rotated is taken up after that at the latest."""
CONNECT_SECONDS: Final = 2.0
READ_SECONDS: Final = 5.0
MAX_CACHED: Final = 100
FIELD: Final = "api_key"
"""Of a secret that is a JSON object: the field that is read. An object with one field only is read as well."""

_PARTS: Final = 7  # arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME
_NO_ANSWER: Final = (
    "The deadline passed while AWS Secrets Manager, which holds the key, was asked; no model was. Allow more time; in "
    "a VPC it needs an endpoint or a NAT gateway."
)
_PASSING: Final = frozenset(
    {"ThrottlingException", "InternalServiceError", "ServiceUnavailable", "RequestTimeout"}
)


def is_secret_arn(reference: str | None) -> bool:
    """Whether an `api_key_ref` names a secret of AWS, and not an environment variable."""
    return reference is not None and reference.startswith("arn:")


class AwsSecrets:
    """Reads keys and keeps them for `ttl_seconds`; shared by threads, and nothing is connected before the first read.

    Args:
        ttl_seconds: See `TTL_SECONDS`.
        clock: Seconds that never go back.
    """

    def __init__(
        self, *, ttl_seconds: float = TTL_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._values: dict[str, tuple[str, float]] = {}
        self._clients: dict[str, Any] = {}
        renew_in_children(self)

    def read(self, arn: str, limits: Limits, *, provider: str) -> str:
        """The key in the secret.

        Args:
            arn: Of the secret.
            limits: How long it may take.
            provider: Whose key it is, for the error.

        Raises:
            MissingApiKey: There is no such secret, it may not be read from here, or it is empty.
            InvalidRequest: It is no ARN of a secret, or the secret is no text that holds one key.
            ProviderUnavailable: Secrets Manager did not answer; nothing was sent to the vendor.
            Cancelled, DeadlineExceeded: The call's limits came first.
        """
        with self._lock:
            value, expires_at = self._values.get(arn, ("", 0.0))
        if value and self._clock() < expires_at:
            return value
        limits.check(sent=False)
        key = _key_in(self._fetch_within(limits, arn, provider), provider)
        redaction.remember(key)
        limits.check(sent=False)
        with self._lock:
            if len(self._values) >= MAX_CACHED:
                self._values.clear()
            self._values[arn] = (key, self._clock() + self._ttl_seconds)
        return key

    def forget(self, arn: str | None = None) -> None:
        """Asks again at the next read: for one secret, or for all, with the connections."""
        with self._lock:
            if arn is not None:
                self._values.pop(arn, None)
                return
            self._values.clear()
            self._clients.clear()

    def after_fork(self) -> None:
        """See `core.forks`; the connections are the parent's."""
        self._lock = threading.Lock()
        self._clients = {}

    def _fetch_within(self, limits: Limits, arn: str, provider: str) -> Mapping[str, object]:
        """As `_fetch`, in a thread that is left behind when the limits come first: its own time-outs end it."""
        answers: list[Mapping[str, object]] = []
        errors: list[Exception] = []
        ended = threading.Event()

        def fetch() -> None:
            try:
                answers.append(self._fetch(arn, provider))
            except Exception as exc:  # whatever it is, it is raised where the answer is waited for
                errors.append(exc)
            ended.set()

        with limits.cancel.on_cancel(ended.set):
            threading.Thread(target=fetch, name="AWS secret", daemon=True).start()
            while not answers:
                ended.wait(limits.remaining_seconds())
                if errors:
                    raise errors[0]
                try:
                    limits.check(sent=False)
                except DeadlineExceeded as exc:
                    raise DeadlineExceeded(_NO_ANSWER, sent=False) from exc
        return answers[0]

    def _fetch(self, arn: str, provider: str) -> Mapping[str, object]:
        parts = arn.split(":", _PARTS - 1)
        if len(parts) < _PARTS or not parts[3] or parts[5] != "secret":
            raise InvalidRequest(
                "api_key_ref is no ARN of a secret. Copy it from Secrets Manager: "
                "arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME."
            )
        exceptions = import_module("botocore.exceptions")
        try:
            answer: object = self._client(parts[3]).get_secret_value(SecretId=arn)
        except exceptions.ClientError as exc:
            raise _refused(exc, arn, provider) from exc
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as exc:
            raise MissingApiKey(
                f"API key required for {provider}: there are no AWS credentials here to read the secret of "
                "api_key_ref with. Give this process a role or a profile, or send the key itself."
            ) from exc
        except exceptions.BotoCoreError as exc:
            raise ProviderUnavailable(
                "AWS Secrets Manager, which holds the key, could not be reached. Try again; in a VPC it needs an "
                "endpoint or a NAT gateway.",
                detail=str(exc),
                sent=False,
            ) from exc
        return cast("Mapping[str, object]", answer)

    def _client(self, region: str) -> Any:
        with self._lock:
            client = self._clients.get(region)
            if client is None:
                config = import_module("botocore.config").Config(
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=READ_SECONDS,
                    retries={"total_max_attempts": 2, "mode": "standard"},
                )
                session: Any = import_module("botocore.session").Session()
                client = session.create_client("secretsmanager", region_name=region, config=config)
                self._clients[region] = client
        return client


def _refused(exc: Exception, arn: str, provider: str) -> InvocationError:
    code = _code_of(exc)
    name = arn.rsplit(":", 1)[-1]
    if code in _PASSING:
        return ProviderUnavailable(
            "AWS Secrets Manager, which holds the key, is busy. Try again.", detail=str(exc), sent=False
        )
    match code:
        case "AccessDeniedException":
            remedy = (
                "this role may not read it. Add its ARN to SecretArns (lambda_handler/template.yaml) and deploy; if a "
                "KMS key of your own encrypts it, add that to SecretKmsKeyArns, too."
            )
        case "ResourceNotFoundException":
            remedy = "there is no such secret, or it has no value. Check the ARN, its region and its account."
        case "DecryptionFailure":
            remedy = "it cannot be decrypted. Add its KMS key to SecretKmsKeyArns and deploy."
        case "InvalidRequestException":
            remedy = "it is marked for deletion. Restore it, or name another."
        case _:
            remedy = f"Secrets Manager refuses it ({code}). Check api_key_ref and the role."
    return MissingApiKey(
        f"API key required for {provider}: the secret {name!r} was not read: {remedy}", detail=str(exc)
    )


def _code_of(exc: Exception) -> str:
    response = cast("Mapping[str, Mapping[str, object]]", getattr(exc, "response", {}))
    return str(response.get("Error", {}).get("Code", ""))


def _key_in(answer: Mapping[str, object], provider: str) -> str:
    text = answer.get("SecretString")
    if not isinstance(text, str):
        raise InvalidRequest("The secret of api_key_ref is binary. Store the key as text.")
    key = text.strip()
    if key.startswith("{"):
        try:
            fields = cast("dict[str, object]", json.loads(key))
        except ValueError:
            raise InvalidRequest(
                "The secret of api_key_ref begins like JSON, and is none. Store the key alone."
            ) from None
        found = fields.get(FIELD) or (next(iter(fields.values())) if len(fields) == 1 else None)
        if not isinstance(found, str):
            raise InvalidRequest(
                f"The secret of api_key_ref has several fields and none is named {FIELD!r}. Name the key so, or store "
                "it alone."
            )
        key = found.strip()
    if not key:
        raise MissingApiKey(f"API key required for {provider}: the secret of api_key_ref is empty.")
    return key
