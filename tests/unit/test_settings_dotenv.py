import os
from pathlib import Path

import pytest

from core.environment import apply_dotenv, read_dotenv
from core.errors import MissingApiKey, SettingsError
from core.providers.base import Connection
from core.providers.keys import resolve_api_key
from core.providers.rows_openai import OPENAI
from core.settings import load_settings, unknown_variables


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_dotenv_in_the_working_directory_is_read() -> None:
    write(Path(".env"), "AGENT_LAUNCHER_PORT=9001\nexport AGENT_LAUNCHER_LOG_LEVEL='warning'  # quiet\n")
    settings = load_settings({})
    assert (settings.port, settings.log_level) == (9001, "WARNING")


def test_a_given_path_is_read_instead(tmp_path: Path) -> None:
    write(Path(".env"), "AGENT_LAUNCHER_PORT=9001")
    other = write(tmp_path / "other.env", "AGENT_LAUNCHER_PORT=9002")
    assert load_settings({}, dotenv_path=other).port == 9002


def test_the_real_environment_wins_also_when_empty() -> None:
    write(Path(".env"), "AGENT_LAUNCHER_PORT=9001\nBEDROCK_REGION=eu-west-1\n")
    settings = load_settings({"AGENT_LAUNCHER_PORT": "9003", "BEDROCK_REGION": ""})
    assert (settings.port, settings.bedrock_region) == (9003, None)


def test_reading_changes_no_variable() -> None:
    write(Path(".env"), "AGENT_LAUNCHER_PORT=9001\n")
    before = dict(os.environ)
    load_settings()
    assert dict(os.environ) == before


def test_a_bad_value_says_in_which_file_it_stands() -> None:
    path = write(Path(".env"), "AGENT_LAUNCHER_PORT=x\n")
    with pytest.raises(SettingsError, match=f"set in {path.absolute()}"):
        load_settings({})


def test_a_misspelt_name_says_in_which_file_it_stands() -> None:
    path = write(Path(".env"), "AGENT_LAUNCHER_PROT=1\n")
    assert unknown_variables({}) == [
        f"AGENT_LAUNCHER_PROT (set in {path.absolute()}) is not a setting: is AGENT_LAUNCHER_PORT meant?"
    ]


def test_values_are_taken_as_they_stand() -> None:
    write(Path(".env"), 'AGENT_LAUNCHER_SECRET_KEY="pass${HOME}word$1 with # inside"\n')
    assert load_settings({}).secret_key == "pass${HOME}word$1 with # inside"


def test_a_folder_named_dotenv_is_no_settings_file() -> None:
    Path(".env").mkdir()
    assert load_settings({}).port == 8501
    assert apply_dotenv({}) is None


def test_a_given_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load_settings({}, dotenv_path=tmp_path / "missing.env")


def test_a_line_that_is_none_is_named_and_not_repeated() -> None:
    path = write(Path(".env"), "A=1\nB='sk-never-closed\n")
    with pytest.raises(SettingsError, match="line 2") as caught:
        read_dotenv(path)
    assert "sk-never" not in str(caught.value)


@pytest.mark.parametrize("content", [b"A=\xff\xfe\n", b"A=1\0\n"])
def test_a_file_that_is_no_text_is_refused(content: bytes) -> None:
    Path(".env").write_bytes(content)
    with pytest.raises(SettingsError, match=r"\.env"):
        load_settings({})


def test_applying_sets_what_is_not_set() -> None:
    path = write(Path(".env"), "OPENAI_API_KEY=from-file\nAWS_PROFILE=from-file\nEMPTY=from-file\n")
    environ = {"AWS_PROFILE": "real", "EMPTY": ""}
    assert apply_dotenv(environ) == path.absolute()
    assert environ == {"AWS_PROFILE": "real", "EMPTY": "", "OPENAI_API_KEY": "from-file"}


def test_a_vendors_key_in_dotenv_reaches_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    connection = Connection()
    with pytest.raises(MissingApiKey):
        resolve_api_key(OPENAI, connection)
    write(Path(".env"), "OPENAI_API_KEY=sk-from-dotenv-1\n")
    # Through monkeypatch, so that it is taken back: apply_dotenv changes the real environment.
    environ: dict[str, str] = {}
    apply_dotenv(environ)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert resolve_api_key(OPENAI, connection) == "sk-from-dotenv-1"
