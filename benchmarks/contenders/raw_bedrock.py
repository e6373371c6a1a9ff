"""boto3's Converse, bare: nothing is stored, priced or checked. Requests are signed; it has no coroutines."""

import time
from typing import Any

import boto3
from botocore.config import Config
from harness import THREADS, contend, model, server

MODEL = model()
# Its pool holds 10 connections unless told otherwise, and threads beyond them open a new one for each call.
client: Any = boto3.client(
    "bedrock-runtime",
    region_name="us-east-1",
    endpoint_url=server(),
    config=Config(max_pool_connections=THREADS, retries={"total_max_attempts": 1}),
)


def asked(prompt: str) -> dict[str, Any]:
    return {
        "modelId": MODEL,
        "system": [{"text": "You are brief."}],
        "messages": [{"role": "user", "content": [{"text": prompt}]}],
    }


def complete(prompt: str) -> None:
    answer = client.converse(**asked(prompt))
    assert answer["output"]["message"]["content"][0]["text"] and answer["usage"]["outputTokens"]


def stream(prompt: str) -> float:
    started, first, text = time.perf_counter(), 0.0, []
    for event in client.converse_stream(**asked(prompt))["stream"]:
        if "contentBlockDelta" in event:
            first = first or time.perf_counter() - started
            text.append(event["contentBlockDelta"]["delta"]["text"])
    assert len(text) == 500
    return first


contend(complete=complete, stream=stream)
