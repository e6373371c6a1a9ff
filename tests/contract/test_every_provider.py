"""What holds for every registered provider, the offline one included."""

import json
import threading
import time

import pytest

from core import errors
from core.contract import AgentResponse, parse_request
from core.errors import InvocationError
from core.interruption import CancelToken, Limits
from core.providers import registry
from core.providers.base import Completion, Connection, Delta
from core.providers.spec import Feature
from tests.contract.conftest import CANARY, Caller
from tests.contract.subjects import FAILURES, NAMES, Subject, can_fail, subject_for
from tests.support.vendor_server import VendorServer

GRACE_S = 1.0


@pytest.fixture(params=NAMES)
def subject(request: pytest.FixtureRequest, vendor: VendorServer) -> Subject:
    return subject_for(request.param, vendor, CANARY)


def test_whole_and_streamed_answers_are_alike(subject: Subject, call: Caller):
    whole = call(subject.answers())
    streamed = call(subject.answers(), stream=True)
    assert whole.error is None
    assert streamed.error is None
    assert whole.response == streamed.response == "".join(call.deltas)
    assert whole.response
    assert len(call.deltas) > 1
    for name in ("provider", "model", "metadata", "token_usage", "finish_reason"):
        assert getattr(whole, name) == getattr(streamed, name)
    assert whole.time_to_first_token_seconds is None
    assert streamed.time_to_first_token_seconds is not None
    assert subject.requests_received() in {2, None}


def test_a_stream_is_deltas_and_then_one_completion(subject: Subject):
    request = parse_request(subject.answers(), providers=registry.specs())
    items = list(registry.load(subject.provider).stream(request, Limits(timeout_seconds=20)))
    *deltas, last = items
    assert isinstance(last, Completion)
    assert all(isinstance(item, Delta) and item.text for item in deltas)
    assert "".join(item.text for item in deltas if isinstance(item, Delta)) == last.text


def test_usage_is_normalised(subject: Subject, call: Caller, stream: bool):
    usage = call(subject.answers(), stream=stream).token_usage
    assert usage is not None
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert 0 <= (usage.cached_input_tokens or 0) <= usage.input_tokens
    assert 0 <= (usage.reasoning_tokens or 0) <= usage.output_tokens


def test_structured_answer(subject: Subject, call: Caller, stream: bool):
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "size": {"type": "integer"}},
        "required": ["city", "size"],
        "additionalProperties": False,
    }
    request = subject.answers('{"city": "Paris", "size": 3}') | {"response_schema": schema}
    response = call(request, stream=stream)
    assert response.error is None
    answer = json.loads(response.response or "")
    assert isinstance(answer["city"], str)
    assert isinstance(answer["size"], int)


def test_chat(subject: Subject, call: Caller, stream: bool):
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    response = call(subject.answers() | {"agent_type": "chat", "messages": turns}, stream=stream)
    assert response.error is None
    assert response.metadata.agent_type == "chat"


@pytest.mark.parametrize(
    ("subject", "code"),
    [(name, code) for name in NAMES for code in sorted(FAILURES) if can_fail(name, code)],
    indirect=["subject"],
)
def test_failure(subject: Subject, call: Caller, stream: bool, code: str):
    response = call(subject.fails(code), stream=stream)
    assert response.error is not None
    assert response.error.code == code
    kinds = [kind for kind in vars(errors).values() if getattr(kind, "code", None) == code]
    assert response.error.retryable is next(iter(kinds)).default_retryable
    assert not response.response
    assert subject.requests_received() in {1, None}


def test_cut_stream(subject: Subject, call: Caller):
    response = call(subject.is_cut(), stream=True)
    assert response.error is not None
    assert response.error.code == "BAD_PROVIDER_RESPONSE"
    assert response.response == "".join(call.deltas) != ""
    assert response.finish_reason is None


def test_deadline_before_the_first_byte(subject: Subject, call: Caller, stream: bool):
    started = time.monotonic()
    response = call(subject.is_silent() | {"timeout_seconds": 0.3}, stream=stream)
    assert time.monotonic() - started < 0.3 + GRACE_S
    assert response.error is not None
    assert response.error.code == "DEADLINE_EXCEEDED"


def test_deadline_in_the_middle(subject: Subject, call: Caller):
    started = time.monotonic()
    response = call(subject.drips() | {"timeout_seconds": 0.5}, stream=True)
    assert time.monotonic() - started < 0.5 + GRACE_S
    assert response.error is not None
    assert response.error.code == "DEADLINE_EXCEEDED"
    assert response.response == "".join(call.deltas) != ""


def stopped_after(seconds: float, cancel: CancelToken) -> threading.Timer:
    timer = threading.Timer(seconds, cancel.cancel)
    timer.start()
    return timer


def test_stop_before_the_first_byte(subject: Subject, call: Caller, stream: bool):
    cancel = CancelToken()
    started = time.monotonic()
    timer = stopped_after(0.3, cancel)
    response = call(subject.is_silent(), stream=stream, cancel=cancel)
    assert time.monotonic() - started < 0.3 + GRACE_S
    assert response.error is not None
    assert response.error.code == "CANCELLED"
    timer.join()


def test_stop_in_the_middle(subject: Subject, call: Caller):
    cancel = CancelToken()
    started = time.monotonic()
    timer = stopped_after(0.5, cancel)
    response = call(subject.drips(), stream=True, cancel=cancel)
    assert time.monotonic() - started < 0.5 + GRACE_S
    assert response.error is not None
    assert response.error.code == "CANCELLED"
    assert response.response == "".join(call.deltas) != ""
    timer.join()


def test_what_the_provider_lacks_is_refused_by_name(subject: Subject, call: Caller):
    spec = registry.get_spec(subject.provider)
    values = {
        Feature.BASE_URL: ("base_url", "http://127.0.0.1:1/v1"),
        Feature.DOCUMENTS: ("attachments", [{"media_type": "application/pdf", "data": "JVBERg=="}]),
        Feature.IMAGES: ("attachments", [{"media_type": "image/png", "data": "iVBORw=="}]),
        Feature.SEED: ("seed", 1),
        Feature.REASONING_EFFORT: ("reasoning_effort", "low"),
    }
    for feature in values.keys() - spec.features:
        field, value = values[feature]
        before = subject.requests_received()
        request = {"provider": spec.name, "model_name": spec.default_model, "prompt": "x", field: value}
        response = call(request)
        assert response.error is not None
        assert response.error.code == "INVALID_REQUEST"
        assert feature.value in response.error.message
        assert spec.name in response.error.message
        assert subject.requests_received() == before


def test_a_listener_that_fails_ends_the_call(subject: Subject):
    """The caller's own fault becomes data too, and frees the connection."""
    from core.invocation import invoke

    def fail(_: str) -> None:
        raise KeyError("the page is gone")

    response: AgentResponse = invoke(parse_request(subject.answers(), providers=registry.specs()), fail)
    assert response.error is not None
    assert response.error.code == "INTERNAL_ERROR"
    assert response.error.request_id


def test_models(subject: Subject):
    if isinstance(subject_models := registry.get_spec(subject.provider).models, tuple) and subject_models:
        models = registry.load(subject.provider).list_models(Connection(), Limits())
        assert models == subject_models
    else:
        with pytest.raises(InvocationError):
            cancelled = CancelToken()
            cancelled.cancel()
            registry.load(subject.provider).list_models(Connection(api_key=CANARY), Limits(cancel=cancelled))
