"""Fences: a budget around code, whatever clients the code inside builds for itself."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

from farthing import BudgetExceeded, Fence, GuardError, carry, guard
from farthing.sdk.context import Scope, active_scopes
from farthing.sdk.instrument import _desk
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import entries_of, messages

# gpt-4o: 15,000 tokens of output cost $0.15; the few of input come on top.
FIFTEEN_CENTS = "[[sim input=0 output=15000]] hello"


class Agent:
    """Builds its own client, deep inside, as agents do."""

    def __init__(self, simulator: SimulatorServer) -> None:
        self._url = simulator.openai_url
        self.simulator = simulator

    def run(self, text: str = "hello [[sim output=100]]", model: str = "gpt-4o-mini", **more: Any) -> str:
        with openai.OpenAI(base_url=self._url, api_key="any", max_retries=0) as client:
            answer = client.chat.completions.create(model=model, messages=messages(text), **more)
        return answer.choices[0].message.content or ""

    async def run_async(self, text: str = "hello [[sim output=100]]", **more: Any) -> str:
        async with openai.AsyncOpenAI(base_url=self._url, api_key="any", max_retries=0) as client:
            answer = await client.chat.completions.create(
                model="gpt-4o-mini", messages=messages(text), **more
            )
        return answer.choices[0].message.content or ""

    def fifteen_cents(self) -> str:
        return self.run(FIFTEEN_CENTS, model="gpt-4o", max_tokens=15_000)


@pytest.fixture
def agent(simulator: SimulatorServer) -> Agent:
    return Agent(simulator)


def spent_in(scope: Scope) -> Decimal:
    store = _desk("openai", scope.url, scope.environment, scope.shared).runtime.store
    (balance,) = store.balances(budget=scope.budget.name)
    return Decimal(balance.settled) / 1_000_000_000


def test_a_call_of_a_client_that_nobody_wrapped_is_on_the_fence(agent: Agent) -> None:
    with Fence(budget="$0.50") as scope:
        agent.run()
    assert scope.calls == 1
    assert spent_in(scope) > Decimal("0.00006")
    assert not active_scopes()


def test_without_a_fence_nothing_is_metered(agent: Agent) -> None:
    with Fence(budget=1) as scope:
        agent.run()
    agent.run()
    assert scope.calls == 1


def test_clients_of_all_three_sdks_are_on_one_fence(simulator: SimulatorServer, agent: Agent) -> None:
    with Fence(budget=1) as scope:
        agent.run()
        anthropic.Anthropic(base_url=simulator.url, api_key="any").messages.create(
            model="claude-haiku-4-5", max_tokens=300, messages=messages("hello")
        )
        google = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=simulator.url))
        google.models.generate_content(model="gemini-2.5-flash-lite", contents="hello")
        asyncio.run(_ask_gemini(google))
    assert scope.calls == 4


async def _ask_gemini(client: genai.Client) -> None:
    await client.aio.models.generate_content(model="gemini-2.5-flash-lite", contents="hello")


def test_functions_async_functions_and_methods_can_be_fenced(agent: Agent) -> None:
    fence, seen = Fence(budget=1), []

    @fence.guard
    def plain() -> str:
        seen.append(active_scopes()[-1])
        return agent.run()

    @fence.guard
    async def asynchronous() -> str:
        seen.append(active_scopes()[-1])
        return await agent.run_async()

    class Thing:
        @fence.guard
        def method(self) -> str:
            seen.append(active_scopes()[-1])
            return agent.run()

    plain()
    asyncio.run(asynchronous())
    Thing().method()
    assert [scope.calls for scope in seen] == [1, 1, 1]


def test_generators_are_fenced_while_they_run_and_their_readers_are_not(agent: Agent) -> None:
    fence, seen = Fence(budget=1), []

    @fence.guard
    def generator() -> Iterator[str]:
        seen.append(active_scopes()[-1])
        yield agent.run()
        assert active_scopes()
        yield agent.run()

    @fence.guard
    async def async_generator() -> AsyncIterator[str]:
        seen.append(active_scopes()[-1])
        yield await agent.run_async()

    async def read() -> None:
        async for _ in async_generator():
            assert not active_scopes()

    for _ in generator():
        assert not active_scopes()
    asyncio.run(read())
    assert [scope.calls for scope in seen] == [2, 1]


def test_each_run_has_a_budget_of_its_own(agent: Agent) -> None:
    @Fence(budget="$0.20").guard
    def once() -> str:
        return agent.fifteen_cents()

    assert [bool(once()) for _ in range(3)] == [True] * 3


def test_a_retry_storm_ends_at_once(agent: Agent, simulator: SimulatorServer) -> None:
    tries = []

    @Fence(budget="$0.50").guard
    def storm() -> None:
        for attempt in range(50):
            tries.append(attempt)
            try:
                agent.fifteen_cents()
            except Exception:  # noqa: BLE001 - as in the loops that this is about
                time.sleep(0.01)

    with pytest.raises(BudgetExceeded):
        storm()
    assert len(simulator.record.calls) <= 4
    assert len(tries) <= 7


def test_a_swallowed_refusal_is_raised_again(agent: Agent) -> None:
    def careless() -> str:
        try:
            return agent.run()
        except openai.OpenAIError:
            return "as if nothing had happened"

    with pytest.raises(BudgetExceeded):
        Fence(budget=0).guard(careless)()
    with pytest.raises(BudgetExceeded), Fence(budget=0):
        careless()


def test_once_shut_it_stays_shut(agent: Agent, simulator: SimulatorServer) -> None:
    with pytest.raises(BudgetExceeded), Fence(budget="$0.001"):
        with pytest.raises(BudgetExceeded):
            agent.run("hello", model="gpt-4o", max_tokens=5_000, stop=None, n=30)
        with pytest.raises(BudgetExceeded):
            agent.run("hello", max_tokens=1)  # this one would fit
    assert not simulator.record.calls


def test_a_child_cannot_spend_more_than_its_parent_has_left(agent: Agent) -> None:
    with pytest.raises(BudgetExceeded), Fence(budget="$0.20", labels={"team": "a", "role": "parent"}):
        agent.fifteen_cents()
        with Fence(budget="$5", labels={"role": "child"}) as child:
            assert child.labels == {"team": "a", "role": "child"}
            agent.fifteen_cents()  # clamped to what the parent has left
            agent.fifteen_cents()


def test_model_fallback_takes_the_place_of_dearer_models(agent: Agent, simulator: SimulatorServer) -> None:
    with Fence(budget=1, model_fallback="gpt-4o-mini"):
        agent.run(model="gpt-4o")
        agent.run(model="gpt-4.1-nano")
    asked = [str(call.model).partition("-20")[0] for call in simulator.record.calls]
    assert asked == ["gpt-4o-mini", "gpt-4.1-nano"]


def test_a_guarded_client_inside_a_fence_is_on_both_and_booked_once(simulator: SimulatorServer) -> None:
    client = guard(openai.OpenAI(base_url=simulator.openai_url, api_key="any"), budget=1)
    with Fence(budget="$0.50", labels={"user_id": 7}) as scope:
        client.chat.completions.create(model="gpt-4o-mini", messages=messages("hello"))
    (entry,) = entries_of(client)
    assert len(entry.accounts) == 2 and scope.calls == 1
    assert dict(entry.facts.labels) == {"user_id": "7"}


def test_tasks_are_inside_and_threads_where_they_are_carried(agent: Agent) -> None:
    async def several() -> None:
        await asyncio.gather(*(asyncio.create_task(agent.run_async()) for _ in range(3)))

    with Fence(budget=1) as scope:
        asyncio.run(several())
        with ThreadPoolExecutor(2) as pool:
            for running in [pool.submit(carry(agent.run)) for _ in range(2)]:
                running.result()
        thread = threading.Thread(target=carry(agent.run))
        thread.start()
        thread.join()
    assert scope.calls == 6


def test_retries_are_bounded_by_count_and_money(agent: Agent) -> None:
    runs: list[int] = []

    def failing(budget: str, retries: int, times: int) -> None:
        runs.clear()

        @Fence(budget=budget, max_retries=retries).guard
        def work() -> None:
            runs.append(1)
            for _ in range(times):
                agent.fifteen_cents()
            raise ConnectionError("the tool behind it is away")

        work()

    with pytest.raises(ConnectionError):
        failing("$1.00", 3, 1)
    assert len(runs) == 4
    with pytest.raises(BudgetExceeded):
        failing("$0.30", 3, 3)
    assert len(runs) == 1


def test_a_refusal_is_never_tried_again(agent: Agent, simulator: SimulatorServer) -> None:
    with pytest.raises(BudgetExceeded):
        Fence(budget=0, max_retries=5).guard(agent.run)()
    assert not simulator.record.calls


def test_a_fence_that_saw_no_call_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "farthing"), Fence(budget=1):
        pass
    assert "no model call" in caplog.text
    with pytest.raises(GuardError, match="no model call"), Fence(budget=1, strict=True):
        pass


def test_a_period_is_shared_through_the_ledger_file(agent: Agent, tmp_path: Path) -> None:
    ledger = f"sqlite:///{tmp_path / 'fence.db'}"
    fence = Fence(budget="$0.50", period="daily", name="org", ledger=ledger)
    with fence:
        agent.fifteen_cents()
    with Fence(budget="$0.50", period="daily", name="org", ledger=ledger) as scope:
        agent.fifteen_cents()
    assert spent_in(scope) == Decimal("0.30")


def test_per_keeps_a_budget_for_each_value_of_a_label(agent: Agent) -> None:
    with Fence(budget=1, per="user_id", labels={"user_id": 42}) as scope:
        agent.run()
    assert scope.value == "42"


@pytest.mark.parametrize(
    "wrong",
    [
        {"alert_at": 0.9, "kill_at": 0.5},
        {"max_retries": -1},
        {"budget": "nan"},
        {"period": "never"},
        {"kill_at": 0},
    ],
)
def test_a_fence_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(GuardError):
        Fence(**{"budget": 1, **wrong})
