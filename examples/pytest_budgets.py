"""Tests with budgets: run with  pytest examples/pytest_budgets.py  and see what each of them spent."""

import os

import openai
import pytest

from farthing.sdk.client_maker import ClientMaker
from farthing.sdk.context import Scope


def summarize(document: str) -> str:
    """Stands for the code under test; it makes its own client."""
    client = openai.OpenAI(base_url=os.getenv("OPENAI_BASE_URL"))
    asked = f"Summarize: {document}"
    answer = client.chat.completions.create(
        model="gpt-4o-mini", max_tokens=200, messages=[{"role": "user", "content": asked}]
    )
    return answer.choices[0].message.content or ""


@pytest.mark.ai_budget(0.10)
def test_a_summary(farthing_fence: Scope) -> None:
    assert summarize("It was a dark and stormy night.")
    assert farthing_fence.calls == 1


def test_with_a_guarded_client(farthing_client: ClientMaker) -> None:
    client = farthing_client(downgrade_model="gpt-4o-mini")
    answer = client.chat.completions.create(
        model="gpt-4o", max_tokens=200, messages=[{"role": "user", "content": "Say hello."}]
    )
    assert answer.model.startswith("gpt-4o-mini")


@pytest.mark.xfail(reason="it runs away, and its budget ends it", strict=True)
@pytest.mark.ai_budget("$0.001")
def test_that_runs_away() -> None:
    while True:
        summarize("Once more!")
