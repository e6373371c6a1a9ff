"""What `DATABASE_URL` may say: SQLite in a file, or Postgres over psycopg 3."""

from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from core.errors import SettingsError

ACCEPTED: Final = "postgresql://user:password@host:5432/database or sqlite:///path/to/file.db"

_SQLITE: Final = ("sqlite", "sqlite+pysqlite")
_POSTGRES: Final = ("postgres", "postgresql", "postgresql+psycopg")
_SECRET_QUERY_NAMES: Final = frozenset({"password", "sslpassword"})


def normalise(url: str) -> str:
    """The SQLAlchemy URL for what an operator or a hosting platform gives.

    `postgres://` and `postgresql://` get the dialect of psycopg 3; the path of a SQLite file becomes
    absolute, from the working directory, so that it stays the same file if the process changes directory.

    Raises:
        SettingsError: It is neither; the text repeats the scheme only, as the rest may hold a password.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise SettingsError(f"must be a URL: {ACCEPTED}")
    scheme = scheme.lower()
    if scheme in _SQLITE:
        return _sqlite(rest)
    if scheme in _POSTGRES:
        _check_postgres(rest)
        return f"postgresql+psycopg://{rest}"
    raise SettingsError(f"has the scheme {scheme[:40]!r}, but must be {ACCEPTED}")


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file.

    Raises:
        SettingsError: The path has a `?`, after which a URL's options would begin.
    """
    if "?" in str(path):
        raise SettingsError(f"has the SQLite file {str(path)!r}: a '?' in the path cannot stand in a URL")
    return f"sqlite:///{path}"


def without_password(url: str) -> str:
    """The URL with `***` in the place of its password: safe to show."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "[not a URL]"
    if scheme in _SQLITE:
        return url
    # From the right, as a password may hold what separates the parts of a URL.
    userinfo, at, place = rest.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    place, mark, query = place.partition("?")
    pairs = [
        (name, "***" if name in _SECRET_QUERY_NAMES else value)
        for name, value in parse_qsl(query, keep_blank_values=True)
    ]
    shown = urlencode(pairs, safe="/*", quote_via=quote)
    return f"{scheme}://{user}{colon}{'***' if colon else ''}{at}{place}{mark}{shown}"


def passwords(url: str) -> list[str]:
    """The secret values in it, as they stand there and decoded."""
    scheme, _, rest = url.partition("://")
    if scheme in _SQLITE:
        return []
    userinfo, _, place = rest.rpartition("@")
    password = userinfo.partition(":")[2]
    found = [password, unquote(password)]
    found += [value for name, value in parse_qsl(place.partition("?")[2]) if name in _SECRET_QUERY_NAMES]
    return [value for value in dict.fromkeys(found) if value]


def _sqlite(rest: str) -> str:
    place, mark, query = rest.partition("?")
    if not place.startswith("/"):
        raise SettingsError(
            "must be sqlite:///relative.db or sqlite:////absolute.db: with three or four slashes"
        )
    name = place[1:]
    if name in ("", ":memory:"):
        raise SettingsError("names a SQLite database in memory, which would forget every run: name a file")
    if name.startswith("file:"):
        raise SettingsError("must name the SQLite file by its path, not by a file: URI")
    path = Path(name).expanduser()
    return sqlite_url(Path.cwd() / path) + mark + query


def _check_postgres(rest: str) -> None:
    userinfo, _, place = rest.rpartition("@")
    try:
        readable = not set("@/?#") & set(userinfo) and urlsplit(f"postgresql://{place}").port != 0
    except ValueError:
        readable = False
    if not readable:
        raise SettingsError(
            f"cannot be read as {ACCEPTED}: write special characters in the password in their encoded form, "
            "such as %40 for @ and %2F for /"
        )
