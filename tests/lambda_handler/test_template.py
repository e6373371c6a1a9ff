"""`template.yaml`: what AWS's own tools say of it, and what the function's role may do."""

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from lambda_handler import function_logs, runtime
from lambda_handler.scripts.bedrock_arns import arns_for
from lambda_handler.scripts.package import PYTHONS
from tests.support.environment import ROOT
from tests.support.guard import loopback_only
from tests.support.require import require

TEMPLATE = ROOT / "lambda_handler" / "template.yaml"
TOOLS = ROOT / ".tools" / "lambda-tools" / "bin"


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms (`!Ref x`) as their long ones."""


def _long_form(loader: Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    match node:
        case yaml.ScalarNode():
            return {name: loader.construct_scalar(node)}
        case yaml.SequenceNode():
            return {name: loader.construct_sequence(node, deep=True)}
        case _:
            return {name: loader.construct_mapping(node, deep=True)}  # type: ignore[arg-type]


Loader.add_multi_constructor("!", _long_form)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return yaml.load(TEMPLATE.read_text(), Loader)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [["cfn-lint"], ["sam", "validate", "--lint", "--template-file"]], ids=["cfn-lint", "sam"]
)
def test_awss_own_tools_find_nothing(command: list[str], tmp_path: Path) -> None:
    program = TOOLS / command[0]
    require(
        program if program.exists() else None, what=command[0], remedy=".ci/setup lambda-tools installs it"
    )
    refused = tmp_path / "refused"
    # Else it would ask PyPI, once a week, for a newer version of itself.
    settings = Path.home() / ".aws-sam" / "metadata.json"
    settings.parent.mkdir()
    settings.write_text(json.dumps({"lastVersionCheck": time.time()}))
    done = subprocess.run(
        [program, *command[1:], TEMPLATE],
        env={**os.environ, "SAM_CLI_TELEMETRY": "0", loopback_only.LOG_VARIABLE: str(refused)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not refused.exists(), "it asks nobody"


def statements(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By Sid, with the condition under which each is there."""
    (policy,) = template["Resources"]["Role"]["Properties"]["Policies"]
    found: dict[str, dict[str, Any]] = {}
    for item in policy["PolicyDocument"]["Statement"]:
        condition, statement = None, item
        if "Fn::If" in item:
            condition, statement, otherwise = item["Fn::If"]
            assert otherwise == {"Ref": "AWS::NoValue"}
        found[statement["Sid"]] = {"if": condition, **statement}
    return found


def test_the_role_may_do_exactly_this(template: dict[str, Any]) -> None:
    allowed = {
        sid: (item["if"], item["Action"], item["Resource"]) for sid, item in statements(template).items()
    }
    network = allowed.pop("NetworkInterfaces")
    assert allowed == {
        "OwnLog": (None, ["logs:CreateLogStream", "logs:PutLogEvents"], {"Fn::GetAtt": "LogGroup.Arn"}),
        "ConfiguredModels": (
            "HasBedrock",
            ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"],
            {"Ref": "BedrockModelArns"},
        ),
        "WhatIsBehindAProfile": (
            "HasBedrock",
            "bedrock:GetInferenceProfile",
            {"Fn::Sub": "arn:${AWS::Partition}:bedrock:*:${AWS::AccountId}:application-inference-profile/*"},
        ),
        "NamedSecrets": ("HasSecrets", "secretsmanager:GetSecretValue", {"Ref": "SecretArns"}),
        "TheirKeys": ("HasSecretKeys", "kms:Decrypt", {"Ref": "SecretKmsKeyArns"}),
    }
    # Lambda itself asks for these on "*"; they are there in a VPC only.
    assert network[0] == "HasVpc"
    assert network[2] == "*"
    assert {action.partition(":")[0] for action in network[1]} == {"ec2"}
    assert all("*" not in action for action in network[1])
    assert {item["Effect"] for item in statements(template).values()} == {"Allow"}
    role = template["Resources"]["Role"]["Properties"]
    assert "ManagedPolicyArns" not in role
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_by_default_it_may_only_write_its_own_log(template: dict[str, Any]) -> None:
    for sid, item in statements(template).items():
        if item["if"] is None:
            assert sid == "OwnLog"
            continue
        # Each condition is that a parameter is not empty, which it is by default.
        (tested,) = re.findall(r"\w+(?=')", str(template["Conditions"][item["if"]]).split("'Ref': ", 1)[1])[
            :1
        ]
        assert template["Parameters"][tested]["Default"] == ""


def test_the_function(template: dict[str, Any]) -> None:
    function = template["Resources"]["Function"]["Properties"]
    assert function["Handler"] == "lambda_handler.handler.handle"
    assert function["EventInvokeConfig"] == {"MaximumRetryAttempts": 0}, "a retry generates again"
    # SAM applies that to the alias only.
    plain = template["Resources"]["InvokedWithoutItsAlias"]
    assert plain["Type"] == "AWS::Lambda::EventInvokeConfig"
    assert plain["Properties"] == {
        "FunctionName": {"Ref": "Function"},
        "Qualifier": "$LATEST",
        "MaximumRetryAttempts": 0,
    }
    assert function["CodeUri"] == "../build/lambda/function.zip"
    variables = function["Environment"]["Variables"]
    assert {
        function_logs.LOG_LEVEL,
        function_logs.LOG_PROMPTS,
        function_logs.CODE_VERSION,
        runtime.PRELOAD,
    } <= set(variables)
    assert variables[runtime.PRELOAD] == {"Fn::If": ["HasSnapStart", "ALL", ""]}


def test_the_parameters(template: dict[str, Any]) -> None:
    parameters = template["Parameters"]
    assert (parameters["TimeoutSeconds"]["Default"], parameters["TimeoutSeconds"]["MaxValue"]) == (60, 900)
    assert parameters["Architecture"]["Default"] == "arm64"
    assert parameters["SnapStart"]["Default"] == "off"
    assert parameters["LogPrompts"]["Default"] == "false"
    assert parameters["Runtime"]["AllowedValues"] == [f"python{version}" for version in PYTHONS]
    assert all(parameter["Description"] for parameter in parameters.values())
    described = (ROOT / "docs" / "lambda.md").read_text()
    assert not [name for name in parameters if f"`{name}`" not in described]


@pytest.mark.parametrize(
    ("model", "arns"),
    [
        ("amazon.nova-lite-v1:0", ["arn:aws:bedrock:*::foundation-model/amazon.nova-lite-v1:0"]),
        (
            "us.anthropic.claude-sonnet-4-6",
            [
                "arn:aws:bedrock:*:*:inference-profile/us.anthropic.claude-sonnet-4-6",
                "arn:aws:bedrock:*::foundation-model/anthropic.claude-sonnet-4-6",
            ],
        ),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/x", None),
    ],
)
def test_what_a_models_name_needs(model: str, arns: list[str] | None) -> None:
    assert arns_for(model, region="us-east-1") == (arns or [model])
    elsewhere = [arn.replace("arn:aws:", "arn:aws-us-gov:") for arn in arns or []]
    assert arns_for(model, region="us-gov-west-1") == (elsewhere or [model])


def test_no_arn_in_it_is_of_one_partition_only() -> None:
    assert "arn:aws" not in (ROOT / "lambda_handler" / "template.yaml").read_text()
