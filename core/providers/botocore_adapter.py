"""Our HTTP (`core.providers.http`) under boto3's core, which addresses, serialises and signs a request, and no more.

That core is botocore. boto3 itself, which adds S3's file transfers, is not imported: a function that starts would wait
for it. botocore asks before it sends (`before-send`) whether somebody else has the answer. We send the request there,
keep the reply for the caller, and give botocore an empty success: it then has nothing to retry, and nothing to parse.
`docs/decisions/2026-11-22-bedrock.md` says why.

Finding AWS credentials may ask other servers (single sign-on, a role, the machine's metadata service), over
connections of botocore's own. So it happens in a thread that is left behind when the call has no more time.
"""

import os
import ssl
import threading
from collections import OrderedDict
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final
from urllib.parse import urlsplit

from core import redaction
from core.errors import InvalidRequest, InvocationError, MissingApiKey, ProviderUnavailable
from core.forks import renew_in_children
from core.interruption import Limits
from core.providers import http
from core.providers.clients import ClientCache
from core.providers.connections import Origin
from core.providers.http import MAX_IDLE_PER_HOST, Reply, Transport

CREDENTIALS_SECONDS: Final = 10.0
"""How long AWS credentials may take to be found; the metadata service is given 1 s by botocore itself."""
MAX_SESSIONS: Final = 8

CREDENTIALS_REMEDY: Final = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (after `aws sso login`, if it uses single "
    "sign-on), or give this machine an IAM role."
)
_OF_A_SESSION: Final = (
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"),
    *("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_EC2_METADATA_DISABLED"),
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_BEDROCK", "AWS_ENDPOINT_URL_LAMBDA", "AWS_ENDPOINT_URL_LOGS"),
    *("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_SDK_UA_APP_ID"),
)
"""The variables that a session reads once, so that a change of one makes another session."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes, and how it says who asks.

    Attributes:
        region: Such as us-east-1.
        endpoint: The server's address; None for the one that boto3 chooses for the region.
        bearer: A Bedrock API key to send; None if there is none.
        signed: Signed with the AWS credentials of this machine; not with a key.
    """

    region: str
    endpoint: str | None
    bearer: str | None = field(repr=False)
    signed: bool


@dataclass(frozen=True, slots=True)
class Purpose:
    """What the requests are for, in the words of an error.

    Attributes:
        name: Such as BEDROCK.
        region_setting: The variable that names the region.
        otherwise: What works without any credentials.
        address: What names the server.
    """

    name: str
    region_setting: str
    otherwise: str
    address: str = "the base URL"

    @property
    def credentials_remedy(self) -> str:
        """How to get credentials, or to do without."""
        return f"{CREDENTIALS_REMEDY} {self.otherwise}".rstrip()


@dataclass(slots=True)
class _Exchange:
    bearer: str | None
    reply: Reply | None = None


_exchange: ContextVar[_Exchange] = ContextVar("agent_launcher_aws_exchange")


class _Nothing:
    """The body that botocore is given."""

    def stream(self, **_: object) -> Iterator[bytes]:
        return iter(())

    def read(self, *_: object) -> bytes:
        return b""

    def close(self) -> None:
        """There is nothing to close."""


