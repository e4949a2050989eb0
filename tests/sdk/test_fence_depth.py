"""Fences in depth: inside one another, in generators, tasks and threads, and after their code returned."""

import asyncio
import contextlib
import functools
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import openai
import pytest

from farthing import BudgetExceeded, Fence, GuardError, carry
from farthing.sdk.context import Scope, active_scopes
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import messages

# gpt-4o: 5,000 tokens of output cost $0.05.
FIVE_CENTS = "[[sim input=0 output=5000]] hello"
NICKEL = Decimal("0.05")


class Agent:
    """Builds its own client at each call, as agents do deep inside."""

    def __init__(self, simulator: SimulatorServer) -> None:
        self._url = simulator.openai_url

    def ask(self, text: str = FIVE_CENTS, cap: int = 5_000) -> None:
        with openai.OpenAI(base_url=self._url, api_key="any", max_retries=0) as client:
            client.chat.completions.create(model="gpt-4o", messages=messages(text), max_tokens=cap)

    async def ask_async(self, text: str = FIVE_CENTS, cap: int = 5_000) -> None:
        async with openai.AsyncOpenAI(base_url=self._url, api_key="any", max_retries=0) as client:
            await client.chat.completions.create(model="gpt-4o", messages=messages(text), max_tokens=cap)


@pytest.fixture
def agent(simulator: SimulatorServer) -> Agent:
    return Agent(simulator)


def innermost() -> Scope:
    return active_scopes()[-1]


# ── inside one another ──────────────────────────────────────────────────────────────────────────


def test_the_sums_of_nested_agents_agree(agent: Agent) -> None:
    with Fence(budget=2, labels={"team": "a", "agent": "A"}, name="A") as outer:
        agent.ask()
        with Fence(budget=1, labels={"agent": "B"}, name="B") as middle:
            agent.ask()
            with Fence(budget=1, labels={"agent": "C", "step": 3}, name="C") as inner:
                agent.ask()
                agent.ask()
    assert (outer.spent, middle.spent, inner.spent) == (4 * NICKEL, 3 * NICKEL, 2 * NICKEL)
    assert (outer.calls, middle.calls, inner.calls) == (4, 3, 2)
    assert inner.labels == {"team": "a", "agent": "C", "step": "3"}


def test_a_child_cannot_spend_more_than_its_parent_has_left(agent: Agent) -> None:
    scopes: list[Scope] = []
    with pytest.raises(BudgetExceeded) as caught, Fence(budget="$0.12", at_limit="refuse") as parent:
        scopes.append(parent)
        agent.ask()
        with Fence(budget="$5") as child:
            scopes.append(child)
            agent.ask()
            agent.ask()
    assert [scope.spent for scope in scopes] == [2 * NICKEL, NICKEL]
    assert caught.value.budget == scopes[0].name and scopes[1].shut is None


def test_a_child_that_is_spent_leaves_its_parent_open(agent: Agent) -> None:
    with Fence(budget=1) as parent:
        with pytest.raises(BudgetExceeded), Fence(budget=NICKEL, at_limit="refuse"):
            agent.ask(cap=4_900)
            agent.ask(cap=4_900)
        agent.ask()
    assert parent.shut is None and parent.calls == 2


def test_a_recursive_function_has_a_budget_at_each_depth(agent: Agent) -> None:
    depths: list[Scope] = []

    @Fence(budget=1).guard
    def descend(depth: int) -> None:
        depths.append(innermost())
        agent.ask()
        if depth:
            descend(depth - 1)

    descend(2)
    assert [scope.spent for scope in depths] == [3 * NICKEL, 2 * NICKEL, NICKEL]


def test_runs_at_once_do_not_see_each_other(agent: Agent) -> None:
    @Fence(budget="$0.12", at_limit="refuse").guard
    async def handle() -> Decimal:
        await agent.ask_async()
        await agent.ask_async()
        return innermost().spent

    async def several() -> list[Decimal]:
        return await asyncio.gather(*(handle() for _ in range(4)))

    assert asyncio.run(several()) == [2 * NICKEL] * 4
    assert not active_scopes()


def test_one_fence_around_itself_is_left_in_order(agent: Agent) -> None:
    fence = Fence(budget=1)
    with fence as outer, fence as inner:
        agent.ask()
        assert active_scopes() == (outer, inner)
    assert outer.spent == inner.spent == NICKEL
    assert not active_scopes()


# ── tasks and threads ───────────────────────────────────────────────────────────────────────────


def test_tasks_groups_and_to_thread_are_inside(agent: Agent) -> None:
    async def several() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(agent.ask_async())
            group.create_task(asyncio.to_thread(agent.ask))
        await asyncio.gather(agent.ask_async(), asyncio.create_task(agent.ask_async()))

    async def fenced() -> Scope:
        async with Fence(budget=1) as scope:
            await several()
        return scope

    assert asyncio.run(fenced()).spent == 4 * NICKEL


