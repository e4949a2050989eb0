"""Scenarios that are about decisions, through the engine that makes them: G2, G7, G13 and G14."""

import threading
from collections.abc import Iterator

import msgspec
import openai
import pytest

from farthing import BudgetExceeded, Fence
from farthing.domain.call import Call
from farthing.domain.errors import Reason, Refused
from farthing.domain.period import MICROSECONDS, Period
from farthing.engine.governor import Governor
from farthing.engine.outcomes import Ending, Exchange
from farthing.gateway.refusals import STATUS
from farthing.ledger.memory import MemoryStore
from farthing.policy.rules import Action, AtLimit, Environment, Policy, Target, Threshold
from farthing.scenarios.moments import MONTH_ENDS_AT_US, MONTH_STARTS_AT_US, evenly
from farthing.sdk.context import Scope
from farthing.simulator.server import SimulatorServer
from tests.builders import Clock, a_book, a_budget, a_call, a_governor, a_policy, metered
from tests.engine.test_recall import Desk, the_policy
from tests.sdk.asking import messages
from tests.sdk.test_fence import spent_in

DOLLAR = 1_000_000_000
CENT = 10_000_000
# A dollar for each thousand tokens of output.
PLAIN = a_book(plain=("0", "1000"))
ONLY_PLAIN = (Target(id="plain", provider="own", model="plain", base_url="http://127.0.0.1:1/v1"),)


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    opened = MemoryStore()
    yield opened
    opened.close()


def make(governor: Governor, call: Call, input_tokens: int, output_tokens: int) -> None:
    """Make a call that uses so much."""
    grant = governor.authorize(call)
    exchange = Exchange(ending=Ending.ANSWERED, status=200)
    governor.book(grant, governor.end_of(grant, exchange, metered(input_tokens, output_tokens)))


# ── G2: a budget for each of five developers ────────────────────────────────────────────────────


def test_g2_alice_is_notified_once_at_her_last_call_and_the_next_is_refused(store: MemoryStore) -> None:
    budget = msgspec.structs.replace(
        a_budget("$150", name="per-developer", per="developer", at_limit=AtLimit.REFUSE),
        thresholds=(Threshold(percent=100),),
    )
    governor = a_governor(store, a_policy(budget), clock=Clock(MONTH_STARTS_AT_US))

    def alice(at_us: int, key: str = "alice", environment: str = "development") -> Call:
        """A call that needs at most, and uses, eight thousandths of a dollar."""
        return a_call(key=key, environment=environment, at_us=at_us, input_bytes=1_200, output_cap=500)

    told_after = []
    for number, at_us in enumerate(evenly(18_750, MONTH_STARTS_AT_US, MONTH_ENDS_AT_US), 1):
        make(governor, alice(at_us), 1_200, 500)
        if number >= 18_749:
            governor.committer.start()  # what was put on the ledger before is there after this
            told_after.append(len(store.alerts()))
    last_us = MONTH_ENDS_AT_US - 1
    with pytest.raises(Refused) as refused:
        governor.authorize(alice(last_us))

    assert told_after == [0, 1]
    (alert,) = store.alerts()
    assert (alert.threshold_percent, alert.spent_nanodollars, alert.value) == (100, 150 * DOLLAR, "alice")
    assert refused.value.refusal.reason is Reason.BUDGET_EXCEEDED
    assert STATUS[refused.value.refusal.reason][0] == 429
    make(governor, alice(last_us, key="bob"), 1_200, 500)
    make(governor, alice(last_us, environment="production"), 1_200, 500)
    governor.committer.stop()
    assert len(store.alerts()) == 1


# ── G7: the storm of retries ────────────────────────────────────────────────────────────────────


class Agent:
    """Makes calls of fifteen or of thirty cents to gpt-4o, and then loses its tool."""

    def __init__(self, simulator: SimulatorServer) -> None:
        self._url = simulator.openai_url
        self.attempts = 0

    def ask(self, text: str, output_cap: int) -> None:
        """Make a call that costs what its text says."""
        with openai.OpenAI(base_url=self._url, api_key="any", max_retries=0) as client:
            client.chat.completions.create(model="gpt-4o", messages=messages(text), max_tokens=output_cap)

    def fail(self) -> None:
        """Spend fifteen cents on an answer, and fail in a way that may pass."""
        self.attempts += 1
        self.ask("[[sim input=0 output=15000]] go", 15_000)
        raise ConnectionError("the tool behind it is away")

    def fail_dearly(self) -> None:
        """Spend thirty cents on a long context, which no shorter answer makes cheaper, and fail."""
        self.attempts += 1
        self.ask("[[sim input=120000 output=0]]" + " word" * 119_000, 1)
        raise ConnectionError("the tool behind it is away")


