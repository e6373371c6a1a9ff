"""`models` and `usage`."""

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from core.storage.records import Dimension
from dashboard import formatting
from dashboard.commands.session import (
    open_application,
    print_json,
    print_table,
    progress_bar,
    provider_name,
    remark,
)

if TYPE_CHECKING:
    from core.services.application import Application
    from core.storage.records import UsagePoint


def models(
    provider: Annotated[str | None, typer.Option(help="Only this provider's.")] = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="Ask the vendor for its own list, with the key that would serve."),
    ] = False,
    base_url: Annotated[
        str | None, typer.Option(help="With --live: a server that speaks the provider's protocol.")
    ] = None,
    credential: Annotated[
        str | None, typer.Option(metavar="LABEL", help="With --live: the stored key to use, by name or id.")
    ] = None,
    for_tokens: Annotated[
        str | None,
        typer.Option(
            metavar="IN,OUT", help="What a run of so many input and output tokens costs, the cheapest first."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List models with their prices, US dollars per million tokens."""
    from core.providers import registry
    from core.services.model_order import in_order_of_choice
    from core.services.principal import LOCAL

    if for_tokens is not None:
        if live:
            raise typer.BadParameter("--for-tokens goes without --live")
        _compare(for_tokens, provider, as_json=as_json)
        return
    if live and provider is None:
        raise typer.BadParameter("--live needs --provider")
    if base_url and not live:
        raise typer.BadParameter("--base-url needs --live")
    if credential and not live:
        raise typer.BadParameter("--credential needs --live")
    with open_application() as application:
        prices = application.prices
        if live and provider:
            chosen = application.credentials.find(LOCAL, credential) if credential else None
            found = application.agents.list_models(
                LOCAL, provider=provider, base_url=base_url, credential_id=chosen.id if chosen else None
            )
            server = base_url or (chosen.base_url if chosen else None)
            priced = {m.name: prices.find_model(LOCAL, provider, m.name, base_url=server) for m in found}
            ending = {name for name, price in priced.items() if price is not None and price.deprecated}
            default = registry.get_spec(provider).default_model
            listed = [
                (provider, name, priced[name])
                for name in in_order_of_choice(priced, default=default, deprecated=ending)
            ]
        else:
            names = [registry.get_spec(provider).name] if provider else list(registry.specs())
            listed = [(name, m.model, m) for name in names for m in prices.known_models(LOCAL, name)]
    if as_json:
        print_json(
            [
                {
                    "provider": name,
                    "model": model,
                    "input_usd_per_mtok": price.input_usd_per_mtok if price else None,
                    "output_usd_per_mtok": price.output_usd_per_mtok if price else None,
                    "context_window_tokens": price.context_window_tokens if price else None,
                    "source": price.source if price else None,
                }
                for name, model, price in listed
            ]
        )
        return
    rows = [
        (
            provider_name(name),
            model,
            _price(price.input_usd_per_mtok if price else None),
            _price(price.output_usd_per_mtok if price else None),
            formatting.count(price.context_window_tokens if price else None),
        )
        for name, model, price in listed
    ]
    columns = ("provider", "model", "input $/Mtok", "output $/Mtok", "context")
    print_table(
        columns,
        rows,
        right=columns[2:],
        empty="No models are known for this provider; --live asks the vendor.",
    )


def _compare(tokens: str, provider: str | None, *, as_json: bool) -> None:
    from core.providers import registry
    from core.services.cost_guidance import GuidanceFilter
    from core.services.money import usd
    from core.services.principal import LOCAL
    from core.services.workload import WorkloadAsked

    found = re.fullmatch(r"\s*(\d{1,9})\s*,\s*(\d{1,9})\s*", tokens, re.ASCII)
    if found is None:
        raise typer.BadParameter("--for-tokens takes two numbers, such as 1000,500")
    asked = WorkloadAsked(input_tokens=int(found[1]), output_tokens=int(found[2]))
    only = GuidanceFilter(providers=(registry.get_spec(provider).name,) if provider else ())
    with open_application() as application:
        models = application.costs.compare(LOCAL, asked, only=only).models
    if as_json:
        print_json(
            [
                {
                    "provider": m.provider,
                    "model": m.model,
                    "run_usd": None if m.run_nanousd is None else usd(m.run_nanousd),
                    "standing": m.standing.value,
                    "context_window_tokens": m.context_window_tokens,
                    "good_for": m.good_for,
                    "source": m.source,
                    "reason": m.reason,
                }
                for m in models
            ]
        )
        return
    rows = [
        (
            provider_name(m.provider),
            m.model,
            formatting.fine_money(m.run_nanousd),
            formatting.count(m.context_window_tokens),
            "does not fit" if m.fits is False else m.reason or ", ".join(m.good_for),
        )
        for m in models
    ]
    columns = ("provider", "model", "a run", "context", "good for")
    print_table(columns, rows, right=columns[2:4], empty="No models are known for this provider.")


def usage(
    period: Annotated[
        Literal["today", "7d", "30d", "90d"],
        typer.Option(help="The range, ending now; days begin in the zone that Settings names."),
    ] = "7d",
    by: Annotated[Dimension, typer.Option(help="What to split by.")] = Dimension.MODEL,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Count every stored attempt again first, for all projects.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show runs, tokens and cost over a period."""
    from core.services.principal import LOCAL
    from core.services.usage import Period, span_of

    with open_application() as application:
        if rebuild:
            _rebuild(application)
        zone = application.preferences.get(LOCAL).zone
        points = application.usage.breakdown(LOCAL, span_of(Period(period), zone=zone), by=by)
    points = sorted(points, key=lambda point: point.figures.cost_nanousd, reverse=True)
    if as_json:
        from core.services.money import usd

        print_json(
            [
                {
                    "key": p.key,
                    "label": p.label,
                    "runs": p.figures.runs,
                    "succeeded": p.figures.succeeded,
                    "failed": p.figures.failed,
                    "cancelled": p.figures.cancelled,
                    "outcome_unknown": p.figures.outcome_unknown,
                    "input_tokens": p.figures.known_input_tokens,
                    "output_tokens": p.figures.known_output_tokens,
                    "untold_attempts": p.figures.untold_attempts,
                    "cost_usd": None if (cost := p.figures.known_cost_nanousd) is None else usd(cost),
                    "unpriced_runs": p.figures.unpriced_runs,
                }
                for p in points
            ]
        )
        return
    rows = [
        (
            _key(by, p),
            formatting.count(p.figures.runs),
            formatting.percent(p.figures.succeeded, p.figures.decided),
            formatting.count(p.figures.known_input_tokens),
            formatting.count(p.figures.known_output_tokens),
            formatting.count(p.figures.untold_attempts),
            formatting.money_known(p.figures.cost_nanousd, p.figures.unpriced_runs),
            formatting.count(p.figures.unpriced_runs),
        )
        for p in points
    ]
    columns = (
        *(by.value, "runs", "success", "input tokens", "output tokens", "untold attempts"),
        *("cost", "unpriced runs"),
    )
    print_table(columns, rows, right=columns[1:], empty="No runs in this period.")
    if len(points) > 1:
        cost = sum(p.figures.cost_nanousd for p in points)
        unpriced = sum(p.figures.unpriced_runs for p in points)
        note = f", and {unpriced:,} run(s) without a known price" if unpriced else ""
        together = "cost unknown" if unpriced and not cost else formatting.money(cost)
        if untold := sum(p.figures.untold_attempts for p in points):
            note += f"; tokens of {untold:,} attempt(s) unknown"
        remark(f"{sum(p.figures.runs for p in points):,} runs, {together}{note}")


def _key(by: Dimension, point: "UsagePoint") -> str:
    if by is Dimension.PROVIDER:
        return provider_name(point.key)
    if by is Dimension.MODEL:
        provider, slash, model = point.key.partition("/")
        return f"{provider_name(provider)}{slash}{model}"
    return point.label or point.key or formatting.NO_VALUE


def _rebuild(application: "Application") -> None:
    from core.services.principal import LOCAL

    with progress_bar() as progress:
        task = progress.add_task("Counting attempts")
        application.usage.rebuild(
            LOCAL, lambda done, total: progress.update(task, completed=done, total=total)
        )
        counted = int(progress.tasks[0].completed)
    remark(f"{counted:,} attempt(s) counted again.")


def _price(usd_per_mtok: Decimal | None) -> str:
    return formatting.UNKNOWN if usd_per_mtok is None else f"{usd_per_mtok:f}"
