"""Which runs: one row of filters, all of them in the URL, so that a list can be sent to somebody."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.contract import utc_now
from core.errors import ErrorCode, InvalidInput
from core.pricing.rates import NANOUSD_PER_USD
from core.providers import registry
from core.services.runs import SHORTEST_PREFIX, id_range
from core.services.usage import Period, span_of
from core.storage.records import Backend, RunFilter, RunStatus, Trigger
from dashboard import state
from dashboard.components.address import carry_over
from dashboard.components.failure import literal
from dashboard.components.marks import BACKEND_LABELS, STATUS_LABELS, TRIGGER_LABELS, provider_label

ALL_TIME: Final = "all"
CUSTOM: Final = "custom"
RANGE_LABELS: Final[Mapping[str, str]] = {
    Period.TODAY: "Today",
    Period.DAYS_7: "7 days",
    Period.DAYS_30: "30 days",
    ALL_TIME: "All",
    CUSTOM: "Custom",
}
_FILTER_KEYS: Final = (
    state.RUNS_FIND,
    state.RUNS_AGENT,
    state.RUNS_PROVIDER,
    state.RUNS_MODEL,
    state.RUNS_STATUS,
    state.RUNS_TRIGGER,
    state.RUNS_BACKEND,
    state.RUNS_ERROR,
    state.RUNS_COST_MIN,
    state.RUNS_COST_MAX,
    state.RUNS_UNPRICED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterOptions:
    """What can be chosen.

    Attributes:
        agents: Ids by name, archived ones too.
        models: Names that were used lately; any other can be typed.
    """

    agents: Mapping[str, UUID]
    models: Sequence[str]


def choose_range(zone: ZoneInfo) -> str:
    """The range of time: a `Period`, ALL_TIME or CUSTOM; in the URL and kept from page to page."""
    offered = {state.RANGE: list(RANGE_LABELS), **dict.fromkeys(state.SHARED_FILTERS)}
    carry_over("runs", offered, default={state.RANGE: Period.DAYS_7})
    chosen = st.segmented_control(
        f"Range, days in {zone.key}",
        list(RANGE_LABELS),
        default=Period.DAYS_7,
        required=True,
        format_func=RANGE_LABELS.__getitem__,
        key=state.RANGE,
        bind="query-params",
        on_change=first_page,
    )
    return chosen or Period.DAYS_7


def run_filters(options: FilterOptions, *, chosen_range: str, zone: ZoneInfo) -> RunFilter:
    """Draws the row and returns what it selects.

    The ids that a run's id is looked for among are those of all time and of every run: whoever has one wants it.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.text_input(
            "Find",
            key=state.RUNS_FIND,
            placeholder="Find a run id",
            help=f"A run's id, or its first {SHORTEST_PREFIX} digits or more",
            icon=":material/search:",
            type="search",
            label_visibility="collapsed",
            bind="query-params",
            on_change=_sought,
            width=150,
        )
        agents = _choose("Agent", list(options.agents), key=state.RUNS_AGENT, placeholder="Any agent")
        providers = _choose(
            "Provider",
            list(registry.specs()),
            key=state.RUNS_PROVIDER,
            placeholder="Any provider",
            label=provider_label,
        )
        models = _choose(
            "Model", options.models, key=state.RUNS_MODEL, placeholder="Any model", accept_new=True
        )
        statuses = _choose(
            "Status", list(RunStatus), key=state.RUNS_STATUS, placeholder="Any status", label=_status_label
        )
        with _more():
            triggers, backends, errors, cost_min, cost_max, unpriced = _more_filters()
    since, until = _bounds(chosen_range, zone)
    sought = st.session_state.get(state.RUNS_FIND)
    if sought:
        try:
            return RunFilter(ids=id_range(sought))
        except InvalidInput as exc:
            st.warning(literal(str(exc)), icon=":material/search_off:")
    return RunFilter(
        since=since,
        until=until,
        agent_ids=tuple(options.agents[name] for name in agents if name in options.agents),
        providers=tuple(providers),
        models=tuple(models),
        statuses=tuple(RunStatus(status) for status in statuses),
        triggers=tuple(Trigger(trigger) for trigger in triggers),
        backends=tuple(Backend(backend) for backend in backends),
        error_codes=tuple(errors),
        group_id=chosen_group(),
        cost_at_least_nanousd=_nanousd(cost_min),
        cost_at_most_nanousd=_nanousd(cost_max),
        unpriced_only=unpriced,
    )


