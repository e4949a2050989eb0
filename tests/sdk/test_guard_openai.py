"""OpenAI's own client, guarded at its transport."""

import gc
import pickle
from decimal import Decimal
from typing import Any

import openai
import pytest

from farthing import BudgetExceeded, CallRefused, GuardError, guard
from farthing.domain.errors import Reason
from farthing.simulator.server import SimulatorServer
from tests.running import wait_until
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


def test_what_cannot_be_metered_cannot_be_called(simulator: SimulatorServer) -> None:
    client = guarded(simulator)
    with pytest.raises(openai.PermissionDeniedError, match="cannot be metered"):
        client.images.generate(model="gpt-image-1", prompt="a coin")
    with pytest.raises(CallRefused, match="WebSocket"), client.realtime.connect(model="gpt-realtime"):
        pass
    assert not simulator.record.calls


def test_reading_costs_nothing_and_passes(simulator: SimulatorServer) -> None:
    client = guarded(simulator, budget=0)
    assert list(client.models.list())
    assert entries_of(client) == []


def test_each_retry_of_the_sdk_is_an_attempt_of_its_own(simulator: SimulatorServer) -> None:
    client = guarded(simulator).with_options(max_retries=2, timeout=0.3)
    with pytest.raises(openai.APITimeoutError):
        ask(client, "hello [[sim hang]]", max_tokens=500)
    rows = entries_of(client)
    assert [(row.assumed, row.assumed_rule) for row in rows] == [(True, "timed_out")] * 3
    assert sorted(row.facts.attempt for row in rows) == [1, 2, 3]
    assert len({row.facts.request_id for row in rows}) == 1


def test_a_provider_that_was_never_reached_costs_nothing() -> None:
    client = guard(openai.OpenAI(base_url="http://127.0.0.1:1/v1", api_key="any", max_retries=0), budget=1)
    with pytest.raises(openai.APIConnectionError):
        ask(client)
    assert [row.outcome for row in entries_of(client)] == ["void"]
    assert report_of(client).remaining == 1


def test_an_answer_without_usage_is_assumed_and_still_delivered(simulator: SimulatorServer) -> None:
    client = guarded(simulator)
    answer = ask(client, "hello [[sim no_usage text=paid]]", max_tokens=500)
    assert answer.choices[0].message.content
    (entry,) = entries_of(client)
    assert (entry.assumed, entry.cost_nanodollars) == (True, entry.ceiling_nanodollars)


def test_an_error_of_the_provider_reaches_the_caller_and_costs_nothing(simulator: SimulatorServer) -> None:
    client = guarded(simulator).with_options(max_retries=0)
    with pytest.raises(openai.BadRequestError):
        ask(client, "hello [[sim status=400]]")
    (entry,) = entries_of(client)
    assert (entry.status, entry.cost_nanodollars) == (400, 0)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_an_encoded_answer_is_read_by_the_meter_and_by_the_caller(
    simulator: SimulatorServer, encoding: str
) -> None:
    client = guarded(simulator)
    assert ask(client, f"hello [[sim {encoding} output=7]]").usage.completion_tokens == 7
    (entry,) = entries_of(client)
    assert entry.usage is not None and entry.usage.output_tokens == 7


@pytest.mark.parametrize("how", ["break", "collected", "unread"])
def test_a_stream_that_nobody_reads_to_its_end_is_booked(simulator: SimulatorServer, how: str) -> None:
    client = guarded(simulator)
    stream = ask(client, "hello [[sim output=500]]", stream=True, max_tokens=600)
    if how == "break":
        for _ in stream:
            break
    elif how == "collected":
        next(stream)
    del stream
    gc.collect()
    wait_until(lambda: [row.assumed for row in entries_of(client)] == [True])
    assert report_of(client).held == 0


def test_the_last_event_comes_only_after_the_settlement(simulator: SimulatorServer) -> None:
    client = guarded(simulator)
    held = [report_of(client).held for _ in ask(client, stream=True)]
    assert all(amount > 0 for amount in held)
    assert report_of(client).held == 0


def test_a_guarded_client_is_not_guarded_twice(simulator: SimulatorServer) -> None:
    with pytest.raises(GuardError, match="already"):
        guard(guarded(simulator), budget=1)
