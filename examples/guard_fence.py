"""Put a budget around a function: every model call inside is on it, whoever built the client."""

import os

import openai

from farthing import BudgetExceeded, Fence

fence = Fence(budget="$0.005", model_fallback="gpt-4o-mini", labels={"user_id": 42})


def agent(question: str) -> str:
    """Stands for code that you did not write; it makes its own client."""
    client = openai.OpenAI(base_url=os.getenv("OPENAI_BASE_URL"))
    answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": question}])
    return answer.choices[0].message.content or ""


@fence.guard
def handle(question: str) -> str:
    return agent(question)


@fence.guard
def runaway() -> None:
    while True:
        try:
            agent("Again!")
        except Exception:  # noqa: BLE001, S112 - the loop this example warns of
            continue


print("answer:", handle("Say hello."))
try:
    runaway()
except BudgetExceeded as exceeded:
    print("stopped:", exceeded.reason.value)
