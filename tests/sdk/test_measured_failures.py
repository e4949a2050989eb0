"""What a guard got wrong that was measured, asked of ours: the money that it counts, rows 1 to 9."""

import asyncio
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest

from farthing import BudgetExceeded, CallRefused, guard
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import entries_of, messages, report_of
from tests.sdk.entrances import ANTHROPIC, OPENAI, Entrance, read

# gpt-4o: input and output of these cost $0.02 and so on, half of it each.
COSTS = {"0.02": (4_000, 1_000), "0.20": (40_000, 10_000)}


def prompt(input_tokens: int, output_tokens: int, *words: str) -> str:
    """A text of so many tokens, less what stands around it, that is billed as exactly so many."""
    told = " ".join(("sim", f"input={input_tokens}", f"output={output_tokens}", *words))
    return f"[[{told}]]" + "word " * (input_tokens - 60)


def plain(simulator: SimulatorServer, **more: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=simulator.openai_url, api_key="any", timeout=60, **more)


def guarded(simulator: SimulatorServer, budget: Any, **more: Any) -> openai.OpenAI:
    return guard(plain(simulator), budget=budget, **more)


def claude(simulator: SimulatorServer, budget: Any, **more: Any) -> anthropic.Anthropic:
    return guard(anthropic.Anthropic(base_url=simulator.url, api_key="any"), budget=budget, **more)


def ask(client: openai.OpenAI, text: str = "hello", model: str = "gpt-4o", **more: Any) -> bool:
    try:
        client.chat.completions.create(model=model, messages=messages(text), **more)
    except BudgetExceeded:
        return False
    return True


# ── 1: fifty at once ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("cost", COSTS)
def test_row_1_fifty_threads_spend_fifty_cents_and_no_more(simulator: SimulatorServer, cost: str) -> None:
    client, (taken, given) = guarded(simulator, "$0.50"), COSTS[cost]
    text = prompt(taken, given, "latency_ms=200")
    with ThreadPoolExecutor(50) as pool:
        made = sum(pool.map(lambda _: ask(client, text, max_tokens=given), range(50)))
    most = int(Decimal("0.50") / Decimal(cost))
    assert most - 1 <= made <= most
    assert len(simulator.record.calls) == made
    assert report_of(client).spent <= Decimal("0.50")


@pytest.mark.parametrize("cost", COSTS)
def test_row_1_fifty_tasks_spend_fifty_cents_and_no_more(simulator: SimulatorServer, cost: str) -> None:
    base = openai.AsyncOpenAI(base_url=simulator.openai_url, api_key="any", timeout=60)
    client, (taken, given) = guard(base, budget="$0.50"), COSTS[cost]
    asked: dict[str, Any] = {
        "model": "gpt-4o",
        "messages": messages(prompt(taken, given, "latency_ms=200")),
        "max_tokens": given,
    }

    async def fifty() -> list[Any]:
        async with client:
            asking = (client.chat.completions.create(**asked) for _ in range(50))
            return await asyncio.gather(*asking, return_exceptions=True)

    answers = asyncio.run(fifty())
    refused = [answer for answer in answers if isinstance(answer, BudgetExceeded)]
    made = len(answers) - len(refused)
    most = int(Decimal("0.50") / Decimal(cost))
    assert most - 1 <= made <= most
    assert len(simulator.record.calls) == made
    assert report_of(client).spent <= Decimal("0.50")


# ── 2: one after the other, each dearer than what is left ───────────────────────────────────────


def test_row_2_a_call_that_does_not_fit_is_not_made_or_made_smaller(simulator: SimulatorServer) -> None:
    client = guarded(simulator, "$0.50")
    text = prompt(82_000, 20_500)  # $0.205 and $0.205
    assert ask(client, text, max_tokens=20_500)
    assert report_of(client).spent == Decimal("0.41")
    assert not ask(client, text, max_tokens=20_500)
    assert len(simulator.record.calls) == 1


