"""What is wrong with a request or a configuration, in an operator's words and without the value."""

import re
from typing import Any

import pytest

from core.contract import AgentRequest, parse_request
from core.errors import InvalidInput, InvalidRequest, UnknownProvider
from core.services.agent_config import AgentConfig

MINIMAL = {"provider": "DEMO", "model_name": "demo-echo", "prompt": "Hello"}
NO_ADDRESS = "base_url: is not an address like https://host/v1"
PYDANTICS = re.compile(
    r"\b(input|string|value should|items?|should (be|have|match)|pattern|integer|dictionary)\b", re.IGNORECASE
)


def refusal(**fields: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        parse_request({**MINIMAL, **fields}, providers={"DEMO"})
    return caught.value.message.removeprefix("Invalid request: ")


def config_refusal(**fields: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        AgentConfig.parse({**MINIMAL, **fields})
    return str(caught.value).removeprefix("The configuration is not valid: ").removesuffix(".")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model_name": ""}, "model_name: is empty"),
        ({"model_name": None}, "model_name: is not text"),
        ({"agent_name": "x" * 201}, "agent_name: has 201 characters; the limit is 200 characters"),
        ({"base_url": "x" * 2001}, "base_url: is too long; the limit is 2000 characters"),
        ({"base_url": "host/v1"}, NO_ADDRESS),
        ({"stop": ["a"] * 5}, "stop: has 5 entries; the limit is 4 entries"),
        ({"stop": ["a", ""]}, "stop.1: is empty"),
        ({"stop": "a"}, "stop: is not a list"),
        ({"temperature": 2.5}, "temperature: is too large; the most is 2.0"),
        ({"temperature": "warm"}, "temperature: is not a number"),
        ({"max_tokens": 0}, "max_tokens: is too small; the least is 1"),
        ({"max_tokens": 1.5}, "max_tokens: is not a whole number"),
        ({"timeout_seconds": 0}, "timeout_seconds: is too small; it must be more than 0.0"),
        ({"agent_type": "loop"}, "agent_type: is none of the possible values; use 'one-shot' or 'chat'"),
        ({"context": [1]}, "context: is not a JSON object"),
        ({"messages": ["Hi"], "agent_type": "chat"}, "messages.0: is not a JSON object"),
        ({"messages": [{"role": "user"}], "agent_type": "chat"}, "messages.0.content: is missing"),
        (
            {"api_key_ref": "HOME"},
            "api_key_ref: is neither env:NAME nor the ARN of an AWS Secrets Manager secret",
        ),
        ({"contract_version": "new"}, "contract_version: is not a version like 1.0"),
        ({"prompt": " "}, "prompt is empty: say what the model should answer"),
    ],
)
def test_a_fault_is_said_in_plain_words(fields: dict[str, Any], said: str) -> None:
    assert refusal(**fields) == said


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model_name": ""}, "model_name: is empty"),
        ({"base_url": "host/v1"}, NO_ADDRESS),
        ({"credential_id": "mine"}, "credential_id: is not an id"),
        ({"colour": "red"}, "unknown field 'colour'"),
        ({"temprature": 1}, "unknown field 'temprature' (did you mean 'temperature'?)"),
    ],
)
def test_so_is_one_of_an_agents_configuration(fields: dict[str, Any], said: str) -> None:
    assert config_refusal(**fields) == said


def test_several_faults_stand_on_one_line() -> None:
    assert refusal(model_name="", seed="x") == "model_name: is empty; seed: is not a whole number"


ODD: list[object] = [
    None,
    "",
    "sk-canary-1",
    7,
    -1,
    1.5,
    10**30,
    float("nan"),
    True,
    [],
    {},
    [7],
    {1: 2},
    b"\xff",
]
ODD += [object(), "x" * 5_000_000, ["sk-canary-1"] * 2_000, [{}], [{"role": "sk-canary-1"}], {"a": object()}]


@pytest.mark.parametrize("model", [AgentRequest, AgentConfig])
def test_none_of_pydantics_words_and_no_value_reaches_the_operator(
    model: type[AgentRequest] | type[AgentConfig],
) -> None:
    seen = 0
    for name in model.model_fields:
        for value in ODD:
            try:
                if model is AgentRequest:
                    parse_request({**MINIMAL, name: value}, providers={"DEMO"})
                else:
                    AgentConfig.parse({**MINIMAL, name: value})
            except (InvalidRequest, InvalidInput, UnknownProvider) as exc:
                said = str(exc)
                seen += 1
                assert not PYDANTICS.search(said), said
                assert "sk-canary" not in said or name == "provider", said
    assert seen > 150
