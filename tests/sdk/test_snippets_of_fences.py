"""Snippets around a fence run as they stand: storms, tiers, retries, labels, a day's cap."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Literal
from uuid import UUID

import openai
import pytest

from farthing import BudgetExceeded, Fence, GuardError, carry
from farthing.domain.money import NANODOLLARS_PER_DOLLAR
from farthing.sdk.context import active_scopes
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import messages
from tests.sdk.snippets import FIFTEEN_CENTS, THIRTY_CENTS, Agent, Llm, run, spent_in, surroundings

__all__ = ["surroundings"]


class Sleeps:
    """Takes the place of asyncio in a snippet: counts how often it would have slept, and for how long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)


def models_asked(simulator: SimulatorServer) -> list[str]:
    return [str(call.model).partition("-20")[0] for call in simulator.record.calls]


# ── S10: the retry storm ────────────────────────────────────────────────────────────────────────

STORM = """
async def agent_step(task):
    for attempt in range(50):
        try:
            result = await llm.complete(task)
            return result
        except Exception:
            await asyncio.sleep(1)
"""


def test_a_storm_of_fifty_attempts_inside_fifty_cents_ends_at_once(surroundings: SimulatorServer) -> None:
    llm, sleeps = Llm(FIFTEEN_CENTS, cap=7_500), Sleeps()
    step = Fence(budget=0.50).guard(run(STORM, llm=llm, asyncio=sleeps)["agent_step"])
    with pytest.raises(BudgetExceeded) as caught:
        asyncio.run(step("task"))
    assert len(surroundings.record.calls) == 3
    assert caught.value.spent == Decimal("0.45")
    assert caught.value.limit == Decimal("0.5")
    assert llm.attempts <= 6 and len(sleeps.seconds) <= 5


@pytest.mark.parametrize("at_limit", ["clamp", "refuse"])
def test_a_storm_of_answers_that_cost_fifteen_cents_ends_where_the_fourth_does_not_fit(
    surroundings: SimulatorServer, at_limit: Literal["clamp", "refuse"]
) -> None:
    llm, sleeps = Llm("[[sim output=15000]] hello", cap=15_000), Sleeps()
    fence = Fence(budget=0.50, at_limit=at_limit)
    with pytest.raises(BudgetExceeded) as caught:
        asyncio.run(fence.guard(run(STORM, llm=llm, asyncio=sleeps)["agent_step"])("task"))
    # What is left after three is not enough; unless told to refuse, a shorter fourth answer takes it.
    assert len(surroundings.record.calls) == (3 if at_limit == "refuse" else 4)
    assert caught.value.spent is not None and caught.value.spent <= Decimal("0.50")
    assert llm.attempts <= 7 and len(sleeps.seconds) <= 6


# ── S11: a budget for each request ──────────────────────────────────────────────────────────────

REQUEST = """
from farthing import Fence

fence = Fence(budget=0.50)

@fence.guard
async def handle_user_request(user_input):
    result = await agent.run(user_input)
    return result
"""
Handle = Callable[[str], Any]


def handler(**names: Any) -> Handle:
    handle: Handle = run(REQUEST, **names)["handle_user_request"]
    return handle


def test_a_request_is_answered_through_a_client_that_nobody_wrapped(surroundings: SimulatorServer) -> None:
    assert asyncio.run(handler(agent=Agent())("hello [[sim text=fine]]")) == "fine"


def test_each_of_many_requests_at_once_has_fifty_cents(surroundings: SimulatorServer) -> None:
    handle = handler(agent=Agent(cap=7_500))

    async def several() -> list[Any]:
        return await asyncio.gather(*(handle(FIFTEEN_CENTS) for _ in range(5)))

    assert len(asyncio.run(several())) == len(surroundings.record.calls) == 5


def test_a_request_stops_at_fifty_cents(surroundings: SimulatorServer) -> None:
    agent = Agent(cap=7_500)

    async def on_and_on(text: str) -> str:
        for _ in range(20):
            await agent.run(text)
        return "never said"

    with pytest.raises(BudgetExceeded):
        asyncio.run(handler(agent=SimpleNamespace(run=on_and_on))(FIFTEEN_CENTS))
    assert len(surroundings.record.calls) == 3


def test_tasks_and_threads_of_a_request_are_on_its_budget(surroundings: SimulatorServer) -> None:
    seen = []

    def ask() -> None:
        with openai.OpenAI(max_retries=0) as client:
            client.chat.completions.create(model="gpt-4o-mini", messages=messages("hello"))

    async def with_company(text: str) -> str:
        seen.append(active_scopes()[-1])
        task = asyncio.create_task(Agent("gpt-4o-mini").run(text))
        await asyncio.to_thread(ask)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(carry(ask)).result()
        thread = threading.Thread(target=carry(ask))
        thread.start()
        thread.join()
        return await task

    asyncio.run(handler(agent=SimpleNamespace(run=with_company))("hello"))
    assert seen[0].calls == 4


