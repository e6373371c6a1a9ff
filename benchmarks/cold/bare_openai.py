"""A handler with the OpenAI SDK and nothing else."""

from openai import OpenAI


def handle(event, context):
    del context
    client = OpenAI(api_key=event["api_key"], base_url=event["base_url"], max_retries=0)
    messages = [
        {"role": "system", "content": event["system_prompt"]},
        {"role": "user", "content": event["prompt"]},
    ]
    answer = client.chat.completions.create(model=event["model_name"], messages=messages)
    return {"response": answer.choices[0].message.content}
