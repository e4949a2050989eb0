"""Archived months: every question is answered as before, and no call is held or settled again."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from farthing.domain.errors import LedgerUnavailable
from farthing.ledger import parquet
from farthing.ledger.archiving import PartitionState, fingerprint, month_before, month_bounds, month_name
from farthing.ledger.auditing import WantedActs
from farthing.ledger.entries import Booked, Held, Outcome, Unknown
from farthing.ledger.memory import MemoryStore
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import BatchPoisoned
from tests.ledger.months import NOW_US, QUESTIONS, all_calls, answers, archive_all, at_us, fill, new_call
from tests.ledger.sentences import CENT, ask, booked, hold, money, settle


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with four months of calls, to copy."""
    file = tmp_path_factory.mktemp("template") / "ledger.db"
    store = SqliteStore(file)
    fill(store)
    store.close()
    return file


@pytest.fixture
def store(template: Path, tmp_path: Path) -> Iterator[SqliteStore]:
    """A ledger with four months of calls; it adds up in the end."""
    file = tmp_path / "ledger.db"
    file.write_bytes(template.read_bytes())
    opened = SqliteStore(file)
    yield opened
    assert opened.verify() == []
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def lines_left(store: SqliteStore) -> int:
    with store._asking() as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM entry").fetchall()
    return int(count)


# ── every question ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("until", ["2026-09", "2026-11"])
def test_every_question_is_answered_as_before(store: SqliteStore, folder: Path, until: str) -> None:
    before = answers(store)

    archive_all(store, folder, until)

    after = answers(store)
    for name in QUESTIONS:
        assert after[name] == before[name], name


def test_entries_leave_the_ledger_file_and_are_in_one_parquet_file_a_month(
    store: SqliteStore, folder: Path
) -> None:
    lines = lines_left(store)

    archive_all(store, folder)

    assert lines_left(store) == 0
    partitions = store.partitions()
    assert [row.month for row in partitions] == ["2026-08", "2026-09", "2026-10", "2026-11"]
    assert {row.state for row in partitions} == {PartitionState.ARCHIVED}
    assert sum(row.entries for row in partitions) == lines
    files = sorted(folder.glob("entries/month=*/*.parquet"))
    assert [file.parent.name for file in files] == [f"month={row.month}" for row in partitions]
    assert [parquet.file_sha256(file) for file in files] == [row.sha256 for row in partitions]
    assert sorted(folder.rglob("*.*")) == files  # nothing that was on the way is left


def test_another_engine_reads_the_files_by_names_that_need_no_ledger(
    store: SqliteStore, folder: Path
) -> None:
    duckdb = pytest.importorskip("duckdb")
    spent = sum(row.cost_nanodollars for row in store.spend(by=["environment"]))
    settled, _ = money(store)
    archive_all(store, folder)

    ((found,),) = duckdb.execute(
        "SELECT sum(cost_nanodollars) FROM read_parquet(?)", [str(folder / "entries/month=*/*.parquet")]
    ).fetchall()
    ((of_team,),) = duckdb.execute(
        "SELECT sum((booked ->> '$.team')::BIGINT) FROM read_parquet(?, hive_partitioning = true)",
        [str(folder / "entries/month=*/*.parquet")],
    ).fetchall()

    assert (found, of_team) == (spent, settled)


def test_archiving_again_moves_nothing_twice(store: SqliteStore, folder: Path) -> None:
    archive_all(store, folder)
    before = store.partitions()

    archive_all(store, folder)

    assert store.partitions() == before


