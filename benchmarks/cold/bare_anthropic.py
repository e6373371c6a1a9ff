"""A handler with the Anthropic SDK and nothing else."""

from anthropic import Anthropic


def handle(event, context):
    del context
    client = Anthropic(api_key=event["api_key"], base_url=event["base_url"], max_retries=0)
    messages = [{"role": "user", "content": event["prompt"]}]
    answer = client.messages.create(
        model=event["model_name"], max_tokens=2_000, system=event["system_prompt"], messages=messages
    )
    return {"response": answer.content[0].text}
