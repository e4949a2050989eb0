"""The file of a cache: whole answers or none, for its owner's eyes only, and never in anybody's way."""

import logging
import multiprocessing
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path

import pytest

from farthing.cache.kept import CacheBusy, CacheUnavailable
from farthing.cache.sqlite import SqliteAnswers, remove
from tests.cache.words import NOON_US, ROOM, a_key, an_answer

Open = Callable[[], SqliteAnswers]


def test_processes_share_what_is_kept(open_file: Open) -> None:
    one, other = open_file(), open_file()

    one.keep("development", a_key(1), an_answer(), ROOM)

    assert other.find("development", [a_key(1)], since_us=0) == (0, an_answer())


def test_only_the_owner_can_read_it_or_its_journal(open_file: Open, cache_file: Path) -> None:
    open_file().keep("development", a_key(1), an_answer(), ROOM)

    files = list(cache_file.parent.iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_file_that_others_could_read_is_closed_to_them(open_file: Open, cache_file: Path) -> None:
    cache_file.touch(mode=0o644)

    open_file()

    assert stat.S_IMODE(cache_file.stat().st_mode) == 0o600


def test_cleared_text_is_not_left_on_the_disk(open_file: Open, cache_file: Path) -> None:
    answers = open_file()
    for number in range(50):
        answers.keep("development", a_key(number), an_answer(f"my secret {number} " * 100), ROOM)
    answers.clear()

    assert not any(b"my secret" in file.read_bytes() for file in cache_file.parent.iterdir())


def test_a_damaged_answer_is_forgotten_and_never_served(
    open_file: Open, cache_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answers = open_file()
    answers.keep("development", a_key(1), an_answer("the whole truth"), ROOM)
    with closing(sqlite3.connect(cache_file)) as connection, connection:
        connection.execute("UPDATE answer SET answer = substr(answer, 1, length(answer) - 3)")

    with caplog.at_level(logging.WARNING):
        assert answers.find("development", [a_key(1)], since_us=0) is None

    assert "was damaged; it is forgotten" in caplog.text
    assert answers.filled() == []


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\x00" + b"\x07" * 5_000])
def test_a_file_that_is_no_cache_is_unavailable_until_it_is_removed(cache_file: Path, content: bytes) -> None:
    cache_file.write_bytes(content)

    with pytest.raises(CacheUnavailable):
        SqliteAnswers(cache_file, inside=nullcontext())

    remove(cache_file)
    SqliteAnswers(cache_file, inside=nullcontext()).close()


def test_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(CacheUnavailable, match="No such file"):
        SqliteAnswers(tmp_path / "nowhere" / "cache.db", inside=nullcontext())


def test_a_file_of_another_version_begins_anew(open_file: Open, cache_file: Path) -> None:
    answers = open_file()
    answers.keep("development", a_key(1), an_answer(), ROOM)
    with closing(sqlite3.connect(cache_file)) as connection:
        connection.execute("PRAGMA user_version = 999")

    assert open_file().find("development", [a_key(1)], since_us=0) is None


def test_nobody_waits_long_for_a_file_in_use(cache_file: Path) -> None:
    answers = SqliteAnswers(cache_file, inside=nullcontext(), lock_deadline_s=0.01)
    with closing(sqlite3.connect(cache_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CacheBusy):
            answers.keep("development", a_key(1), an_answer(), ROOM)
        assert answers.find("development", [a_key(1)], since_us=0) is None  # reading never waits
        other.execute("ROLLBACK")

    answers.keep("development", a_key(1), an_answer(), ROOM)
    assert answers.find("development", [a_key(1)], since_us=0) is not None
    answers.close()


def _write_until_killed(cache_file: Path, begun: "multiprocessing.synchronize.Event") -> None:
    answers = SqliteAnswers(cache_file, inside=nullcontext())
    number = 0
    while True:
        number += 1
        answers.keep(
            "development", a_key(number % 40), an_answer(_text(number), at_us=NOON_US + number), ROOM
        )
        if number == 20:
            begun.set()


def _text(number: int) -> str:
    return f"{number}:" + "x" * (number % 7_000) + f":{number}"


def test_a_kill_in_the_middle_leaves_whole_answers_only(open_file: Open, cache_file: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    for _ in range(3):
        begun = spawn.Event()
        writer = spawn.Process(target=_write_until_killed, args=(cache_file, begun))
        writer.start()
        assert begun.wait(30)
        writer.kill()
        writer.join(30)
        assert writer.exitcode == -9

        answers = open_file()
        whole = 0
        for number in range(40):
            known = answers.find("development", [a_key(number)], since_us=0)
            if known is not None:
                text = known[1].body.decode()
                assert text == _text(int(text.partition(":")[0]))
                whole += 1
        assert whole >= 20
        assert [filled.entries for filled in answers.filled()] == [whole]


def test_nothing_is_left_open_after_closing(open_file: Open, cache_file: Path) -> None:
    open_file().close()

    assert [file.name for file in cache_file.parent.iterdir()] == [cache_file.name]
