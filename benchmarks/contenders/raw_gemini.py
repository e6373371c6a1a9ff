"""The official Google SDK, bare: nothing is stored, priced or checked. Its coroutines use aiohttp if there is one."""

import time

from google import genai
from google.genai import types
from harness import contend, model, server

MODEL = model()
client = genai.Client(api_key="sk-bench", http_options=types.HttpOptions(base_url=server()))
CONFIG = types.GenerateContentConfig(system_instruction="You are brief.")


def complete(prompt: str) -> None:
    answer = client.models.generate_content(model=MODEL, contents=prompt, config=CONFIG)
    assert answer.text and answer.usage_metadata


def stream(prompt: str) -> float:
    started, first, text = time.perf_counter(), 0.0, []
    for chunk in client.models.generate_content_stream(model=MODEL, contents=prompt, config=CONFIG):
        if piece := chunk.text:
            first = first or time.perf_counter() - started
            text.append(piece)
    assert len(text) == 500
    return first


async def async32(prompt: str) -> None:
    answer = await client.aio.models.generate_content(model=MODEL, contents=prompt, config=CONFIG)
    assert answer.text and answer.usage_metadata


contend(complete=complete, stream=stream, asynchronous={"async32": async32})
