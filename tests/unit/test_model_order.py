"""The order in which models are offered."""

from core.services.model_order import in_order_of_choice


def test_the_defaults_family_is_first_and_in_it_the_newest() -> None:
    names = [
        "ada",
        "babbage-002",
        "gpt-3.5-turbo",
        "gpt-4-0613",
        "gpt-4.1",
        "gpt-5",
        "gpt-5.4-mini",
        "gpt-5.4",
        "o3",
    ]
    assert in_order_of_choice(names, default="gpt-5.4-mini", deprecated={"gpt-4-0613"}) == [
        "gpt-5.4",
        "gpt-5.4-mini",
        "gpt-5",
        "gpt-4.1",
        "gpt-3.5-turbo",
        "ada",
        "babbage-002",
        "o3",
        "gpt-4-0613",
    ]


def test_dates_and_sizes_are_no_versions() -> None:
    names = ["gpt-4o-2024-08-06", "gpt-4.1", "llama-3.3-8b", "llama-3.1-70b"]
    assert in_order_of_choice(names, default="gpt-4.1") == [
        "gpt-4.1",
        "gpt-4o-2024-08-06",
        "llama-3.3-8b",
        "llama-3.1-70b",
    ]
    names = ["claude-3-opus-latest", "claude-opus-5-1", "claude-haiku-5", "global.anthropic.claude-haiku-5"]
    assert in_order_of_choice(names, default="claude-haiku-5")[:2] == ["claude-opus-5-1", "claude-haiku-5"]
    assert in_order_of_choice([], default="x") == []
