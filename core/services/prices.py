"""Prices for runs, forms and settings: the catalogue, with the project's overrides above it."""

import json
import re
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from importlib.metadata import version
from typing import NotRequired, TypedDict, Unpack
from uuid import UUID

from core.contract import AgentRequest, AgentResponse, TokenUsage, user_text, utc_now
from core.errors import InvalidInput, StoreError
from core.loggers import get_logger
from core.pricing.catalogue import ModelPrice, find_model, known_models
from core.pricing.cost import TokenCost, nothing_billed, price_tokens
from core.pricing.estimate import Estimate, estimate
from core.pricing.overrides import NO_OVERRIDES, PriceOverride, PriceOverrides, shipped_overrides
from core.providers import registry
from core.services.principal import Principal
from core.storage.records import PriceColumns, PriceOverrideRecord
from core.storage.store import Store

log = get_logger("agent_launcher.prices")

OVERRIDES_TTL_SECONDS = 5.0


class PriceAsked(TypedDict):
    """A price as an operator gives it: US dollars per million tokens, exact: decimal numbers, or text such as "0.15".

    Attributes:
        model_pattern: A model's name, or its beginning and `*`.
        cached_input_usd_per_mtok, cache_write_usd_per_mtok: None or empty costs as other input.
        note: Where the price comes from; stored with each run that it prices.
    """

    provider: str
    model_pattern: str
    input_usd_per_mtok: Decimal | str
    output_usd_per_mtok: Decimal | str
    cached_input_usd_per_mtok: NotRequired[Decimal | str | None]
    cache_write_usd_per_mtok: NotRequired[Decimal | str | None]
    valid_from: NotRequired[date | None]
    note: NotRequired[str]


class PriceService:
    """Overrides are read again after five seconds, so that another process's changes arrive."""

    def __init__(self, store: Store, *, overrides_ttl_seconds: float = OVERRIDES_TTL_SECONDS) -> None:
        self._store = store
        self._overrides_ttl_seconds = overrides_ttl_seconds
        self._cache: dict[str, tuple[float, PriceOverrides]] = {}

    @cached_property
    def _shipped(self) -> PriceOverrides:
        try:
            return shipped_overrides()
        except InvalidInput as exc:
            log.error("the price overrides that come with the program are left out: %s", exc)
            return NO_OVERRIDES

    # Runs

    def price_attempt(
        self, project_id: str, request: AgentRequest, response: AgentResponse, *, at: datetime
    ) -> TokenCost | None:
        """What the attempt's tokens cost; None is unknown. Never raises: pricing must not fail a run.

        While the database cannot be read, the overrides last read hold; without any the price is unknown,
        since the catalogue's could be wrong for this project.
        """
        if response.billed_nothing:
            return nothing_billed()
        try:
            overrides = self._overrides(project_id)
        except StoreError as exc:
            stale = self._cache.get(project_id)
            if stale is None:
                log.warning("an attempt is left without a price: %s", exc)
                return None
            overrides = stale[1]
        return price_tokens(
            request.provider,
            request.model_name,
            response.token_usage,
            at=at,
            overrides=overrides,
            base_url=_server(request.provider, request.base_url),
            answered_by_model=response.model,
            service_tier=response.service_tier,
        )

    # Forms

    def find_model(
        self, principal: Principal, provider: str, model: str, *, base_url: str | None = None
    ) -> ModelPrice | None:
        """The model's price and context size; None if nothing is known of it."""
        return find_model(
            provider,
            model,
            overrides=self._overrides(principal.project_id),
            base_url=_server(provider, base_url),
        )

    def known_models(
        self, principal: Principal, provider: str, *, base_url: str | None = None
    ) -> list[ModelPrice]:
        """All models of the provider that the catalogue or an override names, by name."""
        return known_models(
            provider,
            overrides=self._overrides(principal.project_id),
            base_url=_server(provider, base_url),
        )

    def estimate(
        self,
        principal: Principal,
        *,
        provider: str,
        model: str,
        texts: Iterable[str],
        max_tokens: int | None = None,
        expected_output_tokens: int | None = None,
        attachments: int = 0,
        base_url: str | None = None,
    ) -> Estimate:
        """The range in which a request's cost should lie, before it is sent."""
        return estimate(
            provider,
            model,
            texts=texts,
            overrides=self._overrides(principal.project_id),
            max_tokens=max_tokens,
            expected_output_tokens=expected_output_tokens,
            attachments=attachments,
            base_url=_server(provider, base_url),
        )

    def quote(
        self,
        principal: Principal,
        *,
        provider: str,
        model: str,
        usage: TokenUsage,
        base_url: str | None = None,
    ) -> TokenCost | None:
        """What a request with exactly this usage would cost now; None is unknown."""
        return price_tokens(
            provider,
            model,
            usage,
            at=utc_now(),
            overrides=self._overrides(principal.project_id),
            base_url=_server(provider, base_url),
        )

    def catalogue_version(self) -> str:
        """Which catalogue the prices come from."""
        return f"genai-prices {version('genai-prices')}"

    # Overrides

    def list_overrides(self, principal: Principal) -> Sequence[PriceOverrideRecord]:
        """The project's own, newest first."""
        return self._store.price_overrides.list(principal.project_id)

    def add_override(
        self,
        principal: Principal,
        **asked: Unpack[PriceAsked],
    ) -> PriceOverrideRecord:
        """Stores a price that goes before the catalogue's, for runs from now on; past runs keep theirs.

        Raises:
            InvalidInput, UnknownProvider, StoreError: Nothing was stored.
        """
        record = self._store.price_overrides.create(
            principal.project_id,
            **_columns(**asked),
            by=principal.id,
        )
        self._cache.pop(principal.project_id, None)
        return record

    def edit_override(
        self,
        principal: Principal,
        override_id: UUID,
        **asked: Unpack[PriceAsked],
    ) -> PriceOverrideRecord:
        """Puts another price in its place, for runs from now on; past runs keep theirs. As `add_override`.

        Raises:
            InvalidInput, UnknownProvider, NotFound, StoreError: It is as it was.
        """
        record = self._store.price_overrides.update(
            principal.project_id,
            override_id,
            **_columns(**asked),
        )
        self._cache.pop(principal.project_id, None)
        return record

    def delete_override(self, principal: Principal, override_id: UUID) -> None:
        """Removes one; runs already priced keep their price. Raises NotFound."""
        self._store.price_overrides.delete(principal.project_id, override_id)
        self._cache.pop(principal.project_id, None)

    def _overrides(self, project_id: str) -> PriceOverrides:
        cached = self._cache.get(project_id)
        now = time.monotonic()
        if cached is not None and now - cached[0] < self._overrides_ttl_seconds:
            return cached[1]
        rows = [_override(record) for record in self._store.price_overrides.list(project_id)]
        overrides = PriceOverrides((row for row in rows if row is not None), below=self._shipped)
        self._cache[project_id] = (now, overrides)
        return overrides


