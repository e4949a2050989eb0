"""What only a file can suffer: old and new schemas, full disks, damage, locks, forks, and tampering."""

import fcntl
import multiprocessing
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from farthing.domain.errors import LedgerUnavailable
from farthing.ledger import sqlite_questions
from farthing.ledger.entries import Held
from farthing.ledger.migrate import migrate, scripts
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.sqlite_questions import Wanted
from farthing.ledger.store import BatchPoisoned
from tests.ledger.sentences import CENT, DOLLAR, ask, assume, booked, hold, money, offer, settle


@contextmanager
def opened(path: Path, **options: bool | float) -> Iterator[SqliteStore]:
    store = SqliteStore(path, **options)  # type: ignore[arg-type]
    try:
        yield store
    finally:
        store.close()


@contextmanager
def by_hand(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


# ── opening ─────────────────────────────────────────────────────────────────────────────────────


def test_what_was_written_is_there_after_opening_again(ledger_file: Path) -> None:
    with opened(ledger_file) as store:
        ask(store, hold("A"))
    with opened(ledger_file) as store:
        booked(store, settle("A", 5 * CENT))
        assert money(store) == (5 * CENT, 0)


def test_full_sync_writes_the_same_books(ledger_file: Path) -> None:
    with opened(ledger_file, full_sync=True) as store:
        ask(store, hold("A"))
        booked(store, settle("A", 5 * CENT))
        assert money(store) == (5 * CENT, 0)
        assert store.verify() == []


def test_an_empty_file_becomes_a_ledger(ledger_file: Path) -> None:
    ledger_file.touch()
    with opened(ledger_file) as store:
        assert store.entries() == []


def test_an_older_schema_is_brought_up_to_date_with_what_it_holds(
    ledger_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(ledger_file) as store:
        ask(store, hold("A"))
    later = [*scripts(), "CREATE TABLE note (text TEXT) STRICT;\nINSERT INTO note VALUES ('a; b');"]
    monkeypatch.setattr("farthing.ledger.migrate.scripts", lambda: later)

    with opened(ledger_file) as store:
        assert money(store) == (0, 10 * CENT)

    with by_hand(ledger_file) as connection:
        assert connection.execute("SELECT text FROM note").fetchall() == [("a; b",)]
        assert connection.execute("PRAGMA user_version").fetchall() == [(len(later),)]


def test_a_migration_that_fails_leaves_the_older_schema_whole(
    ledger_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(ledger_file):
        pass
    broken = [*scripts(), "CREATE TABLE note (text TEXT) STRICT;\nNONSENSE;"]
    with monkeypatch.context() as patch:
        patch.setattr("farthing.ledger.migrate.scripts", lambda: broken)
        with pytest.raises(LedgerUnavailable):
            SqliteStore(ledger_file)

    with by_hand(ledger_file) as connection:
        assert connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'note'").fetchall() == []
    with opened(ledger_file) as store:
        assert isinstance(ask(store, hold("A")), Held)


def test_a_newer_schema_is_refused_with_a_way_out(ledger_file: Path) -> None:
    with opened(ledger_file):
        pass
    with by_hand(ledger_file) as connection:
        connection.execute("PRAGMA user_version = 999")

    with pytest.raises(LedgerUnavailable, match=r"schema 999.*upgrade farthing"):
        SqliteStore(ledger_file)


def test_a_process_does_not_write_on_under_a_schema_that_became_another_one(ledger_file: Path) -> None:
    with opened(ledger_file) as store:
        assert isinstance(ask(store, hold("A")), Held)
        with by_hand(ledger_file) as connection:
            connection.execute("PRAGMA user_version = 999")

        with pytest.raises(LedgerUnavailable, match="brought to schema 999 while this process ran"):
            ask(store, hold("B"))

        with by_hand(ledger_file) as connection:
            connection.execute("PRAGMA user_version = " + str(len(scripts())))
        assert isinstance(ask(store, hold("C")), Held)
        assert {one.call_id for one in store.open_holds()} == {"A", "C"}


def test_migrating_twice_changes_nothing(ledger_file: Path) -> None:
    with opened(ledger_file), by_hand(ledger_file) as connection:
        schema = connection.execute("SELECT sql FROM sqlite_schema").fetchall()
        migrate(connection, ledger_file)
        assert connection.execute("SELECT sql FROM sqlite_schema").fetchall() == schema


def test_many_may_open_a_new_file_at_once(ledger_file: Path) -> None:
    stores: list[SqliteStore] = []
    start = threading.Barrier(8)

    def open_it() -> None:
        start.wait()
        stores.append(SqliteStore(ledger_file))

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(stores) == 8
    for store in stores:
        store.close()


@pytest.mark.parametrize("content", [b"this is a text file, not a ledger" * 200])
def test_a_file_that_is_no_ledger_is_refused(ledger_file: Path, content: bytes) -> None:
    ledger_file.write_bytes(content)

    with pytest.raises(LedgerUnavailable, match=r"ledger\.db"):
        SqliteStore(ledger_file)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="No such file"):
        SqliteStore(tmp_path / "nowhere" / "ledger.db")


def test_a_closed_ledger_answers_no_more(ledger_file: Path) -> None:
    store = SqliteStore(ledger_file)
    store.close()

    with pytest.raises(LedgerUnavailable, match="closed"):
        store.apply([hold("A")])
    with pytest.raises(LedgerUnavailable, match="closed"):
        store.entries()


# ── a batch is whole or not at all ──────────────────────────────────────────────────────────────


def test_a_full_disk_undoes_the_batch_and_is_survived(ledger_file: Path) -> None:
    with opened(ledger_file) as store:
        ask(store, hold("A", offer(CENT)))
        writer = store._files().writer
        ((pages,),) = writer.execute("PRAGMA page_count").fetchall()
        writer.execute(f"PRAGMA max_page_count = {pages}")
        many = [hold(f"call-{number}", offer(CENT // 10)) for number in range(100)]

        with pytest.raises(LedgerUnavailable, match="full"):
            store.apply(many)

        assert money(store) == (0, CENT)
        assert [open_hold.call_id for open_hold in store.open_holds()] == ["A"]
        writer.execute("PRAGMA max_page_count = 1000000")
        assert len(store.apply(many)) == 100
        assert store.verify() == []


def test_damage_is_said_and_not_booked_over(ledger_file: Path) -> None:
    with opened(ledger_file) as store:
        ask(store, hold("A"))
    content = bytearray(ledger_file.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    ledger_file.write_bytes(content)

    with pytest.raises(LedgerUnavailable, match="malformed"), opened(ledger_file) as store:
        ask(store, settle("A"))


def test_a_read_only_file_is_said(ledger_file: Path) -> None:
    with opened(ledger_file) as store:
        store._files().writer.execute("PRAGMA query_only = ON")
        with pytest.raises(LedgerUnavailable, match="readonly"):
            ask(store, hold("A"))


@pytest.mark.parametrize("cost", [2**63, 2**80])
def test_a_number_that_no_column_holds_poisons_its_batch(ledger_file: Path, cost: int) -> None:
    with opened(ledger_file) as store:
        ask(store, hold("A"))

        with pytest.raises(BatchPoisoned):
            store.apply([settle("A", cost), hold("B")])

        assert money(store) == (0, 10 * CENT)
        assert store.entry("A") is None


def test_text_that_is_no_text_poisons_its_batch(ledger_file: Path) -> None:
    with opened(ledger_file) as store, pytest.raises(BatchPoisoned):
        store.apply([hold("A", about={"labels": {"feature": "\ud800"}})])


# ── entries are never changed; verify finds who tried ───────────────────────────────────────────


@pytest.mark.parametrize("statement", ["UPDATE entry SET cost_nanodollars = 0", "DELETE FROM entry"])
def test_an_entry_cannot_be_changed_by_hand(ledger_file: Path, statement: str) -> None:
    with opened(ledger_file) as store:
        ask(store, hold("A"))
        booked(store, settle("A"))
    with by_hand(ledger_file) as connection, pytest.raises(sqlite3.IntegrityError, match="never"):
        connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE account SET settled = settled + 1", "settled of team"),
        ("UPDATE account SET held = held - 1", "held of team"),
        ("UPDATE spend_sum SET cost_nanodollars = 0", "cost_nanodollars of spend_sum"),
        ("DELETE FROM spend_sum", "calls of spend_sum"),
        ("UPDATE spend_run SET output_tokens = 3", "output_tokens of spend_run"),
        ("UPDATE spend_run SET last_at_us = 3", "last_at_us of spend_run"),
        ("UPDATE label_sum SET value = 'other'", "calls of label_sum"),
        ("UPDATE cost_count SET bucket = bucket + 1", "count of cost_count"),
        ("DELETE FROM hold", "held of team"),
    ],
)
def test_verify_finds_what_was_changed_by_hand(ledger_file: Path, statement: str, what: str) -> None:
    with opened(ledger_file) as store:
        about = {"labels": {"feature": "search"}, "run": "r"}
        for call_id in ("A", "B", "C"):
            ask(store, hold(call_id, about=about))
        booked(store, settle("A"))
        booked(store, assume("B"))
        booked(store, settle("B", 2 * CENT))
        assert store.verify() == []
        with by_hand(ledger_file) as connection:
            connection.execute(statement)

        assert any(what in difference.what for difference in store.verify())


# ── questions use indices, and never wait ───────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "index"),
    [
        ({}, "entry_by_time"),
        ({"environment": "development"}, "entry_by_time"),
        ({"labels": {"feature": "search"}}, "entry_by_time"),
        ({"outcome": "settled"}, "entry_by_time"),
        ({"outcome": "refused"}, "entry_by_outcome"),
        ({"request_id": "r", "outcome": "refused"}, "entry_by_request"),
    ],
)
def test_entries_are_searched_by_index_within_a_span(
    ledger_file: Path, changes: dict[str, object], index: str
) -> None:
    nothing: dict[str, object] = dict.fromkeys(
        ("before", "outcome", "environment", "key", "request_id", "since_us", "until_us")
    )
    wanted = Wanted(**({"limit": 10, "labels": {}} | nothing | changes))  # type: ignore[arg-type]
    with opened(ledger_file), by_hand(ledger_file) as connection:
        statement, values = sqlite_questions.entries_statement(wanted, 0, 10, 10)
        steps = [step[3] for step in connection.execute("EXPLAIN QUERY PLAN " + statement, values)]

    assert any(step.startswith(f"SEARCH entry USING INDEX {index}") for step in steps), steps
    if index != "entry_by_request":
        assert not any("TEMP B-TREE" in step for step in steps)


def test_a_reader_does_not_wait_for_a_writer(ledger_file: Path) -> None:
    with opened(ledger_file) as store:
        ask(store, hold("A"))
        with by_hand(ledger_file) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE account SET held = 0")
            assert money(store) == (0, 10 * CENT)
            connection.execute("ROLLBACK")


def test_readers_in_many_threads_share_a_few_connections(ledger_file: Path) -> None:
    with opened(ledger_file) as store:
        ask(store, hold("A"))
        threads = [threading.Thread(target=lambda: [money(store) for _ in range(20)]) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert 1 <= len(store._files().readers) <= 20


# ── the queue before the file ───────────────────────────────────────────────────────────────────


def test_who_waits_in_vain_for_the_file_is_told_at_the_deadline(ledger_file: Path) -> None:
    with opened(ledger_file, lock_deadline_s=0.05) as store:
        stranger = os.open(f"{ledger_file}-lock", os.O_RDWR)
        fcntl.flock(stranger, fcntl.LOCK_EX)
        with pytest.raises(LedgerUnavailable, match=r"locked for 0\.05 s"):
            ask(store, hold("A"))
        with pytest.raises(LedgerUnavailable, match=r"locked for 0\.05 s"):
            ask(store, hold("A"))
        assert store.entries() == []  # questions go on

        fcntl.flock(stranger, fcntl.LOCK_UN)
        assert isinstance(_until_granted(store), Held)
        os.close(stranger)


def _until_granted(store: SqliteStore) -> object:
    """The waiting thread may still be handing back the turn that came too late."""
    for _ in range(100):
        try:
            return ask(store, hold("A"))
        except LedgerUnavailable:
            continue
    return None


def test_the_turn_keeps_other_stores_out_until_it_ends(ledger_file: Path) -> None:
    with opened(ledger_file) as first, opened(ledger_file, lock_deadline_s=0.05) as second:
        with first.turn():
            ask(first, hold("A"))
            with pytest.raises(LedgerUnavailable):
                ask(second, hold("B"))
            ask(first, settle("A"))
        assert isinstance(_until_granted(second), Held)


# ── forks ───────────────────────────────────────────────────────────────────────────────────────


def test_a_forked_child_opens_its_own_and_both_go_on(ledger_file: Path) -> None:
    with opened(ledger_file) as store:
        ask(store, hold("A", offer(CENT)))

        lock = Path(f"{ledger_file}-lock")

        def in_child() -> None:
            # Were it inherited, the file would stay locked when the parent is killed in its turn.
            assert lock not in [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.exists()]
            ask(store, hold("B", offer(CENT)))
            ask(store, settle("A", CENT))
            store.close()

        with store.turn():  # the parent holds the lock while it forks; the child must not inherit it
            child = multiprocessing.get_context("fork").Process(target=in_child)
            child.start()
        child.join()

        assert child.exitcode == 0
        assert money(store) == (CENT, CENT)
        assert isinstance(ask(store, hold("C", offer(DOLLAR - 2 * CENT))), Held)
        assert store.verify() == []


def test_forks_in_the_middle_of_others_work_leave_children_that_work(ledger_file: Path) -> None:
    with opened(ledger_file) as store:
        ask(store, hold("A", offer(1)))
        done = threading.Event()

        def keep_busy(name: str) -> None:
            number = 0
            while not done.is_set():
                number += 1
                ask(store, hold(f"{name}-{number}", offer(1)))
                money(store)

        busy = [threading.Thread(target=keep_busy, args=(f"thread-{number}",)) for number in range(3)]
        for thread in busy:
            thread.start()
        try:
            for number in range(12):
                child = multiprocessing.get_context("fork").Process(
                    target=ask, args=(store, hold(f"child-{number}", offer(1)))
                )
                child.start()
                child.join(20)
                assert child.exitcode == 0
        finally:
            done.set()
            for thread in busy:
                thread.join()

        children = {open_hold.call_id for open_hold in store.open_holds()}
        assert {f"child-{number}" for number in range(12)} <= children
        assert store.verify() == []
