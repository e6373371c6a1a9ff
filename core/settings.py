"""The environment and `.env` -> one frozen `Settings`, read once by whoever starts the process.

`docs/settings.md` describes each variable.
"""

import ipaddress
import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from core import database_url as urls
from core.contract import MAX_TIMEOUT_SECONDS
from core.environment import Environment
from core.errors import SettingsError

MIN_SECRET_KEY_CHARS: Final = 16
"""The shortest passphrase that is taken for a master key."""

_LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})


def split_secret_key(value: str) -> tuple[str, ...]:
    """The single master keys in a comma-separated value, in order."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


# Parsers. Each raises SettingsError with what is wrong ("must be ..."); the reader adds name, value, place.


def _whole(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            number = lowest - 1
        if not lowest <= number <= highest:
            raise SettingsError(f"must be a whole number from {lowest} to {highest}")
        return number

    return parse


def _seconds(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number <= MAX_TIMEOUT_SECONDS:
        raise SettingsError(f"must be a number of seconds above 0 and up to {MAX_TIMEOUT_SECONDS:.0f}")
    return number


def _boolean(value: str) -> bool:
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise SettingsError("must be true or false")


def _log_level(value: str) -> str:
    if value.upper() not in _LOG_LEVELS:
        raise SettingsError(f"must be one of {', '.join(_LOG_LEVELS)}")
    return value.upper()


def _secret_key(value: str) -> str:
    if any(len(key) < MIN_SECRET_KEY_CHARS for key in split_secret_key(value)):
        raise SettingsError(
            f"has a key shorter than {MIN_SECRET_KEY_CHARS} characters, but each must be a Fernet key or a "
            "passphrase without commas of at least that length"
        )
    return value


def _endpoint(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError("must be an address such as http://127.0.0.1:9080")
    return value.rstrip("/")


def _path(value: str) -> Path:
    try:
        return (Path.cwd() / Path(value).expanduser()).resolve()
    except (RuntimeError, ValueError, OSError) as exc:
        raise SettingsError("must be the path of a directory") from exc


def _read_by(variable: str, parse: Callable[[str], object] = str, *, secret: bool = False) -> dict[str, Any]:
    return {"variable": variable, "parse": parse, "secret": secret}


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings:
    """Everything this installation can be told from outside. Paths are absolute.

    Attributes:
        data_dir: Holds the SQLite file, the key file and the logs; may not exist yet (`ensure_data_dir`).
        database_url: A SQLAlchemy URL, `sqlite:////file` or `postgresql+psycopg://...`; may hold a password.
        host: What the server binds to; `check_bind_host` decides whether it may.
        log_level: A level name of `logging`, for the loggers `agent_launcher.*`.
        secret_key: The master keys as given, comma-separated, the sealing one first; None means the key file.
        default_max_tokens: Sent where a vendor requires a limit and the request gives none.
        run_timeout_seconds: The deadline of a run that gives none, retries included.
        max_concurrency: How many runs this process works on at once; the others wait.
        use_lambda_for_agent_execution: Whether runs whose backend is AUTO go to AWS Lambda first.
        aws_lambda_region: None leaves the region to boto3's own chain.
        lambda_agent_function_name: The deployed function's name or ARN; None if there is none.
        aws_endpoint_url_lambda: Instead of AWS's own, such as the runtime emulator's.
        bedrock_region: None leaves the region to boto3's own chain.
        bedrock_model_id: What a Bedrock request without a model of its own asks for.
    """

    data_dir: Path = field(metadata=_read_by("AGENT_LAUNCHER_DATA_DIR", _path))
    database_url: str = field(metadata=_read_by("DATABASE_URL", urls.normalise, secret=True))
    host: str = field(default="127.0.0.1", metadata=_read_by("AGENT_LAUNCHER_HOST"))
    port: int = field(default=8501, metadata=_read_by("AGENT_LAUNCHER_PORT", _whole(1, 65_535)))
    log_level: str = field(default="INFO", metadata=_read_by("AGENT_LAUNCHER_LOG_LEVEL", _log_level))
    secret_key: str | None = field(
        default=None, metadata=_read_by("AGENT_LAUNCHER_SECRET_KEY", _secret_key, secret=True)
    )
    default_max_tokens: int = field(
        default=2_000, metadata=_read_by("AGENT_LAUNCHER_DEFAULT_MAX_TOKENS", _whole(1, 10_000_000))
    )
    run_timeout_seconds: float = field(
        default=300.0, metadata=_read_by("AGENT_LAUNCHER_RUN_TIMEOUT_SECONDS", _seconds)
    )
    max_concurrency: int = field(
        default=32, metadata=_read_by("AGENT_LAUNCHER_MAX_CONCURRENCY", _whole(1, 1_000))
    )
    use_lambda_for_agent_execution: bool = field(
        default=False, metadata=_read_by("USE_LAMBDA_FOR_AGENT_EXECUTION", _boolean)
    )
    aws_lambda_region: str | None = field(default=None, metadata=_read_by("AWS_LAMBDA_REGION"))
    lambda_agent_function_name: str | None = field(
        default=None, metadata=_read_by("LAMBDA_AGENT_FUNCTION_NAME")
    )
    aws_endpoint_url_lambda: str | None = field(
        default=None, metadata=_read_by("AWS_ENDPOINT_URL_LAMBDA", _endpoint)
    )
    bedrock_region: str | None = field(default=None, metadata=_read_by("BEDROCK_REGION"))
    bedrock_model_id: str | None = field(default=None, metadata=_read_by("BEDROCK_MODEL_ID"))

    @property
    def key_file(self) -> Path:
        """Where the master key is when the environment gives none."""
        return self.data_dir / "secret.key"

    @property
    def log_file(self) -> Path:
        """The newest of the rotated log files."""
        return self.data_dir / "logs" / "agent-launcher.log"

    @property
    def database_label(self) -> str:
        """The database's URL without its password: safe to show."""
        return urls.without_password(self.database_url)

    def secrets(self) -> tuple[str, ...]:
        """The secret values in these settings, for the logs' redaction."""
        return (*split_secret_key(self.secret_key or ""), *urls.passwords(self.database_url))

    def __repr__(self) -> str:
        shown = {f.name: getattr(self, f.name) for f in fields(self)}
        shown["database_url"] = self.database_label
        shown["secret_key"] = None if self.secret_key is None else "[set]"
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def load_settings(
    environ: Mapping[str, str] | None = None, *, dotenv_path: str | os.PathLike[str] | None = None
) -> Settings:
    """Reads the environment, and `.env` under it. Changes nothing: no folder is made, no variable set.

    Args:
        environ: Instead of `os.environ`.
        dotenv_path: Instead of `.env` in the working directory; must exist if given.

    Raises:
        SettingsError: Naming every variable that cannot be used, where it is set, and what it takes.
    """
    found = Environment(environ, dotenv_path=dotenv_path)
    values: dict[str, Any] = {}
    problems: list[str] = []
    for setting in fields(Settings):
        variable, secret = setting.metadata["variable"], setting.metadata["secret"]
        text = found.text(variable)
        if text is None:
            continue
        try:
            values[setting.name] = setting.metadata["parse"](text)
        except SettingsError as exc:
            shown = "" if secret else f" is {text[:100]!r}, but"
            problems.append(f"{variable}{shown} {exc} ({found.origin(variable)})")
    if problems:
        raise SettingsError("Cannot start with these settings: " + "; ".join(problems) + ".")
    data_dir: Path = values.setdefault("data_dir", default_data_dir(found.variables))
    if "database_url" not in values:
        try:
            values["database_url"] = urls.sqlite_url(data_dir / "agent-launcher.db")
        except SettingsError as exc:
            raise SettingsError(f"The data directory {exc}. Set AGENT_LAUNCHER_DATA_DIR.") from exc
    return Settings(**values)


