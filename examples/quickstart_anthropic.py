"""Call models with Anthropic's own client through farthing, and see what each call cost."""

import os

import anthropic

client = anthropic.Anthropic(base_url=os.environ["FARTHING_URL"], api_key=os.environ["FARTHING_KEY"])

# A label says what a call was for; reports and budgets can tell them apart.
answer = client.messages.with_raw_response.create(
    model="claude-haiku-4-5",
    messages=[{"role": "user", "content": "Say hello."}],
    max_tokens=100,
    extra_headers={"X-Metering-Tags": '{"feature": "quickstart"}'},
)
print("answer:", "".join(block.text for block in answer.parse().content if block.type == "text"))
print("cost in USD:", answer.headers["x-farthing-cost-usd"])

with client.messages.stream(
    model="claude-haiku-4-5", messages=[{"role": "user", "content": "Count to three."}], max_tokens=100
) as stream:
    print("stream:", "".join(stream.text_stream))

# A refusal is an error of the client's own kind; nothing was sent and nothing was spent.
try:
    client.messages.create(
        model="claude-opus-4-1", messages=[{"role": "user", "content": "Say hello."}], max_tokens=100
    )
except anthropic.APIStatusError as refusal:
    print("refused:", refusal.response.headers["x-farthing-refusal"])
