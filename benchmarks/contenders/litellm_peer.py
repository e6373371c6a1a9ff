"""`litellm.completion`, which stores nothing unless callbacks are added."""

import sys
import time
from typing import Any

import litellm
from harness import contend, server

SETTINGS: dict[str, dict[str, Any]] = {
    "OPENAI": {"model": "openai/gpt-4o-mini", "api_base": f"{server()}/v1"},
    "ANTHROPIC": {"model": "anthropic/claude-haiku-4-5", "api_base": server(), "max_tokens": 2_000},
    "GEMINI": {"model": "gemini/gemini-2.5-flash", "api_base": server()},
    "OLLAMA": {"model": "ollama_chat/gemma4", "api_base": server()},
    "BEDROCK": {
        "model": "bedrock/converse/anthropic.claude-haiku-4-5-20251001-v1:0",
        "aws_bedrock_runtime_endpoint": server(),
        "aws_region_name": "us-east-1",
    },
}
FIXED = SETTINGS[sys.argv[2]] | {"num_retries": 0}
if sys.argv[2] != "BEDROCK":
    FIXED["api_key"] = "sk-bench"


def messages(prompt: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "You are brief."}, {"role": "user", "content": prompt}]


def complete(prompt: str) -> None:
    answer = litellm.completion(**FIXED, messages=messages(prompt))
    assert answer.choices[0].message.content and answer.usage


def stream(prompt: str) -> float:
    started, first, pieces = time.perf_counter(), 0.0, 0
    for chunk in litellm.completion(
        **FIXED, messages=messages(prompt), stream=True, stream_options={"include_usage": True}
    ):
        if chunk.choices and chunk.choices[0].delta.content:
            first = first or time.perf_counter() - started
            pieces += 1
    assert pieces == 500, pieces
    return first


contend(complete=complete, stream=stream)