def test_row_2_one_call_a_hundred_times_as_dear_as_the_budget_is_not_made(
    simulator: SimulatorServer,
) -> None:
    client = guarded(simulator, "$0.05")
    assert not ask(client, prompt(200_000, 64_000), model="o1", max_completion_tokens=64_000)
    assert not simulator.record.calls
    assert report_of(client).spent == 0


# ── 3: sums ─────────────────────────────────────────────────────────────────────────────────────


def test_row_3_ten_times_five_cents_is_fifty_and_an_eleventh_is_refused(simulator: SimulatorServer) -> None:
    client = guarded(simulator, "$0.51", at_limit="refuse")
    text = "[[sim input=20 output=4995]] hello"  # 20 × $2.50 and 4,995 × $10 for a million: $0.05
    assert [ask(client, text, max_tokens=4_995) for _ in range(11)] == [True] * 10 + [False]
    assert report_of(client).spent == Decimal("0.50")
    assert report_of(client).remaining == Decimal("0.01")


# ── 4: streams ──────────────────────────────────────────────────────────────────────────────────

STANDARD: dict[str, Any] = {"model": "gpt-4o", "messages": messages("[[sim input=4000 output=1000]] hello")}
SONNET: dict[str, Any] = {**STANDARD, "model": "claude-sonnet-4-6", "max_tokens": 2_000}
STREAMS: dict[str, tuple[Callable[[Any], object], str]] = {
    "create": (lambda client: client.chat.completions.create(**STANDARD, stream=True), "0.02"),
    "create with usage": (
        lambda client: client.chat.completions.create(
            **STANDARD, stream=True, stream_options={"include_usage": True}
        ),
        "0.02",
    ),
    "stream": (lambda client: client.chat.completions.stream(**STANDARD), "0.02"),
    "messages.create": (lambda client: client.messages.create(**SONNET, stream=True), "0.027"),
    "messages.stream": (lambda client: client.messages.stream(**SONNET), "0.027"),
}


@pytest.mark.parametrize("stream", STREAMS)
def test_row_4_every_stream_is_counted_in_full(simulator: SimulatorServer, stream: str) -> None:
    opens, cost = STREAMS[stream]
    client: Any = claude(simulator, 5) if stream.startswith("messages") else guarded(simulator, 5)
    for _ in range(10):
        read(opens(client))
    assert report_of(client).spent == 10 * Decimal(cost)
    assert report_of(client).held == 0


# ── 5 and 6: the other entrances of a client whose money is spent ────────────────────────────────


def test_row_5_every_entrance_of_openai_is_shut_once_the_money_is_spent(simulator: SimulatorServer) -> None:
    client = guarded(simulator, "$0.02")
    assert ask(client, "[[sim output=3000 ignore_cap]] hello", max_tokens=1_900)  # paid for, so booked
    assert_shut(client, OPENAI, simulator)


def test_row_5_responses_are_counted(simulator: SimulatorServer) -> None:
    client = guarded(simulator, 5)
    for _ in range(50):
        client.responses.create(model="gpt-4o", input="[[sim input=4000 output=1000]] hello")
    assert report_of(client).spent == 1
    assert report_of(client).calls == 50


def test_row_6_every_entrance_of_anthropic_is_shut_once_the_money_is_spent(
    simulator: SimulatorServer,
) -> None:
    client = claude(simulator, "$0.01")
    client.messages.create(
        model="claude-haiku-4-5",
        max_tokens=1_900,
        messages=messages("[[sim output=3000 ignore_cap]] hello"),
    )
    assert_shut(client, ANTHROPIC, simulator)


def assert_shut(client: Any, entrances: tuple[Entrance, ...], simulator: SimulatorServer) -> None:
    """Ask for more than is left at each entrance; nothing of it may leave."""
    sent, spent = len(simulator.record.calls), report_of(client).spent
    through = []
    for entrance in entrances:
        try:
            read(entrance.ask(client))
            through.append(entrance.name)
        except BudgetExceeded:
            continue
    assert through == []
    assert len(simulator.record.calls) == sent
    assert report_of(client).spent == spent


