"""The vendors' dialects by the provider's name.

A package that adds a provider has the suite run for it, and for it alone, by naming its dialect in the environment:
`CONTRACT_DIALECTS=module:Class` (several with blanks between). See `docs/adding-a-provider.md`.
"""

import os
from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Final

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

_OTHERS: Final[Mapping[str, Dialect]] = {
    dialect.provider: dialect
    for dialect in (resolve_name(name)() for name in os.environ.get(OTHERS_VARIABLE, "").split())
}

DIALECTS: Final = _OTHERS or BUILT_IN
"""Those that the suite runs for."""
