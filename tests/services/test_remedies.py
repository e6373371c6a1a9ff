import re
from pathlib import Path

import pytest

from core.errors import ErrorCode
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
