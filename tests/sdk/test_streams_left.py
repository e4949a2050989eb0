"""Streams that are left before their end, by whatever way: booked right, and the provider told."""

import asyncio
import gc
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from farthing import guard
from farthing.ledger.sqlite import SqliteStore
from farthing.simulator.server import SimulatorServer
from tests.running import wait_until
from tests.sdk.answers import SLOWLY, clients, entries_of, guarded, stream_of
from tests.sdk.asking import report_of


class ReaderFailed(Exception):
    """What the reader of a stream raises half-way."""


def _three(stream: Iterator[object]) -> None:
    for _ in range(3):
        next(stream)


def _break(stream: Any) -> None:
    for place, _ in enumerate(stream):
        if place == 2:
            break


def _close(stream: Any) -> None:
    _three(stream)
    stream.close()


def _fail(stream: Any) -> None:
    with pytest.raises(ReaderFailed):
        for place, _ in enumerate(stream):
            if place == 2:
                raise ReaderFailed


LEAVING: dict[str, Callable[[Any], None]] = {
    "break": _break,
    "close": _close,
    "exception": _fail,
    "forgotten": _three,
}


def assert_assumed_at_its_ceiling(simulator: SimulatorServer, client: Any) -> None:
    wait_until(lambda: len(entries_of(client)) == 1)
    (entry,) = entries_of(client)
    assert (entry.outcome, entry.assumed, entry.assumed_rule) == ("settled", True, "drain_expired")
    assert entry.cost_nanodollars == entry.ceiling_nanodollars > 0
    assert report_of(client).held == 0
    # The provider is told, so that it stops.
    assert simulator.record.wait_until(lambda: simulator.record.outcomes["abandoned"] == 1)


@pytest.mark.parametrize("how", LEAVING)
@pytest.mark.parametrize("which", ["chat", "claude", "gemini"])
def test_a_stream_that_is_left_after_three_chunks_is_assumed_at_its_ceiling(
    simulator: SimulatorServer, which: str, how: str
) -> None:
    client = guarded(simulator, which)
    LEAVING[how](stream_of(client, which))
    gc.collect()
    assert_assumed_at_its_ceiling(simulator, client)


async def _break_async(stream: Any) -> None:
    place = 0
    async for _ in stream:
        place += 1
        if place == 3:
            break


async def _close_async(stream: Any) -> None:
    await _three_async(stream)
    await (stream.aclose() if hasattr(stream, "aclose") else stream.close())


async def _fail_async(stream: Any) -> None:
    async def read() -> None:
        await _break_async(stream)
        raise ReaderFailed

    with pytest.raises(ReaderFailed):
        await read()


async def _three_async(stream: AsyncIterator[object]) -> None:
    for _ in range(3):
        await stream.__anext__()


async def _cancel_async(stream: Any) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            async for _ in stream:
                pass


LEAVING_ASYNC: dict[str, Callable[[Any], Any]] = {
    "break": _break_async,
    "close": _close_async,
    "exception": _fail_async,
    "forgotten": _three_async,
    "cancelled": _cancel_async,
}


@pytest.mark.parametrize("how", LEAVING_ASYNC)
@pytest.mark.parametrize("which", ["async chat", "async claude", "async gemini"])
def test_an_asynchronous_stream_that_is_left_is_assumed_at_its_ceiling(
    simulator: SimulatorServer, which: str, how: str
) -> None:
    client = guarded(simulator, which.replace("async gemini", "gemini"))

    async def leave() -> None:
        await LEAVING_ASYNC[how](await stream_of(client, which))
        gc.collect()
        if which != "async gemini":
            await client.close()

    asyncio.run(leave())
    gc.collect()
    assert_assumed_at_its_ceiling(simulator, client)


LEAVES_BY_EXIT = """
import sys
import openai
from farthing import guard

client = guard(
    openai.OpenAI(base_url=sys.argv[1], api_key="any"),
    budget=1, workflow_id="exit", ledger=sys.argv[2], environment="development",
)
words = [{"role": "user", "content": sys.argv[3]}]
stream = client.chat.completions.create(model="gpt-4o-mini", messages=words, max_tokens=600, stream=True)
for _ in range(3):
    next(stream)
raise SystemExit(3)
"""


def test_a_process_that_exits_in_the_middle_of_a_stream_settles_it_first(
    simulator: SimulatorServer, tmp_path: Path
) -> None:
    ledger = tmp_path / "exit.db"
    command = [sys.executable, "-c", LEAVES_BY_EXIT, simulator.openai_url, f"sqlite:///{ledger}", SLOWLY]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (3, "")
    store = SqliteStore(ledger)
    try:
        (entry,) = store.entries()
        assert store.open_holds() == [] and store.verify() == []
    finally:
        store.close()
    assert entry.assumed and entry.cost_nanodollars == entry.ceiling_nanodollars > 0


LEAVES_TO_A_CHILD = """
import gc, os, sys
import openai
from farthing import guard

client = guard(
    openai.OpenAI(base_url=sys.argv[1], api_key="any"),
    budget=1, workflow_id="child", ledger=sys.argv[2], environment="development",
)
words = [{"role": "user", "content": sys.argv[3]}]
stream = client.chat.completions.create(model="gpt-4o-mini", messages=words, max_tokens=600, stream=True)
next(stream)
child = os.fork()
if child == 0:
    del stream
    gc.collect()
    sys.exit(7)
ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert ended == 7, ended
assert client.farthing.held > 0
list(stream)
"""


def test_a_forked_child_that_drops_its_copy_of_a_stream_books_nothing(
    simulator: SimulatorServer, tmp_path: Path
) -> None:
    ledger, text = tmp_path / "child.db", "hello [[sim input=30 output=500 chunks=20 chunk_ms=20]]"
    command = [sys.executable, "-c", LEAVES_TO_A_CHILD, simulator.openai_url, f"sqlite:///{ledger}", text]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    store = SqliteStore(ledger)
    try:
        (entry,) = store.entries()
    finally:
        store.close()
    assert (entry.assumed, entry.cost_nanodollars) == (False, 304_500)


@pytest.mark.parametrize("which", ["chat", "claude", "gemini"])
def test_a_guard_that_is_collected_closes_nothing_of_another_on_the_same_client(
    simulator: SimulatorServer, which: str
) -> None:
    plain = clients(simulator)[which]
    reading = guard(plain, budget=1, ledger="memory://")
    stream = iter(stream_of(reading, which, "hello [[sim input=30 output=500 chunks=20 chunk_ms=5]]"))
    next(stream)
    guard(plain, budget=1, ledger="memory://")
    gc.collect()
    assert list(stream)
    assert [entry.assumed for entry in entries_of(reading)] == [False]


@pytest.mark.parametrize("which", ["async chat", "async claude", "async gemini"])
def test_an_asynchronous_guard_that_is_collected_closes_nothing_of_another(
    simulator: SimulatorServer, which: str
) -> None:
    plain = clients(simulator)[which.replace("async gemini", "gemini")]
    reading = guard(plain, budget=1, ledger="memory://")

    async def read() -> None:
        stream = await stream_of(reading, which, "hello [[sim input=30 output=500 chunks=20 chunk_ms=5]]")
        await stream.__anext__()
        guard(plain, budget=1, ledger="memory://")
        gc.collect()
        async for _ in stream:
            pass
        if which != "async gemini":
            await plain.close()

    asyncio.run(read())
    assert [entry.assumed for entry in entries_of(reading)] == [False]