def test_a_task_that_outlives_its_fence_stays_on_its_budget(agent: Agent) -> None:
    async def outlived() -> Scope:
        go = asyncio.Event()

        async def later() -> None:
            await go.wait()
            await agent.ask_async()

        async with Fence(budget=1) as scope:
            await agent.ask_async()
            task = asyncio.create_task(later())
        go.set()
        await task
        return scope

    assert asyncio.run(outlived()).spent == 2 * NICKEL


def test_a_cancelled_task_settles_what_it_held_and_is_not_run_again(
    agent: Agent, simulator: SimulatorServer
) -> None:
    seen: list[Scope] = []

    @Fence(budget="$0.50", max_retries=3).guard
    async def handle() -> None:
        seen.append(innermost())
        await agent.ask_async("hello [[sim hang]]", cap=1_000)

    async def cancelled() -> None:
        task = asyncio.create_task(handle())
        async with asyncio.timeout(10):
            while not simulator.record.calls:
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    (scope,) = seen
    assert scope.held == 0 < scope.spent
    assert scope.calls == 1


def test_threads_are_inside_where_their_work_is_carried(agent: Agent) -> None:
    with Fence(budget=1) as scope:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(carry(agent.ask), [FIVE_CENTS] * 3))
        thread = threading.Thread(target=carry(agent.ask))
        thread.start()
        thread.join()
    assert scope.spent == 4 * NICKEL


