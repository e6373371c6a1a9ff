"""`models` and `usage`."""

from typing import Annotated

import typer

from core.services.principal import LOCAL
from core.services.usage import Period, span_of
from core.storage.records import Dimension
from dashboard import formatting
from dashboard.commands.session import open_application, print_json, print_table


def models(
    provider: Annotated[str | None, typer.Option(help="Only this provider's.")] = None,
    live: Annotated[
        bool, typer.Option(help="Ask the vendor for its own list, with the key that would serve.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List models with their prices, US dollars per million tokens."""
    from core.providers import registry

    if live and provider is None:
        raise typer.BadParameter("--live needs --provider")
    with open_application() as application:
        names = [registry.get_spec(provider).name] if provider else list(registry.specs())
        prices = application.prices
        if live:
            found = application.agents.list_models(LOCAL, provider=names[0])
            listed = [(names[0], m.name, prices.find_model(LOCAL, names[0], m.name)) for m in found]
        else:
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
            name,
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


def usage(
    period: Annotated[Period, typer.Option(help="The range, ending now.")] = Period.DAYS_7,
    by: Annotated[Dimension, typer.Option(help="What to split by.")] = Dimension.MODEL,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show runs, tokens and cost over a period."""
    with open_application() as application:
        zone = application.preferences.get(LOCAL).zone
        points = application.usage.breakdown(LOCAL, span_of(period, zone=zone), by=by)
    if as_json:
        from core.services.money import usd_text

        print_json(
            [
                {
                    "key": p.key,
                    "label": p.label,
                    "runs": p.figures.runs,
                    "succeeded": p.figures.succeeded,
                    "input_tokens": p.figures.input_tokens,
                    "output_tokens": p.figures.output_tokens,
                    "cost_usd": float(usd_text(p.figures.cost_nanousd)),
                    "unpriced_runs": p.figures.unpriced_runs,
                }
                for p in points
            ]
        )
        return
    rows = [
        (
            p.label or p.key or formatting.NO_VALUE,
            formatting.count(p.figures.runs),
            formatting.percent(p.figures.succeeded, p.figures.runs),
            formatting.count(p.figures.input_tokens),
            formatting.count(p.figures.output_tokens),
            formatting.money(p.figures.cost_nanousd),
            formatting.count(p.figures.unpriced_runs),
        )
        for p in points
    ]
    columns = (by.value, "runs", "success", "input tokens", "output tokens", "cost", "unpriced runs")
    print_table(columns, rows, right=columns[1:], empty="No runs in this period.")


def _price(usd_per_mtok: object) -> str:
    return formatting.UNKNOWN if usd_per_mtok is None else f"{usd_per_mtok:f}"