def _server(provider: str, base_url: str | None) -> str | None:
    spec = registry.specs().get(provider)
    return base_url if spec is None else spec.base_url_in_force(base_url)


def texts_of(request: AgentRequest) -> list[str]:
    """Everything of a request that costs input tokens, for an estimate."""
    texts = [request.system_prompt or "", *(message.content for message in request.messages or ())]
    schema = (
        "" if request.response_schema is None else json.dumps(request.response_schema, ensure_ascii=False)
    )
    return [*texts, user_text(request.prompt or "", request.context), schema]


def _override(record: PriceOverrideRecord) -> PriceOverride | None:
    try:
        return PriceOverride(
            provider=record.provider,
            model_pattern=record.model_pattern,
            input_usd_per_mtok=Decimal(record.input_usd_per_mtok),
            output_usd_per_mtok=Decimal(record.output_usd_per_mtok),
            cached_input_usd_per_mtok=_decimal(record.cached_input_usd_per_mtok),
            cache_write_usd_per_mtok=_decimal(record.cache_write_usd_per_mtok),
            valid_from=record.valid_from.date() if record.valid_from else None,
            source=record.note,
        )
    except (InvalidInput, ArithmeticError) as exc:
        # Not of this program's making: `add_override` checks. One such row must not take all prices away.
        log.error("the price override %s is left out: %s", record.id, exc)
        return None


def _columns(
    *,
    provider: str,
    model_pattern: str,
    input_usd_per_mtok: Decimal | str,
    output_usd_per_mtok: Decimal | str,
    cached_input_usd_per_mtok: Decimal | str | None = None,
    cache_write_usd_per_mtok: Decimal | str | None = None,
    valid_from: date | None = None,
    note: str = "",
) -> PriceColumns:
    if registry.get_spec(provider).offline:
        raise InvalidInput(f"{provider} costs nothing: a price for it would never be used.")
    checked = PriceOverride(
        provider=provider,
        model_pattern=model_pattern.strip(),
        input_usd_per_mtok=_required("input price", input_usd_per_mtok),
        output_usd_per_mtok=_required("output price", output_usd_per_mtok),
        cached_input_usd_per_mtok=_parsed("cached input price", cached_input_usd_per_mtok),
        cache_write_usd_per_mtok=_parsed("cache write price", cache_write_usd_per_mtok),
        valid_from=valid_from,
        source=note.strip(),
    )
    day = checked.valid_from
    return PriceColumns(
        provider=checked.provider,
        model_pattern=checked.model_pattern,
        input_usd_per_mtok=f"{checked.input_usd_per_mtok:f}",
        output_usd_per_mtok=f"{checked.output_usd_per_mtok:f}",
        cached_input_usd_per_mtok=_text(checked.cached_input_usd_per_mtok),
        cache_write_usd_per_mtok=_text(checked.cache_write_usd_per_mtok),
        valid_from=None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC),
        note=checked.source,
    )


def _required(name: str, value: Decimal | str) -> Decimal:
    parsed = _parsed(name, value)
    if parsed is None:
        raise InvalidInput(f"Give the {name}: US dollars per million tokens, 0 if it is free.")
    return parsed


def _parsed(name: str, value: Decimal | str | None) -> Decimal | None:
    if value is None or isinstance(value, Decimal):
        return value
    text = value.strip().removeprefix("$").strip()
    if not text:
        return None
    # Decimal also reads "1e3", "NaN" and "1_000", which nobody means who types a price.
    if not re.fullmatch(r"\d{1,9}(\.\d{1,12})?|\.\d{1,12}", text, re.ASCII):
        hint = " Write a point, not a comma." if "," in text else ""
        raise InvalidInput(
            f"The {name} {text[:40]!r} is not a number of US dollars per million tokens, such as 0.15.{hint}"
        )
    return Decimal(text)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _text(number: Decimal | None) -> str | None:
    return None if number is None else f"{number:f}"
