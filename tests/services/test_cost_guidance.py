"""Cost guidance: what a workload costs on every known model, in order, with what is unknown last and said."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.contract import TokenUsage, utc_now
from core.errors import InvalidInput, NotFound
from core.ids import uuid7
from core.pricing.estimate import input_tokens_of
from core.providers import registry
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.cost_guidance import Guidance, GuidanceFilter
from core.services.model_cost import ModelCost, Standing, Trait
from core.services.principal import LOCAL
from core.services.workload import Basis, Per, WorkloadAsked
from core.storage.records import AgentRecord, RunStatus
from tests.support.stored_runs import store_run

Compare = Callable[..., Guidance]
ASKED = WorkloadAsked(input_tokens=1_000, output_tokens=500, runs=10)


@pytest.fixture
def compare(local_application: Application, monkeypatch: pytest.MonkeyPatch) -> Compare:
    for spec in registry.specs().values():
        for variable in (*spec.api_key_variables, spec.base_url_variable):
            if variable:
                monkeypatch.delenv(variable, raising=False)

    def compared(asked: WorkloadAsked = ASKED, **arguments: Any) -> Guidance:
        filters = {k: arguments.pop(k) for k in list(arguments) if k in GuidanceFilter.__dataclass_fields__}
        return local_application.costs.compare(LOCAL, asked, only=GuidanceFilter(**filters), **arguments)

    return compared


def model(guidance: Guidance, name: str, provider: str = "OPENAI") -> ModelCost:
    (found,) = (m for m in guidance.models if (m.provider, m.model) == (provider, name))
    return found


def price(application: Application, pattern: str, **fields: str) -> None:
    values: dict[str, Any] = {
        "provider": "OPENAI",
        "input_usd_per_mtok": "1",
        "output_usd_per_mtok": "2",
        **fields,
    }
    application.prices.add_override(LOCAL, model_pattern=pattern, **values)


def agent_of(application: Application, **config: Any) -> AgentRecord:
    values = {"provider": "OPENAI", "model_name": "gpt-4o", "prompt": "Sort {{letter}}.", **config}
    return application.agents.create(LOCAL, name="Sorter", config=AgentConfig.parse(values))


def test_what_fits_comes_first_by_price_and_what_is_unknown_last(compare: Compare) -> None:
    guidance = compare()
    order = [list(Standing).index(m.standing) for m in guidance.models]
    assert order == sorted(order)
    costs = [m.run_nanousd or 0 for m in guidance.models if m.standing is Standing.FITS]
    assert costs == sorted(costs)
    assert len(costs) > 50
    assert {m.provider for m in guidance.models} == set(registry.specs())
    for m in guidance.models:
        assert (m.run_nanousd is None) == (m.standing is Standing.UNPRICED) == (m.reason is not None)
        assert m.reason is None or "Settings > Prices" in m.reason


def test_a_run_and_a_month_are_the_price_of_that_usage(
    compare: Compare, local_application: Application
) -> None:
    price(local_application, "own-1", cached_input_usd_per_mtok="0.25")
    asked = WorkloadAsked(input_tokens=1_000, output_tokens=500, cached_input_percent=40, runs=7)
    own = model(compare(asked), "own-1")
    # 600 tokens at 1, 400 at 0.25, 500 at 2 dollars a million
    assert own.run_nanousd == 600_000 + 100_000 + 1_000_000
    assert own.month_nanousd == own.run_nanousd * 7 * 30
    assert own.source is not None
    assert own.source.startswith("override: OPENAI/own-1")
    assert Trait.CACHED_INPUT in own.traits
    assert "cached input \N{MINUS SIGN}75 %" in own.good_for
    monthly = WorkloadAsked(input_tokens=1, output_tokens=1, runs=7, per=Per.MONTH)
    assert compare(monthly).workload.runs_per_month == 7


def test_an_override_goes_before_the_list(compare: Compare, local_application: Application) -> None:
    before = model(compare(), "gpt-4o").run_nanousd
    price(local_application, "gpt-4o", input_usd_per_mtok="0", output_usd_per_mtok="0.001")
    after = model(compare(), "gpt-4o")
    assert before == 7_500_000
    assert after.run_nanousd == 500
    assert after.traits[0] is Trait.CHEAPEST


def test_a_long_input_pays_its_tier_and_may_not_fit(compare: Compare) -> None:
    guidance = compare(WorkloadAsked(input_tokens=300_000, output_tokens=0))
    # Above 272,000 tokens the list says 5 instead of 2.5 dollars a million.
    assert model(guidance, "gpt-5.4").run_nanousd == 1_500_000_000
    small = model(guidance, "gpt-4o")
    assert (small.standing, small.fits) == (Standing.TOO_SMALL, False)
    assert small.run_nanousd == 750_000_000
    assert not {Trait.CHEAPEST, Trait.CHEAPEST_INPUT} & set(small.traits)
    longest = [m for m in guidance.models if Trait.LONG_CONTEXT in m.traits]
    assert longest
    assert all((m.context_window_tokens or 0) >= 400_000 for m in longest)


def test_the_window_holds_input_and_output_together(compare: Compare) -> None:
    exactly = compare(WorkloadAsked(input_tokens=127_000, output_tokens=1_000))
    assert model(exactly, "gpt-4o").fits is True
    above = compare(WorkloadAsked(input_tokens=127_000, output_tokens=1_001))
    assert model(above, "gpt-4o").fits is False


def test_the_offline_demo_is_labelled_and_never_ranked(compare: Compare) -> None:
    demo = model(compare(), "demo-echo", "DEMO")
    assert demo.standing is Standing.OFFLINE
    assert demo.good_for == ["offline demo, not a real price"]


def test_a_server_of_ones_own_is_free_and_wins_no_price_mark(compare: Compare) -> None:
    name = registry.get_spec("OLLAMA").default_model
    own = model(compare(), name, "OLLAMA")
    assert own.run_nanousd == 0
    assert own.traits[:2] == (Trait.SELF_HOSTED, Trait.NO_KEY)
    cheapest = [m for m in compare().models if Trait.CHEAPEST in m.traits]
    assert cheapest
    assert all(m.run_nanousd for m in cheapest)


def test_a_server_that_may_be_somebody_elses_is_not_free(
    compare: Compare, local_application: Application
) -> None:
    agent = agent_of(
        local_application,
        provider="OLLAMA",
        model_name="gemma4",
        base_url="https://api.hosted-ollama.example",
    )
    found = compare(agent_id=agent.id).baseline
    assert found is not None
    assert (found.run_nanousd, found.standing) == (None, Standing.UNPRICED)
    assert Trait.SELF_HOSTED not in found.traits
    assert "not plainly your own" in (found.reason or "")
    assert "add a price of 0 under Settings > Prices" in (found.reason or "")
    price(local_application, "gemma4", provider="OLLAMA", input_usd_per_mtok="0", output_usd_per_mtok="0")
    own = compare(agent_id=agent.id).baseline
    assert own is not None
    assert own.run_nanousd == 0


def test_a_model_on_an_unknown_server_is_unknown_and_says_why(
    compare: Compare, local_application: Application
) -> None:
    agent = agent_of(local_application, model_name="gpt-4o", base_url="http://10.0.0.5:8000/v1")
    rows = [m for m in compare().models if m.model == "gpt-4o"]
    assert [(m.server, m.run_nanousd) for m in rows] == [
        (None, 7_500_000),
        ("http://10.0.0.5:8000/v1", None),
    ]
    assert "this server" in (rows[1].reason or "")
    guidance = compare(agent_id=agent.id)
    assert guidance.baseline is not None
    assert guidance.baseline.run_nanousd is None
    assert all(m.run_difference_nanousd is None for m in guidance.models)


def test_the_list_of_a_credentials_server_is_among_them(
    compare: Compare, local_application: Application
) -> None:
    local_application.credentials.add(
        LOCAL, name="Router", provider="OPENAI", secret="sk-1", base_url="https://openrouter.ai/api/v1"
    )
    there = [m for m in compare(providers=("OPENAI",)).models if m.server == "https://openrouter.ai/api/v1"]
    assert len([m for m in there if m.run_nanousd is not None]) > 20


def test_only_what_is_configured(
    compare: Compare, local_application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyless = {spec.name for spec in registry.specs().values() if not spec.needs_api_key}
    assert {m.provider for m in compare(configured_only=True).models} == keyless
    assert all(m.configured == (m.provider in keyless) for m in compare().models)
    local_application.credentials.add(LOCAL, name="Key", provider="OPENAI", secret="sk-1")
    assert {m.provider for m in compare(configured_only=True).models} == keyless | {"OPENAI"}
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-1")
    assert {m.provider for m in compare(configured_only=True).models} == keyless | {"OPENAI", "ANTHROPIC"}


def test_only_some_providers(compare: Compare) -> None:
    assert {m.provider for m in compare(providers=("ANTHROPIC", "DEMO")).models} == {"ANTHROPIC", "DEMO"}


def test_editions_at_one_price_are_one_entry_and_those_at_another_are_not(
    compare: Compare, local_application: Application
) -> None:
    price(local_application, "own-2")
    price(local_application, "own-2-2026-01-31")
    price(local_application, "own-2-latest")
    price(local_application, "own-2-2025-01-31", output_usd_per_mtok="3")
    guidance = compare()
    assert set(model(guidance, "own-2").also) == {"own-2-2026-01-31", "own-2-latest"}
    assert model(guidance, "own-2-2025-01-31").also == ()
    names = [m.model for m in guidance.models]
    assert "own-2-latest" not in names


def test_an_edition_that_somebody_uses_keeps_its_entry(
    compare: Compare, local_application: Application
) -> None:
    price(local_application, "own-2")
    price(local_application, "own-2-2026-01-31")
    agent = agent_of(local_application, model_name="own-2-2026-01-31")
    guidance = compare(agent_id=agent.id)
    assert model(guidance, "own-2-2026-01-31").is_baseline
    assert model(guidance, "own-2-2026-01-31").also == ("own-2",)


def test_the_model_that_the_environment_names_is_among_them(
    compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not [m for m in compare().models if m.model == "eu.anthropic.claude-opus-5"]
    monkeypatch.setenv("BEDROCK_MODEL_ID", "eu.anthropic.claude-opus-5")
    # Its list has it as one of all regions, at a tenth more.
    assert model(compare(), "eu.anthropic.claude-opus-5", "BEDROCK").run_nanousd == 5_500_000 + 13_750_000


def test_models_that_end_are_left_out_and_counted(compare: Compare) -> None:
    guidance = compare()
    assert guidance.deprecated > 0
    assert not any(m.deprecated for m in guidance.models)
    everything = compare(deprecated=True)
    assert everything.deprecated == 0
    assert any(m.deprecated for m in everything.models)


def test_models_that_cannot_answer_are_left_out(compare: Compare) -> None:
    guidance = compare()
    names = {m.model for m in guidance.models}
    # The price lists of Google and AWS have names that neither API takes.
    assert not {m.model for m in guidance.models if m.provider == "GEMINI" and "claude" in m.model}
    assert not {n for n in names if n.startswith("regional.") or n.endswith("-maas")}
    assert not {n for n in names if "embedding" in n or "whisper" in n or "titan-embed" in n}
    assert not {n for n in names if n.endswith(("-", ":", "."))}


def test_all_are_compared_with_what_the_agent_uses(compare: Compare, local_application: Application) -> None:
    agent = agent_of(local_application)
    guidance = compare(agent_id=agent.id)
    now, mini = model(guidance, "gpt-4o"), model(guidance, "gpt-4o-mini")
    assert guidance.agent is not None
    assert guidance.baseline is not None
    assert (now.is_baseline, now.run_difference_nanousd) == (True, 0)
    assert mini.run_difference_nanousd == 450_000 - 7_500_000
    assert mini.month_difference_nanousd == (450_000 - 7_500_000) * 300
    assert sum(m.is_baseline for m in guidance.models) == 1
    assert model(guidance, "demo-echo", "DEMO").run_difference_nanousd is None
    # Also where the filter leaves it out.
    other = compare(agent_id=agent.id, providers=("ANTHROPIC",))
    assert not any(m.is_baseline for m in other.models)
    assert all(m.run_difference_nanousd is not None for m in other.models if m.run_nanousd is not None)
    with pytest.raises(NotFound):
        compare(agent_id=uuid7())


def test_tokens_are_estimated_from_the_prompt(compare: Compare) -> None:
    text = "Where is my order? " * 50
    workload = compare(WorkloadAsked(), text=text).workload
    low, high = input_tokens_of([text])
    assert workload.input_band == (low, high)
    assert low < workload.input_tokens < high
    assert workload.input_tokens**2 <= low * high < (workload.input_tokens + 1) ** 2
    assert (workload.input_basis, workload.output_basis) == (Basis.TEXT, Basis.ASSUMED)
    assert compare(WorkloadAsked()).workload.input_basis is Basis.ASSUMED
    given = compare(WorkloadAsked(input_tokens=7), text=text).workload
    assert (given.input_tokens, given.input_basis, given.input_band) == (7, Basis.GIVEN, None)


def test_an_agents_own_runs_say_more_than_its_prompt(
    compare: Compare, local_application: Application
) -> None:
    agent = agent_of(local_application, variables={"letter": "x" * 4_000})
    before = compare(WorkloadAsked(), agent_id=agent.id).workload
    assert before.input_basis is Basis.TEXT
    assert before.input_band is not None
    assert before.input_band[0] > 600
    for tokens in (800, 1_000):
        store_run(local_application, at=utc_now(), agent=agent, input_tokens=tokens, output_tokens=40)
    store_run(local_application, at=utc_now(), agent=agent, input_tokens=9_999, status=RunStatus.FAILED)
    long_ago = utc_now() - timedelta(days=31)
    store_run(local_application, at=long_ago, agent=agent, input_tokens=9_999)
    workload = compare(WorkloadAsked(), agent_id=agent.id).workload
    assert (workload.input_tokens, workload.output_tokens, workload.runs_per_month) == (900, 40, 2)
    assert workload.measured_runs == 2
    assert {workload.input_basis, workload.output_basis, workload.runs_basis} == {Basis.RUNS}


def test_runs_whose_tokens_nobody_told_make_the_others_no_smaller(
    compare: Compare, local_application: Application
) -> None:
    agent = agent_of(local_application)
    store_run(local_application, at=utc_now(), agent=agent, input_tokens=900, output_tokens=40)
    store_run(local_application, at=utc_now(), agent=agent, input_tokens=None, output_tokens=None)
    workload = compare(WorkloadAsked(), agent_id=agent.id).workload
    assert (workload.input_tokens, workload.output_tokens, workload.runs_per_month) == (900, 40, 2)


@pytest.mark.parametrize(
    "fields",
    [
        {"input_tokens": -1},
        {"output_tokens": 10_000_001},
        {"cached_input_percent": 101},
        {"runs": -1},
    ],
)
def test_figures_that_cannot_be_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="must be from 0 to"):
        WorkloadAsked(**fields)


def test_the_quote_knows_what_the_provider_would_report(local_application: Application) -> None:
    usage = TokenUsage(input_tokens=1_000, output_tokens=500, total_tokens=1_500)
    quote = local_application.prices.quote(LOCAL, provider="OPENAI", model="gpt-4o", usage=usage)
    assert quote is not None
    assert Decimal(quote.total_nanousd) == Decimal("2.5") * 1_000_000 + Decimal(10) * 500_000
    assert local_application.prices.quote(LOCAL, provider="OPENAI", model="no-such", usage=usage) is None
