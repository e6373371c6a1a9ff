"""The scripts as far as they go without AWS: what each says when it cannot go on, and the local function."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from core.code_version import code_version
from lambda_handler.scripts import smoke_test
from lambda_handler.scripts.problems import ScriptError
from tests.support.app_server import free_port
from tests.support.environment import ROOT
from tests.support.lambda_emulator import LambdaEmulator, _children, find_emulator
from tests.support.lambda_service import LambdaService
from tests.support.require import require
from tests.support.vendor_server import ReceivedRequest, Reply, VendorServer

SCRIPTS = ROOT / "lambda_handler" / "scripts"


def run(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPTS / script, *arguments],
        env={**os.environ, "UV_OFFLINE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--arch"], "--arch needs a value"),
        (["--parameter", "Memory"], "takes NAME=VALUE, not Memory"),
        (["--parameter", "Memory=1"], "template.yaml has no parameter Memory"),
        (["nowhere"], "unknown argument: nowhere"),
    ],
)
def test_deploy_says_what_is_wrong_with_its_arguments(arguments: list[str], said: str) -> None:
    done = run("deploy.sh", *arguments)
    assert done.returncode != 0
    assert said in done.stderr


def test_deploy_wants_a_region_before_it_builds() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [SCRIPTS / "deploy.sh", "staging"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Set AWS_LAMBDA_REGION, such as us-east-1." in done.stderr


def test_help_is_what_stands_at_the_scripts_top() -> None:
    for script in ("deploy.sh", "run_local.sh"):
        done = run(script, "--help")
        assert done.returncode == 0
        assert f"lambda_handler/scripts/{script}" in done.stdout
        assert "set -euo" not in done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The script in a checkout whose building and whose tools are short programs of the test's."""
    root = tmp_path / "checkout"
    (root / "lambda_handler" / "scripts").mkdir(parents=True)
    for name in ("scripts/deploy.sh", "template.yaml"):
        shutil.copy(ROOT / "lambda_handler" / name, root / "lambda_handler" / name)
    (root / ".venv").symlink_to(ROOT / ".venv")
    (root / "core").symlink_to(ROOT / "core")
    program(root / ".ci" / "setup", "exit 0")
    program(
        root / ".ci" / "lambda-package",
        'mkdir -p "$(dirname "$0")/../build/lambda"\n'
        'echo \'{"code_version": "0.1.0+abc"}\' >"$(dirname "$0")/../build/lambda/function.json"\necho "built $*"',
    )
    tools = root / ".tools" / "lambda-tools" / "bin"
    program(tools / "sam", 'echo "sam $*" >>"$(dirname "$0")/../../sam.log"')
    program(tools / "python", f'exec "{sys.executable}" "$@"')
    for name in ("__init__.py", "problems.py", "smoke_test.py", "bedrock_arns.py"):
        shutil.copy(SCRIPTS / name, root / "lambda_handler" / "scripts" / name)
    return root


