"""Which vendors aimock speaks for, and where."""

from typing import Final

VENDORS: Final = (
    ("BEDROCK", "us.anthropic.claude-sonnet-4-6", ""),
    ("ANTHROPIC", "claude-sonnet-4-6", ""),
    ("OPENAI", "gpt-4o", "/v1"),
    ("GEMINI", "gemini-3.8-flash", "/v1beta"),
    ("OLLAMA", "gemma4", ""),
)
"""The provider, a model of it, and what its base URL has after aimock's address."""