def unknown_in_address(options: FilterOptions) -> str:
    """What the address asks for and no filter has, as a sentence; "" if all is known.

    To be called before any widget is drawn: they take out of the address what they do not know.
    """
    known: Mapping[str, Collection[str]] = {
        state.RANGE: RANGE_LABELS.values(),
        state.RUNS_AGENT: options.agents.keys(),
        state.RUNS_PROVIDER: [provider_label(name) for name in registry.specs()],
        state.RUNS_STATUS: STATUS_LABELS.values(),
        state.RUNS_TRIGGER: TRIGGER_LABELS.values(),
        state.RUNS_BACKEND: BACKEND_LABELS.values(),
        state.RUNS_ERROR: [code.value for code in ErrorCode],
    }
    unknown = [
        f"{key}={value}"
        for key, values in known.items()
        for value in st.query_params.get_all(key)
        if value not in values
    ]
    if state.RUNS_GROUP in st.query_params and chosen_group() is None:
        unknown.append(f"{state.RUNS_GROUP}={st.query_params[state.RUNS_GROUP]}")
    if not unknown:
        return ""
    return f"The address asks for what is not here, and was shown without it: {', '.join(unknown)}."


def is_filtered(run_filter: RunFilter) -> bool:
    """Whether anything but the range of time is chosen."""
    return replace(run_filter, since=None, until=None) != RunFilter()


def remember() -> None:
    """Keeps the list's address, for the way back from a run; to be called after the filters are drawn.

    The browser's own way back needs two steps: Streamlit puts an entry of its own between two pages of which
    one has parameters.
    """
    labels: Mapping[str, Callable[[Any], str]] = {
        state.RANGE: RANGE_LABELS.__getitem__,
        state.RUNS_PROVIDER: provider_label,
        state.RUNS_STATUS: _status_label,
        state.RUNS_TRIGGER: TRIGGER_LABELS.__getitem__,
        state.RUNS_BACKEND: BACKEND_LABELS.__getitem__,
    }
    params: dict[str, list[str]] = {}
    for key in (state.RANGE, *_FILTER_KEYS, state.RUNS_FROM, state.RUNS_TO):
        value = st.session_state.get(key)
        if value in (None, False, "", []):
            continue
        values = value if isinstance(value, list) else [value]
        params[key] = [labels.get(key, _as_address)(one) for one in values]
    for key in (state.RUNS_CURSOR, state.RUNS_GROUP):
        if key in st.query_params:
            params[key] = st.query_params.get_all(key)
    st.session_state[state.RUNS_LAST] = params


def last_address() -> dict[str, list[str]]:
    """The parameters of the list as it was seen last; none if it was not."""
    return dict(st.session_state.get(state.RUNS_LAST, {}))


def first_page() -> None:
    """Goes back to the newest runs: another filter has other pages."""
    st.query_params.pop(state.RUNS_CURSOR, None)


def just_sought() -> bool:
    """Whether a run was looked for by its id just now; true once."""
    return bool(st.session_state.pop(state.RUNS_SOUGHT, False))


def _sought() -> None:
    st.session_state[state.RUNS_SOUGHT] = True
    first_page()


def clear_filters() -> None:
    """Takes all filters away, the range excepted."""
    for key in _FILTER_KEYS:
        match key:
            case state.RUNS_COST_MIN | state.RUNS_COST_MAX:
                st.session_state[key] = None
            case state.RUNS_UNPRICED:
                st.session_state[key] = False
            case state.RUNS_FIND:
                st.session_state[key] = ""
            case _:
                st.session_state[key] = []
    st.query_params.pop(state.RUNS_GROUP, None)
    first_page()


