"""Shares of a budget: alert_at tells once in each window, kill_at refuses, and an overdraft shows."""

import asyncio
import logging
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest

from farthing import BudgetExceeded, Fence, GuardError, guard
from farthing.domain.errors import LedgerUnavailable
from farthing.domain.period import Period, window_of
from farthing.ledger.entries import Balance, Unit
from farthing.ledger.memory import MemoryStore
from farthing.sdk.alerts import Alarm, Alert
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import messages, report_of

# gpt-4o: 15,000 tokens of output cost $0.15.
FIFTEEN_CENTS = "[[sim input=0 output=15000]] hello"
DOLLAR = 1_000_000_000


def ask(url: str, text: str = FIFTEEN_CENTS) -> None:
    with openai.OpenAI(base_url=url, api_key="any", max_retries=0) as client:
        client.chat.completions.create(model="gpt-4o", messages=messages(text), max_tokens=15_000)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]


# ── alert_at ────────────────────────────────────────────────────────────────────────────────────


def test_alert_at_tells_once_with_all_that_one_wants_to_know(
    simulator: SimulatorServer, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Alert] = []
    with Fence(budget="$0.50", alert_at=0.5, on_alert=told.append) as scope:
        for _ in range(3):
            ask(simulator.openai_url)
    (alert,) = told
    assert (alert.budget, alert.account) == (scope.name, f"{scope.name}/total")
    assert (alert.share, alert.spent, alert.limit) == (Decimal("0.5"), Decimal("0.3"), Decimal("0.5"))
    assert warnings_of(caplog) == [f"farthing: $0.30 of $0.50 are spent in {alert.account} (alert at 50%)"]
    assert pickle.loads(pickle.dumps(alert)) == alert


def test_each_run_of_a_fenced_function_has_its_own_alert(simulator: SimulatorServer) -> None:
    told: list[Alert] = []
    fenced = Fence(budget="$0.20", alert_at=0.5, on_alert=told.append).guard(ask)
    fenced(simulator.openai_url)
    fenced(simulator.openai_url)
    assert len({alert.account for alert in told}) == len(told) == 2


def test_a_guard_tells_too(simulator: SimulatorServer, caplog: pytest.LogCaptureFixture) -> None:
    told: list[Alert] = []
    client = guard(
        openai.OpenAI(base_url=simulator.openai_url, api_key="any"),
        budget="$0.50",
        alert_at=0.5,
        on_alert=told.append,
    )
    for _ in range(3):
        client.chat.completions.create(model="gpt-4o", messages=messages(FIFTEEN_CENTS), max_tokens=15_000)
    assert [alert.spent for alert in told] == [Decimal("0.3")]
    assert len(warnings_of(caplog)) == 1


def test_a_callback_that_fails_breaks_no_call(
    simulator: SimulatorServer, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: Alert) -> None:
        raise RuntimeError("the pager is away")

    with Fence(budget="$0.20", alert_at=0.5, on_alert=fails) as scope:
        ask(simulator.openai_url)
    assert scope.calls == 1
    assert "the pager is away" in caplog.text


def test_a_final_refusal_counts_as_reached(simulator: SimulatorServer) -> None:
    told: list[Alert] = []
    with pytest.raises(BudgetExceeded), Fence(budget="$0.151", alert_at=1.0, on_alert=told.append):
        ask(simulator.openai_url)
        assert not told
        ask(simulator.openai_url)
    assert [alert.spent for alert in told] == [Decimal("0.15")]


@pytest.mark.parametrize("how", ["threads", "tasks"])
def test_of_many_at_once_one_tells(simulator: SimulatorServer, how: str) -> None:
    told: list[Alert] = []
    fence = Fence(budget="$5", period="daily", name=f"many-{how}", alert_at=0.1, on_alert=told.append)
    fenced = fence.guard(ask)

    async def tasks() -> None:
        await asyncio.gather(*(asyncio.to_thread(fenced, simulator.openai_url) for _ in range(12)))

    if how == "tasks":
        asyncio.run(tasks())
    else:
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(fenced, [simulator.openai_url] * 12))
    assert len(told) == 1


def spend_and_tell(url: str, ledger: str, results: Any) -> None:
    told: list[Alert] = []
    fence = Fence(budget="$0.60", period="daily", alert_at=0.5, ledger=ledger, on_alert=told.append)
    with fence:
        ask(url)
    results.put(len(told))


def test_of_all_processes_one_tells_in_a_day(simulator: SimulatorServer, tmp_path: Path) -> None:
    ledger = f"sqlite:///{tmp_path / 'shared.db'}"
    spawning = multiprocessing.get_context("spawn")
    results = spawning.Queue()
    processes = [
        spawning.Process(target=spend_and_tell, args=(simulator.openai_url, ledger, results))
        for _ in range(3)
    ]
    for process in processes:
        process.start()
    told = [results.get(timeout=90) for _ in processes]
    for process in processes:
        process.join(30)
    assert sum(told) == 1


def balance_of(at_us: int, settled: int) -> Balance:
    window = window_of(Period.DAILY, at_us, "UTC")
    return Balance(
        account=f"org/{window.key}", unit=Unit.NANODOLLARS, settled=settled, held=0, limit=500 * DOLLAR,
        budget="org", value=None, window=window.key,
        starts_at_us=window.starts_at_us, ends_at_us=window.ends_at_us,
    )  # fmt: skip


