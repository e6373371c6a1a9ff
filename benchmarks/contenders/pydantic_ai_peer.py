"""A pydantic-ai `Agent` on its OpenAI model, one agent for all calls."""

import time

from harness import EventLoop, contend, model, server
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

one_after_another = EventLoop()


def new_agent():
    """An agent with a client of its own, for one event loop."""
    client = AsyncOpenAI(api_key="sk-bench", base_url=f"{server()}/v1", max_retries=0)
    chat = OpenAIChatModel(model(), provider=OpenAIProvider(openai_client=client))
    return Agent(chat, instructions="You are brief.")


async def complete(agent, prompt: str) -> None:
    result = await agent.run(prompt)
    assert result.output


async def stream(agent, prompt: str) -> float:
    started, first, text = time.perf_counter(), 0.0, ""
    async with agent.run_stream(prompt) as result:
        async for piece in result.stream_text(delta=True, debounce_by=None):
            first = first or time.perf_counter() - started
            text += piece
    assert len(text) > 2_000, len(text)
    return first


first_agent, second_agent = new_agent(), new_agent()
contend(
    complete=lambda prompt: one_after_another.run(complete(first_agent, prompt)),
    stream=lambda prompt: one_after_another.run(stream(first_agent, prompt)),
    asynchronous={
        "complete32": lambda prompt: complete(second_agent, prompt),
        "stream32": lambda prompt: stream(second_agent, prompt),
    },
)
