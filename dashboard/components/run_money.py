"""What a run cost, part by part, and where the prices come from."""

from collections.abc import Callable, Sequence

import streamlit as st

from core.services.attempt_records import cost_parts, sum_if_known
from core.storage.records import AttemptRecord, Backend, RunSummary
from dashboard import formatting


def money_by_part(run: RunSummary, attempts: Sequence[AttemptRecord]) -> None:
    """Draws tokens and money of the whole run; what is unknown says so."""
    on_lambda = any(attempt.backend is Backend.LAMBDA for attempt in attempts)
    parts = cost_parts(attempts)
    rows: list[tuple[str, str, str]] = [
        (
            "Input",
            _count(attempts, lambda a: a.input_tokens),
            _money(attempts, lambda a: a.input_cost_nanousd),
        ),
    ]
    if any(attempt.cached_input_tokens for attempt in attempts):
        rows.append((":gray[· of it cached]", _count(attempts, lambda a: a.cached_input_tokens), ""))
    if any(attempt.cache_write_input_tokens for attempt in attempts):
        rows.append(
            (
                ":gray[· of it written to the cache]",
                _count(attempts, lambda a: a.cache_write_input_tokens),
                "",
            )
        )
    rows.append(
        (
            "Output",
            _count(attempts, lambda a: a.output_tokens),
            _money(attempts, lambda a: a.output_cost_nanousd),
        )
    )
    if any(attempt.reasoning_tokens for attempt in attempts):
        rows.append((":gray[· of it reasoning]", _count(attempts, lambda a: a.reasoning_tokens), ""))
    if on_lambda:
        rows.append(("**Tokens**", "", f"**{_dollars(parts.tokens_nanousd)}**"))
        rows.append(("**Lambda compute**", "", f"**{_dollars(parts.lambda_compute_nanousd)}**"))
        rows.append(("**Lambda request**", "", f"**{_dollars(parts.lambda_request_nanousd)}**"))
    rows.append(("**Total**", "", f"**{_dollars(run.cost_nanousd)}**"))
    st.table(
        {"Part": [r[0] for r in rows], "Tokens": [r[1] for r in rows], "Cost": [r[2] for r in rows]},
        border="horizontal",
        hide_index=True,
        hide_header=False,
    )
    sources = sorted({attempt.price_source for attempt in attempts if attempt.price_source})
    unreported = on_lambda and None in (parts.lambda_compute_nanousd, parts.lambda_request_nanousd)
    if unreported:
        st.caption(
            ":material/help: What AWS Lambda billed is unknown, not zero: AWS sent no report of the execution, or the "
            "region has no known price."
        )
    if parts.tokens_nanousd is None or (run.cost_nanousd is None and not unreported):
        st.caption(
            ":material/help: The cost is unknown, not zero: the model has no known price, or the "
            "provider did not say how many tokens it took. Add a price under Settings > Prices; it holds "
            "for runs from then on."
        )
    for source in sources:
        st.caption(f"Price: {_linked(source)}")


def _count(attempts: Sequence[AttemptRecord], figure: Callable[[AttemptRecord], int | None]) -> str:
    total = sum_if_known(map(figure, attempts)) if attempts else None
    if attempts and all((a.input_tokens, a.output_tokens) == (0, 0) for a in attempts):
        return formatting.NO_VALUE
    return formatting.UNKNOWN if total is None else f"{total:,}"


def _money(attempts: Sequence[AttemptRecord], part: Callable[[AttemptRecord], int | None]) -> str:
    return _dollars(sum_if_known(map(part, attempts)) if attempts else None)


def _dollars(nanousd: int | None) -> str:
    return formatting.money(nanousd).replace("$", "\\$")


def _linked(source: str) -> str:
    words = [
        f"[{_host(word)}]({word})" if word.startswith("https://") else word for word in source.split(" ")
    ]
    return " ".join(words)


def _host(url: str) -> str:
    return url.removeprefix("https://").split("/", maxsplit=1)[0]
