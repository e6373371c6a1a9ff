"""The official Anthropic SDK, bare: nothing is stored, priced or checked."""

import time

from anthropic import Anthropic, AsyncAnthropic, DefaultAioHttpClient
from anthropic.types import MessageParam
from harness import contend, model, server

MODEL = model()
SYSTEM = "You are brief."
client = Anthropic(api_key="sk-bench", base_url=server(), max_retries=0)
on_httpx = AsyncAnthropic(api_key="sk-bench", base_url=server(), max_retries=0)


def messages(prompt: str) -> list[MessageParam]:
    return [{"role": "user", "content": prompt}]


def complete(prompt: str) -> None:
    answer = client.messages.create(model=MODEL, max_tokens=2_000, system=SYSTEM, messages=messages(prompt))
    assert answer.content[0].type == "text" and answer.content[0].text and answer.usage.output_tokens


def stream(prompt: str) -> float:
    started, first, text = time.perf_counter(), 0.0, []
    for event in client.messages.create(
        model=MODEL, max_tokens=2_000, system=SYSTEM, messages=messages(prompt), stream=True
    ):
        if event.type == "content_block_delta" and event.delta.type == "text_delta":
            first = first or time.perf_counter() - started
            text.append(event.delta.text)
    assert len(text) == 500
    return first


async def ask(asked: AsyncAnthropic, prompt: str) -> None:
    answer = await asked.messages.create(
        model=MODEL, max_tokens=2_000, system=SYSTEM, messages=messages(prompt)
    )
    assert answer.content[0].type == "text" and answer.content[0].text and answer.usage.output_tokens


async def async32(prompt: str) -> None:
    await ask(on_httpx, prompt)


on_aiohttp: list[AsyncAnthropic] = []


async def aiohttp32(prompt: str) -> None:
    if not on_aiohttp:  # aiohttp wants the running loop when it is made
        on_aiohttp.append(
            AsyncAnthropic(
                api_key="sk-bench", base_url=server(), max_retries=0, http_client=DefaultAioHttpClient()
            )
        )
    await ask(on_aiohttp[0], prompt)


async def close() -> None:
    for asked in on_aiohttp:
        await asked.close()


contend(
    complete=complete,
    stream=stream,
    asynchronous={"async32": async32, "aiohttp32": aiohttp32},
    close=close,
)
