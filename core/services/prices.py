"""Prices for runs, forms and settings: the catalogue, with the project's overrides above it."""

import os
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from uuid import UUID

from core.contract import AgentRequest, AgentResponse, user_text
from core.pricing.catalogue import ModelPrice, find_model, known_models
from core.pricing.cost import TokenCost, nothing_billed, price_tokens
from core.pricing.estimate import Estimate, estimate
from core.pricing.overrides import PriceOverride, PriceOverrides, shipped_overrides
from core.providers import registry
from core.services.principal import Principal
from core.storage.records import PriceOverrideRecord
from core.storage.store import Store

_OVERRIDES_TTL_SECONDS = 5.0


class PriceService:
    """Overrides are read again after five seconds, so that another process's changes arrive."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: dict[str, tuple[float, PriceOverrides]] = {}

    @cached_property
    def _shipped(self) -> PriceOverrides:
        return shipped_overrides()

    # Runs

    def price_attempt(
        self, project_id: str, request: AgentRequest, response: AgentResponse, *, at: datetime
    ) -> TokenCost | None:
        """What the attempt's tokens cost; None is unknown. Never raises for a missing price."""
        if response.token_usage is None and response.error is not None and response.error.may_be_billed is False:
            return nothing_billed()
        return price_tokens(
            request.provider,
            request.model_name,
            response.token_usage,
            at=at,
            overrides=self._overrides(project_id),
            base_url=effective_base_url(request.provider, request.base_url),
            answered_by_model=response.model,
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
            base_url=effective_base_url(provider, base_url),
        )

    def known_models(self, principal: Principal, provider: str, *, base_url: str | None = None) -> list[ModelPrice]:
        """All models of the provider that the catalogue or an override names, by name."""
        return known_models(
            provider,
            overrides=self._overrides(principal.project_id),
            base_url=effective_base_url(provider, base_url),
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
            base_url=effective_base_url(provider, base_url),
        )

    # Overrides

    def list_overrides(self, principal: Principal) -> Sequence[PriceOverrideRecord]:
        """The project's own, newest first."""
        return self._store.price_overrides.list(principal.project_id)

    def add_override(
        self,
        principal: Principal,
        *,
        provider: str,
        model_pattern: str,
        input_usd_per_mtok: Decimal,
        output_usd_per_mtok: Decimal,
        cached_input_usd_per_mtok: Decimal | None = None,
        cache_write_usd_per_mtok: Decimal | None = None,
        valid_from: date | None = None,
        note: str = "",
    ) -> PriceOverrideRecord:
        """Stores a price that goes before the catalogue's. It holds for runs from now on; past runs keep theirs.

        Args:
            model_pattern: A model's name, or its beginning and `*`.
            note: Where the price comes from; stored with each run that it prices.

        Raises:
            InvalidInput, UnknownProvider, StoreError: Nothing was stored.
        """
        registry.get_spec(provider)
        checked = PriceOverride(
            provider=provider,
            model_pattern=model_pattern.strip(),
            input_usd_per_mtok=input_usd_per_mtok,
            output_usd_per_mtok=output_usd_per_mtok,
            cached_input_usd_per_mtok=cached_input_usd_per_mtok,
            cache_write_usd_per_mtok=cache_write_usd_per_mtok,
            valid_from=valid_from,
            source=note.strip(),
        )
        record = self._store.price_overrides.create(
            principal.project_id,
            provider=checked.provider,
            model_pattern=checked.model_pattern,
            input_usd_per_mtok=f"{input_usd_per_mtok:f}",
            output_usd_per_mtok=f"{output_usd_per_mtok:f}",
            cached_input_usd_per_mtok=_text(cached_input_usd_per_mtok),
            cache_write_usd_per_mtok=_text(cache_write_usd_per_mtok),
            valid_from=None if valid_from is None else datetime(valid_from.year, valid_from.month, valid_from.day, tzinfo=UTC),
            note=checked.source,
            by=principal.id,
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
        if cached is not None and now - cached[0] < _OVERRIDES_TTL_SECONDS:
            return cached[1]
        rows = [_override(record) for record in self._store.price_overrides.list(project_id)]
        overrides = PriceOverrides(rows, below=self._shipped)
        self._cache[project_id] = (now, overrides)
        return overrides


def effective_base_url(provider: str, base_url: str | None) -> str | None:
    """The server that a request goes to, if it is not the vendor's own: the request's, else the SDK's variable's."""
    if base_url:
        return base_url
    spec = registry.specs().get(provider)
    return os.environ.get(spec.base_url_variable) or None if spec and spec.base_url_variable else None


def texts_of(request: AgentRequest) -> list[str]:
    """Everything of a request that costs input tokens, for an estimate."""
    texts = [request.system_prompt or "", *(message.content for message in request.messages or ())]
    return [*texts, user_text(request.prompt or "", request.context)]


def _override(record: PriceOverrideRecord) -> PriceOverride:
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


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _text(number: Decimal | None) -> str | None:
    return None if number is None else f"{number:f}"
