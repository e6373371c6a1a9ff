"""The operator's own prices: negotiated ones, fine-tuned models, own servers, what the catalogue lacks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path
from typing import Any, Final, cast

from core.errors import InvalidInput
from core.pricing.rates import MAX_USD_PER_MTOK, Price, Rate, Rates

SHIPPED_FILE: Final = Path(__file__).parents[2] / "data" / "price_overrides.yaml"
_MAX_TEXT_CHARS: Final = 500
_PRICES: Final = (
    "input_usd_per_mtok",
    "output_usd_per_mtok",
    "cached_input_usd_per_mtok",
    "cache_write_usd_per_mtok",
)


@dataclass(frozen=True, kw_only=True)
class PriceOverride:
    """One price that goes before the catalogue's.

    Attributes:
        provider: As in the contract (`OPENAI`). It covers every server that is reached as this provider,
            whatever its base URL.
        model_pattern: A model's name, or its beginning and a `*` (`gpt-4o*`; `*` alone is every model). Upper
            and lower case are the same.
        input_usd_per_mtok: US dollars per million tokens; 0 says "free", which is not the same as unknown.
        cached_input_usd_per_mtok: None: tokens read from the vendor's cache cost as much as other input, as
            in the catalogue. The vendors bill them lower, so that this is rather too much than too little.
        cache_write_usd_per_mtok: None: likewise for tokens written to it; some vendors bill them higher, so
            give it.
        valid_from: The first day, UTC, on which it holds; None is always. A later one replaces an earlier
            one.
        source: Where the price comes from, for people: a contract, a page and the date it was read.
        note: Anything else.

    Raises:
        InvalidInput: A pattern or a price that cannot be used.
    """

    provider: str
    model_pattern: str
    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal
    cached_input_usd_per_mtok: Decimal | None = None
    cache_write_usd_per_mtok: Decimal | None = None
    valid_from: date | None = None
    source: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        where = f"Price override {self.provider}/{self.model_pattern}"
        if not self.provider or not self.model_pattern.strip():
            raise InvalidInput(
                "A price override needs a provider and a model (or the beginning of one and *)."
            )
        if "*" in self.model_pattern[:-1]:
            raise InvalidInput(f"{where}: * may stand only at the end of the model.")
        if (
            max(len(text) for text in (self.provider, self.model_pattern, self.source, self.note))
            > _MAX_TEXT_CHARS
        ):
            raise InvalidInput(f"{where}: a text is longer than {_MAX_TEXT_CHARS} characters.")
        for name in _PRICES:
            price = cast("Decimal | None", getattr(self, name))
            if price is not None and not (price.is_finite() and 0 <= price <= MAX_USD_PER_MTOK):
                raise InvalidInput(
                    f"{where}: {name} is {price}; give US dollars per million tokens, 0 to {MAX_USD_PER_MTOK}"
                )
        if isinstance(self.valid_from, datetime):  # a datetime is a date to Python, and compares with none
            object.__setattr__(self, "valid_from", utc_day(self.valid_from))

    @property
    def exact(self) -> bool:
        """Whether it names one model rather than the beginning of several."""
        return not self.model_pattern.endswith("*")

    @cached_property
    def price(self) -> Price:
        """As the arithmetic takes it."""
        parts = [f"override: {self.provider}/{self.model_pattern}"]
        if self.source:
            parts.append(self.source)
        if self.valid_from:
            parts.append(f"since {self.valid_from}")
        rates = Rates(
            input=Rate(self.input_usd_per_mtok),
            output=Rate(self.output_usd_per_mtok),
            cached_input=_rate(self.cached_input_usd_per_mtok),
            cache_write=_rate(self.cache_write_usd_per_mtok),
        )
        return Price(rates, ", ".join(parts))

    @classmethod
    def from_mapping(cls, row: Mapping[str, object]) -> "PriceOverride":
        """From JSON or YAML: the attributes by name, prices as text (`"0.15"`), the day as `"2026-01-31"`.

        Raises:
            InvalidInput: An unknown or missing field, or a value that cannot be used.
        """
        unknown = row.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise InvalidInput(f"A price override has no field {', '.join(sorted(map(str, unknown)))}.")
        missing = [
            name for name in ("provider", "model_pattern", *_PRICES[:2]) if row.get(name) in (None, "")
        ]
        if missing:
            raise InvalidInput(f"A price override needs {', '.join(missing)}.")
        values: dict[str, Any] = {}
        for name, value in row.items():
            if value is None:
                continue
            if name in _PRICES:
                values[name] = _decimal(name, value)
            elif name == "valid_from":
                values[name] = _day(value)
            else:
                values[name] = str(value)
        return cls(**values)


class PriceOverrides:
    """Overrides in the order in which they are asked: the most specific that holds on the day.

    An exact name goes before a beginning, a longer beginning before a shorter one, then the latest
    `valid_from`, then the order in which they were given. Those of `below` (the ones shipped with the
    program) are asked only where none of these matches, however specific they are: an operator's word is the
    last.
    """

    def __init__(self, rows: Iterable[PriceOverride] = (), *, below: "PriceOverrides | None" = None) -> None:
        own = sorted(
            rows,
            key=lambda row: (
                not row.exact,
                -len(row.model_pattern),
                -(row.valid_from.toordinal() if row.valid_from else 0),
            ),
        )
        self.rows: Final = (*own, *(below.rows if below else ()))
        # Asked on every attempt, so that rows are split by provider and names lowered only once.
        self._by_provider: dict[str, list[tuple[str, PriceOverride]]] = {}
        for row in self.rows:
            name = row.model_pattern.lower().removesuffix("*")
            self._by_provider.setdefault(row.provider, []).append((name, row))

    def find(self, provider: str, *models: str, on: date) -> PriceOverride | None:
        """The override for a model that may go by several names, or None.

        Args:
            provider: As in the contract.
            models: The model's names.
            on: The day of the request, UTC.
        """
        rows = self._by_provider.get(provider)
        if rows is None:
            return None
        asked = [model.lower() for model in models]
        for name, row in rows:
            for model in asked:
                matches = model == name or (model.startswith(name) and not row.exact)
                if matches and (row.valid_from is None or row.valid_from <= on):
                    return row
        return None


NO_OVERRIDES: Final = PriceOverrides()


def load_overrides(path: Path) -> PriceOverrides:
    """Reads a YAML file with a list `overrides`, each entry as `PriceOverride.from_mapping` takes it.

    Raises:
        InvalidInput: Not such a file, or an entry that cannot be used, by its number.
    """
    import yaml  # not part of a run, so it is not part of an import

    try:
        content = cast("object", yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise InvalidInput(f"{path.name} cannot be read: {exc}") from exc
    listed = cast("dict[str, object]", content).get("overrides") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise InvalidInput(f"{path.name}: expected a list named 'overrides' (an empty one is []).")
    rows: list[PriceOverride] = []
    for number, row in enumerate(cast("list[object]", listed), start=1):
        if not isinstance(row, dict):
            raise InvalidInput(f"{path.name}, entry {number}: expected fields with values.")
        try:
            rows.append(PriceOverride.from_mapping(cast("dict[str, object]", row)))
        except InvalidInput as exc:
            raise InvalidInput(f"{path.name}, entry {number}: {exc}") from exc
    return PriceOverrides(rows)


def shipped_overrides() -> PriceOverrides:
    """Those in the project's `data/price_overrides.yaml`; none where the program runs without that folder.

    Raises:
        InvalidInput: As `load_overrides`.
    """
    return load_overrides(SHIPPED_FILE) if SHIPPED_FILE.exists() else NO_OVERRIDES


def utc_day(at: datetime) -> date:
    """The day in UTC; a time without a zone is UTC, as everywhere here."""
    return (at if at.tzinfo is None else at.astimezone(UTC)).date()


def _rate(usd_per_mtok: Decimal | None) -> Rate | None:
    return None if usd_per_mtok is None else Rate(usd_per_mtok)


def _decimal(name: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise InvalidInput(
            f'{name}: write the price as text, in quotes, such as "0.15"; a float is not exact.'
        )
    try:
        return Decimal(value)
    except InvalidOperation:
        raise InvalidInput(f'{name}: {str(value)[:40]!r} is not a decimal number such as "0.15".') from None


def _day(value: object) -> date:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise InvalidInput(f"valid_from: {str(value)[:40]!r} is not a day such as 2026-01-31.") from None
