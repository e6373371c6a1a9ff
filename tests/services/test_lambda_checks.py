"""`doctor`'s look at AWS Lambda, on the stand-in for the service."""

from collections.abc import Generator
from dataclasses import replace
from types import MappingProxyType

import pytest

from core.code_version import VARIABLE, code_version
from core.services.agent_config import AgentConfig
from core.services.checks import Check, Verdict
from core.services.lambda_checks import lambda_checks
from core.services.principal import LOCAL
from core.settings import Settings, load_settings
from tests.support.lambda_service import Act, LambdaService
from tests.support.lambda_settings import lambda_settings, lambda_variables
from tests.support.stored_runs import opened_application
from tests.support.vendor_server import Reply, VendorServer


@pytest.fixture
def service() -> Generator[LambdaService]:
    with LambdaService() as service:
        service.configuration = MappingProxyType({"Environment": {"Variables": {VARIABLE: code_version()}}})
        yield service


@pytest.fixture
def settings(service: LambdaService) -> Settings:
    return lambda_settings(service.url)


def look(settings: Settings, *local_keys: str) -> dict[str, Check]:
    return {check.name: check for check in lambda_checks(settings, local_keys=local_keys)}


def test_all_is_well_and_nothing_was_executed(service: LambdaService, settings: Settings) -> None:
    found = look(settings)
    assert {name: check.verdict for name, check in found.items()} == dict.fromkeys(
        ("Lambda function", "Lambda invocation", "Lambda code", "Fall-back keys"), Verdict.OK
    )
    assert found["Lambda function"].detail == "agent, python3.13, arm64, 512 MB, time-out 60 s"
    assert "us-east-1" in found["Lambda invocation"].detail
    assert (service.started, service.invocations) == (0, [])


def test_without_a_function_there_is_nothing_to_look_at() -> None:
    assert lambda_checks(load_settings(), local_keys=()) == []


def test_another_code_says_deploy(service: LambdaService, settings: Settings) -> None:
    service.configuration = MappingProxyType({"Environment": {"Variables": {VARIABLE: "0.0.1+000000000000"}}})
    check = look(settings)["Lambda code"]
    assert check.verdict is Verdict.WARNING
    assert "0.0.1+000000000000" in check.detail
    assert code_version() in check.detail
    assert "deploy.sh" in check.remedy
    service.configuration = MappingProxyType({})
    assert "may not be ours" in look(settings)["Lambda code"].detail


def test_a_function_that_is_not_ready_or_too_short(service: LambdaService, settings: Settings) -> None:
    service.configuration = MappingProxyType({"State": "Pending"})
    assert look(settings)["Lambda function"].verdict is Verdict.WARNING
    service.configuration = MappingProxyType({"LastUpdateStatus": "Failed"})
    assert look(settings)["Lambda function"].verdict is Verdict.FAILED
    service.configuration = MappingProxyType({"Timeout": 3})
    assert "time-out 3 s: too short" in look(settings)["Lambda function"].detail


def test_a_configuration_that_may_not_be_read_names_the_permission(
    service: LambdaService, settings: Settings
) -> None:
    service.configuration = None
    found = look(settings)
    assert "lambda:GetFunctionConfiguration" in found["Lambda function"].remedy
    assert found["Lambda invocation"].verdict is Verdict.OK


@pytest.mark.parametrize(
    ("status", "name", "words"),
    [
        (403, "AccessDeniedException", "lambda:InvokeFunction"),
        (404, "ResourceNotFoundException", "LAMBDA_AGENT_FUNCTION_NAME"),
        (403, "ExpiredTokenException", "aws sso login"),
    ],
)
def test_what_keeps_it_from_being_invoked(
    service: LambdaService, settings: Settings, status: int, name: str, words: str
) -> None:
    service.dry_run = Act.refuse(status, name)
    found = look(settings)
    assert [check.verdict for check in found.values()] == [Verdict.FAILED]
    assert words in found["Lambda invocation"].detail


