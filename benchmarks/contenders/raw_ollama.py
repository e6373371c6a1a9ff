"""The official Ollama SDK, bare: nothing is stored or checked."""

import time

from harness import contend, model, server
from ollama import AsyncClient, Client

MODEL = model()
client = Client(host=server())
on_httpx = AsyncClient(host=server())


def messages(prompt: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "You are brief."}, {"role": "user", "content": prompt}]


def complete(prompt: str) -> None:
    answer = client.chat(model=MODEL, messages=messages(prompt))
    assert answer.message.content and answer.eval_count


def stream(prompt: str) -> float:
    started, first, text = time.perf_counter(), 0.0, []
    for chunk in client.chat(model=MODEL, messages=messages(prompt), stream=True):
        if chunk.message.content:
            first = first or time.perf_counter() - started
            text.append(chunk.message.content)
    assert len(text) == 500
    return first


async def async32(prompt: str) -> None:
    answer = await on_httpx.chat(model=MODEL, messages=messages(prompt))
    assert answer.message.content and answer.eval_count


contend(complete=complete, stream=stream, asynchronous={"async32": async32})
