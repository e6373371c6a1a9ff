"""What a request asks for beyond text, and the refusal of what its provider or its model cannot take."""

from typing import Final

from core.contract import AgentRequest
from core.errors import InvalidRequest
from core.providers.spec import Feature, ProviderSpec

_IN_REQUESTS: Final = {
    Feature.IMAGES: "images (attachments)",
    Feature.DOCUMENTS: "documents (PDF attachments)",
}
"""What the contract has no parameter of that name for."""


def features_used(request: AgentRequest) -> frozenset[Feature]:
    """What the request asks for beyond text."""
    used: dict[Feature, bool] = {
        Feature.TEMPERATURE: request.temperature is not None,
        Feature.TOP_P: request.top_p is not None,
        Feature.STOP: bool(request.stop),
        Feature.SEED: request.seed is not None,
        Feature.MAX_TOKENS: request.max_tokens is not None,
        Feature.RESPONSE_SCHEMA: request.response_schema is not None,
        Feature.REASONING_EFFORT: request.reasoning_effort is not None,
        Feature.IMAGES: any(a.media_type.startswith("image/") for a in request.attachments or ()),
        Feature.DOCUMENTS: any(a.media_type == "application/pdf" for a in request.attachments or ()),
        Feature.BASE_URL: request.base_url is not None,
    }
    return frozenset(feature for feature, is_used in used.items() if is_used)


def require_features(spec: ProviderSpec, request: AgentRequest) -> None:
    """Refuses a request that uses what the provider or the model cannot take.

    Raises:
        InvalidRequest: Naming each parameter, and the provider or the model.
    """
    used = features_used(request)
    if not used:
        return
    if missing := used - spec.features:
        raise InvalidRequest(
            f"{spec.name} does not take {_names(missing)}. Leave it out, or choose another provider."
        )
    types = {attachment.media_type for attachment in request.attachments or ()}
    if unreadable := sorted(types & spec.unreadable):
        raise InvalidRequest(
            f"{spec.name} does not read {', '.join(unreadable)}. Convert the attachment, or choose another "
            "provider."
        )
    rule = spec.rule_for(request.model_name, base_url=request.base_url)
    if rule is None:
        return
    if missing := used & rule.without:
        raise InvalidRequest(
            f"The model {request.model_name} does not take {_names(missing)}. "
            "Leave it out, or choose another model."
        )
    if rule.reasons(request.reasoning_effort) and (missing := used & rule.without_while_reasoning):
        raise InvalidRequest(
            f"The model {request.model_name} takes {_names(missing)} only with reasoning_effort 'none'. "
            "Leave it out, or switch reasoning off."
        )
    effort = request.reasoning_effort
    if effort is not None and rule.efforts is not None and effort not in rule.efforts:
        raise InvalidRequest(
            f"The model {request.model_name} does not take reasoning_effort {effort!r}. "
            f"Use one of {', '.join(rule.efforts)}, leave it out, or choose another model."
        )


def _names(features: frozenset[Feature]) -> str:
    return ", ".join(sorted(_IN_REQUESTS.get(feature, feature.value) for feature in features))