def test_nobody_answers(settings: Settings, nobody_url: str) -> None:
    found = look(replace(settings, aws_endpoint_url_lambda=nobody_url))
    assert found["Lambda invocation"].verdict is Verdict.FAILED
    assert "refused" in found["Lambda invocation"].detail


def test_an_emulator_is_not_invoked(settings: Settings) -> None:
    with VendorServer() as emulator:
        emulator.otherwise(Reply.text("404 page not found", status=404))
        found = look(replace(settings, aws_endpoint_url_lambda=emulator.url))
        assert [check.verdict for check in found.values()] == [Verdict.OK]
        assert [request.method for request in emulator.requests] == ["GET"]


def test_a_key_that_only_the_function_has_is_no_fall_back(
    service: LambdaService, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    service.configuration = MappingProxyType({"Environment": {"Variables": {"OPENAI_API_KEY": "sk-there"}}})
    check = look(settings)["Fall-back keys"]
    assert check.verdict is Verdict.WARNING
    assert "OPENAI" in check.detail
    assert "sk-there" not in str(check)
    assert look(settings, "OPENAI")["Fall-back keys"].verdict is Verdict.OK
    monkeypatch.setenv("OPENAI_API_KEY", "sk-here")
    assert look(settings)["Fall-back keys"].verdict is Verdict.OK


def test_bedrocks_permission_is_tried_without_asking_a_model(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(settings, bedrock_model_id="amazon.nova-lite-v1:0", bedrock_region="us-east-1")
    with VendorServer() as bedrock:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", bedrock.url)
        for name, status, verdict in (
            ("ValidationException", 400, Verdict.OK),
            ("AccessDeniedException", 403, Verdict.WARNING),
            ("UnrecognizedClientException", 403, Verdict.WARNING),
        ):
            bedrock.will(Reply.json({"message": "no"}, status=status, headers={"x-amzn-ErrorType": name}))
            check = look(settings)["Fall-back to Bedrock"]
            assert check.verdict is verdict
        assert all(request.json["messages"] == [] for request in bedrock.requests)
    assert "bedrock:InvokeModel" in check.remedy


def test_bedrocks_permission_is_tried_for_what_agents_ask_of_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in lambda_variables(settings.aws_endpoint_url_lambda or "").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BEDROCK_REGION", "us-east-1")
    with VendorServer() as bedrock, opened_application() as application:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", bedrock.url)
        denied = {"x-amzn-ErrorType": "AccessDeniedException"}
        bedrock.otherwise(Reply.json({"message": "no"}, status=403, headers=denied))
        for name, more in (
            ("There", {}),
            ("Again", {}),
            ("Here", {"backend": "LOCAL"}),
            ("Elsewhere", {"base_url": "https://bedrock.example"}),
        ):
            config = AgentConfig.parse({"provider": "BEDROCK", "model_name": "amazon.nova-pro-v1:0", **more})
            application.agents.create(LOCAL, name=name, config=config)
        checks = application.health.of_lambda(LOCAL)
        (check,) = [check for check in checks if check.name == "Fall-back to Bedrock"]
        assert check.verdict is Verdict.WARNING
        assert "amazon.nova-pro-v1:0" in check.detail
        assert len(bedrock.requests) == 1
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "a-key-of-bedrocks-own")
        names = [check.name for check in application.health.of_lambda(LOCAL, fresh=True)]
        assert "Fall-back to Bedrock" not in names


def test_a_page_that_is_drawn_again_does_not_ask_again(
    service: LambdaService, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in lambda_variables(service.url).items():
        monkeypatch.setenv(name, value)
    with opened_application() as application:
        for _ in range(3):
            names = [check.name for check in application.health.checks(LOCAL)]
            assert {"Lambda function", "Lambda invocation", "Lambda code", "Fall-back keys"} < set(names)
    assert service.configuration_reads == 1
