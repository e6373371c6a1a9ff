"""What is copied says what is run: the commands are taken apart by a shell, the program is run."""

import json
import os
import shlex
import subprocess
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import lambda_service
from core.contract import AgentRequest, Attachment, Message
from core.interruption import Limits
from core.providers import registry
from core.redaction import forms_of
from core.services.agent_config import AgentConfig
from core.services.credentials import ResolvedKey
from core.services.run_spec import RunSpec, request_of
from core.services.snippets import BODY_FILE, Snippet, command_line, curl, python
from core.services.templating import render
from tests.support.vendor_server import Reply, VendorServer

CANARY = "sk-canary-Zq3/9+kW=5x"
NASTY = "It's \"quoted\" $HOME `id` \\ !! {{x}} %s\nEOF\nJSON\n'; rm -rf /; 'é 日本 🦊"
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=40)


def request(**fields: Any) -> AgentRequest:
    return AgentRequest.model_validate(
        {"provider": "OPENAI", "model_name": "gpt-4o-mini", "prompt": "Hello", "api_key": CANARY, **fields}
    )


def words_of(snippet: Snippet, folder: Path) -> tuple[list[str], str]:
    """What a shell makes of the command: its words, and what it would read from standard input."""
    script = """
    seen() { printf '%s\\0' "$@" > words; if [ ! -t 0 ]; then cat > stdin; fi; }
    curl() { seen curl "$@"; }
    agent-launcher() { seen agent-launcher "$@"; }
    """
    result = subprocess.run(
        ["bash", "-c", script + snippet.text],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "OPENAI_API_KEY": "from-the-environment",
            "ANTHROPIC_API_KEY": "from-the-environment",
            "AWS_BEARER_TOKEN_BEDROCK": "from-the-environment",
            "AWS_ACCESS_KEY_ID": "key-id",
            "AWS_SECRET_ACCESS_KEY": "secret-key",
            "AWS_SESSION_TOKEN": "session",
            "API_KEY": "for-another-server",
            "GATEWAY_KEY": "of-the-gateway",
            "HOME": "/nowhere",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert result.stderr == ""
    words = (folder / "words").read_text().split("\0")[:-1]
    return words, (folder / "stdin").read_text()


def sent_by_our_provider(asked: AgentRequest, vendor: VendorServer) -> tuple[str, Any]:
    completion = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
    vendor.will(Reply.json(completion))
    registry.load("OPENAI").complete(asked, Limits(timeout_seconds=20))
    return vendor.last.path, vendor.last.json


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"prompt": NASTY, "system_prompt": NASTY},
        {"max_tokens": 12, "temperature": 0.5, "top_p": 0.9, "stop": ["END'", '"'], "seed": 7},
        {"model_name": "gpt-5-mini", "reasoning_effort": "low", "max_tokens": 12},
        {"context": {"customer": {"name": "O'Brien $1"}}},
        {"response_schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
        {
            "agent_type": "chat",
            "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
        },
        {"attachments": [{"media_type": "image/png", "data": b64encode(b"png").decode(), "name": "a.png"}]},
    ],
)
def test_curl_sends_the_vendor_what_our_provider_sends(
    fields: dict[str, Any], vendor: VendorServer, tmp_path: Path
) -> None:
    asked = request(base_url=f"{vendor.url}/v1", **fields)
    path, body = sent_by_our_provider(asked, vendor)
    snippet = curl(asked)
    assert snippet is not None
    words, stdin = words_of(snippet, tmp_path)
    assert words[:2] == ["curl", f"{vendor.url}{path}"]
    assert words[2:] == [
        "-H",
        "Authorization: Bearer from-the-environment",
        "-H",
        "Content-Type: application/json",
        "--data-binary",
        "@-",
    ]
    assert json.loads(stdin) == body


BEDROCK_PROFILE = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-6"