def program(path: Path, body: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def deploy(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "lambda_handler" / "scripts" / "deploy.sh", *arguments],
        env={**os.environ, "AWS_LAMBDA_REGION": "us-east-1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_build_only_needs_no_account(checkout: Path) -> None:
    done = deploy(checkout, "--build-only", "--arch", "x86_64", "--with", "my-plugin")
    assert done.returncode == 0, done.stderr
    assert "built --arch x86_64 --python 3.13 --with my-plugin" in done.stdout
    assert "built and not deployed" in done.stderr


def test_a_folder_is_taken_from_where_the_script_is_called(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "my-plugin").mkdir()
    done = subprocess.run(
        [checkout / "lambda_handler" / "scripts" / "deploy.sh", "--build-only", "--with", "my-plugin"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"--with {tmp_path / 'my-plugin'}" in done.stdout, done.stderr


def test_a_build_that_fails_ends_it(checkout: Path) -> None:
    program(checkout / ".ci" / "lambda-package", "echo no wheel >&2; exit 1")
    done = deploy(checkout)
    assert done.returncode == 1
    assert "the package was not built: see above." in done.stderr


def test_without_an_account_the_remedy_is_named(checkout: Path, nobody_url: str) -> None:
    done = deploy(checkout, AWS_ENDPOINT_URL_STS=nobody_url, AWS_MAX_ATTEMPTS="1")
    assert done.returncode == 1
    assert "AWS does not know who you are" in done.stderr
    assert "AWS_PROFILE" in done.stderr


def test_production_is_what_is_committed(checkout: Path) -> None:
    for command in (["init", "-q"], ["add", "lambda_handler"]):
        subprocess.run(["git", *command], cwd=checkout, check=True, capture_output=True)
    done = deploy(checkout, "production")
    assert done.returncode == 1
    assert "not committed" in done.stderr


IDENTITY = """<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::123456789012:user/tester</Arn><UserId>U</UserId><Account>123456789012</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>"""
STACK = """<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks>
<member><StackName>agent-launcher-function-staging</StackName><StackStatus>CREATE_COMPLETE</StackStatus>
<CreationTime>2026-11-22T00:00:00Z</CreationTime><Outputs>
<member><OutputKey>FunctionName</OutputKey><OutputValue>bedrock-agent-staging</OutputValue></member>
<member><OutputKey>AliasName</OutputKey><OutputValue>bedrock-agent-staging:live</OutputValue></member>
</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"""


@pytest.fixture
def aws_url(vendor: VendorServer) -> str:
    """STS and CloudFormation, with the stack that SAM would have made; moto's needs more than its Lambda-free part."""

    def answer(request: ReceivedRequest) -> Reply:
        return Reply.text(
            IDENTITY if b"GetCallerIdentity" in request.body else STACK, content_type="text/xml"
        )

    vendor.otherwise(answer)
    return vendor.url


def test_it_deploys_and_asks_what_it_deployed(checkout: Path, aws_url: str) -> None:
    variables = {"Environment": {"Variables": {"AGENT_LAUNCHER_CODE_VERSION": "0.1.0+abc"}}}
    with LambdaService(configuration=variables) as service:
        done = deploy(
            checkout,
            *("staging", "--parameter", "MemorySize=1024"),
            AWS_ENDPOINT_URL=aws_url,
            AWS_ENDPOINT_URL_LAMBDA=service.url,
            BEDROCK_MODEL_ID="us.anthropic.claude-sonnet-4-6",
        )
    assert done.returncode == 0, done.stderr
    validated, deployed = (checkout / ".tools" / "sam.log").read_text().splitlines()
    assert validated.startswith("sam validate --lint")
    assert (
        "Stage=staging Architecture=arm64 Runtime=python3.13 CodeVersion=0.1.0+abc MemorySize=1024"
        in deployed
    )
    assert (
        "BedrockModelArns=arn:aws:bedrock:*:*:inference-profile/us.anthropic.claude-sonnet-4-6,arn"
        in deployed
    )
    assert "bedrock-agent-staging answers, and is of the code 0.1.0+abc" in done.stderr
    assert "LAMBDA_AGENT_FUNCTION_NAME=bedrock-agent-staging:live" in done.stdout
    assert len(service.invocations) == 1


def test_in_govcloud_the_models_arns_are_of_its_partition(checkout: Path, aws_url: str) -> None:
    variables = {"Environment": {"Variables": {"AGENT_LAUNCHER_CODE_VERSION": "0.1.0+abc"}}}
    with LambdaService(configuration=variables) as service:
        done = deploy(
            checkout,
            AWS_ENDPOINT_URL=aws_url,
            AWS_ENDPOINT_URL_LAMBDA=service.url,
            AWS_LAMBDA_REGION="us-gov-west-1",
            BEDROCK_MODEL_ID="amazon.nova-lite-v1:0",
        )
    assert done.returncode == 0, done.stderr
    deployed = (checkout / ".tools" / "sam.log").read_text()
    assert "BedrockModelArns=arn:aws-us-gov:bedrock:*::foundation-model/amazon.nova-lite-v1:0" in deployed


def test_a_deployment_that_did_not_reach_the_function_is_noticed(checkout: Path, aws_url: str) -> None:
    with LambdaService(configuration={"Environment": {"Variables": {}}}) as service:
        done = deploy(checkout, AWS_ENDPOINT_URL=aws_url, AWS_ENDPOINT_URL_LAMBDA=service.url)
    assert done.returncode == 1
    assert "is of the code None, not 0.1.0+abc" in done.stderr
    assert service.invocations == []


def test_a_stack_that_fails_ends_it(checkout: Path, aws_url: str) -> None:
    program(checkout / ".tools" / "lambda-tools" / "bin" / "sam", 'test "$1" = validate')
    done = deploy(checkout, AWS_ENDPOINT_URL=aws_url)
    assert done.returncode == 1
    assert "the stack agent-launcher-function-staging was not deployed" in done.stderr


def test_the_smoke_test_on_the_emulator(lambda_emulator: LambdaEmulator) -> None:
    config = Config(retries={"total_max_attempts": 1})
    client: Any = boto3.client(
        "lambda", endpoint_url=lambda_emulator.url, region_name="us-east-1", config=config
    )
    said = smoke_test.check(client, function=lambda_emulator.function_name, code_version=None, qualifier=None)
    assert said == "function answers"
    lambda_emulator.kill()
    with pytest.raises(ScriptError, match="could not be asked"):
        smoke_test.check(client, function="function", code_version=None, qualifier=None)
    client.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--port", "99999", "--port takes 1 to 65535, not 99999."),
        ("--port", "0", "--port takes 1 to 65535, not 0."),
        ("--timeout", "901", "--timeout takes 1 to 900, not 901."),
        ("--memory", "64", "--memory takes 128 to 10240, not 64."),
        ("--memory", "much", "--memory needs a number"),
    ],
)
def test_run_local_says_what_a_number_may_be(option: str, value: str, said: str) -> None:
    done = run("run_local.sh", option, value)
    assert done.returncode == 1
    assert said in done.stderr


def test_run_local_is_lambda_on_this_machine(tmp_path: Path) -> None:
    require(find_emulator(), what="AWS Lambda's emulator", remedy=".ci/setup lambda-tools installs it")
    port = free_port()
    local = subprocess.Popen(
        [SCRIPTS / "run_local.sh", "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert local.stdout is not None
        shown: list[str] = []
        for line in local.stdout:
            if "(rapid) exec" in line:
                break
            shown.append(line)
        url = f"http://127.0.0.1:{port}"
        client: Any = boto3.client("lambda", endpoint_url=url, region_name="us-east-1")
        event = {"provider": "DEMO", "model_name": "demo-echo", "prompt": "Local?"}
        deadline = time.monotonic() + 20
        while True:
            try:
                answer = json.load(
                    client.invoke(FunctionName="function", Payload=json.dumps(event))["Payload"]
                )
                break
            except client.exceptions.ClientError:
                assert time.monotonic() < deadline
        client.close()
        assert answer["response"].startswith('You asked: "Local?"')
        settings, command = (line for line in shown if line.startswith(("export ", ".venv/")))
        typed = subprocess.run(
            ["bash", "-c", settings + command],
            cwd=ROOT,
            env={**os.environ, "AGENT_LAUNCHER_DATA_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert typed.returncode == 0, typed.stderr
        assert typed.stdout.startswith('You asked: "Hello"')
        busy = run("run_local.sh", "--port", str(port))
        assert busy.returncode == 1
        assert f"port {port} is in use" in busy.stderr
    finally:
        for pid in [*_children(local.pid), local.pid]:
            subprocess.run(["kill", "-9", str(pid)], check=False)
        printed = local.communicate()[0]
    assert f'"code_version": "{code_version()}"' in printed


def test_every_provider_in_one_table() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPTS / "test_multi_provider.py", "--provider", "DEMO", "--provider", "OPENAI"],
        env={**os.environ, "COLUMNS": "160"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "demo-echo" in done.stdout
    assert "no key: not asked" in done.stdout


def test_every_provider_here_and_on_the_function(lambda_emulator: LambdaEmulator) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPTS / "test_multi_provider.py", "--lambda", "--provider", "DEMO"],
        env={**os.environ, **lambda_emulator.settings, "COLUMNS": "160"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split("│")[3].strip() for line in done.stdout.splitlines() if "demo-echo" in line] == [
        "local",
        "lambda",
    ]
    assert "invocation finished" in lambda_emulator.log


def test_an_unknown_provider_is_named() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPTS / "test_multi_provider.py", "--provider", "NOBODY"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Unknown provider NOBODY: use some of DEMO" in done.stderr
