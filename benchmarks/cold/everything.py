"""A handler that imports all five SDKs and pydantic-ai, as one does that imports at the top, and asks OpenAI."""

import anthropic
import bare_openai
import boto3
import ollama
import pydantic_ai
from google import genai

LOADED = (anthropic, boto3, ollama, pydantic_ai, genai)


def handle(event, context):
    return bare_openai.handle(event, context)