class _Session:
    """A session and the clients made of it; they are shared by threads."""

    def __init__(self, transport: Transport, purpose: Purpose) -> None:
        self._transport = transport
        self._purpose = purpose
        self._credentials_lock = threading.Lock()
        self._session: Any = import_module("botocore.session").Session()
        self._session.get_scoped_config()  # raises now if the profile or its files cannot be read
        self._credentials: Any = None
        self._clients: ClientCache[tuple[str, str, str | None, bool], Any] = ClientCache()

    @property
    def region(self) -> str | None:
        """The profile's."""
        return self._session.get_config_variable("region")

    def require_credentials(self, limits: Limits) -> None:
        """Returns when there are credentials to sign with.

        Raises:
            MissingApiKey: There are none, or they cannot be had.
            Cancelled, DeadlineExceeded: The call's limits came first.
        """
        if self._credentials is not None and not _needs_refresh(self._credentials):
            return
        search = _Search()
        worker = threading.Thread(
            target=search.run, args=(self._find_credentials,), name="AWS credentials", daemon=True
        )
        remaining = limits.remaining_seconds()
        with limits.cancel.on_cancel(search.done.set):
            worker.start()
            search.done.wait(
                CREDENTIALS_SECONDS if remaining is None else min(remaining, CREDENTIALS_SECONDS)
            )
        limits.check(sent=False)
        if search.error is not None:
            raise _unusable(self._purpose, search.error) from search.error
        if not search.found:
            how = "were found" if search.ended else f"came within {CREDENTIALS_SECONDS:.0f} s"
            raise MissingApiKey(
                f"AWS credentials required for {self._purpose.name}: none {how}. {self._purpose.credentials_remedy}"
            )

    def _find_credentials(self) -> bool:
        with self._credentials_lock:
            credentials = self._session.get_credentials()
            if credentials is None:
                return False
            frozen = credentials.get_frozen_credentials()
            if not frozen.access_key or not frozen.secret_key:
                return False
            for secret in (frozen.secret_key, frozen.token):
                if secret:
                    redaction.remember(secret)
            self._credentials = credentials
            return True

    def client(self, service: str, target: Target) -> Any:
        """The client for this service, region and address."""
        key = (service, target.region, target.endpoint, target.signed)
        return self._clients.get(key, lambda: self._build(service, target))

    def _build(self, service: str, target: Target) -> Any:
        botocore = import_module("botocore")
        config = import_module("botocore.config").Config(
            # Said in code, so that no bearer token of the environment takes a signature's place unseen.
            signature_version="v4" if target.signed else botocore.UNSIGNED,
            user_agent=self._user_agent(),
            retries={"total_max_attempts": 1, "mode": "standard"},
            parameter_validation=False,
        )
        client = self._session.create_client(
            service, region_name=target.region, endpoint_url=target.endpoint, config=config
        )
        client.meta.events.register_last(f"before-send.{service}", self._carry)
        return client

    def _user_agent(self) -> str:
        """What botocore says, with the operator's mark: said once, as making it anew takes a tenth of each request."""
        agent: str = self._session.user_agent()
        mark: str | None = self._session.get_config_variable("user_agent_appid")
        if not mark:
            return agent
        cleaned = import_module("botocore.useragent").sanitize_user_agent_string_component(mark, True)
        return f"{agent} app/{cleaned}"

    def _carry(self, request: Any, **_: object) -> Any:
        """Sends a request that botocore has made, in its place."""
        exchange = _exchange.get()
        parts = urlsplit(str(request.url))
        port = parts.port or (443 if parts.scheme == "https" else 80)
        origin = Origin(parts.scheme, parts.hostname or "", port)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        body: bytes = request.body.encode() if isinstance(request.body, str) else bytes(request.body or b"")
        headers = [(b"Host", parts.netloc.encode()), (b"Accept-Encoding", b"identity")]
        headers += [(_as_bytes(name), _as_bytes(value)) for name, value in request.headers.items()]
        if exchange.bearer is not None:
            headers.append((b"Authorization", f"Bearer {exchange.bearer}".encode()))
        exchange.reply = self._transport.send(request.method, origin, target.encode(), headers, body)
        response = import_module("botocore.awsrequest").AWSResponse
        return response(request.url, 200, {}, _Nothing())


@dataclass(slots=True)
class _Search:
    """Credentials being found, in a thread of its own: what it waits for cannot be interrupted."""

    done: threading.Event = field(default_factory=threading.Event)
    ended: bool = False
    found: bool = False
    error: Exception | None = None

    def run(self, find: Any) -> None:
        try:
            self.found = find()
        except Exception as exc:  # a credential process, a file, another server: whatever botocore met
            self.error = exc
        self.ended = True
        self.done.set()


