"""Agents that start agents that start agents, in real frameworks: one run, its calls, its sum, its limit.

Run by tests/sdk/test_frameworks.py in the environment that has the frameworks.
"""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import agents
import openai
import pytest

from farthing import BudgetExceeded, Fence, guard
from farthing.ledger.entries import Entry
from farthing.sdk.context import Scope
from farthing.sdk.runtime import runtime_for
from farthing.simulator.server import SimulatorServer
from tests.sdk.frameworks.frameworks import FRAMEWORKS, RunsAgents

# What one call costs: 30 tokens of input, 100 of output.
CALL = Decimal(30 * 150 + 100 * 600) / 10**9
CAP = 100
ANSWERS = "[[sim input=30 output=100]] answer"
ASKS_THE_NEXT = "[[sim tool input=30 output=100]] ask the next agent"
# An answer that could cost a cent, which is more than A_FRACTION.
FAR_TOO_LONG = 16_000
A_FRACTION = "$0.001"

every_framework = pytest.mark.parametrize("run", FRAMEWORKS.values(), ids=FRAMEWORKS)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    """One event loop for all: some frameworks keep the connections of their clients as long as they run."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(autouse=True)
def _clients_find_the_simulator(monkeypatch: pytest.MonkeyPatch, simulator: SimulatorServer) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.openai_url)
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    agents.set_tracing_disabled(True)
    agents.set_default_openai_client(None, use_for_tracing=False)


class Nested:
    """Agent A has a tool that runs agent B, which has a tool that runs agent C."""

    def __init__(
        self, run: RunsAgents, *, cap_of_c: int = CAP, fences: dict[str, Fence] | None = None
    ) -> None:
        self._run = run
        self._cap_of_c = cap_of_c
        self._fences = fences or {}
        self.scopes: dict[str, Scope] = {}

    async def a(self) -> str:
        async def ask_agent_b() -> str:
            """Ask agent B."""
            return await self._b()

        return await self._fenced("a", lambda: self._run(ASKS_THE_NEXT, cap=CAP, tool=ask_agent_b))

    async def _b(self) -> str:
        async def ask_agent_c() -> str:
            """Ask agent C."""
            return await self._fenced("c", lambda: self._run(ANSWERS, cap=self._cap_of_c))

        return await self._fenced("b", lambda: self._run(ASKS_THE_NEXT, cap=CAP, tool=ask_agent_c))

    async def _fenced(self, name: str, work: Any) -> str:
        if name not in self._fences:
            return str(await work())
        async with self._fences[name] as self.scopes[name]:
            return str(await work())


def entries_of(scope: Scope) -> list[Entry]:
    """What the ledger has of one run."""
    runtime = runtime_for(environment=None, ledger=None, policy=(), shared=False)
    return [row for row in runtime.store.entries(limit=1000) if row.facts.run == scope.budget.name]


@every_framework
def test_a_run_of_nested_agents_is_one_run_with_its_calls_and_its_sum(
    simulator: SimulatorServer, run: RunsAgents, loop: asyncio.Runner
) -> None:
    async def research() -> Scope:
        async with Fence(budget=1, labels={"feature": "research"}) as scope:
            assert await Nested(run).a()
        return scope

    scope = loop.run(research())
    rows = entries_of(scope)
    assert len(rows) == scope.calls == len(simulator.record.calls) == 5  # A and B before and after their tool
    assert {row.facts.labels["feature"] for row in rows} == {"research"}
    assert sum(row.cost_nanodollars for row in rows) == 5 * CALL * 10**9
    assert scope.spent == 5 * CALL


@every_framework
def test_each_agent_has_a_fence_inside_the_one_of_its_parent_and_the_totals_reconcile(
    simulator: SimulatorServer, run: RunsAgents, loop: asyncio.Runner
) -> None:
    nested = Nested(run, fences={name: Fence(budget="$0.50", labels={"agent": name}) for name in "abc"})
    loop.run(nested.a())
    scopes = nested.scopes
    assert {name: scope.calls for name, scope in scopes.items()} == {"a": 5, "b": 3, "c": 1}
    assert {name: scope.spent for name, scope in scopes.items()} == {"a": 5 * CALL, "b": 3 * CALL, "c": CALL}
    of_agent = [row.facts.labels["agent"] for row in entries_of(scopes["a"])]
    assert sorted(of_agent) == ["a", "a", "b", "b", "c"]  # one run, and who of it asked
    assert len(simulator.record.calls) == 5


@every_framework
def test_a_child_cannot_spend_more_than_its_parent_has_left(
    simulator: SimulatorServer, run: RunsAgents, loop: asyncio.Runner
) -> None:
    fences = {
        "a": Fence(budget=A_FRACTION, at_limit="refuse", name="parent"),
        "c": Fence(budget=1, at_limit="refuse", name="child"),
    }
    nested = Nested(run, cap_of_c=FAR_TOO_LONG, fences=fences)
    with pytest.raises(BudgetExceeded) as caught:
        loop.run(nested.a())
    assert caught.value.budget == nested.scopes["a"].budget.name
    assert nested.scopes["c"].calls == 0
    assert nested.scopes["a"].spent == 2 * CALL  # A and B, before their tools
    assert len(simulator.record.calls) == 2


@every_framework
def test_a_limit_hit_in_the_last_agent_stops_the_first_whatever_the_framework_makes_of_it(
    simulator: SimulatorServer, run: RunsAgents, loop: asyncio.Runner
) -> None:
    fence = Fence(budget=A_FRACTION, at_limit="refuse")

    @fence.guard
    async def research() -> str:
        return await Nested(run, cap_of_c=FAR_TOO_LONG).a()

    with pytest.raises(BudgetExceeded):
        loop.run(research())
    assert len(simulator.record.calls) == 2


@every_framework
def test_a_fence_that_was_shut_stays_shut_although_its_error_was_swallowed(
    simulator: SimulatorServer, run: RunsAgents, loop: asyncio.Runner
) -> None:
    async def stubborn() -> None:
        async with Fence(budget=A_FRACTION, at_limit="refuse"):
            for cap in (FAR_TOO_LONG, CAP, CAP, CAP, CAP, CAP):
                try:
                    await run(ANSWERS, cap=cap)
                except Exception:  # noqa: BLE001 - as agents do
                    continue

    with pytest.raises(BudgetExceeded):
        loop.run(stubborn())
    assert not simulator.record.calls


@every_framework
def test_a_guarded_client_that_is_handed_to_a_framework_meters_it_and_refuses(
    simulator: SimulatorServer, run: RunsAgents, loop: asyncio.Runner
) -> None:
    async def ask(budget: int) -> tuple[Any, BaseException | None]:
        client = guard(openai.AsyncOpenAI(), budget=budget)
        async with client:
            try:
                await run(ANSWERS, cap=CAP, client=client)
            except Exception as error:  # noqa: BLE001 - which one is the question
                return client, error
        return client, None

    client, error = loop.run(ask(budget=1))
    assert error is None
    assert (client.farthing.calls, client.farthing.spent) == (1, CALL)
    client, error = loop.run(ask(budget=0))
    causes = [error]
    while causes[-1] is not None and causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    assert isinstance(causes[-1], BudgetExceeded) and isinstance(causes[-1], openai.RateLimitError)
    assert client.farthing.calls == 0
    assert len(simulator.record.calls) == 1
