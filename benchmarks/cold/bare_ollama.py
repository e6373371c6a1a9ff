"""A handler with the Ollama SDK and nothing else."""

from ollama import Client


def handle(event, context):
    del context
    messages = [
        {"role": "system", "content": event["system_prompt"]},
        {"role": "user", "content": event["prompt"]},
    ]
    answer = Client(host=event["base_url"]).chat(model=event["model_name"], messages=messages)
    return {"response": answer.message.content}