def chosen_group() -> UUID | None:
    """The runs that were started together, if the address asks for them."""
    try:
        return UUID(st.query_params.get(state.RUNS_GROUP, ""))
    except ValueError:
        return None


def _choose(
    title: str,
    options: Sequence[str],
    *,
    key: str,
    placeholder: str,
    label: Callable[[str], str] = str,
    accept_new: bool = False,
) -> list[str]:
    return st.multiselect(
        title,
        options,
        key=key,
        placeholder=placeholder,
        format_func=label,
        label_visibility="collapsed",
        accept_new_options=accept_new,
        bind="query-params",
        on_change=first_page,
    )


def _more() -> DeltaGenerator:
    keys = _FILTER_KEYS[_FILTER_KEYS.index(state.RUNS_TRIGGER) :]
    # On a page's first run the address is read when a widget is drawn, which is after this.
    chosen = sum(bool(st.session_state.get(key, st.query_params.get(key))) for key in keys)
    return st.popover(f"More ({chosen})" if chosen else "More", icon=":material/tune:", key="runs-more")


def _more_filters() -> tuple[list[str], list[str], list[str], float | None, float | None, bool]:
    triggers = st.pills(
        "Trigger",
        list(Trigger),
        selection_mode="multi",
        format_func=TRIGGER_LABELS.__getitem__,
        key=state.RUNS_TRIGGER,
        bind="query-params",
        on_change=first_page,
    )
    backends = st.pills(
        "Backend",
        list(Backend),
        selection_mode="multi",
        format_func=BACKEND_LABELS.__getitem__,
        key=state.RUNS_BACKEND,
        bind="query-params",
        on_change=first_page,
    )
    errors = st.multiselect(
        "Error",
        [code.value for code in ErrorCode],
        key=state.RUNS_ERROR,
        placeholder="Any error, or none",
        bind="query-params",
        on_change=first_page,
    )
    left, right = st.columns(2)
    cost_min = left.number_input(
        "Cost from ($)",
        value=None,
        min_value=0.0,
        format="%.6f",
        step=0.01,
        placeholder="Any",
        key=state.RUNS_COST_MIN,
        bind="query-params",
        on_change=first_page,
    )
    cost_max = right.number_input(
        "Cost to ($)",
        value=None,
        min_value=0.0,
        format="%.6f",
        step=0.01,
        placeholder="Any",
        key=state.RUNS_COST_MAX,
        bind="query-params",
        on_change=first_page,
    )
    unpriced = st.toggle(
        "Only runs without a known price",
        key=state.RUNS_UNPRICED,
        bind="query-params",
        on_change=first_page,
        help="Their cost is unknown, so no cost range finds them.",
    )
    return list(triggers), list(backends), errors, cost_min, cost_max, unpriced


def _bounds(chosen: str, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    match chosen:
        case "all":
            return None, None
        case "custom":
            return _custom_bounds(zone)
        case _:
            return span_of(Period(chosen), zone=zone).since, None


def _custom_bounds(zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    today = utc_now().astimezone(zone).date()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        first = st.date_input(
            "From",
            value=today - timedelta(days=6),
            max_value=today,
            format="YYYY-MM-DD",
            key=state.RUNS_FROM,
            width=160,
            bind="query-params",
            on_change=first_page,
        )
        last = st.date_input(
            "To, this day included",
            value=today,
            max_value=today,
            format="YYYY-MM-DD",
            key=state.RUNS_TO,
            width=160,
            bind="query-params",
            on_change=first_page,
        )
    return _midnight(first, zone), _midnight(last + timedelta(days=1), zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _as_address(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _status_label(value: str) -> str:
    return STATUS_LABELS[RunStatus(value)]


def _nanousd(usd: float | None) -> int | None:
    return None if usd is None else round(usd * NANOUSD_PER_USD)
