"""Prices for runs, forms and settings: the catalogue with the project's overrides above it."""

import time
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from core.contract import AgentRequest, AgentResponse
from core.pricing.catalogue import find_model, known_models
from core.pricing.cost import ModelPrice, PriceOverride, PriceOverrides, TokenCost, nothing_billed, price_tokens
from core.pricing.estimate import Estimate, estimate
from core.services.principal import Principal
from core.storage.records import PriceOverrideRecord
from core.storage.store import Store

_OVERRIDES_TTL_SECONDS = 5.0


class PriceService:
    """Overrides are read again after five seconds, so that other processes' changes arrive."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: dict[str, tuple[float, PriceOverrides]] = {}

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
            base_url=request.base_url,
        )
