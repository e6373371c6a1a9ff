from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from core.database_url import normalise, passwords, without_password
from core.errors import SettingsError
from core.settings import load_settings


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "POSTGRES"])
def test_every_name_of_postgres_becomes_psycopg_3(scheme: str) -> None:
    assert (
        normalise(f"{scheme}://u:p@h:5432/d?sslmode=require")
        == "postgresql+psycopg://u:p@h:5432/d?sslmode=require"
    )


@pytest.mark.parametrize("rest", ["/d", "h/d", "[::1]:5432/d", "u@h", "u:p%40%2F@h/d"])
def test_unusual_postgres_urls_pass_and_sqlalchemy_reads_them(rest: str) -> None:
    url = make_url(normalise(f"postgresql://{rest}"))
    assert url.get_dialect().driver == "psycopg"


@pytest.mark.parametrize("prefix", ["sqlite:///", "sqlite+pysqlite:///"])
def test_a_relative_sqlite_path_becomes_absolute(prefix: str) -> None:
    assert normalise(f"{prefix}sub/runs.db") == f"sqlite:///{Path.cwd()}/sub/runs.db"


def test_an_absolute_sqlite_path_stays() -> None:
    assert normalise("sqlite:////var/lib/al/runs.db") == "sqlite:////var/lib/al/runs.db"


def test_sqlite_options_stay() -> None:
    assert normalise("sqlite:////x.db?timeout=9") == "sqlite:////x.db?timeout=9"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite://", "three or four slashes"),
        ("sqlite:///", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///file:x?uri=true", "file: URI"),
        ("sqlite://x.db", "three or four slashes"),
        ("mysql://u:s3cr3t@h/d", "'mysql', but must be postgresql://"),
        ("postgresql+asyncpg://u:s3cr3t@h/d", "'postgresql+asyncpg'"),
        ("s3cr3t", "must be a URL: postgresql://"),
        ("postgres://u:s3cr3t/x@h/d", "%2F for /"),
        ("postgres://u:s3cr3t@x@h/d", "%40 for @"),
        ("postgres://u:s3cr3t@h:port/d", "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_refused_without_its_password(url: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"DATABASE_URL": url})
    assert says in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://u:pw@h:1/d", "postgresql+psycopg://u:***@h:1/d"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
        (
            "postgresql+psycopg:///d?host=/run/pg&password=pw",
            "postgresql+psycopg:///d?host=/run/pg&password=***",
        ),
        ("postgresql+psycopg://u:p/w?x@h/d", "postgresql+psycopg://u:***@h/d"),
        ("sqlite:////x.db", "sqlite:////x.db"),
        ("pw", "[not a URL]"),
    ],
)
def test_the_label_has_no_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/@?#:%"), min_size=6))
def test_no_password_survives_in_the_label(password: str) -> None:
    url = f"postgresql+psycopg://user:{password}@host:5432/name?sslpassword={quote(password)}"
    label = without_password(url)
    assert label == "postgresql+psycopg://user:***@host:5432/name?sslpassword=***"
    assert password in passwords(url)


@pytest.mark.parametrize("url", ["sqlite:////x.db?password=1", "pw", "://", "postgresql://@"])
def test_passwords_of_none(url: str) -> None:
    assert passwords(url) == []