def variables() -> dict[str, str]:
    """Each field of `Settings` and the variable that sets it."""
    return {f.name: f.metadata["variable"] for f in fields(Settings)}


_PREFIX: Final = "AGENT_LAUNCHER_"


def unknown_variables(
    environ: Mapping[str, str] | None = None, *, dotenv_path: str | os.PathLike[str] | None = None
) -> list[str]:
    """One sentence for each `AGENT_LAUNCHER_...` variable that nothing reads; most often a typing error.

    Raises:
        SettingsError: As in `read_dotenv`.
    """
    found = Environment(environ, dotenv_path=dotenv_path)
    known = set(variables().values())
    # What all have in common is no likeness.
    rests = {name.removeprefix(_PREFIX): name for name in known if name.startswith(_PREFIX)}
    sentences: list[str] = []
    for name in sorted({*found.variables, *found.dotenv}):
        if name.startswith(_PREFIX) and name not in known:
            near = get_close_matches(name.removeprefix(_PREFIX), rests, n=1)
            meant = f": is {rests[near[0]]} meant?" if near else "."
            sentences.append(f"{name} ({found.origin(name)}) is not a setting{meant}")
    return sentences


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """`data/` of the checkout that this file is in; for an installed package `user_data_dir`."""
    root = Path(__file__).resolve().parents[1]
    if (root / "pyproject.toml").is_file() and (root / "data").is_dir():
        return root / "data"
    return user_data_dir(environ)


def user_data_dir(environ: Mapping[str, str]) -> Path:
    """`$XDG_DATA_HOME/agent-launcher`, or `~/.local/share`; on macOS `~/Library/Application Support`."""
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "agent-launcher"
    given = environ.get("XDG_DATA_HOME", "")
    # The XDG specification says that a relative path is to be ignored.
    base = Path(given) if given.startswith("/") else home / ".local" / "share"
    return base / "agent-launcher"


def ensure_data_dir(settings: Settings) -> Path:
    """Makes the data directory if it is missing, for this user only, and returns it.

    Raises:
        SettingsError: It cannot be made.
    """
    path = settings.data_dir
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise SettingsError(
            f"The data directory {path} cannot be made: {exc.strerror}. "
            "Set AGENT_LAUNCHER_DATA_DIR to a directory that this user can write to."
        ) from exc
    return path


def check_bind_host(host: str) -> None:
    """Returns if a server may bind to `host`: only this machine's own programs can reach it.

    Raises:
        SettingsError: It is not a loopback address, with the reason.
    """
    if host == "localhost":
        return
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise SettingsError(
            f"The server cannot bind to {host!r}, only to loopback (127.0.0.1, ::1 or localhost): sign-in "
            "does not exist yet, so whoever reaches the page could read every run and spend your keys. "
            "Change AGENT_LAUNCHER_HOST. To use the page from another machine, forward its port over SSH: "
            "ssh -L 8501:127.0.0.1:8501 <the machine that serves it>."
        )
