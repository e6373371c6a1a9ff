import json
import logging
import subprocess
import sys
from textwrap import dedent

import pytest

from core.contract import parse_request
from core.invocation import invoke
from core.providers import registry

ALLOWED = {"core", "pydantic", "pydantic_core", "typing_extensions", "annotated_types", "typing_inspection"}
"""All that importing the thin part may load beside the standard library."""

TOO_HEAVY = {
    "asyncio",
    "http.client",
    "importlib.metadata",
    "sqlite3",
    "ssl",
    "unittest",
    "urllib.request",
    "zipfile",
}
"""Parts of the standard library that cost an import more than they are worth here."""


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter loads for `code`."""
    program = f"import json, sys; before = set(sys.modules)\n{dedent(code)}\n"
    program += "print(json.dumps(sorted(set(sys.modules) - before)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def roots(modules: set[str]) -> set[str]:
    found = {module.partition(".")[0] for module in modules} - set(sys.stdlib_module_names)
    return {name for name in found if not name.startswith("_sysconfigdata")}  # its name is the platform's


def test_importing_loads_no_more_than_it_must():
    modules = loaded_by("import core.invocation")
    assert roots(modules) <= ALLOWED
    assert not modules & TOO_HEAVY
    of_providers = {module for module in modules if module.startswith("core.providers.")}
    rows = {module for module in of_providers if module.startswith("core.providers.rows_")}
    own = {"addresses", "base", "features", "keys", "registry", "spec"}
    assert of_providers - rows == {f"core.providers.{module}" for module in own}


def test_the_demo_loads_no_sdk():
    modules = loaded_by(
        """
        from core.contract import parse_request
        from core.invocation import invoke
        payload = {"provider": "DEMO", "model_name": "demo-echo", "prompt": "x"}
        request = parse_request(payload, providers=["DEMO"])
        assert invoke(request).error is None
        """
    )
    assert roots(modules) <= ALLOWED


def test_a_missing_key_is_said_before_the_sdk_is_loaded():
    modules = loaded_by(
        """
        from core.contract import parse_request
        from core.invocation import invoke
        payload = {"provider": "OPENAI", "model_name": "m", "prompt": "x"}
        request = parse_request(payload, providers=["OPENAI"])
        assert invoke(request).error.code == "MISSING_API_KEY"
        """
    )
    assert "openai" not in modules


def demo(prompt: str = "Hello", **fields: object):
    payload = {"provider": "DEMO", "model_name": "demo-echo", "prompt": prompt, **fields}
    return parse_request(payload, providers=registry.specs())


def test_an_unregistered_provider_is_an_error_not_an_exception():
    request = demo().model_copy(update={"provider": "COHERE"})
    response = invoke(request)
    assert response.error is not None
    assert response.error.code == "UNKNOWN_PROVIDER"
    assert "Invalid provider: 'COHERE'" in response.error.message


def test_the_answer_says_where_it_was_made():
    assert invoke(demo(), backend="LAMBDA").metadata.execution_backend == "LAMBDA"


def test_a_fault_of_ours_is_logged_with_its_trace_and_without_the_key(caplog: pytest.LogCaptureFixture):
    key = "sk-canary-0123456789"

    def fail(_: str) -> None:
        raise RuntimeError(f"cannot show this, by the way the key is {key}")

    with caplog.at_level(logging.ERROR, logger="agent_launcher"):
        response = invoke(demo(api_key=key), fail)
    assert response.error is not None
    assert response.error.code == "INTERNAL_ERROR"
    assert response.error.request_id
    assert "cannot show this" not in response.error.message
    assert response.error.request_id in caplog.text
    assert "Traceback" in caplog.text
    assert "cannot show this" in caplog.text
    assert key not in caplog.text


def test_keyboard_interrupt_is_not_swallowed():
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        invoke(demo(), interrupt)


def test_time_is_counted():
    response = invoke(demo("[[delay=0.1]] Hello"))
    assert 0.1 <= response.execution_time_seconds < 5
    assert response.timestamp.utcoffset() is not None
