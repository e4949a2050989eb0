"""Simulated providers that know the true price of every attempt, and the loads that guards are put under."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import splintr
from anthropic import Anthropic
from google import genai
from google.genai import types
from openai import AsyncOpenAI, OpenAI

from farthing import BudgetExceeded, CallRefused, guard
from farthing.simulator.behaviour import Behaviour
from farthing.simulator.server import SimulatorServer

Amount = int | str
LATENCY_MS = 200
PROMPT_TOKENS, ANSWER_TOKENS = 40_000, 10_000
# Real prompts are never counted to the last token by their writers: ours is a little shorter than billed.
COUNTED_TOKENS = 39_980

# Nanodollars a token, as the providers publish them; written down here so that the guard's own prices are
# checked too. Input, output, cached input, written for five minutes, written for an hour.
TRUE_PRICES = {
    "gpt-4o-2024-08-06": (2_500, 10_000, 1_250, 0, 0),
    "gpt-4o-mini-2024-07-18": (150, 600, 75, 0, 0),
    "text-embedding-3-small": (20, 0, 0, 0, 0),
    "claude-sonnet-4-5-20250929": (3_000, 15_000, 300, 3_750, 6_000),
    "gemini-2.5-flash": (300, 2_500, 30, 0, 0),
}


@dataclass(frozen=True)
class Outcome:
    """What a load came to: calls that were paid, answers that arrived, and the money on both sides."""

    paid: int
    answered: int
    true_dollars: Decimal
    booked_dollars: Decimal

    def __str__(self) -> str:
        lost = f", {self.paid - self.answered} lost" if self.paid > self.answered else ""
        return f"{self.paid} → {self.true_dollars:.2f} / {self.booked_dollars:.2f}{lost}"


class Stage:
    """One simulator and the text that is sent to it."""

    def __init__(self, server: SimulatorServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self._english = english()

    def openai(
        self,
        budget: Amount,
        *,
        timeout: float = 120,
        workflow_id: str | None = None,
        ledger: str | None = None,
    ) -> OpenAI:
        """A guarded client of OpenAI."""
        client = OpenAI(base_url=self.server.openai_url, api_key="any", timeout=timeout)
        return guard(client, budget=budget, environment="development", workflow_id=workflow_id, ledger=ledger)

    def async_openai(self, budget: Amount) -> AsyncOpenAI:
        """A guarded client for asyncio."""
        client = AsyncOpenAI(base_url=self.server.openai_url, api_key="any", timeout=120)
        return guard(client, budget=budget, environment="development")

    def anthropic(self, budget: Amount) -> Anthropic:
        """A guarded client of Anthropic."""
        client = Anthropic(base_url=self.server.url, api_key="any")
        return guard(client, budget=budget, environment="development")

    def google(self, budget: Amount) -> genai.Client:
        """A guarded client of Google."""
        client = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=self.server.url))
        return guard(client, budget=budget, environment="development")

    def long(self, number: int, told: str = "") -> dict[str, Any]:
        """A call of $0.20 with a prompt of 40,000 tokens of English."""
        return long_call(self._english, number, told)

    @property
    def paid(self) -> int:
        """How many calls a provider would charge for."""
        return sum(call.billed is not None for call in self.server.record.calls)

    @property
    def true_dollars(self) -> Decimal:
        """What they would charge, whatever anybody booked."""
        total = 0
        for call in self.server.record.calls:
            counts = call.billed
            if counts is None:
                continue
            inputs, outputs, cached, five_minutes, hour = TRUE_PRICES[call.model]
            plain = counts.input_tokens - counts.cached - counts.cache_write
            total += plain * inputs + counts.output_tokens * outputs + counts.cached * cached
            total += counts.cache_write_5m * five_minutes + counts.cache_write_1h * hour
        return Decimal(total) / 10**9

    def outcome(self, answered: int, booked: Decimal) -> Outcome:
        """What has happened since the curtain rose."""
        return Outcome(self.paid, answered, self.true_dollars, booked)

    def forget(self) -> None:
        """Begin a new column."""
        self.server.record.reset()


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    with SimulatorServer(Behaviour(latency_ms=LATENCY_MS)) as server:
        yield Stage(server, folder)


def english() -> str:
    """So much of this repository's own prose that a prompt has as many tokens as it should."""
    root = Path(__file__).parent.parent
    prose = "\n".join(
        file.read_text("utf-8") for file in [root / "README.md", *sorted(root.glob("docs/*.md"))]
    )
    prose = prose.replace("[[", "(")  # some of it tells how the simulator is directed
    tokens = splintr.Tokenizer.from_pretrained("o200k_base").encode_ordinary
    characters = len(text := prose * 5)
    while (counted := len(tokens(text[:characters]))) > COUNTED_TOKENS - 40:  # for what stands before it
        characters -= max((counted - COUNTED_TOKENS + 40) * 2, 1)
    return text[:characters]


def long_call(text: str, number: int, told: str = "") -> dict[str, Any]:
    told = f"[[sim input={PROMPT_TOKENS} output={ANSWER_TOKENS} {told}]] Question {number}. "
    return {"model": "gpt-4o", "messages": said(told + text), "max_tokens": ANSWER_TOKENS}


def count_no_tokens() -> None:
    """Go on as if the extra ``tokens`` were not installed, so that bytes are the bound."""
    sys.modules["splintr"] = None  # type: ignore[assignment]


def said(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def booked(client: object) -> Decimal:
    spent: Decimal = client.farthing.spent  # type: ignore[attr-defined]
    return spent


def asked(ask: Callable[[], object]) -> bool:
    """Whether a call was answered rather than refused."""
    try:
        ask()
    except (BudgetExceeded, CallRefused):
        return False
    return True


def in_a_row(ask: Callable[[int], object], count: int) -> int:
    return sum(asked(lambda number=number: ask(number)) for number in range(count))  # type: ignore[misc]


def in_threads(ask: Callable[[int], object], count: int = 50) -> int:
    """Start all at one barrier; none of them carries a context."""
    barrier = threading.Barrier(count)

    def one(number: int) -> bool:
        barrier.wait()
        return asked(lambda: ask(number))

    with ThreadPoolExecutor(count) as pool:
        return sum(pool.map(one, range(count)))


def in_tasks(client: AsyncOpenAI, request: Callable[[int], dict[str, Any]], count: int = 50) -> int:
    async def one(number: int) -> bool:
        try:
            await client.chat.completions.create(**request(number))
        except BudgetExceeded:
            return False
        return True

    async def all_at_once() -> int:
        async with client:
            return sum(await asyncio.gather(*(one(number) for number in range(count))))

    return asyncio.run(all_at_once())
