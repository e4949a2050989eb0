"""Many calls at once through guards and fences: no budget is passed, and what it has can be used."""

import asyncio
import json
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import openai
import pytest

from farthing import BudgetExceeded, Fence, guard
from farthing.ledger.sqlite import SqliteStore
from tests.faults.conftest import FULL, Measured
from tests.faults.processes import Simulator

RUNS = 100 if FULL else 3
AT_ONCE = 50
PROCESSES, THREADS_EACH = 4, 16
FENCED = 10 if FULL else 4
LIMIT = Decimal("0.50")
# gpt-4o: 40,000 tokens of input and 10,000 of output cost $0.20: two calls fit, and no part of a third.
TWENTY_CENTS: dict[str, Any] = {
    "model": "gpt-4o",
    "max_tokens": 10_000,
    "messages": [
        {"role": "user", "content": "[[sim input=40000 output=10000 latency_ms=5]]" + "word " * 39_980}
    ],
}
# Short prompts without a cap: the most each could cost is $0.16.
TEN_CENTS: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "[[sim input=10 output=10000 latency_ms=5]] hello"}],
}
TWO_CENTS: dict[str, Any] = {
    "model": "gpt-4o",
    "max_tokens": 2_000,
    "messages": [{"role": "user", "content": "[[sim input=0 output=2000 latency_ms=1]] hello"}],
}
WAIT_SECONDS = 240


def bare(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="any", timeout=60, max_retries=0)


def made(client: openai.OpenAI, asked: dict[str, Any]) -> bool:
    try:
        client.chat.completions.create(**asked)
    except BudgetExceeded:
        return False
    return True


def at_once(pool: ThreadPoolExecutor, count: int, work: Callable[[], bool]) -> int:
    """Do the same in so many threads that start together; tell how many calls were made."""
    ready = threading.Barrier(count)

    def one(_: int) -> bool:
        ready.wait(WAIT_SECONDS)
        return work()

    return sum(pool.map(one, range(count)))


def billed(simulator: Simulator) -> Iterator[tuple[int, str]]:
    """Output tokens and model of each call that reached the provider, as it bills them."""
    for line in simulator.log.read_text("utf-8").splitlines():
        call = json.loads(line)
        yield call["billed"]["output_tokens"], call["model"]


def report_of(client: Any) -> Any:
    return client.farthing


def test_threads_on_fifty_cents_make_two_calls_of_twenty(simulator: Simulator, measured: Measured) -> None:
    plain, counts = bare(simulator.url), []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in range(RUNS):
            client = guard(plain, budget=LIMIT, ledger="memory://")
            counts.append(at_once(pool, AT_ONCE, lambda client=client: made(client, TWENTY_CENTS)))  # type: ignore[misc]
            assert report_of(client).spent == Decimal("0.20") * counts[-1] <= LIMIT
            assert report_of(client).held == 0
    measured(f"{RUNS} runs of {AT_ONCE} threads: {sorted(set(counts))} calls each")
    assert set(counts) == {2}
    assert len(list(billed(simulator))) == 2 * RUNS


def test_tasks_on_fifty_cents_make_two_calls_of_twenty(simulator: Simulator, measured: Measured) -> None:
    counts = []

    async def one(client: openai.AsyncOpenAI) -> bool:
        try:
            await client.chat.completions.create(**TWENTY_CENTS)
        except BudgetExceeded:
            return False
        return True

    async def all_runs() -> None:
        plain = openai.AsyncOpenAI(base_url=f"{simulator.url}/v1", api_key="any", timeout=60, max_retries=0)
        async with plain:
            for _ in range(RUNS):
                client = guard(plain, budget=LIMIT, ledger="memory://")
                counts.append(sum(await asyncio.gather(*(one(client) for _ in range(AT_ONCE)))))
                assert report_of(client).spent == Decimal("0.20") * counts[-1] <= LIMIT
                assert report_of(client).held == 0

    asyncio.run(all_runs())
    measured(f"{RUNS} runs of {AT_ONCE} tasks: {sorted(set(counts))} calls each")
    assert set(counts) == {2}
    assert len(list(billed(simulator))) == 2 * RUNS


def test_held_money_is_waited_for_so_that_the_budget_is_used(
    simulator: Simulator, measured: Measured
) -> None:
    plain, spent, counts = bare(simulator.url), [], []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in range(RUNS):
            client = guard(plain, budget=LIMIT, ledger="memory://")
            counts.append(at_once(pool, AT_ONCE, lambda client=client: made(client, TEN_CENTS)))  # type: ignore[misc]
            spent.append(report_of(client).spent)
            assert report_of(client).held == 0
    measured(
        f"{RUNS} runs of {AT_ONCE} threads without max_tokens: {min(counts)} to {max(counts)} calls, "
        f"${min(spent)} to ${max(spent)} of ${LIMIT}"
    )
    assert Decimal("0.45") <= min(spent) and max(spent) <= LIMIT