@pytest.mark.parametrize(
    ("fields", "region"),
    [
        ({"model_name": "eu.anthropic.claude-sonnet-4-6", "reasoning_effort": "low"}, "us-east-1"),
        ({"model_name": BEDROCK_PROFILE, "stop": ["'"], "response_schema": {"type": "object"}}, "eu-west-1"),
        (
            {
                "model_name": "us.amazon.nova-lite-v1:0",
                "attachments": [{"media_type": "image/png", "data": b64encode(b"png").decode()}],
            },
            "us-east-1",
        ),
    ],
)
def test_curl_asks_bedrock_as_our_provider_does(
    fields: dict[str, Any], region: str, vendor: VendorServer, tmp_path: Path
) -> None:
    asked = request(provider="BEDROCK", base_url=vendor.url, api_key=None, **fields)
    vendor.will(Reply.json({"output": {"message": {"content": []}}}))
    registry.load("BEDROCK").complete(asked, Limits(timeout_seconds=20))
    words, stdin = words_of(_some(curl(asked)), tmp_path)
    assert words[1] == f"{vendor.url}{vendor.last.path}"
    assert json.loads(stdin) == vendor.last.json
    assert words[words.index("--aws-sigv4") + 1] == f"aws:amz:{region}:bedrock"
    assert f"/{region}/bedrock/aws4_request" in vendor.last.headers["authorization"]
    assert words[words.index("--user") + 1] == "key-id:secret-key"
    assert "x-amz-security-token: session" in words


def test_curl_sends_bedrock_a_key_where_our_provider_does(
    vendor: VendorServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = "us.anthropic.claude-sonnet-4-6"
    elsewhere = request(provider="BEDROCK", base_url="https://gateway.example", model_name=model)
    words, _ = words_of(_some(curl(elsewhere)), tmp_path)
    assert "Authorization: Bearer for-another-server" in words
    assert "--aws-sigv4" not in words
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "set")
    words, _ = words_of(_some(curl(request(provider="BEDROCK", model_name=model))), tmp_path)
    assert words[1] == f"https://bedrock-runtime.us-east-1.amazonaws.com/model/{model}/converse"
    assert "Authorization: Bearer from-the-environment" in words


@pytest.mark.parametrize("path", ["", "/v1/", "/gateway?team=7"])
@pytest.mark.parametrize(
    "fields", [{}, {"model_name": "claude-sonnet-4-6", "temperature": 0.5, "stop": ["'"]}]
)
def test_curl_asks_anthropic_as_our_provider_does(
    fields: dict[str, Any],
    path: str,
    vendor: VendorServer,
    tmp_path: Path,
) -> None:
    asked = request(
        provider="ANTHROPIC", base_url=vendor.url + path, **{"model_name": "claude-haiku-5-5", **fields}
    )
    vendor.will(Reply.json({"content": [], "stop_reason": "end_turn"}))
    registry.load("ANTHROPIC").complete(asked, Limits(timeout_seconds=20))
    words, stdin = words_of(_some(curl(asked)), tmp_path)
    headers = dict(word.split(": ") for word in words if ": " in word)
    assert words[1] == f"{vendor.url}{vendor.last.path}"
    assert json.loads(stdin) == vendor.last.json
    assert headers["anthropic-version"] == vendor.last.headers["anthropic-version"]
    assert headers["Authorization"] == "Bearer from-the-environment"


