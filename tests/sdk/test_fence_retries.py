"""Running a fenced function again: only what may pass, only so often, and only while there is money."""

import asyncio
import concurrent.futures
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx2
import openai
import pytest

from farthing import BudgetExceeded, CallRefused, Fence, GuardError
from farthing.domain.errors import Reason, Refusal
from farthing.sdk.context import FenceShut, active_scopes
from farthing.sdk.retries import asked_wait_s, may_pass
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import messages

REQUEST = httpx2.Request("POST", "https://provider.invalid/")
SPENT = Refusal(reason=Reason.BUDGET_EXCEEDED, message="spent", fix="more")


def answered(status: int, body: object = None, **headers: str) -> openai.APIStatusError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx2.Response(status, headers=named, request=REQUEST)
    return openai.APIStatusError("no", response=response, body=body)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


class Busy(Exception):
    """As google-genai's errors: the status is called code."""

    code = 503


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        ConnectionResetError(),
        openai.APIConnectionError(request=REQUEST),
        openai.APITimeoutError(request=REQUEST),
        httpx2.ReadTimeout("slow"),
        httpx2.RemoteProtocolError("cut"),
        answered(408),
        answered(429),
        answered(500),
        answered(529),
        answered(400, x_should_retry="true"),
        Busy(),
        ExceptionGroup("tasks", [TimeoutError(), answered(503)]),
    ],
    ids=repr,
)
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    assert may_pass(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        answered(400),
        answered(401),
        answered(422),
        answered(429, x_should_retry="false"),
        answered(429, {"code": "insufficient_quota"}),
        answered(503, retry_after="3600"),
        httpx2.UnsupportedProtocol("ftp"),
        asyncio.CancelledError(),
        concurrent.futures.CancelledError(),
        KeyboardInterrupt(),
        BudgetExceeded(SPENT),
        CallRefused(SPENT),
        GuardError("two ledgers"),
        FenceShut("shut"),
        caused(TimeoutError("a framework's word for it"), BudgetExceeded(SPENT)),
        ExceptionGroup("tasks", [TimeoutError(), ValueError()]),
    ],
    ids=repr,
)
def test_what_will_not_pass_is_not_tried_again(error: BaseException) -> None:
    assert not may_pass(error)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "2"}, 2.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after_ms": "250", "retry_after": "9"}, 0.25),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "inf"}, None),
        ({}, None),
    ],
)
def test_how_long_the_provider_asks_to_wait_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert asked_wait_s(answered(429, **headers)) == seconds


def test_a_date_to_wait_for_is_read() -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    asked = asked_wait_s(answered(429, retry_after=then))
    assert asked is not None and 25 < asked <= 30


# ── in a fence ──────────────────────────────────────────────────────────────────────────────────


def slow(wait: str) -> Callable[[], None]:
    """Fails twice, each time asking for a pause."""
    left = [answered(503, retry_after_ms=wait), answered(503, retry_after_ms=wait)]

    def work() -> None:
        if left:
            raise left.pop()

    return work


def test_the_pause_is_as_long_as_the_provider_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    Fence(budget=1, max_retries=2).guard(slow("12000"))()
    assert slept == [12.0, 12.0]


def test_pauses_grow_where_the_provider_asks_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    with pytest.raises(TimeoutError):
        Fence(budget=1, max_retries=8).guard(fails_with(TimeoutError()))()
    assert len(slept) == 8
    assert 0.1 <= slept[0] <= 0.2 and slept[-1] == 5.0 and sorted(slept) == slept


def fails_with(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


def test_each_attempt_is_said_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with caplog.at_level(logging.INFO, "farthing"), pytest.raises(TimeoutError):
        Fence(budget=1, max_retries=1).guard(fails_with(TimeoutError("too slow")))()
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("farthing: attempt 1 failed (TimeoutError: too slow); the next follows in 0.")


def test_an_outer_fence_that_is_shut_ends_the_attempts_of_an_inner_one(simulator: SimulatorServer) -> None:
    tries = []

    def work() -> None:
        tries.append(1)
        with openai.OpenAI(base_url=simulator.openai_url, api_key="any", max_retries=0) as client:
            try:
                client.chat.completions.create(model="gpt-4o-mini", messages=messages("hello"))
            except BudgetExceeded:
                raise ConnectionError("the tool lost its model") from None

    with pytest.raises(BudgetExceeded), Fence(budget=0):
        try:
            Fence(budget=1, max_retries=5).guard(work)()
        except ConnectionError:
            tries.append(2)
    assert tries == [1, 2]


# ── generators ──────────────────────────────────────────────────────────────────────────────────


class Flaky:
    """Fails so often before its first value, or after it."""

    def __init__(self, *, before: int = 0, after: int = 0) -> None:
        self.before, self.after = before, after
        self.runs = 0

    def values(self) -> Iterator[int]:
        self.runs += 1
        assert active_scopes()
        if self.runs <= self.before:
            raise TimeoutError("before")
        yield 1
        if self.runs <= self.after:
            raise TimeoutError("after")
        yield 2

    async def values_async(self) -> AsyncIterator[int]:
        for value in self.values():
            yield value


async def every(values: Any) -> list[int]:
    return [value async for value in values]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_generator_is_run_again_until_its_first_value(asynchronous: bool) -> None:
    flaky, fence = Flaky(before=2), Fence(budget=1, max_retries=2)
    if asynchronous:
        assert asyncio.run(every(fence.guard(flaky.values_async)())) == [1, 2]
    else:
        assert list(fence.guard(flaky.values)()) == [1, 2]
    assert flaky.runs == 3


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_generator_whose_first_value_was_seen_is_not_run_again(asynchronous: bool) -> None:
    flaky, fence = Flaky(after=1), Fence(budget=1, max_retries=2)
    with pytest.raises(TimeoutError, match="after"):
        if asynchronous:
            asyncio.run(every(fence.guard(flaky.values_async)()))
        else:
            list(fence.guard(flaky.values)())
    assert flaky.runs == 1


def test_the_library_underneath_is_imported_only_where_something_is_run_again() -> None:
    program = """
import sys
from farthing import Fence, guard
Fence(budget=1).guard(lambda: None)()
fenced = Fence(budget=1, max_retries=1).guard(lambda: None)
assert "tenacity" not in sys.modules
fenced()
assert "tenacity" in sys.modules
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
