"""The official OpenAI SDK, bare: nothing is stored, priced or checked."""

import time

from harness import contend, model, server
from openai import AsyncOpenAI, DefaultAioHttpClient, OpenAI
from openai.types.chat import ChatCompletionMessageParam

MODEL = model()
base_url = f"{server()}/v1"
client = OpenAI(api_key="sk-bench", base_url=base_url, max_retries=0)
on_httpx = AsyncOpenAI(api_key="sk-bench", base_url=base_url, max_retries=0)


def messages(prompt: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "system", "content": "You are brief."}, {"role": "user", "content": prompt}]


def complete(prompt: str) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=messages(prompt))
    assert answer.choices[0].message.content and answer.usage


def stream(prompt: str) -> float:
    started, first, text = time.perf_counter(), 0.0, []
    for chunk in client.chat.completions.create(
        model=MODEL, messages=messages(prompt), stream=True, stream_options={"include_usage": True}
    ):
        if chunk.choices and chunk.choices[0].delta.content:
            first = first or time.perf_counter() - started
            text.append(chunk.choices[0].delta.content)
    assert len(text) == 500
    return first


async def ask(asked: AsyncOpenAI, prompt: str) -> None:
    answer = await asked.chat.completions.create(model=MODEL, messages=messages(prompt))
    assert answer.choices[0].message.content and answer.usage


async def async32(prompt: str) -> None:
    await ask(on_httpx, prompt)


on_aiohttp: list[AsyncOpenAI] = []


async def aiohttp32(prompt: str) -> None:
    if not on_aiohttp:  # aiohttp wants the running loop when it is made
        on_aiohttp.append(
            AsyncOpenAI(
                api_key="sk-bench", base_url=base_url, max_retries=0, http_client=DefaultAioHttpClient()
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
