"""A process that is forked off while another thread of its parent holds a lock: it waits for none of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core import ids, redaction
from core.aws_secrets import AwsSecrets
from core.execution.breaker import BreakerState, CircuitBreaker, Verdict
from core.execution.lambda_function import FunctionFacts, KnownFacts
from core.interruption import Limits
from core.lambda_service import LambdaAgentService
from core.security.vault import Vault
from core.settings import load_settings
from tests.support.forks import free_in_a_child, held, in_a_child

FACTS = FunctionFacts(name="agent", region="us-east-1", timeout_seconds=60.0)

Of = Callable[[Path], tuple[object, Callable[[], object]]]


def of_ids(folder: Path) -> tuple[object, Callable[[], object]]:
    del folder
    return ids._ticks, ids.uuid7


def of_redaction(folder: Path) -> tuple[object, Callable[[], object]]:
    del folder
    return redaction._in_use, lambda: redaction.remember("sk-" + "a" * 40)


def of_a_breaker(folder: Path) -> tuple[object, Callable[[], object]]:
    del folder
    breaker = CircuitBreaker("agent")
    return breaker, breaker.admit


def of_a_functions_facts(folder: Path) -> tuple[object, Callable[[], object]]:
    del folder
    known = KnownFacts()
    return known, lambda: known.facts(lambda _: FACTS, Limits())


def of_secrets(folder: Path) -> tuple[object, Callable[[], object]]:
    del folder
    secrets = AwsSecrets()
    return secrets, lambda: secrets.forget("arn:aws:secretsmanager:us-east-1:111122223333:secret:key")


def of_a_vault(folder: Path) -> tuple[object, Callable[[], object]]:
    settings = load_settings({"AGENT_LAUNCHER_DATA_DIR": str(folder)})
    vault = Vault(settings, secrets_exist=lambda: False)
    sealed = vault.seal("sk-test-0123456789")
    return vault, lambda: vault.open(sealed)


def of_the_facade(folder: Path) -> tuple[object, Callable[[], object]]:
    del folder

    class Service(LambdaAgentService):
        def use(self) -> None:
            with self._lock:
                pass

    service = Service()
    return service, service.use


@pytest.mark.parametrize(
    "of", [of_ids, of_redaction, of_a_breaker, of_a_functions_facts, of_secrets, of_a_vault, of_the_facade]
)
def test_a_lock_that_another_thread_of_the_parent_holds_is_free(of: Of, tmp_path: Path):
    thing, use = of(tmp_path)
    holder: Any = thing
    assert free_in_a_child(lambda: holder._lock, use)


def test_a_probe_of_the_parents_does_not_keep_the_childs_breaker_from_trying():
    now = 0.0
    breaker = CircuitBreaker("agent", faults=1, clock=lambda: now)
    ticket = breaker.admit()
    assert ticket is not None
    breaker.settle(ticket, Verdict.FAULT, "LAMBDA_UNREACHABLE: nobody there")
    now = 31.0
    probe = breaker.admit()
    assert probe is not None and breaker.status().state is BreakerState.HALF_OPEN

    def tries_itself() -> bool:
        assert breaker.status().state is BreakerState.OPEN  # what the parent found holds
        return breaker.admit() is not None

    assert in_a_child(tries_itself)
    assert breaker.admit() is None  # the parent's probe is still under way
    breaker.settle(probe, Verdict.ALIVE)
    assert breaker.status().state is BreakerState.CLOSED


def test_a_child_asks_itself_for_what_a_thread_of_the_parent_is_asking():
    known = KnownFacts()

    def ask(wait: Callable[[], None]) -> FunctionFacts:
        wait()
        return FACTS

    with held(lambda wait: known.facts(lambda _: ask(wait), Limits())):
        assert in_a_child(lambda: known.facts(lambda _: FACTS, Limits(timeout_seconds=5)) is FACTS)


def test_a_child_makes_connections_to_secrets_manager_of_its_own():
    secrets = AwsSecrets()
    parents = secrets._client("us-east-1")

    assert in_a_child(lambda: secrets._client("us-east-1") is not parents)
    assert secrets._client("us-east-1") is parents


def test_ids_of_a_child_rise_from_the_parents():
    before = ids.uuid7()

    assert in_a_child(lambda: ids.uuid7() > before)
