import re
from pathlib import Path

import pytest

from core.contract import ErrorBody
from core.errors import ErrorCode, ProviderTimeout
from core.providers.wire import error_for_status
from core.services.remedies import REMEDIES, remedy_for

TROUBLESHOOTING = Path(__file__).parents[2] / "docs" / "troubleshooting.md"


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_error_code_has_a_cause_and_a_remedy(code: ErrorCode) -> None:
    remedy = remedy_for(code)

    assert remedy is not None
    assert remedy == remedy_for(code.value)
    for sentence in (remedy.cause, remedy.remedy):
        assert sentence.endswith(".")
        assert len(sentence) > 40
    assert remedy.title
    assert not remedy.title.endswith(".")


def test_no_error_and_an_unknown_code_have_no_remedy() -> None:
    assert remedy_for(None) is None
    assert remedy_for("WRITTEN_BY_A_NEWER_VERSION") is None


def _sections() -> dict[str, str]:
    text = TROUBLESHOOTING.read_text(encoding="utf-8")
    parts = re.split(r"^### `([A-Z_]+)`.*\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_documentation_has_a_heading_for_every_code_and_no_other() -> None:
    assert set(_sections()) == {code.value for code in ErrorCode}


@pytest.mark.parametrize("code", list(ErrorCode))
def test_the_documentation_says_the_same_cause_and_remedy(code: ErrorCode) -> None:
    section = " ".join(_sections()[code.value].split())

    assert REMEDIES[code].title in section
    assert REMEDIES[code].cause in section
    assert REMEDIES[code].remedy in section


def test_a_time_out_tells_a_connection_that_was_not_made_from_a_model_that_took_too_long() -> None:
    remedy = REMEDIES[ErrorCode.PROVIDER_TIMEOUT]
    gave_up = error_for_status(
        408, provider="OPENAI", model="gpt-4o", parameter=None, said="", key_given=True
    )
    assert gave_up.code is ErrorCode.PROVIDER_TIMEOUT
    assert ErrorBody.of(gave_up).may_be_billed is True
    assert "408" in gave_up.message
    assert "(status 408): then the model may have worked on it, and billed it." in remedy.cause

    # As `core.providers.connections` raises it, which tests/unit/test_http_transport.py holds.
    unsent = ProviderTimeout("https://host accepted no connection in time.", sent=False)
    assert ErrorBody.of(unsent).may_be_billed is False
    assert "accepted no connection in time: then nothing was sent, and nothing is billed." in remedy.cause
    assert "base URL, the network and the proxy" in remedy.remedy
