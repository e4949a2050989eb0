"""Run a snippet of somebody's code as it stands, with the names it expects to find."""

from decimal import Decimal
from typing import Any

import openai
import pytest

from farthing.sdk.context import Scope
from farthing.sdk.instrument import _desk
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import messages

Names = dict[str, Any]

# gpt-4o: 30,000 tokens of input and 7,500 of output cost $0.15; twice as many cost $0.30.
FIFTEEN_CENTS = "[[sim input=30000 output=7500]]" + "word " * 29_980
THIRTY_CENTS = "[[sim input=60000 output=15000]]" + "word " * 59_980


def run(snippet: str, **names: Any) -> Names:
    """Execute a snippet and return all that it names."""
    found: Names = dict(names)
    exec(compile(snippet, "snippet", "exec"), found)
    return found


@pytest.fixture
def surroundings(simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> SimulatorServer:
    """What a snippet finds: a key and an address in the variables that the SDK reads."""
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.openai_url)
    return simulator


class Agent:
    """Answers with a model of its own choice, through a client that it builds for itself, deep inside."""

    def __init__(self, model: str = "gpt-4o", cap: int | None = None) -> None:
        self.model = model
        self.cap = cap

    async def run(self, text: str) -> str:
        async with openai.AsyncOpenAI(max_retries=0) as client:
            answer = await client.chat.completions.create(
                model=self.model, messages=messages(text), max_tokens=self.cap
            )
        return answer.choices[0].message.content or ""


class Llm(Agent):
    """Is paid for each attempt, and gives back nothing that could be used."""

    def __init__(self, prompt: str, cap: int) -> None:
        super().__init__(cap=cap)
        self.prompt = prompt
        self.attempts = 0

    async def complete(self, task: str) -> str:
        self.attempts += 1
        await self.run(self.prompt + task)
        raise ConnectionError("what came back was cut in the middle")


def spent_in(scope: Scope) -> Decimal:
    """What the budget of a fence has settled."""
    store = _desk("openai", scope.url, scope.environment, scope.shared).runtime.store
    (balance,) = store.balances(budget=scope.budget.name)
    return Decimal(balance.settled) / 1_000_000_000