def test_a_thread_whose_work_was_not_carried_is_outside_and_that_is_told(
    agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    def start() -> None:
        thread = threading.Thread(target=agent.ask)
        thread.start()
        thread.join()

    with Fence(budget=1) as scope:
        start()
    assert scope.calls == 0
    (told,) = [record.getMessage() for record in caplog.records]
    assert "no model call inside" in told and "farthing.carry()" in told
    with pytest.raises(GuardError, match=r"farthing\.carry\(\)"), Fence(budget=1, strict=True):
        start()


# ── generators ──────────────────────────────────────────────────────────────────────────────────


def echoes(said: list[str], agent: Agent) -> Iterator[str]:
    """Answers what is sent, survives what is thrown, and asks once more when it is closed."""
    got: Any = "begun"
    try:
        while got != "end":
            try:
                got = yield got
            except KeyError as error:
                agent.ask()
                got = f"caught {error.args[0]}"
    finally:
        said.append(f"closed inside {len(active_scopes())}")
        agent.ask()
    return "returned"  # type: ignore[return-value]


def test_a_fenced_generator_behaves_as_the_bare_one(agent: Agent) -> None:
    said: list[str] = []
    values: Any = Fence(budget=1).guard(echoes)(said, agent)
    assert next(values) == "begun"
    assert values.send("hello") == "hello"
    assert values.throw(KeyError("x")) == "caught x"
    with pytest.raises(StopIteration) as stopped:
        values.send("end")
    assert stopped.value.value == "returned"
    assert said == ["closed inside 1"] and not active_scopes()


def test_a_fenced_generator_that_is_closed_cleans_up_inside(agent: Agent) -> None:
    said: list[str] = []
    values: Any = Fence(budget=1).guard(echoes)(said, agent)
    next(values)
    values.close()
    assert said == ["closed inside 1"] and not active_scopes()


def test_what_a_generator_does_not_catch_comes_out_of_it(agent: Agent) -> None:
    values: Any = Fence(budget=1).guard(echoes)([], agent)
    next(values)
    with pytest.raises(ZeroDivisionError):
        values.throw(ZeroDivisionError())


def test_an_asynchronous_generator_behaves_as_the_bare_one(agent: Agent) -> None:
    said: list[str] = []

    async def steps() -> AsyncIterator[str]:
        got: Any = "begun"
        try:
            while True:
                try:
                    got = yield got
                except KeyError as error:
                    await agent.ask_async()
                    got = f"caught {error.args[0]}"
        finally:
            await agent.ask_async()
            said.append(f"closed inside {len(active_scopes())}")

    async def use() -> None:
        values: Any = Fence(budget=1).guard(steps)()
        assert await anext(values) == "begun"
        assert await values.asend("hello") == "hello"
        assert await values.athrow(KeyError("x")) == "caught x"
        await values.aclose()
        assert not active_scopes()

    asyncio.run(use())
    assert said == ["closed inside 1"]


def test_a_generator_and_its_reader_leave_their_fences_in_any_order(agent: Agent) -> None:
    def generator() -> Iterator[int]:
        with Fence(budget=1):
            agent.ask()
            yield 1

    values = generator()
    next(values)
    with Fence(budget=1) as readers:
        assert list(values) == []  # the generator leaves its fence while the reader's is open
        assert active_scopes() == (readers,)
        agent.ask()
    assert readers.spent == NICKEL and not active_scopes()


def test_a_generator_that_is_spent_ends_with_budget_exceeded(agent: Agent) -> None:
    @Fence(budget="$0.12", at_limit="refuse").guard
    def answers() -> Iterator[int]:
        for number in range(10):
            with contextlib.suppress(Exception):  # as careless code does
                agent.ask()
            yield number

    seen = []
    with pytest.raises(BudgetExceeded):
        for number in answers():
            seen.append(number)
    assert len(seen) <= 4


# ── functions of every kind ─────────────────────────────────────────────────────────────────────


class Kinds:
    """One method of each kind."""

    fence = Fence(budget=1)

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    @fence.guard
    def method(self, agent: Agent) -> Scope:
        agent.ask()
        return innermost()

    @fence.guard
    @staticmethod
    def static(agent: Agent) -> Scope:
        agent.ask()
        return innermost()

    @staticmethod
    @fence.guard
    def static_inside(agent: Agent) -> Scope:
        agent.ask()
        return innermost()

    @fence.guard
    @classmethod
    def of_class(cls, agent: Agent) -> Scope:
        assert cls is Kinds
        agent.ask()
        return innermost()

    async def __call__(self) -> Scope:
        await self.agent.ask_async()
        return innermost()


@pytest.mark.parametrize("name", ["method", "static", "static_inside", "of_class"])
def test_methods_of_every_kind_are_fenced(agent: Agent, name: str) -> None:
    scope = getattr(Kinds(agent), name)(agent)
    assert scope.spent == NICKEL


def test_objects_and_partials_that_are_called_are_fenced(agent: Agent) -> None:
    assert asyncio.run(Fence(budget=1).guard(Kinds(agent))()).spent == NICKEL
    assert Fence(budget=1).guard(functools.partial(Kinds.static_inside, agent))().spent == NICKEL
    asyncio.run(Fence(budget=1, strict=True).guard(functools.partial(agent.ask_async, cap=100))())


@pytest.mark.parametrize("wrong", [Kinds, "text", None, 5])
def test_what_is_no_function_is_said_to_be_none(wrong: Any) -> None:
    with pytest.raises(GuardError, match="no function"):
        Fence(budget=1).guard(wrong)


def test_a_stream_that_is_read_after_the_function_returned_is_on_its_budget(
    simulator: SimulatorServer,
) -> None:
    scopes: list[Scope] = []
    client = openai.OpenAI(base_url=simulator.openai_url, api_key="any")

    @Fence(budget="$0.50").guard
    def answer() -> Any:
        scopes.append(innermost())
        return client.chat.completions.create(
            model="gpt-4o", messages=messages(FIVE_CENTS), max_tokens=5_000, stream=True
        )

    stream = answer()
    assert scopes[0].held > 0 and scopes[0].spent == 0
    for _ in stream:
        pass
    assert (scopes[0].held, scopes[0].spent) == (Decimal(0), NICKEL)
    client.close()


def test_a_fence_left_elsewhere_than_entered_says_so(caplog: pytest.LogCaptureFixture) -> None:
    fence = Fence(budget=1)

    async def enter() -> None:
        fence.__enter__()

    async def apart() -> None:
        await asyncio.create_task(enter())
        fence.__exit__(None, None, None)

    with caplog.at_level(logging.WARNING, "farthing"):
        asyncio.run(apart())
    assert "another task or thread" in caplog.text


# ── what it says ────────────────────────────────────────────────────────────────────────────────


def test_a_run_whose_context_grows_is_told_once(agent: Agent, caplog: pytest.LogCaptureFixture) -> None:
    def history(tokens: int) -> None:
        agent.ask(f"[[sim input={tokens} output=1]] hello" + " word" * tokens, cap=300)

    with Fence(budget=5) as scope:
        for tokens in (500, 1_000, 4_900, 22_200, 30_000):
            history(tokens)
    told = [record.getMessage() for record in caplog.records if "grows" in record.getMessage()]
    assert told == [
        f"farthing: the context of {scope.name} grows: "
        "its latest call sent 44 times the input of its first one"
    ]


def test_a_refusal_says_what_happened_and_how_to_go_on(agent: Agent) -> None:
    with (
        pytest.raises(BudgetExceeded) as caught,
        Fence(budget="$0.12", at_limit="refuse", name="search"),
    ):
        for _ in range(3):
            agent.ask()
    error = caught.value
    assert (error.spent, error.held, error.limit) == (2 * NICKEL, Decimal(0), Decimal("0.12"))
    assert str(error).startswith(
        f"budget {error.budget} cannot pay for this call: $0.10 spent and $0.00 held"
    )
    assert str(error).endswith(
        "To go on: ask for less output (max_tokens) or send a shorter prompt, "
        "or give Fence() a larger budget="
    )
    assert "policy" not in str(error) and str(error.budget).startswith("search#")


def test_a_fence_and_its_scope_say_themselves_in_one_line(agent: Agent) -> None:
    assert repr(Fence(budget=500, period="daily", name="org")) == "<Fence org: $500.00 daily>"
    assert repr(Fence(budget="$0.50")) == "<Fence fence: $0.50 for each run>"
    with Fence(budget="$0.50", name="search") as scope:
        agent.ask()
    assert repr(scope) == f"<{scope.name}: $0.05 of $0.50 spent, $0.00 held, 1 calls>"