def test_crossing_four_hundred_of_five_hundred_tells_once_for_that_day_and_again_the_next() -> None:
    told: list[Alert] = []
    store, day_us = MemoryStore(), 86_400_000_000

    def of_a_process() -> Callable[[int, int], None]:
        alarm = Alarm("org", share=Decimal("0.8"), limit_nanodollars=500 * DOLLAR, on_alert=told.append)
        return lambda at_us, settled: alarm.look([balance_of(at_us, settled)], store, at_us)

    one, another = of_a_process(), of_a_process()
    one(day_us, 399 * DOLLAR)
    assert not told
    one(day_us + 1, 400 * DOLLAR)
    one(day_us + 2, 401 * DOLLAR)
    another(day_us + 3, 450 * DOLLAR)
    assert [alert.spent for alert in told] == [Decimal(400)]
    another(2 * day_us, 410 * DOLLAR)
    one(2 * day_us + 1, 420 * DOLLAR)
    assert [alert.spent for alert in told] == [Decimal(400), Decimal(410)]


class Away(MemoryStore):
    """A ledger that cannot answer at first."""

    is_away = True

    def first_to_note(self, account: str, mark: str, *, at_us: int, ends_at_us: int | None = None) -> bool:
        if self.is_away:
            raise LedgerUnavailable("the disk is full")
        return super().first_to_note(account, mark, at_us=at_us, ends_at_us=ends_at_us)


def test_an_alert_waits_for_a_ledger_that_cannot_answer() -> None:
    told: list[Alert] = []
    store = Away()
    alarm = Alarm("org", share=Decimal("0.8"), limit_nanodollars=500 * DOLLAR, on_alert=told.append)
    alarm.look([balance_of(1, 450 * DOLLAR)], store, 1)
    assert not told
    store.is_away = False
    alarm.look([balance_of(2, 451 * DOLLAR)], store, 2)
    assert len(told) == 1


async def asynchronous(_: Alert) -> None: ...


@pytest.mark.parametrize(
    "wrong",
    [
        {"on_alert": print},
        {"alert_at": 0.8, "on_alert": asynchronous},
        {"alert_at": 0.8, "on_alert": "ops@example.com"},
        {"alert_at": 0},
        {"alert_at": "80%"},
        {"alert_at": True},
    ],
)
def test_an_alert_that_would_never_come_is_an_error(
    simulator: SimulatorServer, wrong: dict[str, Any]
) -> None:
    with pytest.raises(GuardError):
        Fence(budget=1, **wrong)
    with pytest.raises(GuardError):
        guard(openai.OpenAI(base_url=simulator.openai_url, api_key="any"), budget=1, **wrong)


# ── kill_at ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("kill", "calls", "spent"), [(0.9, 3, "0.45"), (1.0, 3, "0.45"), (1.2, 4, "0.60")])
def test_kill_at_is_the_share_that_refuses(
    simulator: SimulatorServer, kill: float, calls: int, spent: str
) -> None:
    scopes = []
    with (
        pytest.raises(BudgetExceeded) as caught,
        Fence(budget="$0.501", kill_at=kill, at_limit="refuse") as scope,
    ):
        scopes.append(scope)
        for _ in range(5):
            ask(simulator.openai_url)
    assert (scopes[0].calls, scopes[0].spent) == (calls, Decimal(spent))
    assert caught.value.limit == Decimal("0.501") * Decimal(str(kill))


@pytest.mark.parametrize(
    ("kill", "allowed"), [(0.90, 450 * DOLLAR), (1.00, 500 * DOLLAR), (1.10, 550 * DOLLAR)]
)
def test_of_five_hundred_dollars_kill_at_takes_its_share_exactly(kill: float, allowed: int) -> None:
    with Fence(budget=500.00, kill_at=kill) as scope:
        assert scope.payer(0).budget.limit_nanodollars == allowed


def test_an_overdraft_shows(simulator: SimulatorServer, caplog: pytest.LogCaptureFixture) -> None:
    with Fence(budget="$0.40", kill_at=1.2) as scope:
        for _ in range(3):
            ask(simulator.openai_url)
    assert (scope.spent, scope.limit, scope.held) == (Decimal("0.45"), Decimal("0.4"), Decimal(0))
    assert (scope.remaining, scope.overrun) == (Decimal("-0.05"), Decimal("0.05"))
    assert warnings_of(caplog) == [
        f"farthing: $0.45 of $0.40 are spent in {scope.name}/total (alert at 100%)"
    ]


def test_without_an_overdraft_nothing_is_overrun(simulator: SimulatorServer) -> None:
    with Fence(budget="$0.40") as scope:
        ask(simulator.openai_url)
    assert (scope.remaining, scope.overrun) == (Decimal("0.25"), Decimal(0))


def test_a_guard_that_warns_shows_its_overrun(simulator: SimulatorServer) -> None:
    client = guard(
        openai.OpenAI(base_url=simulator.openai_url, api_key="any"), budget="$0.10", on_limit="warn"
    )
    client.chat.completions.create(model="gpt-4o", messages=messages(FIFTEEN_CENTS), max_tokens=15_000)
    assert (report_of(client).remaining, report_of(client).overrun) == (Decimal("-0.05"), Decimal("0.05"))


def test_an_alert_above_the_share_that_refuses_is_an_error() -> None:
    with pytest.raises(GuardError, match="would never come"):
        Fence(budget=1, alert_at=0.95, kill_at=0.9)
    Fence(budget=1, alert_at=0.9, kill_at=0.9)
