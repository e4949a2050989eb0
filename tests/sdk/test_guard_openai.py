"""OpenAI's own client, guarded at its transport."""

import pickle
from decimal import Decimal
from typing import Any

import openai
import pytest

from farthing import BudgetExceeded, guard
from farthing.domain.errors import Reason
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import entries_of, messages, report_of


def plain(simulator: SimulatorServer, **more: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=simulator.openai_url, api_key="any", **more)


def guarded(simulator: SimulatorServer, budget: Any = "$5", **more: Any) -> openai.OpenAI:
    return guard(plain(simulator), budget=budget, **more)


def ask(client: openai.OpenAI, text: str = "hello", model: str = "gpt-4o-mini", **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=messages(text), **more)


def test_a_guarded_client_is_a_genuine_one(simulator: SimulatorServer) -> None:
    client = guarded(simulator)
    assert type(client) is openai.OpenAI
    with client as same:
        assert same is client


def test_a_call_is_metered_to_the_nanodollar(simulator: SimulatorServer) -> None:
    client = guarded(simulator)
    ask(client, "hello [[sim input=30 cached=10 output=500]]")
    # 20 fresh × 150 + 10 cached × 75 + 500 output × 600
    assert report_of(client).spent == Decimal("0.00030375")
    assert report_of(client).remaining == Decimal("4.99969625")
    assert report_of(client).held == 0
    assert report_of(client).limit == 5
    assert report_of(client).calls == 1


def test_a_stream_is_metered_and_the_caller_sees_no_chunk_it_did_not_ask_for(
    simulator: SimulatorServer,
) -> None:
    client = guarded(simulator)
    chunks = list(ask(client, "hello [[sim input=30 output=500]]", stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    assert report_of(client).spent == Decimal("0.0003045")


def test_the_limit_raises_both_types_after_one_try(simulator: SimulatorServer) -> None:
    client = guarded(simulator, budget=0)
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client)
    assert isinstance(caught.value, BudgetExceeded)
    assert caught.value.reason is Reason.BUDGET_EXCEEDED
    assert caught.value.code == "insufficient_quota"
    assert caught.value.limit == 0
    assert not simulator.record.calls
    assert len(entries_of(client)) == 1


def test_the_exception_crosses_process_borders(simulator: SimulatorServer) -> None:
    with pytest.raises(BudgetExceeded) as caught:
        ask(guarded(simulator, budget=0))
    copied = pickle.loads(pickle.dumps(caught.value))
    assert type(copied) is type(caught.value)
    assert (copied.refusal, str(copied)) == (caught.value.refusal, str(caught.value))


def test_a_stream_that_is_closed_early_is_assumed_at_its_ceiling(simulator: SimulatorServer) -> None:
    client = guarded(simulator)
    stream = ask(client, "hello [[sim input=10 output=500]]", stream=True, max_tokens=600)
    next(stream)
    assert report_of(client).held > 0
    stream.close()
    (entry,) = entries_of(client)
    assert (entry.assumed, entry.assumed_rule) == (True, "drain_expired")
    assert entry.cost_nanodollars == entry.ceiling_nanodollars
    assert report_of(client).held == 0
