"""What is told once: of all who note a mark, in threads and in processes, exactly one is the first."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

from farthing.ledger.memory import MemoryStore
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import MARKS_KEPT_US, Store
from tests.ledger.sentences import CENT, NOON_US, ask, hold, money, undo_migrations_after

PROCESSES = 10

NOTE_MANY = """
import sys
from farthing.ledger.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
sys.stdin.readline()
for number in range(20):
    if store.first_to_note("team/2026-12", f"alert:{number}", at_us=int(sys.argv[2])):
        print(number)
store.close()
"""


def test_only_the_first_to_note_a_mark_is_told_so(store: Store) -> None:
    assert store.first_to_note("team/2026-12", "alert:80", at_us=NOON_US)
    assert not store.first_to_note("team/2026-12", "alert:80", at_us=NOON_US + 1)


def test_marks_of_other_accounts_and_other_marks_are_their_own(store: Store) -> None:
    assert store.first_to_note("team/2026-12", "alert:80", at_us=NOON_US)
    assert store.first_to_note("team/2026-12", "alert:100", at_us=NOON_US)
    assert store.first_to_note("team/2027-01", "alert:80", at_us=NOON_US)


def test_of_many_threads_one_is_first(store: Store) -> None:
    first: list[int] = []
    start = threading.Barrier(16)

    def note(number: int) -> None:
        start.wait()
        if store.first_to_note("team", "alert:80", at_us=NOON_US):
            first.append(number)

    threads = [threading.Thread(target=note, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(first) == 1


def test_of_ten_processes_one_is_first(ledger_file: Path) -> None:
    SqliteStore(ledger_file).close()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", NOTE_MANY, str(ledger_file), str(NOON_US)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=60)[0].split() for process in processes]

    assert [process.returncode for process in processes] == [0] * PROCESSES
    assert sorted(int(number) for lines in told for number in lines) == list(range(20))


def test_a_mark_outlives_its_process(ledger_file: Path) -> None:
    before = SqliteStore(ledger_file)
    assert before.first_to_note("team", "alert:80", at_us=NOON_US)
    before.close()
    after = SqliteStore(ledger_file)
    assert not after.first_to_note("team", "alert:80", at_us=NOON_US)
    after.close()


def test_marks_are_forgotten_some_time_after_their_window(store: Store) -> None:
    store.first_to_note("old", "alert:80", at_us=NOON_US, ends_at_us=NOON_US + 1)
    store.first_to_note("endless", "alert:80", at_us=NOON_US)
    late_us = NOON_US + MARKS_KEPT_US
    store.first_to_note("another", "alert:80", at_us=late_us)
    assert not store.first_to_note("old", "alert:80", at_us=late_us)  # a late call of the old window

    store.first_to_note("yet another", "alert:80", at_us=late_us + 2)

    assert marks(store) == {"endless", "another", "yet another"}


def marks(store: Store) -> set[str]:
    if isinstance(store, MemoryStore):
        return set(store._marks.noted)
    assert isinstance(store, SqliteStore)
    connection = sqlite3.connect(store._path)
    try:
        return {account for (account,) in connection.execute("SELECT account FROM mark")}
    finally:
        connection.close()


def test_a_file_that_knew_no_marks_keeps_what_it_holds(ledger_file: Path) -> None:
    before = SqliteStore(ledger_file)
    ask(before, hold("A"))
    before.close()
    undo_migrations_after(2, ledger_file)

    after = SqliteStore(ledger_file)

    assert money(after) == (0, 10 * CENT)
    assert after.first_to_note("team", "alert:80", at_us=NOON_US)
    ask(after, hold("B"))
    assert after.verify() == []
    after.close()
