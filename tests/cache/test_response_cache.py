"""Looking up and keeping beside the calls: in order, in one thread, and never a failed call."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from farthing.cache.kept import Answers, CacheUnavailable, Kept
from farthing.cache.memory import MemoryAnswers
from farthing.cache.response_cache import TRY_AGAIN_S, WAITING_MOST, ResponseCache
from farthing.cache.sqlite import SqliteAnswers
from tests.cache.words import ROOM, a_key, an_answer


def keep(answers: Answers) -> None:
    answers.keep("development", a_key(1), an_answer(), ROOM)


def find(answers: Answers) -> Kept | None:
    found = answers.find("development", [a_key(1)], since_us=0)
    return None if found is None else found[1]


@pytest.fixture
def opened() -> list[Answers]:
    """Every place that was opened."""
    return []


@pytest.fixture
def cache(opened: list[Answers]) -> Iterator[ResponseCache]:
    def open_answers() -> Answers:
        opened.append(MemoryAnswers())
        return opened[-1]

    cache = ResponseCache(open_answers)
    yield cache
    cache.close()


def test_nothing_is_opened_and_no_thread_runs_before_the_first_question(
    cache: ResponseCache, opened: list[Answers]
) -> None:
    before = set(threading.enumerate())
    assert opened == []

    cache.ask(find)

    assert len(opened) == 1
    (begun,) = set(threading.enumerate()) - before
    assert begun.name.startswith("farthing-cache")


def test_whoever_asks_next_finds_what_was_to_be_kept_soon(cache: ResponseCache) -> None:
    cache.soon(keep)

    assert cache.ask(find) == an_answer()


async def _both(cache: ResponseCache) -> tuple[Kept | None, list[str]]:
    told: list[str] = []
    gate = threading.Event()

    def slow(_: Answers) -> None:
        assert gate.wait(30)

    cache.soon(slow)
    asking = asyncio.ensure_future(cache.ask_async(find))
    await asyncio.sleep(0)
    told.append("the loop goes on")
    gate.set()
    return await asking, told


def test_an_event_loop_goes_on_while_the_disk_is_slow(cache: ResponseCache) -> None:
    cache.soon(keep)

    assert asyncio.run(_both(cache)) == (an_answer(), ["the loop goes on"])


def test_where_too_much_is_waiting_an_answer_is_not_kept(cache: ResponseCache) -> None:
    gate = threading.Event()

    def slow(_: Answers) -> None:
        assert gate.wait(30)

    for _ in range(WAITING_MOST):
        cache.soon(slow)
    cache.soon(keep)
    gate.set()

    assert cache.ask(find) is None
    cache.soon(keep)
    assert cache.ask(find) == an_answer()


def test_a_place_that_fails_is_a_miss_and_one_warning_and_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now_s, tries = [1_000.0], [0]

    def open_answers() -> Answers:
        tries[0] += 1
        if tries[0] < 3:
            raise CacheUnavailable("the cache cache.db cannot be used: file is not a database")
        return MemoryAnswers()

    cache = ResponseCache(open_answers, monotonic=lambda: now_s[0])
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            assert cache.ask(find) is None
        assert tries == [1]
        now_s[0] += TRY_AGAIN_S
        assert cache.ask(find) is None
    assert tries == [2]
    assert len(caplog.records) == 1
    assert "file is not a database; calls are made without it" in caplog.text

    now_s[0] += TRY_AGAIN_S
    cache.soon(keep)
    assert cache.ask(find) == an_answer()
    cache.close()


def test_a_forked_child_opens_its_own(cache_file: Path) -> None:
    cache = ResponseCache(lambda: SqliteAnswers(cache_file, inside=nullcontext()))
    cache.soon(keep)
    assert cache.ask(find) == an_answer()

    child = os.fork()
    if child == 0:
        found = cache.ask(find)
        cache.close()
        os._exit(0 if found == an_answer() else 1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert cache.ask(find) == an_answer()
    cache.close()


AT_THE_END = """
import atexit
from contextlib import nullcontext
from pathlib import Path
from farthing.cache.response_cache import ResponseCache
from farthing.cache.sqlite import SqliteAnswers

cache = ResponseCache(lambda: SqliteAnswers(Path("cache.db"), inside=nullcontext()))
atexit.register(cache.close)
atexit.register(lambda: print(cache.ask(lambda answers: answers.filled())))
print(cache.ask(lambda answers: answers.filled()))
"""


def test_at_the_end_of_a_program_it_is_closed_and_asking_it_hurts_nobody(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", AT_THE_END],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert (ended.stdout.split(), ended.stderr) == (["[]", "None"], "")
    assert [file.name for file in tmp_path.iterdir()] == ["cache.db"]


def test_a_place_that_cannot_even_be_closed_hurts_nobody() -> None:
    class Stuck(MemoryAnswers):
        def close(self) -> None:
            raise CacheUnavailable("stuck")

    make: Callable[[], Answers] = Stuck
    cache = ResponseCache(make)
    assert cache.ask(find) is None
    cache.close()
