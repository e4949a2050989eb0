"""Call models with OpenAI's own client through farthing, and see what each call cost."""

import os

import openai

client = openai.OpenAI(base_url=os.environ["FARTHING_URL"] + "/v1", api_key=os.environ["FARTHING_KEY"])

# A label says what a call was for; reports and budgets can tell them apart.
answer = client.chat.completions.with_raw_response.create(
    model="gpt-4o-mini",
    messages=[{"role": "user", "content": "Say hello."}],
    max_tokens=100,
    extra_headers={"X-Metering-Tags": '{"feature": "quickstart"}'},
)
print("answer:", answer.parse().choices[0].message.content)
print("cost in USD:", answer.headers["x-farthing-cost-usd"])

# The cost of a stream is known at its end: it stands at /api/calls under the id of the call.
with client.chat.completions.with_streaming_response.create(
    model="gpt-4o-mini", messages=[{"role": "user", "content": "Count to three."}], stream=True
) as stream:
    print("stream:", sum(line.startswith("data: {") for line in stream.iter_lines()), "chunks")
    call_id = stream.headers["x-farthing-call-id"]
entry = client.get(f"{os.environ['FARTHING_URL']}/api/calls/{call_id}", cast_to=dict[str, object])
print("cost in nanodollars:", entry["cost_nanodollars"])

# A refusal is an error of the client's own kind; nothing was sent and nothing was spent.
try:
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Say hello."}])
except openai.APIStatusError as refusal:
    print("refused:", refusal.response.headers["x-farthing-refusal"])