class Aws:
    """Sends requests to AWS services; shared by threads. Sessions and clients are made when first needed.

    Args:
        purpose: What for.
        max_idle: How many unused connections to a server are kept.
    """

    def __init__(self, purpose: Purpose, *, max_idle: int = MAX_IDLE_PER_HOST) -> None:
        self._purpose = purpose
        self._lock = threading.Lock()
        self._transport = Transport(_ssl_context, max_idle=max_idle, address=purpose.address)
        self._sessions: OrderedDict[tuple[str | None, ...], _Session] = OrderedDict()
        renew_in_children(self)

    def default_region(self) -> str | None:
        """The region of the profile in use. Errors as in `send`."""
        return self._session().region

    def send(
        self, service: str, operation: str, parameters: Mapping[str, Any], target: Target, limits: Limits
    ) -> Reply:
        """Sends one request and returns when the status and headers are there, whatever they say.

        Args:
            service: Such as bedrock-runtime.
            operation: The client's method.
            parameters: Its arguments; not checked.
            target: Where it goes.
            limits: How long it may take, finding credentials included.

        Raises:
            MissingApiKey: It should be signed, and there is nothing to sign with.
            InvalidRequest: boto3 cannot make a request of it (the region, the address, the profile).
            InvocationError: As in `core.providers.http`.
        """
        limits.check(sent=False)
        exchange = _Exchange(target.bearer)
        token = _exchange.set(exchange)
        try:
            with self._explaining():
                session = self._session()
                if target.signed:
                    session.require_credentials(limits)
                client = session.client(service, target)
                with http.bounded_by(limits):
                    getattr(client, operation)(**parameters)
        finally:
            _exchange.reset(token)
        if exchange.reply is None:
            raise ProviderUnavailable("boto3 sent nothing. Check for a plug-in of botocore's.", sent=False)
        return exchange.reply

    def prepare(self, service: str, target: Target) -> None:
        """Makes the session and the client that `send` would take: half a second of work the first time, asking nobody.

        Raises:
            MissingApiKey, InvalidRequest: As in `send`.
        """
        with self._explaining():
            self._session().client(service, target)

    @contextmanager
    def _explaining(self) -> Generator[None]:
        errors = import_module("botocore.exceptions")
        try:
            yield
        except InvocationError:
            raise
        except (errors.NoCredentialsError, errors.CredentialRetrievalError) as exc:
            raise _unusable(self._purpose, exc) from exc
        except (errors.BotoCoreError, ValueError) as exc:
            raise InvalidRequest(
                f"boto3 cannot make this request. Check the region ({self._purpose.region_setting}), "
                f"{self._purpose.address}, and the AWS profile and its files.",
                detail=repr(exc),
            ) from exc

    def forget(self) -> None:
        """Has credentials looked for anew: those that there were are not taken any more."""
        with self._lock:
            self._sessions.clear()

    def after_fork(self) -> None:
        """See `core.forks`; sessions, and the credentials in them, have locks of their own."""
        self._lock = threading.Lock()
        self._sessions = OrderedDict()

    def close(self) -> None:
        """Closes the unused connections."""
        self._transport.close()

    def _session(self) -> _Session:
        key = tuple(os.environ.get(name) for name in _OF_A_SESSION)
        with self._lock:
            session = self._sessions.get(key)
            if session is None:
                errors = import_module("botocore.exceptions")
                try:
                    session = self._sessions[key] = _Session(self._transport, self._purpose)
                except errors.BotoCoreError as exc:
                    raise MissingApiKey(
                        f"The AWS profile or its files cannot be read for {self._purpose.name}. "
                        f"{self._purpose.credentials_remedy}",
                        detail=repr(exc),
                    ) from exc
                if len(self._sessions) > MAX_SESSIONS:
                    self._sessions.popitem(last=False)
            return session


def _unusable(purpose: Purpose, error: Exception) -> MissingApiKey:
    return MissingApiKey(
        f"The AWS credentials of this machine cannot be used for {purpose.name}. {purpose.credentials_remedy}",
        detail=repr(error),
    )


def _needs_refresh(credentials: Any) -> bool:
    asks = getattr(credentials, "refresh_needed", None)
    return bool(asks is not None and asks())


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _ssl_context() -> ssl.SSLContext:
    """What the system trusts, and the bundle that boto3 trusts (`AWS_CA_BUNDLE`, else its own)."""
    bundle = os.environ.get("AWS_CA_BUNDLE", "").strip()
    context = ssl.create_default_context()
    context.load_verify_locations(bundle or import_module("botocore.httpsession").get_cert_path(True))
    return context