def test_a_stream_read_after_the_request_is_still_on_its_budget(surroundings: SimulatorServer) -> None:
    seen = []

    async def streaming(text: str) -> AsyncIterator[object]:
        seen.append(active_scopes()[-1])
        client = openai.AsyncOpenAI(max_retries=0)
        answer = await client.chat.completions.create(model="gpt-4o", messages=messages(text), stream=True)

        async def read() -> AsyncIterator[object]:
            async with client:
                async for chunk in answer:
                    yield chunk

        return read()

    async def both() -> int:
        stream = await handler(agent=SimpleNamespace(run=streaming))("hello [[sim input=10 output=1000]]")
        assert not active_scopes()
        return len([chunk async for chunk in stream])

    assert asyncio.run(both()) > 1
    assert spent_in(seen[0]) == Decimal("0.010025")


def test_a_request_inside_another_cannot_spend_more_than_is_left_around_it(
    surroundings: SimulatorServer,
) -> None:
    handle = handler(agent=Agent(cap=7_500))

    @Fence(budget=0.20).guard
    async def around() -> None:
        await handle(FIFTEEN_CENTS)
        await handle(FIFTEEN_CENTS)

    with pytest.raises(BudgetExceeded) as caught:
        asyncio.run(around())
    assert caught.value.limit == Decimal("0.2")
    assert len(surroundings.record.calls) == 1


# ── S12: three tiers ────────────────────────────────────────────────────────────────────────────

TIERS = """
simple_fence = Fence(budget=0.05, model_fallback="gpt-4o-mini")

complex_fence = Fence(budget=0.50, model_fallback="gpt-4o")

critical_fence = Fence(budget=2.00)
"""


def test_one_agent_is_led_to_another_model_in_each_tier(surroundings: SimulatorServer) -> None:
    tiers, agent = run(TIERS, Fence=Fence), Agent("gpt-4", cap=100)
    for tier in ("simple_fence", "complex_fence", "critical_fence"):
        asyncio.run(tiers[tier].guard(agent.run)("hello"))
    assert models_asked(surroundings) == ["gpt-4o-mini", "gpt-4o", "gpt-4"]


def test_a_model_that_is_cheaper_than_the_tier_stays(surroundings: SimulatorServer) -> None:
    tiers = run(TIERS, Fence=Fence)
    for model in ("gpt-4o-mini", "gpt-4.1-nano"):
        asyncio.run(tiers["complex_fence"].guard(Agent(model).run)("hello"))
    assert models_asked(surroundings) == ["gpt-4o-mini", "gpt-4.1-nano"]


# ── S13: retries by count and by money ──────────────────────────────────────────────────────────

RETRIES = """
fence = Fence(budget=1.00, max_retries=3)

@fence.guard
async def resilient_agent(task):
    return await agent.run(task)
"""


class Flaky(Agent):
    """Is answered and paid for, and then loses what it was answered."""

    def __init__(self, error: Exception, cap: int) -> None:
        super().__init__(cap=cap)
        self.error = error
        self.attempts = 0

    async def run(self, text: str) -> str:
        self.attempts += 1
        self.scope = active_scopes()[-1]
        await super().run(text)
        raise self.error


def resilient(agent: Agent) -> Callable[[str], Any]:
    fenced: Callable[[str], Any] = run(RETRIES, Fence=Fence, agent=agent)["resilient_agent"]
    return fenced


def test_three_retries_of_fifteen_cents_cost_sixty(surroundings: SimulatorServer) -> None:
    agent = Flaky(ConnectionError("the line broke"), cap=7_500)
    with pytest.raises(ConnectionError):
        asyncio.run(resilient(agent)(FIFTEEN_CENTS))
    assert agent.attempts == len(surroundings.record.calls) == 4
    assert spent_in(agent.scope) == Decimal("0.60")


def test_of_thirty_cents_the_fourth_attempt_is_refused(surroundings: SimulatorServer) -> None:
    agent = Flaky(ConnectionError("the line broke"), cap=15_000)
    with pytest.raises(BudgetExceeded) as caught:
        asyncio.run(resilient(agent)(THIRTY_CENTS))
    assert len(surroundings.record.calls) == 3
    assert caught.value.spent == spent_in(agent.scope) == Decimal("0.90")
    assert agent.attempts == 4


def test_a_strict_fence_refuses_the_fourth_attempt_of_a_short_prompt_too(
    surroundings: SimulatorServer,
) -> None:
    agent = Flaky(ConnectionError("the line broke"), cap=29_000)
    strict = RETRIES.replace("max_retries=3", 'max_retries=3, at_limit="refuse"')
    with pytest.raises(BudgetExceeded):
        asyncio.run(run(strict, Fence=Fence, agent=agent)["resilient_agent"]("[[sim output=29000]] hello"))
    assert len(surroundings.record.calls) == 3


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (ValueError("a bug"), 1),
        (TimeoutError("too slow"), 4),
    ],
)
def test_only_errors_that_may_pass_are_tried_again(
    surroundings: SimulatorServer, error: Exception, attempts: int
) -> None:
    agent = Flaky(error, cap=10)
    with pytest.raises(type(error)):
        asyncio.run(resilient(agent)("hello"))
    assert agent.attempts == attempts


