"""What `doctor` finds, and the remedy that it names."""

import os
import socket
from pathlib import Path

import pytest

from core.errors import StoreNotWritable, StoreUnavailable
from core.providers import registry
from core.services.application import Application
from core.services.health import MANY_UNFOLDED, Check, HealthService, Verdict, checks_without_store
from core.services.principal import LOCAL
from core.settings import load_settings
from core.storage.store import Store
from tests.support.stored_runs import opened_application

KEY = "sk-proj-abcdefghijklmnop4f2a"


def check(application: Application, name: str) -> Check:
    return next(check for check in application.health.checks(LOCAL) if check.name == name)


def test_a_new_installation_is_in_order_and_lacks_only_keys(application: Application) -> None:
    checks = application.health.checks(LOCAL)
    names = [check.name for check in checks]
    assert names[:8] == [
        "Settings",
        "Data directory",
        "Logs",
        "Database",
        "Writing",
        "Roll-ups",
        "Master key",
        "Prices",
    ]
    (lacking,) = [check for check in checks if check.verdict is not Verdict.OK]
    keyed = [spec.name for spec in registry.specs().values() if spec.needs_api_key]
    assert (lacking.name, lacking.verdict) == ("Providers without a key", Verdict.WARNING)
    assert lacking.detail == ", ".join(keyed) == "ANTHROPIC, OPENAI, GEMINI"
    assert "OPENAI_API_KEY" in lacking.remedy
    assert {name for name in names if name.startswith("Provider ")} == {
        f"Provider {spec.name}" for spec in registry.specs().values() if not spec.needs_api_key
    }


