"""What the playground says of a cost without a known end: why there is none."""

from core.pricing.estimate import Estimate
from dashboard.components.playground_prompt import cost_text

OPEN_ANSWER = "nothing limits the answer"
OPEN_FILES = "how many tokens the files take is not known"


def text(*, input_high: int | None, output_high: int | None) -> str:
    known = input_high is not None and output_high is not None
    estimate = Estimate(
        input_tokens_low=10,
        input_tokens_high=input_high,
        output_tokens_low=0,
        output_tokens_high=output_high,
        cost_low_nanousd=1_000_000,
        cost_high_nanousd=9_000_000 if known else None,
        source="test",
    )
    return cost_text(estimate, offline=False)


def test_an_open_end_is_put_down_to_what_leaves_it_open() -> None:
    assert text(input_high=20, output_high=50) == "$0.0010 to $0.0090"
    assert text(input_high=20, output_high=None) == f"$0.0010 or more: {OPEN_ANSWER}"
    assert text(input_high=None, output_high=50) == f"$0.0010 or more: {OPEN_FILES}"
    assert text(input_high=None, output_high=None) == f"$0.0010 or more: {OPEN_FILES}, and {OPEN_ANSWER}"