@pytest.mark.parametrize(("status", "attempts"), [(400, 1), (404, 1), (503, 4)])
def test_a_busy_provider_is_asked_again_and_one_that_says_no_is_not(
    surroundings: SimulatorServer, status: int, attempts: int
) -> None:
    with pytest.raises(openai.APIStatusError):
        asyncio.run(resilient(Agent("gpt-4o-mini"))(f"hello [[sim status={status}]]"))
    assert len(surroundings.record.calls) == attempts


def test_without_max_retries_there_is_one_attempt(surroundings: SimulatorServer) -> None:
    agent = Flaky(ConnectionError("the line broke"), cap=10)
    with pytest.raises(ConnectionError):
        asyncio.run(Fence(budget=1.00, max_retries=0).guard(agent.run)("hello"))
    assert agent.attempts == 1


def test_a_task_that_is_cancelled_is_not_tried_again(surroundings: SimulatorServer) -> None:
    async def cancelled() -> None:
        task = asyncio.create_task(resilient(Agent("gpt-4o-mini"))("hello [[sim hang]]"))
        deadline = time.monotonic() + 5
        while not surroundings.record.calls:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert len(surroundings.record.calls) == 1


# ── S14: labels ─────────────────────────────────────────────────────────────────────────────────

LABELLED = """
fence = Fence(budget=5.00, labels={"user_id": user.id})
"""


@pytest.mark.parametrize("ident", [42, "alice", UUID(int=7), Decimal("1.5"), True])
def test_a_label_of_any_scalar_type_stands_on_every_call_as_text(
    surroundings: SimulatorServer, ident: object
) -> None:
    fence = run(LABELLED, Fence=Fence, user=SimpleNamespace(id=ident))["fence"]
    with fence as scope, Fence(budget=1, labels={"feature": "search"}) as inner:
        asyncio.run(Agent("gpt-4o-mini").run("hello"))
    text = "true" if ident is True else str(ident)
    assert scope.labels == {"user_id": text}
    assert inner.labels == {"user_id": text, "feature": "search"}


def test_a_label_that_is_no_scalar_is_an_error() -> None:
    with pytest.raises(GuardError, match="user_id"):
        run(LABELLED, Fence=Fence, user=SimpleNamespace(id=object()))


# ── S15: the cap of an organisation's day ───────────────────────────────────────────────────────

ORGANISATION = """
org_fence = Fence(
    budget=500.00,
    period="daily",
    alert_at=0.80,
    kill_at=1.00
)
"""
# gpt-4: 128 answers of 8,000 tokens cost $61.44; the few of input come on top.
SIXTY_DOLLARS: dict[str, Any] = {
    "model": "gpt-4", "messages": messages("[[sim output=8000]] hello"), "max_tokens": 8_000, "n": 128,
}  # fmt: skip


def test_a_day_has_one_cap_one_alert_and_one_name_in_every_process(
    surroundings: SimulatorServer, caplog: pytest.LogCaptureFixture
) -> None:
    alerts, scopes = [], []
    for _ in range(10):
        fence = run(ORGANISATION, Fence=Fence)["org_fence"]
        told = len(caplog.records)
        try:
            with fence as scope, openai.OpenAI(max_retries=0) as client:
                scopes.append(scope)
                client.chat.completions.create(**SIXTY_DOLLARS)
        except BudgetExceeded as exceeded:
            assert exceeded.budget == "org"
        if len(caplog.records) > told:
            alerts.append(spent_in(scopes[-1]))
    assert len(alerts) == 1 and 400 <= alerts[0] < 470
    assert 499 < spent_in(scopes[-1]) <= 500
    assert scopes[-1].payer(0).window.key == "1970-01-01"


def test_a_day_that_is_killed_before_it_is_alerted_is_an_error() -> None:
    with pytest.raises(GuardError, match="alert_at"):
        run(ORGANISATION.replace("kill_at=1.00", "kill_at=0.70"), Fence=Fence)


@pytest.mark.parametrize(("kill_at", "limit"), [("1.00", 500), ("0.90", 450), ("1.10", 550)])
def test_kill_at_is_a_share_of_the_budget(kill_at: str, limit: int) -> None:
    fence = run(ORGANISATION.replace("kill_at=1.00", f"kill_at={kill_at}"), Fence=Fence)["org_fence"]
    with fence as scope:
        assert scope.budget.limit_nanodollars == limit * NANODOLLARS_PER_DOLLAR
