"""The vendors' dialects by the provider's name."""

from collections.abc import Mapping
from typing import Final

from tests.contract.dialects.anthropic import AnthropicDialect
from tests.contract.dialects.base import Dialect
from tests.contract.dialects.bedrock import BedrockDialect
from tests.contract.dialects.gemini import GeminiDialect
from tests.contract.dialects.ollama import OllamaDialect
from tests.contract.dialects.openai import OpenAIDialect

DIALECTS: Final[Mapping[str, Dialect]] = {
    dialect.provider: dialect
    for dialect in (
        BedrockDialect(),
        AnthropicDialect(),
        OpenAIDialect(),
        GeminiDialect(),
        OllamaDialect(),
    )
}
