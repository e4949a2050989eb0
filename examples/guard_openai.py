"""Put a budget around OpenAI's own client in two lines; the gateway is not needed for this."""

import os

import openai

from farthing import BudgetExceeded, guard

client = guard(
    openai.OpenAI(base_url=os.getenv("OPENAI_BASE_URL")), budget=0.01, downgrade_model="gpt-4o-mini"
)

answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Say hello."}])
print("answer:", answer.choices[0].message.content)
print("served by:", answer.model)
print("budget:", client.farthing)  # type: ignore[attr-defined]

# At the limit the call is not made: one exception, at the first try, of the SDK's own kind.
try:
    while True:
        client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Tell me a long story."}]
        )
except BudgetExceeded as exceeded:
    print("refused:", exceeded.reason.value, isinstance(exceeded, openai.RateLimitError))
