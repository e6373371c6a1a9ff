"""The figures as Markdown: tables with ratios to the raw SDK, and the goals beside what was measured."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.cold_start import ColdStarts
from benchmarks.lambda_invoke import GOAL as INVOKE
from benchmarks.lambda_invoke import Invokes
from benchmarks.plan import GROUPS, TABLES, THIRTY_TWO, UNITS, Contender, Group, Kind, Mode, Table
from benchmarks.startup import Startup

Figures = Mapping[str, float]
Rounds = Sequence[Mapping[str, Figures]]
"""For each round the figures of each mode that went well; round n of one contender stood beside that of another."""
Results = Mapping[str, Mapping[Kind, Rounds]]
"""By provider and contender."""


@dataclass(frozen=True)
class Goal:
    """A figure that was aimed at; `measured` is None if it was not measured."""

    text: str
    who: str
    measured: float | None
    limit: float
    unit: str = "times"
    at_least: bool = False

    @property
    def row(self) -> str:
        """Its line in the table."""
        sign = "at least" if self.at_least else "at most"
        if self.measured is None:
            found, verdict = "", "not measured"
        else:
            holds = self.measured >= self.limit if self.at_least else self.measured <= self.limit
            found = f"{self._rounded(self.measured)} {self.unit}"
            verdict = "holds" if holds else "**misses**"
        return f"| {self.text} | {self.who} | {sign} {self.limit:g} {self.unit} | {found} | {verdict} |"

    def _rounded(self, value: float) -> str:
        return f"{value:,.0f}" if value >= 10 or self.unit == "SDKs" else f"{value:,.2f}"


def figure(rounds: Rounds, mode: Mode, name: str) -> float | None:
    """The median over the rounds; None if it was not measured."""
    values = [found[name] for measured in rounds if name in (found := measured.get(mode, {}))]
    return statistics.median(values) if values else None


def ratio(ours: Rounds, mode: Mode, others: Rounds, other_mode: Mode, name: str) -> float | None:
    """The median over the rounds of one figure's ratio to another of the same round."""
    pairs = [
        (found[name], beside[name])
        for one, other in zip(ours, others, strict=False)
        if name in (found := one.get(mode, {})) and (beside := other.get(other_mode, {})).get(name)
    ]
    return statistics.median(found / beside for found, beside in pairs) if pairs else None


def tables(results: Results) -> list[str]:
    """All tables of calls: OpenAI's, then for each mode one with the other vendors."""
    lines: list[str] = []
    others = [group for group in GROUPS[1:] if group.provider in results]
    if GROUPS[0].provider in results:
        lines += ["### OpenAI", ""]
        for table in TABLES:
            lines += _table(table, GROUPS[:1], results)
    if others:
        lines += ["### The other vendors", ""]
        for table in TABLES:
            lines += _table(table, others, results)
    return lines


def _table(table: Table, groups: Sequence[Group], results: Results) -> list[str]:
    rows = [row for group in groups for row in _rows(table, group, results[group.provider], len(groups) > 1)]
    if not rows:
        return []
    head = "| | " + " | ".join(f"{UNITS[name]} | of raw" for name in table.figures) + " |"
    return [f"#### {table.title}", "", head, "| --- |" + " ---: | ---: |" * len(table.figures), *rows, ""]


def _rows(table: Table, group: Group, found: Mapping[Kind, Rounds], named: bool) -> Iterator[str]:
    raw = found[Kind.RAW]
    for mode in table.modes:
        for contender in group.contenders:
            if mode not in contender.calls:
                continue
            cells = [_label(contender, group, mode, named)]
            for name in table.figures:
                value = figure(found[contender.kind], mode, name)
                of_raw = ratio(found[contender.kind], mode, raw, table.modes[0], name)
                cells.append("failed" if value is None else f"{value:,.2f}")
                cells.append("" if of_raw is None else f"{of_raw:.2f}")
            yield "| " + " | ".join(cells) + " |"


def _label(contender: Contender, group: Group, mode: Mode, named: bool) -> str:
    label = contender.labels.get(mode, contender.name)
    return f"{group.label}: {label}" if named else label


def goals(
    results: Results,
    startup: Startup,
    cold: Mapping[str, ColdStarts],
    invokes: Mapping[str, Invokes] | None = None,
) -> list[str]:
    """The goals of the product beside what was measured, worst news included."""
    rows = [
        goal.row
        for goal in (
            *_goals_of_calls(results),
            *_goals_of_startup(startup),
            *_goals_of_cold_starts(cold),
            *_goals_of_invokes(invokes or {}),
        )
    ]
    return [
        "### Goals",
        "",
        "| goal | | aimed at | measured | |",
        "| --- | --- | --- | ---: | --- |",
        *rows,
        "",
    ]


def _goals_of_calls(results: Results) -> Iterator[Goal]:
    measured = [group for group in GROUPS if group.provider in results]

    def of_best(group: Group, name: str, mode: Mode, to: Kind, to_modes: Sequence[Mode]) -> float | None:
        ours, others = results[group.provider][Kind.OURS], results[group.provider][to]
        best = max(to_modes, key=lambda other: figure(others, other, name) or 0.0)
        return ratio(ours, mode, others, best, name)

    raw, cpu = Kind.RAW, "cpu_ms_per_call"
    for group in measured:
        value = of_best(group, cpu, Mode.COMPLETE, raw, [Mode.COMPLETE])
        yield Goal("CPU of a stored run, of the raw SDK's call", group.label, value, 1.5)
    for group in measured:
        value = of_best(group, cpu, Mode.COMPLETE, Kind.LITELLM, [Mode.COMPLETE])
        yield Goal("CPU of a stored run, of litellm's call", group.label, value, 0.5)
    for group in measured:
        value = of_best(group, "calls_per_second", Mode.COMPLETE_32, raw, THIRTY_TWO)
        text = "stored runs a second, 32 at a time, of the raw SDK in its best mode"
        yield Goal(text, group.label, value, 0.8, at_least=True)
    for group in measured:
        value = of_best(group, cpu, Mode.STREAM, raw, [Mode.STREAM])
        yield Goal("CPU of a stored stream of 500 chunks, of the raw SDK's", group.label, value, 1.2)
    for group in measured:
        value = of_best(group, "first_token_ms", Mode.FIRST, raw, [Mode.FIRST])
        text = "first token of a model that takes 200 ms, of the raw SDK's"
        yield Goal(text, group.label, value, 1.05)


def _goals_of_startup(startup: Startup) -> Iterator[Goal]:
    yield Goal("import of `core.invocation`", "", startup.import_ms, 150, "ms")
    yield Goal("vendors' SDKs loaded by it", "", startup.sdks_loaded, 0, "SDKs")
    yield Goal("start to first page", "", startup.first_page_s, 4, "s")
    yield Goal("idle memory", "", startup.idle_mib, 300, "MiB")


def _goals_of_cold_starts(cold: Mapping[str, ColdStarts]) -> Iterator[Goal]:
    for provider, measured in cold.items():
        text = "cold start of the function, of a bare handler's with that one SDK"
        yield Goal(text, provider, measured.ratio("bare"), 1.15)
    for provider, measured in cold.items():
        if (value := measured.ratio("everything")) is not None:
            yield Goal("the same, of one that imports all five and pydantic-ai", provider, value, 1.0)


def _goals_of_invokes(invokes: Mapping[str, Invokes]) -> Iterator[Goal]:
    for title, measured in invokes.items():
        yield Goal("an invocation of the function, of a bare boto3 `invoke`", title, measured.ratio(), INVOKE)