# ── 7: cached tokens ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("told", "cost"),
    [
        ("input=100500 cached=100000 output=500", "0.039"),
        ("input=100500 cache_write=100000 output=500", "0.384"),
    ],
)
def test_row_7_what_anthropic_reads_and_writes_in_its_cache_has_its_price(
    simulator: SimulatorServer, told: str, cost: str
) -> None:
    client = claude(simulator, 1)
    client.messages.create(
        model="claude-sonnet-4-6", max_tokens=500, messages=messages(f"[[sim {told}]] hello")
    )
    assert report_of(client).spent == Decimal(cost)


def test_row_7_what_openai_reads_from_its_cache_has_its_price(simulator: SimulatorServer) -> None:
    client = guarded(simulator, 1)
    ask(client, "[[sim input=100000 cached=99000 output=500]] hello")
    assert report_of(client).spent == Decimal("0.13125")


# ── 8: models that the other did not know ───────────────────────────────────────────────────────


@pytest.mark.parametrize("model", ["gpt-4", "gpt-4.1", "gpt-5", "o4-mini", "gpt-5.4-mini"])
def test_row_8_models_of_openai_have_their_price(simulator: SimulatorServer, model: str) -> None:
    client = guarded(simulator, 5)
    assert ask(client, "[[sim input=4000 output=1000]] hello", model=model)
    assert report_of(client).spent >= Decimal("0.001")


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-sonnet-4-20250514"])
def test_row_8_models_of_anthropic_have_their_price(simulator: SimulatorServer, model: str) -> None:
    client = claude(simulator, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the SDK's, of models that are going
        client.messages.create(**{**SONNET, "model": model})
    assert report_of(client).spent >= Decimal("0.009")


@pytest.mark.parametrize("model", ["ft:gpt-4o:acme::x1", "our-deployment", "gpt-5.4-mini-mini"])
def test_row_8_what_has_no_price_is_not_called(simulator: SimulatorServer, model: str) -> None:
    with pytest.raises(CallRefused) as caught:
        ask(guarded(simulator, 5), model=model)
    assert caught.value.reason == "unpriced_model"
    assert f'"{model}"' in str(caught.value)  # with the line that gives it a price
    assert not simulator.record.calls


def test_row_8_the_name_of_a_family_is_no_model_and_has_no_price(simulator: SimulatorServer) -> None:
    with pytest.raises(CallRefused) as caught:
        claude(simulator, 5).messages.create(**{**SONNET, "model": "claude-haiku"})
    assert caught.value.reason == "unpriced_model"
    assert not simulator.record.calls


def test_row_8_a_fallback_without_a_price_is_never_served(simulator: SimulatorServer) -> None:
    client = guarded(simulator, "$0.105", fallback="nobody-knows-me")
    made = sum(ask(client, "[[sim output=1000]] hello", max_tokens=1_000) for _ in range(50))
    assert made == len(simulator.record.calls) <= 11
    assert {row.model_served for row in entries_of(client) if row.outcome == "settled"} == {"gpt-4o"}
    assert Decimal("0.10") < report_of(client).spent <= Decimal("0.105")


# ── 9: warn ─────────────────────────────────────────────────────────────────────────────────────


def test_row_9_warn_counts_on_beyond_the_limit(simulator: SimulatorServer) -> None:
    client = guarded(simulator, "$0.02", on_limit="warn")
    text = "[[sim input=4000 output=1000]] hello"
    assert all(ask(client, text) for _ in range(50))
    assert report_of(client).spent == 1
    assert report_of(client).calls == 50
    assert report_of(client).remaining == Decimal("-0.98")


def test_row_9_warn_keeps_to_the_fallback(simulator: SimulatorServer) -> None:
    client = guarded(simulator, "$0.02", on_limit="warn", fallback="gpt-4o-mini")
    for _ in range(30):
        ask(client, "[[sim input=4000 output=1000]] hello", max_tokens=1_000)
    served = [row.model_served for row in reversed(entries_of(client))]
    first = served.index("gpt-4o-mini")
    assert first <= 2
    assert set(served[first:]) == {"gpt-4o-mini"}
