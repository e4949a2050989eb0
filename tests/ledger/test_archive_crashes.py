"""A run killed at any step leaves every entry in the ledger or in the archive: none twice, none lost."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from farthing.ledger import parquet, sqlite_partitions
from farthing.ledger.archiving import month_bounds
from farthing.ledger.sqlite import SqliteStore
from tests.ledger.months import NOW_US, all_calls, archive_all, fill, new_call
from tests.ledger.sentences import CENT, ask, settle

_BESIDE = multiprocessing.get_context("fork")
_EVERY_STEP = (
    (parquet, ("write_lines", "make_parquet", "read_back", "file_sha256", "sync_folder")),
    (sqlite_partitions, ("add_partition", "publish", "leave", "drop_partition", "forget", "forget_calls")),
    (Path, ("replace", "unlink")),
)


class Steps:
    """Counts what a run does, before and after it is done, and kills the process at one of the counts."""

    def __init__(self, fatal: int) -> None:
        self._fatal = fatal
        self._count = 0

    def pass_by(self, *_: object) -> None:
        self._count += 1
        if self._count == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, whose: Any, name: str) -> None:
        real = getattr(whose, name)

        def watched(*given: Any, **named: Any) -> Any:
            self.pass_by()
            answer = real(*given, **named)
            self.pass_by()
            return answer

        setattr(whose, name, watched)


def killed_at(step: int, work: Callable[[Steps], None]) -> bool:
    """Do work in a process that is killed at a step; False where it had fewer steps and ended."""

    def run() -> None:
        steps = Steps(step)
        for whose, names in _EVERY_STEP:
            for name in names:
                steps.watch(whose, name)
        sqlite_partitions.LEAVE_TOGETHER = 45
        work(steps)

    process = _BESIDE.Process(target=run)
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with months that may go."""
    file = tmp_path_factory.mktemp("template") / "ledger.db"
    store = SqliteStore(file)
    fill(store)
    store.close()
    return file


def archive_august(path: Path, folder: Path, steps: Steps) -> None:
    store = SqliteStore(path)
    store.archive(folder, until_us=month_bounds("2026-08")[1], at_us=NOW_US, by="ana", progress=steps.pass_by)
    store.close()


def told(store: SqliteStore) -> tuple[object, ...]:
    """What would tell an entry that is lost or there twice."""
    return all_calls(store, page=400), store.cost_counts(of="calls"), store.balances(), store.verify()


def test_a_run_killed_at_any_step_loses_and_doubles_nothing(template: Path, tmp_path: Path) -> None:
    """Every step with FARTHING_FAULTS=full, else every fifth."""
    content = template.read_bytes()
    whole = SqliteStore(template)
    before = told(whole)
    whole.close()
    pace = 1 if os.environ.get("FARTHING_FAULTS") == "full" else 5
    step, was_killed = 1, True
    while was_killed:
        home = tmp_path / f"killed-at-{step}"
        home.mkdir()
        path, folder = home / "ledger.db", home / "archive"
        path.write_bytes(content)

        was_killed = killed_at(step, lambda steps: archive_august(path, folder, steps))  # noqa: B023 - at once

        store = SqliteStore(path)
        assert told(store) == before, step
        archive_all(store, folder, "2026-08")
        assert told(store) == before, step
        (partition,) = store.partitions()
        assert [file.name for file in folder.rglob("*.*")] == [Path(partition.file).name], step
        assert next(month.month for month in store.months()) == "2026-09"
        store.close()
        step += pace
    assert step > 30


def test_calls_that_come_while_a_killed_run_waits_to_be_finished_stay(template: Path, tmp_path: Path) -> None:
    path, folder = tmp_path / "ledger.db", tmp_path / "archive"
    path.write_bytes(template.read_bytes())

    def until_first_entries_left(steps: Steps) -> None:
        store = SqliteStore(path)

        def stop(what: str, done: int, _whole: int) -> None:
            if what.startswith("deleting") and done:
                os.kill(os.getpid(), signal.SIGKILL)

        store.archive(folder, until_us=month_bounds("2026-08")[1], at_us=NOW_US, by="ana", progress=stop)

    assert killed_at(10_000, until_first_entries_left)
    store = SqliteStore(path)
    late_us = month_bounds("2026-08")[0] + 1
    ask(store, new_call("late", late_us))
    ask(store, settle("late", CENT))
    ask(store, settle("call-4", CENT))  # corrects what was assumed
    before = told(store)

    archive_all(store, folder, "2026-08")

    assert told(store) == before
    assert before[-1] == []
    assert len([row for row in store.partitions() if row.month == "2026-08"]) == 2
    entry = store.entry("call-4")
    assert entry is not None
    assert entry.cost_nanodollars == CENT
    store.close()


def test_forgetting_killed_at_any_step_is_finished_by_the_next_run(template: Path, tmp_path: Path) -> None:
    archived = tmp_path / "archived"
    archived.mkdir()
    (archived / "ledger.db").write_bytes(template.read_bytes())
    store = SqliteStore(archived / "ledger.db")
    archive_all(store, archived / "archive", "2026-08")
    store.close()
    (file,) = archived.rglob("*.parquet")
    for step in (1, 2, 3, 4, 60, 131, 132, 133):
        home = tmp_path / f"killed-at-{step}"
        (home / file.relative_to(archived)).parent.mkdir(parents=True)
        (home / "ledger.db").write_bytes((archived / "ledger.db").read_bytes())
        (home / file.relative_to(archived)).write_bytes(file.read_bytes())

        def forget(_: Steps, path: Path = home / "ledger.db") -> None:
            opened = SqliteStore(path)
            opened.forget_partitions(until_us=NOW_US, at_us=NOW_US, by="bob", reason="old")

        killed_at(step, forget)

        store = SqliteStore(home / "ledger.db")
        assert store.verify() == [], step
        store.forget_partitions(until_us=NOW_US, at_us=NOW_US, by="bob", reason="old")
        assert list(home.rglob("*.parquet")) == [], step
        assert store.verify() == [], step
        store.close()