def _guard_in_a_process(url: str, ledger: str, together: Barrier, results: Any) -> None:
    plain = bare(url)
    counts = []
    with ThreadPoolExecutor(THREADS_EACH) as pool:
        for run in range(RUNS):
            client = guard(
                plain, budget=LIMIT, workflow_id=f"race-{run}", ledger=ledger, environment="development"
            )
            together.wait(WAIT_SECONDS)
            counts.append(at_once(pool, THREADS_EACH, lambda client=client: made(client, TWENTY_CENTS)))  # type: ignore[misc]
    results.put(counts)


def _in_a_process(target: Callable[..., None], together: Barrier, *arguments: object) -> None:
    try:
        target(*arguments)
    except BaseException:
        together.abort()  # nobody waits for who is gone
        raise


def in_processes(count: int, target: Callable[..., None], *arguments: object) -> list[list[int]]:
    """Run a function in so many new processes that begin each of their rounds together."""
    spawning = multiprocessing.get_context("spawn")
    results, together = spawning.SimpleQueue(), spawning.Barrier(count)
    told = (target, together, *arguments, together, results)
    running = [spawning.Process(target=_in_a_process, args=told) for _ in range(count)]
    for process in running:
        process.start()
    try:
        for process in running:
            process.join(WAIT_SECONDS * (1 + RUNS // 20))
        assert [process.exitcode for process in running] == [0] * count
    finally:
        for process in running:
            process.kill()
            process.join()
    return [results.get() for _ in running]


def test_processes_of_threads_on_fifty_cents_make_two_calls_of_twenty(
    simulator: Simulator, ledger: Path, measured: Measured
) -> None:
    counts = in_processes(PROCESSES, _guard_in_a_process, simulator.url, f"sqlite:///{ledger}")
    each = [sum(run) for run in zip(*counts, strict=True)]
    measured(
        f"{RUNS} runs of {PROCESSES} processes of {THREADS_EACH} threads: {sorted(set(each))} calls each"
    )
    assert set(each) == {2}
    store = SqliteStore(ledger)
    try:
        balances = [one for run in range(RUNS) for one in store.balances(budget=f"race-{run}")]
        assert {balance.settled for balance in balances} == {400_000_000} and len(balances) == RUNS
        assert store.open_holds() == [] and store.verify() == []
    finally:
        store.close()
    assert len(list(billed(simulator))) == 2 * RUNS


# ── fences ──────────────────────────────────────────────────────────────────────────────────────


def _fence_in_a_process(url: str, ledger: str, together: Barrier, results: Any) -> None:
    client = bare(url)
    fence = Fence(LIMIT, period="daily", name="day", ledger=ledger, environment="development")
    counts = []
    together.wait(WAIT_SECONDS)
    for _ in range(10):
        try:
            with fence:
                counts.append(int(made(client, TWO_CENTS)))
        except BudgetExceeded:
            break
    results.put(counts)


def test_processes_never_pass_the_cap_of_the_day(
    simulator: Simulator, ledger: Path, measured: Measured
) -> None:
    counts = in_processes(FENCED, _fence_in_a_process, simulator.url, f"sqlite:///{ledger}")
    store = SqliteStore(ledger)
    try:
        (day,) = store.balances(budget="day")
        assert store.open_holds() == [] and store.verify() == []
    finally:
        store.close()
    calls = sum(map(sum, counts))
    measured(f"{FENCED} processes on one fence: {calls} calls, ${Decimal(day.settled) / 10**9} of ${LIMIT}")
    assert day.held == 0 and day.settled <= day.limit == 500_000_000
    assert day.settled >= 450_000_000
    assert len(list(billed(simulator))) == calls


@pytest.mark.parametrize("way", ["threads", "tasks"])
def test_a_fence_of_a_day_holds_against_all_its_runs_at_once(
    simulator: Simulator, ledger: Path, way: str
) -> None:
    fence = Fence(LIMIT, period="daily", name="day", ledger=f"sqlite:///{ledger}", environment="development")
    plain = bare(simulator.url)

    def in_thread() -> bool:
        try:
            return fence.guard(made)(plain, TWENTY_CENTS)
        except BudgetExceeded:
            return False

    async def in_task(client: openai.AsyncOpenAI) -> bool:
        @fence.guard
        async def asked() -> None:
            await client.chat.completions.create(**TWENTY_CENTS)

        try:
            await asked()
        except BudgetExceeded:
            return False
        return True

    async def all_tasks() -> int:
        async with openai.AsyncOpenAI(base_url=f"{simulator.url}/v1", api_key="any", timeout=60) as client:
            return sum(await asyncio.gather(*(in_task(client) for _ in range(AT_ONCE))))

    if way == "threads":
        with ThreadPoolExecutor(AT_ONCE) as pool:
            assert at_once(pool, AT_ONCE, in_thread) == 2
    else:
        assert asyncio.run(all_tasks()) == 2
    assert len(list(billed(simulator))) == 2
