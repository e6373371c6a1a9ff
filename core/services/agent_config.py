"""What a version of an agent holds: everything about how to ask, and nothing of what is asked."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from core.contract import AgentType, Name, ReasoningEffort, Text
from core.errors import InvalidInput
from core.execution.choice import BackendChoice
from core.faults import faults_in

_LEFT_OPEN: Final[Mapping[str, object]] = {"backend": BackendChoice.AUTO.value, "retry_on_unknown": False}


class AgentConfig(BaseModel):
    """A configuration; immutable, stored with each version, exported as YAML.

    Prompts may hold `{{variables}}`; `variables` gives those a value that stands where a run gives none. What is None
    is not sent. There is no key here: `credential_id` names a stored one; without it the provider's only stored
    credential serves, and else the vendor SDK's own variable.

    Where it runs (`backend`), and whether it runs again where nobody knows whether AWS Lambda completed it
    (`retry_on_unknown`: it may be billed twice), are no part of a request.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    provider: Name
    model_name: Name
    agent_type: AgentType = "one-shot"
    system_prompt: Annotated[Text, Field(max_length=500_000)] = ""
    prompt: Annotated[Text, Field(max_length=2_000_000)] = ""
    variables: dict[Name, Text] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    stop: list[str] | None = None
    seed: int | None = None
    reasoning_effort: ReasoningEffort | None = None
    response_schema: dict[str, JsonValue] | None = None
    context: dict[str, JsonValue] | None = None
    base_url: Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2_000)] | None = None
    credential_id: UUID | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=900)] | None = None
    backend: BackendChoice = BackendChoice.AUTO
    retry_on_unknown: bool = False

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Reads a configuration from outside.

        Raises:
            InvalidInput: Naming each fault.
        """
        try:
            return cls.model_validate(dict(data))
        except ValidationError as exc:
            faults = faults_in(exc, whole="configuration", fields=cls.model_fields)
            raise InvalidInput(f"The configuration is not valid: {faults}.") from None

    def is_of(self, version: Self, *, chat: bool = False) -> bool:
        """Whether a run by this is one of the version that holds `version`.

        The variables' standing values do not matter; nor does, in a chat, the prompt: the questions stand in its place.
        """
        aside: dict[str, Any] = {"variables": None, "prompt": ""} if chat else {"variables": None}
        return self.model_copy(update=aside) == version.model_copy(update=aside)

    def to_json(self) -> dict[str, Any]:
        """The configuration without unset fields; where it runs is among them as long as it is left to the settings."""
        fields = self.model_dump(mode="json", exclude_none=True)
        return {name: value for name, value in fields.items() if _LEFT_OPEN.get(name) != value}
