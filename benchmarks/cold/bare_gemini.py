"""A handler with Google's SDK and nothing else."""

from google import genai
from google.genai import types


def handle(event, context):
    del context
    client = genai.Client(
        api_key=event["api_key"], http_options=types.HttpOptions(base_url=event["base_url"])
    )
    config = types.GenerateContentConfig(system_instruction=event["system_prompt"])
    answer = client.models.generate_content(
        model=event["model_name"], contents=event["prompt"], config=config
    )
    return {"response": answer.text}
