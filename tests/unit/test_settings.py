import dataclasses
import re
from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import (
    Settings,
    check_bind_host,
    default_data_dir,
    ensure_data_dir,
    load_settings,
    unknown_variables,
    user_data_dir,
    variables,
)
from tests.support.environment import ROOT


def test_nothing_set_gives_the_documented_defaults() -> None:
    settings = load_settings({})
    assert settings == Settings(
        data_dir=ROOT / "data",
        database_url=f"sqlite:///{ROOT / 'data' / 'agent-launcher.db'}",
        host="127.0.0.1",
        port=8501,
        log_level="INFO",
        secret_key=None,
        default_max_tokens=2000,
        run_timeout_seconds=300.0,
        max_concurrency=32,
        use_lambda_for_agent_execution=False,
        aws_lambda_region=None,
        lambda_agent_function_name=None,
        aws_endpoint_url_lambda=None,
        bedrock_region=None,
        bedrock_model_id=None,
    )
    assert settings.key_file == ROOT / "data" / "secret.key"
    assert settings.log_file == ROOT / "data" / "logs" / "agent-launcher.log"


def test_every_variable_reaches_its_field(tmp_path: Path) -> None:
    given: dict[str, tuple[str, object]] = {
        "AGENT_LAUNCHER_DATA_DIR": (str(tmp_path / "d"), (tmp_path / "d").resolve()),
        "DATABASE_URL": ("postgres://u:p@db.example/x", "postgresql+psycopg://u:p@db.example/x"),
        "AGENT_LAUNCHER_HOST": ("::1", "::1"),
        "AGENT_LAUNCHER_PORT": ("9000", 9000),
        "AGENT_LAUNCHER_LOG_LEVEL": ("debug", "DEBUG"),
        "AGENT_LAUNCHER_SECRET_KEY": (
            "a long passphrase, another passphrase",
            "a long passphrase, another passphrase",
        ),
        "AGENT_LAUNCHER_DEFAULT_MAX_TOKENS": ("4096", 4096),
        "AGENT_LAUNCHER_RUN_TIMEOUT_SECONDS": ("12.5", 12.5),
        "AGENT_LAUNCHER_MAX_CONCURRENCY": ("4", 4),
        "USE_LAMBDA_FOR_AGENT_EXECUTION": ("True", True),
        "AWS_LAMBDA_REGION": ("eu-west-1", "eu-west-1"),
        "LAMBDA_AGENT_FUNCTION_NAME": ("bedrock-agent-staging", "bedrock-agent-staging"),
        "AWS_ENDPOINT_URL_LAMBDA": ("http://127.0.0.1:9080/", "http://127.0.0.1:9080"),
        "BEDROCK_REGION": ("us-east-1", "us-east-1"),
        "BEDROCK_MODEL_ID": ("us.anthropic.claude", "us.anthropic.claude"),
    }
    assert set(given) == set(variables().values())
    settings = load_settings({name: text for name, (text, _) in given.items()})
    for field, variable in variables().items():
        assert getattr(settings, field) == given[variable][1], variable


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_settings({}).port = 1  # type: ignore[misc]


@pytest.mark.parametrize("value", ["", "   "])
def test_a_variable_set_to_nothing_counts_as_not_set(value: str) -> None:
    assert load_settings(dict.fromkeys(variables().values(), value)) == load_settings({})


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        (
            "AGENT_LAUNCHER_PORT",
            "eighty",
            "AGENT_LAUNCHER_PORT is 'eighty', but must be a whole number from 1 to 65535",
        ),
        ("AGENT_LAUNCHER_PORT", "0", "from 1 to 65535"),
        ("AGENT_LAUNCHER_PORT", "65536", "from 1 to 65535"),
        ("AGENT_LAUNCHER_PORT", "80.0", "from 1 to 65535"),
        ("AGENT_LAUNCHER_LOG_LEVEL", "LOUD", "one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("AGENT_LAUNCHER_DEFAULT_MAX_TOKENS", "0", "from 1 to 10000000"),
        ("AGENT_LAUNCHER_RUN_TIMEOUT_SECONDS", "0", "above 0 and up to 900"),
        ("AGENT_LAUNCHER_RUN_TIMEOUT_SECONDS", "901", "above 0 and up to 900"),
        ("AGENT_LAUNCHER_RUN_TIMEOUT_SECONDS", "nan", "above 0 and up to 900"),
        ("AGENT_LAUNCHER_RUN_TIMEOUT_SECONDS", "soon", "above 0 and up to 900"),
        ("AGENT_LAUNCHER_MAX_CONCURRENCY", "-1", "from 1 to 1000"),
        ("USE_LAMBDA_FOR_AGENT_EXECUTION", "maybe", "'maybe', but must be true or false"),
        ("AGENT_LAUNCHER_DATA_DIR", "a\0b", "must be the path of a directory"),
        ("AGENT_LAUNCHER_DATA_DIR", "~nobody-of-this-name/x", "must be the path of a directory"),
    ],
)
def test_a_bad_value_names_variable_value_and_what_is_accepted(variable: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({variable: value})
    assert variable in str(caught.value)
    assert says in str(caught.value)
    assert "set in the environment" in str(caught.value)


def test_all_bad_values_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"AGENT_LAUNCHER_PORT": "x", "AGENT_LAUNCHER_LOG_LEVEL": "y", "DATABASE_URL": "z"})
    assert all(name in str(caught.value) for name in ("_PORT", "_LOG_LEVEL", "DATABASE_URL"))


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "yes", "on"])
def test_words_for_true(text: str) -> None:
    assert load_settings({"USE_LAMBDA_FOR_AGENT_EXECUTION": text}).use_lambda_for_agent_execution is True