def test_while_entries_leave_no_question_counts_one_twice(
    store: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answers(store)
    monkeypatch.setattr("farthing.ledger.sqlite_partitions.LEAVE_TOGETHER", 50)
    looked = 0

    def look(what: str, done: int, whole: int) -> None:
        nonlocal looked
        if what == "deleting 2026-09" and not looked:
            looked = done
            assert 0 < done < whole
            assert answers(store) == before
            assert store.verify() == []

    store.archive(folder, until_us=month_bounds("2026-09")[1], at_us=NOW_US, by="ana", progress=look)

    assert looked
    assert answers(store) == before


# ── which months go ─────────────────────────────────────────────────────────────────────────────


def test_a_month_with_a_call_in_flight_stays(store: SqliteStore, folder: Path) -> None:
    ask(store, new_call("late", at_us(3)))

    archive_all(store, folder)

    assert [(month.month, month.open_holds) for month in store.months()] == [("2026-08", 1)]
    ask(store, settle("late"))
    archive_all(store, folder)
    assert store.months() == []


def test_months_are_those_of_utc() -> None:
    assert month_name(month_bounds("2026-09")[0]) == "2026-09"
    assert month_name(month_bounds("2026-09")[0] - 1) == "2026-08"
    assert month_bounds("2026-12")[1] == month_bounds("2027-01")[0]
    assert month_before("2026-02", 3) == "2025-11"


def test_a_ledger_in_memory_says_why_it_cannot_be_archived(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="in memory"):
        MemoryStore().archive(tmp_path, until_us=NOW_US, at_us=NOW_US, by="ana")


def test_two_runs_at_once_do_not_meet(store: SqliteStore, folder: Path) -> None:
    other = SqliteStore(store._path)
    refused: list[str] = []

    def meet(what: str, done: int, whole: int) -> None:
        if not refused:
            with pytest.raises(LedgerUnavailable, match="another process"):
                archive_all(other, folder)
            refused.append(what)

    store.archive(folder, until_us=NOW_US, at_us=NOW_US, by="ana", progress=meet)

    assert refused
    other.close()


def test_who_archived_what_is_in_the_audit(store: SqliteStore, folder: Path) -> None:
    archive_all(store, folder, "2026-08")

    (act,) = store.acts(WantedActs(action="ledger"))

    (partition,) = store.partitions()
    assert (act.action, act.about, act.by) == ("ledger archive", "2026-08", "ana")
    assert act.after == f"{partition.entries} entries in {partition.file}"


# ── calls that were archived are never held or settled again ────────────────────────────────────


def test_a_hold_and_a_settlement_of_an_archived_call_get_their_first_answer(
    store: SqliteStore, folder: Path
) -> None:
    first = ask(store, settle("call-6"))
    held = ask(store, hold("call-6"))
    refused = ask(store, hold("call-10"))
    archive_all(store, folder)

    assert ask(store, settle("call-6", 99 * CENT)) == first
    assert ask(store, hold("call-6")) == held
    assert ask(store, hold("call-10")) == refused
    assert isinstance(first, Booked)
    assert isinstance(held, Held)
    assert store.open_holds() == []


def test_an_archived_call_that_was_assumed_takes_its_one_correction(store: SqliteStore, folder: Path) -> None:
    archive_all(store, folder)
    settled, _ = money(store)

    answer = booked(store, settle("call-4", CENT))
    again = booked(store, settle("call-4", 2 * CENT))

    assert (answer.corrected, again.corrected) == (True, False)
    assert money(store)[0] == settled - 9 * CENT
    entry = store.entry("call-4")
    assert entry is not None
    assert (entry.cost_nanodollars, entry.corrected, entry.assumed) == (CENT, True, False)
    assert entry in all_calls(store)
    assert store.verify() == []


def test_a_late_correction_and_a_late_entry_follow_into_a_partition_of_their_own(
    store: SqliteStore, folder: Path
) -> None:
    archive_all(store, folder)
    booked(store, settle("call-4", CENT))
    ask(store, new_call("late", at_us(5)))
    booked(store, settle("late", CENT, at_us=NOW_US))
    before = answers(store)

    archive_all(store, folder)

    assert lines_left(store) == 0
    assert [row.month for row in store.partitions()].count("2026-08") == 2
    after = answers(store)
    for name in QUESTIONS:
        assert after[name] == before[name], name


def test_two_calls_with_one_fingerprint_are_told_apart(
    store: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("farthing.ledger.sqlite_partitions.fingerprint", lambda call_id: 7)
    monkeypatch.setattr("farthing.ledger.sqlite_archived.fingerprint", lambda call_id: 7)
    before = answers(store)
    archive_all(store, folder)

    assert answers(store) == before
    assert isinstance(ask(store, new_call("new", NOW_US)), Held)
    ask(store, settle("new", at_us=NOW_US))


def test_fingerprints_stay_what_they_are() -> None:
    assert fingerprint("call-6") == -6_233_904_968_965_233_423


# ── when the archive cannot be read ─────────────────────────────────────────────────────────────


def test_without_duckdb_the_extra_is_named(
    store: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive_all(store, folder, "2026-09")
    with monkeypatch.context() as patch:
        patch.setitem(__import__("sys").modules, "duckdb", None)

        for question in (
            lambda: store.entry("call-6"),
            lambda: all_calls(store),
            lambda: store.verify(),
            lambda: archive_all(store, folder),
        ):
            with pytest.raises(LedgerUnavailable, match="DuckDB") as caught:
                question()
            assert "farthing[parquet]" in caught.value.fix

        assert len(store.entries(limit=50)) == 50  # those are in the ledger file
        assert store.spend(by=["environment"])


def test_a_call_whose_archive_cannot_be_read_holds_up_no_other(store: SqliteStore, folder: Path) -> None:
    archive_all(store, folder)
    file = folder.parent / store.partitions()[0].file
    content = file.read_bytes()
    file.unlink()

    with pytest.raises(BatchPoisoned, match="is missing"):
        store.apply([settle("call-6"), new_call("new", NOW_US)])
    assert isinstance(ask(store, new_call("new", NOW_US)), Held)

    ask(store, settle("new", at_us=NOW_US))
    file.write_bytes(content)


def test_a_partition_that_is_missing_or_changed_is_named_and_the_rest_verified(
    store: SqliteStore, folder: Path
) -> None:
    archive_all(store, folder)
    partition = store.partitions()[1]
    file = folder.parent / partition.file
    content = file.read_bytes()

    file.unlink()
    (missing,) = store.verify()
    file.write_bytes(content[:-1])
    (cut,) = store.verify()
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    file.write_bytes(changed)
    (tampered,) = store.verify()
    file.write_bytes(content)

    for difference, why in ((missing, "is missing"), (cut, "bytes and had"), (tampered, "was changed")):
        assert f"entries of 2026-09: {file} {why}" in difference.what or why in difference.what
        assert (difference.expected, difference.found) == (partition.entries, 0)


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE account SET settled = settled + 1 WHERE account = 'team'", "settled of team"),
        ("UPDATE spend_sum SET cost_nanodollars = cost_nanodollars + 1 WHERE grain = 0", "of spend_sum"),
        ("UPDATE spend_run SET calls = calls + 1", "calls of spend_run"),
        ("UPDATE spend_run SET first_at_us = first_at_us - 1", "first_at_us of spend_run"),
        ("UPDATE label_sum SET output_tokens = 1 WHERE grain = 0", "of label_sum"),
        ("UPDATE cost_count SET count = count + 1 WHERE grain = 1", "of cost_count"),
        ("UPDATE activity SET calls = calls + 1", "of activity"),
        ("UPDATE prompt_sum SET cost_nanodollars = 0", "of prompt_sum"),
        ("UPDATE reason_sum SET calls = calls - 1", "of reason_sum"),
        ("UPDATE archived_amount SET amount = amount + 1", "archived amount of"),
    ],
)
def test_tampering_with_a_sum_of_archived_entries_is_found(
    template: Path, tmp_path: Path, statement: str, what: str
) -> None:
    file = tmp_path / "ledger.db"
    file.write_bytes(template.read_bytes())
    store = SqliteStore(file)
    archive_all(store, tmp_path / "archive")
    with sqlite3.connect(file) as connection:
        connection.execute(statement)
    connection.close()

    assert any(what in difference.what for difference in store.verify())
    store.close()


def test_nobody_else_may_delete_an_entry_or_change_a_partition(store: SqliteStore, folder: Path) -> None:
    archive_all(store, folder, "2026-08")
    connection = sqlite3.connect(store._path, isolation_level=None)
    for statement in (
        "DELETE FROM entry",
        "UPDATE archive_partition SET entries = 0",
        "UPDATE archive_partition SET sha256 = ''",
        "DELETE FROM archive_partition",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            connection.execute(statement)
    connection.close()


def test_what_does_not_read_back_as_it_was_written_does_not_count(
    store: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = all_calls(store)
    real = parquet.read_back
    monkeypatch.setattr(parquet, "read_back", lambda file: real(file)._replace(digest="other"))

    with pytest.raises(LedgerUnavailable, match="does not read back"):
        archive_all(store, folder)

    assert store.partitions() == []
    assert list(folder.rglob("*.*")) == []
    assert all_calls(store) == before


def test_measures_that_an_older_file_lacks_are_nothing(
    store: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = all_calls(store)
    columns = tuple(name for name in parquet.COLUMNS if name != "uncapped")
    with monkeypatch.context() as patch:
        patch.setattr(parquet, "COLUMNS", columns)
        patch.setattr(parquet, "_TYPES", {name: parquet._TYPES[name] for name in columns})
        patch.setattr(parquet, "_READ_BACK", parquet._READ_BACK.replace('"uncapped", ', ""))
        archive_all(store, folder)

    assert all_calls(store) == before
    connection = sqlite3.connect(store._path)
    connection.execute("UPDATE spend_sum SET uncapped = 0")
    connection.execute("UPDATE spend_run SET uncapped = 0")
    connection.execute("UPDATE label_sum SET uncapped = 0")
    connection.commit()
    connection.close()


# ── forgetting ──────────────────────────────────────────────────────────────────────────────────


def forget(store: SqliteStore, until: str) -> None:
    store.forget_partitions(until_us=month_bounds(until)[1], at_us=NOW_US, by="bob", reason="two years")


def test_forgotten_months_keep_their_sums_and_lose_their_entries(store: SqliteStore, folder: Path) -> None:
    before = answers(store)
    archive_all(store, folder, "2026-10")

    forget(store, "2026-08")

    after = answers(store)
    for name in ("balances", "spend by hour", "spend by month", "spend by run", "reasons", "activity"):
        assert after[name] == before[name], name
    assert store.entry("call-6") is None
    kept = month_bounds("2026-08")[1]
    assert all_calls(store) == [entry for entry in before["every call"] if entry.at_us >= kept]  # type: ignore[attr-defined]
    assert not store.cost_counts(of="calls").exact
    assert store.cost_counts(of="calls", since_us=kept).exact
    assert isinstance(ask(store, settle("call-6")), Unknown)


def test_who_forgot_what_when_and_why_is_kept(store: SqliteStore, folder: Path) -> None:
    archive_all(store, folder)

    forget(store, "2026-09")

    gone, kept = store.partitions()[:2], store.partitions()[2:]
    assert {row.state for row in gone} == {PartitionState.FORGOTTEN}
    assert {(row.forgotten_by, row.forgotten_at_us, row.forgotten_reason) for row in gone} == {
        ("bob", NOW_US, "two years")
    }
    assert [(folder.parent / row.file).exists() for row in (*gone, *kept)] == [False, False, True, True]
    acts = store.acts(WantedActs(action="ledger forget"))
    assert [(act.about, act.by, act.reason) for act in acts] == [
        ("2026-09", "bob", "two years"),
        ("2026-08", "bob", "two years"),
    ]
    with store._asking() as connection:
        numbers = connection.execute("SELECT DISTINCT number FROM archived_call ORDER BY 1").fetchall()
    assert numbers == [(row.number,) for row in kept]


def test_what_is_not_forgotten_is_still_verified(store: SqliteStore, folder: Path) -> None:
    archive_all(store, folder)
    forget(store, "2026-09")
    assert store.verify() == []

    connection = sqlite3.connect(store._path)
    connection.execute("UPDATE account SET settled = settled + 1 WHERE account = 'team'")
    connection.execute("UPDATE spend_sum SET calls = calls + 1 WHERE grain = 0")
    connection.commit()

    found = store.verify()
    assert [row.what for row in found][:1] == ["settled of team"]
    hours = {int(row.what.split()[-1].split("/")[0]) for row in found if "calls of spend_sum" in row.what}
    first_kept = month_bounds("2026-10")[0] // 3_600_000_000
    assert min(hour for hour in hours if hour > 2) >= first_kept  # the others are of folded days and months
    connection.execute("UPDATE account SET settled = settled - 1 WHERE account = 'team'")
    connection.execute("UPDATE spend_sum SET calls = calls - 1 WHERE grain = 0")
    connection.commit()
    connection.close()


def test_shrinking_gives_room_back(store: SqliteStore, folder: Path) -> None:
    archive_all(store, folder)
    before = store._path.stat().st_size

    store.shrink()

    assert store._path.stat().st_size < before
    assert store.entry("call-6") is not None


def test_a_ledger_and_its_archive_may_move_together(template: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "ledger.db").write_bytes(template.read_bytes())
    store = SqliteStore(home / "ledger.db")
    archive_all(store, home / "archive")
    store.close()

    moved = SqliteStore(home.rename(tmp_path / "elsewhere") / "ledger.db")

    entry = moved.entry("call-6")
    assert entry is not None
    assert entry.outcome is Outcome.SETTLED
    assert moved.verify() == []
    moved.close()
