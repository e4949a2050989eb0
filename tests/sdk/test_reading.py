"""Calls made in the middle of a stream: nobody waits for money that only its own reading would free."""

import asyncio
import threading
import time
from typing import Any

import openai
import pytest

from farthing import BudgetExceeded, guard
from farthing.domain.errors import Reason
from farthing.sdk.desk import PATIENCE_S
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import entries_of, messages, report_of

# gpt-4o: two choices of 16,000 tokens are held at $0.32, so that two such calls do not fit into $0.50.
DEAR: dict[str, Any] = {"model": "gpt-4o", "max_tokens": 16_000, "n": 2}
TEXT = "hello [[sim input=0 output=100 chunks=10]]"
AT_ONCE_S = PATIENCE_S / 3


def guarded(simulator: SimulatorServer, **more: Any) -> openai.OpenAI:
    return guard(openai.OpenAI(base_url=simulator.openai_url, api_key="any"), budget="$0.50", **more)


def ask(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(messages=messages(TEXT), **DEAR, **more)


def test_a_call_in_the_middle_of_its_own_stream_takes_what_is_left_at_once(
    simulator: SimulatorServer,
) -> None:
    client = guarded(simulator)
    stream = ask(client, stream=True)
    next(stream)
    began = time.monotonic()
    ask(client)
    assert time.monotonic() - began < AT_ONCE_S
    list(stream)
    assert [entry.clamped_to is not None for entry in entries_of(client)] == [True, False]


def test_where_it_may_not_be_clamped_it_is_refused_at_once_as_held(simulator: SimulatorServer) -> None:
    client = guarded(simulator, at_limit="refuse")
    stream = ask(client, stream=True)
    next(stream)
    began = time.monotonic()
    with pytest.raises(BudgetExceeded) as caught:
        ask(client)
    assert time.monotonic() - began < AT_ONCE_S
    assert caught.value.reason is Reason.BUDGET_HELD
    list(stream)
    ask(client)  # the stream is read to its end, so there is room again
    assert report_of(client).held == 0


def test_a_stream_that_another_thread_reads_is_waited_for(simulator: SimulatorServer) -> None:
    client = guarded(simulator, at_limit="refuse")
    slow = "hello [[sim input=0 output=100 chunks=20 chunk_ms=20]]"
    stream = client.chat.completions.create(messages=messages(slow), stream=True, **DEAR)
    begun = threading.Event()

    def read() -> None:
        next(stream)
        begun.set()
        list(stream)

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(10)
    ask(client)
    reader.join()
    assert [entry.outcome for entry in entries_of(client)] == ["settled", "settled"]


def test_a_task_waits_for_the_streams_of_other_tasks_and_not_for_its_own(
    simulator: SimulatorServer,
) -> None:
    client = guard(
        openai.AsyncOpenAI(base_url=simulator.openai_url, api_key="any"), budget="$0.50", at_limit="refuse"
    )

    async def inside_its_own() -> None:
        stream = await ask(client, stream=True)
        await stream.__anext__()
        began = time.monotonic()
        with pytest.raises(BudgetExceeded) as caught:
            await ask(client)
        assert time.monotonic() - began < AT_ONCE_S
        assert caught.value.reason is Reason.BUDGET_HELD
        async for _ in stream:
            pass

    async def beside_another() -> None:
        begun = asyncio.Event()

        async def read() -> None:
            slow = "hello [[sim input=0 output=100 chunks=20 chunk_ms=20]]"
            stream = await client.chat.completions.create(messages=messages(slow), stream=True, **DEAR)
            async for _ in stream:
                begun.set()

        reading = asyncio.create_task(read())
        await begun.wait()
        await ask(client)
        await reading

    async def both() -> None:
        async with client:
            await inside_its_own()
            await beside_another()

    asyncio.run(both())
    assert report_of(client).held == 0