def test_vendors_that_nobody_asks_are_no_fault_once_one_has_a_key(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    lacking = check(application, "Providers without a key")
    assert (lacking.verdict, lacking.detail) == (Verdict.OK, "ANTHROPIC, GEMINI")
    # Who says where a vendor is asked means to ask it.
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://proxy.example")
    asked = check(application, "Provider ANTHROPIC")
    assert asked.verdict is Verdict.WARNING
    assert asked.detail.startswith("No key; requests go to https://proxy.example")
    assert "ANTHROPIC_API_KEY" in asked.remedy
    assert check(application, "Providers without a key").detail == "GEMINI"


def test_doctor_changes_nothing(application: Application) -> None:
    before = application.store.describe()
    application.health.checks(LOCAL)
    assert application.store.describe() == before
    assert not application.settings.key_file.exists()


def test_a_stored_key_or_the_vendors_variable_serves_a_provider(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    found = check(application, "Provider OPENAI")
    assert (found.verdict, found.detail) == (Verdict.OK, "Key from OPENAI_API_KEY")
    application.credentials.add(LOCAL, name="Production", provider="OPENAI", secret=KEY)
    assert check(application, "Provider OPENAI").detail == "1 stored credential"
    # One for another server serves nothing by itself, and the vendor's variable does.
    application.credentials.add(
        LOCAL, name="Claude", provider="ANTHROPIC", secret=KEY, base_url="http://127.0.0.1:9/v1"
    )
    found = check(application, "Provider ANTHROPIC")
    assert found.verdict is Verdict.WARNING
    assert found.detail == (
        "1 stored credential, for http://127.0.0.1:9/v1; no key for Anthropic's own server"
    )
    assert "Choose the credential in the agent or in the playground" in found.remedy
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    assert check(application, "Provider ANTHROPIC").detail == "Key from ANTHROPIC_API_KEY"
    monkeypatch.setenv("OPENAI_BASE_URL", "https://user:secret-word@proxy.example/v1")
    detail = check(application, "Provider OPENAI").detail
    assert "proxy.example" in detail
    assert "secret-word" not in detail
    assert KEY not in "".join(f"{c.detail}{c.remedy}" for c in application.health.checks(LOCAL))


@pytest.mark.usefixtures("database")
def test_a_wrong_master_key_is_broken_and_names_the_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    with opened_application() as application:
        application.credentials.add(LOCAL, name="Production", provider="OPENAI", secret=KEY)
        assert check(application, "Master key").verdict is Verdict.OK
    monkeypatch.setenv("AGENT_LAUNCHER_SECRET_KEY", "another-long-passphrase")
    with opened_application() as application:
        found = check(application, "Master key")
    assert found.verdict is Verdict.FAILED
    assert "Production" in found.detail
    assert "AGENT_LAUNCHER_SECRET_KEY" in found.remedy
    assert "another-long-passphrase" not in found.detail + found.remedy


def test_a_lost_key_file_is_broken_also_while_this_process_still_has_the_key(
    application: Application,
) -> None:
    application.credentials.add(LOCAL, name="Production", provider="OPENAI", secret=KEY)
    application.settings.key_file.unlink()
    found = check(application, "Master key")
    assert found.verdict is Verdict.FAILED
    assert "Restore it from a backup" in found.detail


def test_a_misspelt_setting_is_told(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_LAUNCHER_LOGLEVEL", "DEBUG")
    found = check(application, "Settings")
    assert found.verdict is Verdict.WARNING
    assert "AGENT_LAUNCHER_LOG_LEVEL" in found.detail


def test_a_setting_that_this_version_does_not_serve_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USE_LAMBDA_FOR_AGENT_EXECUTION", "true")
    with opened_application() as application:
        assert "everything runs locally" in check(application, "Settings").detail


def test_a_data_directory_that_others_may_write_to_is_told(application: Application) -> None:
    application.credentials.add(LOCAL, name="Production", provider="OPENAI", secret=KEY)
    application.settings.data_dir.chmod(0o777)
    found = check(application, "Data directory")
    assert found.verdict is Verdict.WARNING
    assert found.remedy == f"chmod go-w {application.settings.data_dir}"


class _TroubledStore(Store):
    """A real store that refuses writing, and whose attempts nobody folds."""

    def check_writable(self) -> None:
        raise StoreNotWritable("The disk is full. Free some space.")

    def describe(self) -> dict[str, object]:
        return {**super().describe(), "not_folded": MANY_UNFOLDED + 1}


def test_trouble_with_the_database_is_told_with_its_remedy(application: Application) -> None:
    store = _TroubledStore.open(application.settings.database_url)
    health = HealthService(
        application.settings, store, application.vault, application.credentials, application.prices
    )
    found = {check.name: check for check in health.checks(LOCAL)}
    store.close()
    assert found["Writing"].verdict is Verdict.FAILED
    assert "Free some space" in found["Writing"].detail
    assert found["Roll-ups"].verdict is Verdict.WARNING
    assert "agent-launcher up" in found["Roll-ups"].remedy
    assert found["Database"].verdict is Verdict.OK


def test_without_a_database_the_rest_is_still_looked_at() -> None:
    settings = load_settings()
    settings.data_dir.mkdir()
    checks = checks_without_store(
        settings, StoreUnavailable("The file cannot be opened: look at its folder.")
    )
    assert [check.name for check in checks] == ["Settings", "Data directory", "Logs", "Database"]
    assert checks[-1].verdict is Verdict.FAILED
    assert "look at its folder" in checks[-1].detail


def test_a_missing_data_directory_is_a_finding_not_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def data_directory() -> Check:
        checks = checks_without_store(load_settings(), StoreUnavailable("No file."))
        return {check.name: check for check in checks}["Data directory"]

    found = data_directory()
    assert (found.verdict, found.detail) == (Verdict.OK, f"{tmp_path / 'data'}: the first start makes it")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AGENT_LAUNCHER_DATA_DIR", str(tmp_path / "file" / "data"))
    found = data_directory()
    assert found.verdict is Verdict.FAILED
    assert "cannot make it" in found.detail


@pytest.fixture
def aws_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The AWS configuration of a machine without any credentials, its files still to be written."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "BEDROCK_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-credentials"))
    return tmp_path


def test_no_aws_credentials_are_told_with_the_remedy_and_are_no_fault_by_themselves(
    application: Application, aws_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*_: object, **__: object) -> None:
        raise AssertionError("a check of credentials asks nobody")

    monkeypatch.setattr(socket.socket, "connect", connect)
    found = check(application, "Provider BEDROCK")
    assert found.verdict is Verdict.OK
    assert found.detail == (
        "No key. No AWS credentials in variables or files; whether this machine has an IAM role was not asked"
    )
    assert "AWS_ACCESS_KEY_ID" in found.remedy
    assert "AWS_BEARER_TOKEN_BEDROCK" in found.remedy
    monkeypatch.setenv("BEDROCK_MODEL_ID", "amazon.nova-lite-v1:0")
    assert check(application, "Provider BEDROCK").verdict is Verdict.WARNING
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert check(application, "Provider BEDROCK").detail == "No key. No AWS credentials in variables or files"
    monkeypatch.setenv("AWS_PROFILE", "absent")
    assert "cannot be read" in check(application, "Provider BEDROCK").detail


STATIC = "aws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = example-of-a-secret\n"


@pytest.mark.parametrize(
    ("file", "text", "variables", "detail"),
    [
        (
            "",
            "",
            {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example-of-a-secret"},
            "AWS credentials from AWS_ACCESS_KEY_ID",
        ),
        ("aws-credentials", f"[default]\n{STATIC}", {}, "AWS credentials from the profile default"),
        ("aws-config", f"[profile w]\n{STATIC}", {"AWS_PROFILE": "w"}, "AWS credentials from the profile w"),
        (
            "aws-config",
            "[profile w]\nrole_arn = arn:aws:iam::1:role/r\ncredential_source = Ec2InstanceMetadata\n",
            {"AWS_PROFILE": "w"},
            "The AWS profile w names a role to assume for AWS credentials, which was not tried",
        ),
        (
            "aws-config",
            "[default]\ncredential_process = /bin/false\n",
            {},
            "The AWS profile default names a program for AWS credentials, which was not tried",
        ),
        (
            "",
            "",
            {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/role"},
            "This container's role gives AWS credentials, which was not tried",
        ),
    ],
    ids=["variables", "credentials file", "config file", "role", "process", "container"],
)
def test_aws_credentials_are_told_by_where_they_are(
    application: Application,
    aws_files: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    text: str,
    variables: dict[str, str],
    detail: str,
) -> None:
    if file:
        (aws_files / file).write_text(text)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = check(application, "Provider BEDROCK")
    assert (found.verdict, found.detail, found.remedy) == (Verdict.OK, detail, "")