def test_curl_asks_ollama_as_our_provider_does(
    vendor: VendorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(
        provider="OLLAMA", model_name="gemma4", base_url=f"{vendor.url}/ollama/", api_key=None, max_tokens=9,
        attachments=[{"media_type": "image/png", "data": "aGk="}], reasoning_effort="none",
    )  # fmt: skip
    vendor.will(Reply.json({"message": {"content": "Hi"}, "done": True}))
    registry.load("OLLAMA").complete(asked, Limits(timeout_seconds=20))
    words, stdin = words_of(_some(curl(asked)), tmp_path)
    assert words[1] == f"{vendor.url}{vendor.last.path}"
    assert json.loads(stdin) | {"tools": []} == vendor.last.json  # an empty list of the SDK's own
    assert "Authorization" not in _text(curl(asked))
    assert "# API_KEY" in _text(curl(asked.model_copy(update={"base_url": "https://else.example"})))
    monkeypatch.setenv("OLLAMA_API_KEY", "secret")
    assert '"Authorization: Bearer $OLLAMA_API_KEY"' in _text(curl(asked))


def test_a_long_body_goes_into_a_file(vendor: VendorServer, tmp_path: Path) -> None:
    data = b64encode(bytes(200_000)).decode()
    asked = request(
        base_url=f"{vendor.url}/v1/",
        attachments=[{"media_type": "application/pdf", "data": data, "name": "report.pdf"}],
    )
    _, body = sent_by_our_provider(asked, vendor)
    snippet = curl(asked)
    assert snippet is not None
    assert snippet.body is not None
    assert json.loads(snippet.body) == body
    words, _ = words_of(snippet, tmp_path)
    assert words[1] == f"{vendor.url}/v1/chat/completions"
    assert words[-2:] == ["--data-binary", f"@{BODY_FILE}"]
    assert len(snippet.text) < 1_000


def test_without_a_base_url_curl_asks_the_vendor_or_whom_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "curl https://api.openai.com/v1/chat/completions" in _text(curl(request()))
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert "curl http://127.0.0.1:9/v1/chat/completions" in _text(curl(request()))


def test_a_query_in_the_base_url_comes_after_the_path(vendor: VendorServer, tmp_path: Path) -> None:
    asked = request(base_url=f"{vendor.url}/openai/v1/?api-version=2026-10+01&x=a%26b")
    path, _ = sent_by_our_provider(asked, vendor)
    words, _ = words_of(_some(curl(asked)), tmp_path)
    assert path.startswith("/openai/v1/chat/completions?api-version=")
    assert words[1] == f"{vendor.url}{path}"


def key_sent(asked: AgentRequest, folder: Path) -> str:
    words, _ = words_of(_some(curl(asked)), folder)
    return next(word for word in words if word.startswith("Authorization: ")).removeprefix(
        "Authorization: Bearer "
    )


def test_the_vendors_own_key_is_sent_to_no_other_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = "https://gateway.example/v1"
    assert key_sent(request(), tmp_path) == "from-the-environment"
    assert key_sent(request(base_url="https://api.openai.com/v1/"), tmp_path) == "from-the-environment"
    assert key_sent(request(base_url=elsewhere), tmp_path) == "for-another-server"
    assert "# API_KEY: the key of this server" in _text(curl(request(base_url=elsewhere)))
    assert "#" not in _text(curl(request()))
    # The vendor's variable holds the key of the server that the environment names.
    monkeypatch.setenv("OPENAI_BASE_URL", elsewhere)
    assert key_sent(request(), tmp_path) == key_sent(request(base_url=elsewhere), tmp_path)
    assert key_sent(request(base_url=elsewhere), tmp_path) == "from-the-environment"
    assert key_sent(request(base_url="https://api.openai.com/v1"), tmp_path) == "for-another-server"


def test_a_key_that_the_request_names_is_the_one(tmp_path: Path) -> None:
    asked = request(base_url="https://gateway.example/v1", api_key=None, api_key_ref="env:GATEWAY_KEY")
    assert key_sent(asked, tmp_path) == "of-the-gateway"


def test_python_says_how_to_give_another_servers_key() -> None:
    text = python(request(base_url="https://gateway.example/v1")).text
    assert "    # Where no key is stored for this server: api_key_ref='env:API_KEY',\n)" in text
    compile(text, "snippet", "exec")
    assert "OPENAI_API_KEY" not in text
    for base_url in (None, "http://127.0.0.1:9/v1", "https://api.openai.com/v1"):
        assert "#" not in python(request(base_url=base_url)).text


def test_the_command_line_names_the_chosen_key(tmp_path: Path) -> None:
    config = AgentConfig(provider="OPENAI", model_name="gpt-4o", credential_id=UUID(int=7))
    words, _ = words_of(command_line(RunSpec(config=config, prompt="Hi"), by_agent=False), tmp_path)
    assert options_of(words)["--credential"] == str(UUID(int=7))


def test_the_demo_has_no_api_of_its_own() -> None:
    assert curl(request(provider="DEMO", model_name="demo-echo")) is None


def test_python_asks_our_own_service_for_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = request(
        prompt=NASTY,
        system_prompt=NASTY,
        context={"a": [1, 2.5, None, True, {"b": "x" * 200}]},
        temperature=0.0,
        stop=["a", "b"],
        agent_type="chat",
        messages=[Message(role="user", content=NASTY), Message(role="assistant", content="b")],
        attachments=[Attachment(media_type="image/png", data=b64encode(b"png").decode(), name="it's.png")],
    )
    calls: list[dict[str, Any]] = []

    class Service:
        def invoke_agent(self, **fields: Any) -> dict[str, Any]:
            calls.append(fields)
            return {"response": "Hi"}

    monkeypatch.setattr(lambda_service, "lambda_agent_service", Service())
    monkeypatch.chdir(tmp_path)
    Path("it's.png").write_bytes(b"png")
    exec(compile(python(asked).text, "snippet", "exec"), {})
    assert calls == [asked.to_public()]


def test_python_leaves_out_what_goes_without_saying() -> None:
    assert python(request(provider="DEMO", model_name="demo-echo")).text == (
        "from core.lambda_service import lambda_agent_service\n"
        "\n"
        "answer = lambda_agent_service.invoke_agent(\n"
        "    provider='DEMO',\n"
        "    model_name='demo-echo',\n"
        "    prompt='Hello',\n"
        ")\n"
        'print(answer["response"])\n'
    )


CONFIG = AgentConfig(
    provider="DEMO",
    model_name="demo-echo",
    system_prompt="Serve {{product}}.",
    prompt="Answer {{message}}",
    variables={"product": "Post"},
    max_tokens=400,
    temperature=1.0,
    context={"a": "it's"},
)


def test_the_command_line_says_a_configuration_in_full(tmp_path: Path) -> None:
    words, _ = words_of(
        command_line(RunSpec(config=CONFIG, variables={"message": NASTY}), by_agent=False), tmp_path
    )
    assert words[:2] == ["agent-launcher", "run"]
    options = list(zip(words[2::2], words[3::2], strict=True))
    assert options == [
        ("--provider", "DEMO"),
        ("--model", "demo-echo"),
        ("--system", "Serve {{product}}."),
        ("--prompt", "Answer {{message}}"),
        ("--var", "product=Post"),
        ("--var", f"message={NASTY}"),
        ("--context", '{"a": "it\'s"}'),
        ("--max-tokens", "400"),
        ("--temperature", "1"),
    ]


def test_the_command_line_names_an_agent_and_only_what_differs() -> None:
    spec = RunSpec(config=CONFIG, variables={"product": "Post", "message": "Hi"}, agent_name="Support (demo)")
    assert (
        command_line(spec, by_agent=True).text
        == "agent-launcher run --agent 'Support (demo)' --var message=Hi\n"
    )


def test_the_command_line_admits_what_it_cannot_say() -> None:
    config = CONFIG.model_copy(update={"seed": 1, "stop": ["x"]})
    assert command_line(RunSpec(config=config), by_agent=False).missing == ("stop", "seed")
    assert command_line(RunSpec(config=config, agent_name="A"), by_agent=True).missing == ()
    chat = RunSpec(config=CONFIG, prompt="b", messages=[Message(role="user", content="a")])
    assert command_line(chat, by_agent=False).missing == ("messages",)


def test_final_texts_stay_final_on_the_command_line() -> None:
    spec = RunSpec(config=AgentConfig(provider="DEMO", model_name="m"), prompt="{{x}} {% y %}", rendered=True)
    words = shlex.split(command_line(spec, by_agent=False).text)
    assert render(words[words.index("--prompt") + 1], {}) == "{{x}} {% y %}"


def options_of(words: list[str]) -> dict[str, str]:
    """The options of `agent-launcher run`, as its own parser reads them."""
    found: dict[str, str] = {}
    left = words[2:]
    while left:
        name, equals, value = left.pop(0).partition("=")
        found[name] = value if equals else left.pop(0)
    return found


@settings(max_examples=40, deadline=None)
@given(prompt=TEXTS.filter(str.strip), system=TEXTS, value=TEXTS)
def test_any_text_survives_the_shell(prompt: str, system: str, value: str) -> None:
    config = AgentConfig(provider="DEMO", model_name="m", system_prompt=system, prompt=prompt)
    line = command_line(RunSpec(config=config, variables={"v": value}), by_agent=False).text
    with tempfile.TemporaryDirectory() as folder:
        options = options_of(words_of(Snippet(text=line), Path(folder))[0])
    assert options["--prompt"] == prompt
    assert options["--var"] == f"v={value}"
    assert options.get("--system", "") == system
    sent = _text(curl(request(prompt=prompt))).split("<<'JSON'\n", 1)[1].removesuffix("\nJSON\n")
    assert json.loads(sent)["messages"][-1]["content"] == prompt


def test_a_key_is_in_none_of_them() -> None:
    spec = RunSpec(
        config=AgentConfig(provider="OPENAI", model_name="gpt-4o", credential_id=UUID(int=1)),
        prompt="Hello",
        api_key=CANARY,
    )
    asked = request_of(spec, key=ResolvedKey(secret=CANARY), default_timeout_seconds=60)
    texts = [_text(curl(asked)), python(asked).text, command_line(spec, by_agent=False).text]
    for text in texts:
        assert not any(form in text for form in forms_of(CANARY))


def _some(snippet: Snippet | None) -> Snippet:
    assert snippet is not None
    return snippet


def _text(snippet: Snippet | None) -> str:
    return _some(snippet).text