@pytest.mark.parametrize("text", ["false", "False", "0", "no", "off"])
def test_words_for_false(text: str) -> None:
    assert load_settings({"USE_LAMBDA_FOR_AGENT_EXECUTION": text}).use_lambda_for_agent_execution is False


# Secrets.


@pytest.mark.parametrize("key", ["short-pass", "a long enough passphrase,tiny-one"])
def test_a_bad_secret_key_is_not_repeated(key: str) -> None:
    with pytest.raises(SettingsError, match="at least") as caught:
        load_settings({"AGENT_LAUNCHER_SECRET_KEY": key})
    assert not any(part in str(caught.value) for part in key.split(","))


def test_no_secret_in_repr_or_str() -> None:
    settings = load_settings(
        {
            "AGENT_LAUNCHER_SECRET_KEY": "correct horse battery",
            "DATABASE_URL": "postgres://u:hunter2%21@h/d?password=q9w8",
        }
    )
    for text in (repr(settings), str(settings), f"{settings}"):
        assert not any(secret in text for secret in ("correct horse", "hunter2", "q9w8"))
        assert "[set]" in text
    assert {"correct horse battery", "hunter2%21", "hunter2!", "q9w8"} == set(settings.secrets())


# The data directory.


def test_a_relative_data_dir_is_taken_from_the_working_directory() -> None:
    settings = load_settings({"AGENT_LAUNCHER_DATA_DIR": "here"})
    assert settings.data_dir == Path.cwd().resolve() / "here"
    assert settings.database_url == f"sqlite:///{Path.cwd().resolve()}/here/agent-launcher.db"


def test_home_is_expanded(tmp_path: Path) -> None:
    assert load_settings({"AGENT_LAUNCHER_DATA_DIR": "~/al"}).data_dir == (tmp_path / "home" / "al").resolve()


def test_a_data_dir_that_cannot_stand_in_a_url_is_refused() -> None:
    with pytest.raises(SettingsError, match="AGENT_LAUNCHER_DATA_DIR"):
        load_settings({"AGENT_LAUNCHER_DATA_DIR": "what?"})


def test_a_checkout_keeps_its_data_with_it() -> None:
    assert default_data_dir({}) == ROOT / "data"


def test_elsewhere_the_platform_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert user_data_dir({"HOME": "/h"}) == Path("/h/.local/share/agent-launcher")
    assert user_data_dir({"HOME": "/h", "XDG_DATA_HOME": "/x"}) == Path("/x/agent-launcher")
    assert user_data_dir({"HOME": "/h", "XDG_DATA_HOME": "relative"}) == Path(
        "/h/.local/share/agent-launcher"
    )
    assert user_data_dir({}) == tmp_path / "home" / ".local" / "share" / "agent-launcher"
    monkeypatch.setattr("sys.platform", "darwin")
    assert user_data_dir({"HOME": "/h"}) == Path("/h/Library/Application Support/agent-launcher")


def test_the_data_dir_is_made_for_this_user_only(tmp_path: Path) -> None:
    settings = load_settings({"AGENT_LAUNCHER_DATA_DIR": str(tmp_path / "deep" / "data")})
    assert not settings.data_dir.exists()
    assert ensure_data_dir(settings).stat().st_mode & 0o777 == 0o700
    assert ensure_data_dir(settings) == settings.data_dir


def test_a_data_dir_that_cannot_be_made_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    settings = load_settings({"AGENT_LAUNCHER_DATA_DIR": str(tmp_path / "file" / "data")})
    with pytest.raises(SettingsError, match="Set AGENT_LAUNCHER_DATA_DIR"):
        ensure_data_dir(settings)


# Binding.


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_may_be_bound(host: str) -> None:
    check_bind_host(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.168.1.5", "example.com", "localhost.example.com", "127.1", "*"]
)
def test_anything_else_is_refused_with_the_reason(host: str) -> None:
    with pytest.raises(SettingsError, match="sign-in does not exist yet") as caught:
        check_bind_host(host)
    assert "AGENT_LAUNCHER_HOST" in str(caught.value)
    assert "ssh -L" in str(caught.value)


# Names and documentation.


def test_a_misspelt_name_is_told_with_the_one_that_was_meant() -> None:
    sentences = unknown_variables({"AGENT_LAUNCHER_PROT": "1", "AGENT_LAUNCHER_PORT": "1", "OTHER": "x"})
    assert sentences == [
        "AGENT_LAUNCHER_PROT (set in the environment) is not a setting: is AGENT_LAUNCHER_PORT meant?"
    ]


def test_docs_have_a_heading_for_every_setting_and_none_besides() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    ours = text.partition("## The function on AWS Lambda")[0]
    headings = re.findall(r"^### `([A-Z_]+)`$", ours, flags=re.MULTILINE)
    assert sorted(headings) == sorted(variables().values())


def test_docs_say_each_default() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    for field in dataclasses.fields(Settings):
        if field.default in (dataclasses.MISSING, None):
            continue
        section = text.partition(f"### `{variables()[field.name]}`\n")[2].partition("\n### ")[0]
        shown = (
            str(field.default).lower()
            if isinstance(field.default, bool)
            else f"{field.default}".removesuffix(".0")
        )
        assert f"Default: `{shown}`" in section, field.name


def test_a_variable_is_suggested_only_where_the_rest_of_the_name_is_alike() -> None:
    (sentence,) = unknown_variables({"AGENT_LAUNCHER_NOPE": "1"})
    assert sentence == "AGENT_LAUNCHER_NOPE (set in the environment) is not a setting."
