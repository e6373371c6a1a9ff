"""The vendors' dialects by the provider's name.

A package that adds a provider has the suite run for it, and for it alone, by naming its dialect in the environment:
`CONTRACT_DIALECTS=module:Class` (several with blanks between). See `docs/adding-a-provider.md`.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pkgutil import resolve_name
from typing import Final

from typing_extensions import override

from tests.contract.dialects.anthropic import AnthropicDialect
from tests.contract.dialects.base import Dialect
from tests.contract.dialects.bedrock import BedrockDialect
from tests.contract.dialects.gemini import GeminiDialect
from tests.contract.dialects.ollama import OllamaDialect
from tests.contract.dialects.openai import OpenAIDialect

OTHERS_VARIABLE: Final = "CONTRACT_DIALECTS"

BUILT_IN: Final[Mapping[str, Dialect]] = {
    dialect.provider: dialect
    for dialect in (
        BedrockDialect(),
        AnthropicDialect(),
        OpenAIDialect(),
        GeminiDialect(),
        OllamaDialect(),
    )
}


class _Named(Mapping[str, Dialect]):
    """Imported when they are first asked for: their modules import this package."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    @cached_property
    def _found(self) -> Mapping[str, Dialect]:
        dialects: list[Dialect] = [resolve_name(name)() for name in self._names]
        return {dialect.provider: dialect for dialect in dialects}

    @override
    def __getitem__(self, provider: str) -> Dialect:
        return self._found[provider]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    @override
    def __len__(self) -> int:
        return len(self._found)


_names = os.environ.get(OTHERS_VARIABLE, "").split()

DIALECTS: Final = _Named(_names) if _names else BUILT_IN
"""Those that the suite runs for."""
