from uuid import UUID

from core.contract import Message
from core.services.conversation import Turn, history
from core.services.run_view import RunView
from core.storage.records import RunStatus


def turn(prompt: str, text: str, status: RunStatus = RunStatus.SUCCEEDED) -> Turn:
    run = RunView(run_id=UUID(int=1), status=status, provider="DEMO", model="demo-echo", text=text)
    return Turn(prompt=prompt, run=run)


def test_answered_turns_are_carried_in_order() -> None:
    assert history([turn("Hello", "Hi"), turn("And?", "So")]) == [
        Message(role="user", content="Hello"),
        Message(role="assistant", content="Hi"),
        Message(role="user", content="And?"),
        Message(role="assistant", content="So"),
    ]


def test_what_was_stopped_half_way_is_carried_and_what_failed_is_not() -> None:
    carried = history(
        [
            turn("a", "half an ans", RunStatus.CANCELLED),
            turn("b", "broke off", RunStatus.FAILED),
            turn("c", "", RunStatus.CANCELLED),
            turn("d", "   ", RunStatus.SUCCEEDED),
            turn("e", "lost", RunStatus.OUTCOME_UNKNOWN),
            turn("f", "not done", RunStatus.RUNNING),
            turn("g", "yes"),
        ]
    )
    assert [message.content for message in carried] == ["a", "half an ans", "g", "yes"]