@pytest.fixture
def simulator() -> Iterator[SimulatorServer]:
    with SimulatorServer() as opened:
        yield opened


@pytest.fixture
def agent(simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> Agent:
    monkeypatch.setattr("time.sleep", lambda _: None)
    return Agent(simulator)


def spent(scope: Scope) -> str:
    return f"{spent_in(scope):.2f}"


def test_g7_fifty_attempts_cost_seven_dollars_and_a_half(agent: Agent) -> None:
    with Fence(budget=100) as scope:
        for _ in range(50):
            with pytest.raises(ConnectionError):
                agent.fail()
    assert (agent.attempts, spent(scope)) == (50, "7.50")


def test_g7_three_retries_are_four_attempts(agent: Agent) -> None:
    with Fence(budget=100) as scope, pytest.raises(ConnectionError):
        Fence(budget=100, max_retries=3).guard(agent.fail)()
    assert (agent.attempts, spent(scope)) == (4, "0.60")


def test_g7_a_dollar_ends_attempts_of_thirty_cents_after_three(agent: Agent) -> None:
    with pytest.raises(BudgetExceeded), Fence(budget=100) as scope:
        Fence(budget=1, max_retries=10).guard(agent.fail_dearly)()
    assert (agent.attempts, spent(scope)) == (4, "0.90")  # the fourth was refused before it cost anything


# ── G13: a limit for everybody ──────────────────────────────────────────────────────────────────


def everybody() -> Policy:
    budget = msgspec.structs.replace(
        a_budget("$500", name="organization", period=Period.DAILY, at_limit=AtLimit.REFUSE),
        thresholds=(Threshold(percent=80), Threshold(percent=100, action=Action.BLOCK)),
    )
    environment = Environment(name="development", at_limit=AtLimit.REFUSE)
    return a_policy(budget, environment=environment, targets=ONLY_PLAIN)


def fifty_cents(key: str) -> Call:
    return a_call("plain", key=key, at_us=MONTH_STARTS_AT_US, output_cap=500)


def test_g13_the_call_that_crosses_four_fifths_is_the_one_that_is_told(store: MemoryStore) -> None:
    governor = a_governor(store, everybody(), prices=PLAIN, clock=Clock(MONTH_STARTS_AT_US))
    calls = [fifty_cents(f"writer-{number % 10}") for number in range(1_000)]
    for call in calls:
        make(governor, call, 0, 500)
    with pytest.raises(Refused):
        governor.authorize(fifty_cents("writer-0"))
    governor.committer.start()
    governor.committer.stop()

    told = {alert.threshold_percent: (alert.spent_nanodollars, alert.call_id) for alert in store.alerts()}
    assert told == {
        80: (400 * DOLLAR, calls[799].call_id),
        100: (500 * DOLLAR, calls[999].call_id),
    }


def test_g13_ten_writers_at_once_reach_the_limit_and_do_not_pass_it(store: MemoryStore) -> None:
    governor = a_governor(store, everybody(), prices=PLAIN, clock=Clock(MONTH_STARTS_AT_US))

    def write(key: str) -> None:
        """Make calls of fifty cents until there is no money left."""
        while True:
            try:
                make(governor, fifty_cents(key), 0, 500)
            except Refused as refused:
                if refused.refusal.reason is Reason.BUDGET_EXCEEDED:
                    return

    writers = [threading.Thread(target=write, args=(f"writer-{number}",)) for number in range(10)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    governor.committer.start()
    governor.committer.stop()

    (balance,) = store.balances(budget="organization")
    assert (balance.settled, balance.held) == (500 * DOLLAR, 0)
    assert sorted(alert.threshold_percent for alert in store.alerts()) == [80, 100]
    (told,) = [alert for alert in store.alerts() if alert.threshold_percent == 80]
    # Of the ten that may be settled at that moment, any may be the first to tell.
    assert 400 * DOLLAR <= told.spent_nanodollars < 405 * DOLLAR


# ── G14: answers that are kept ──────────────────────────────────────────────────────────────────


def test_g14_four_of_five_calls_are_answered_from_the_cache_for_nothing(store: MemoryStore) -> None:
    desk = Desk(store, the_policy())
    started_at_us, hits = desk.clock.at_us, 0
    for number in range(1_000):
        desk.clock.at_us = started_at_us + number * 7_199 * MICROSECONDS // 1_000
        recall = desk.recall(f"question {number % 200}")
        if recall.find() is None:
            desk.buy(recall)
        else:
            hits += 1
    desk.close()

    (row,) = store.spend(by=[])
    (price,) = {entry.cost_nanodollars for entry in store.entries(limit=1_000, outcome="settled")}
    assert (hits, row.cached, row.calls) == (800, 800, 1_000)
    assert row.cost_nanodollars == 200 * price
    assert row.avoided_nanodollars == 800 * price
