"""Move the entries of closed months from a SQLite ledger to files, so that no crash loses or doubles one."""

import secrets
import sqlite3
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from heapq import merge
from pathlib import Path

import msgspec

from farthing.domain.errors import LedgerUnavailable
from farthing.ledger import parquet, sqlite_partitions
from farthing.ledger.archiving import Month, Partition, PartitionState, Progress, tell_nobody
from farthing.ledger.auditing import archive_act, forget_act
from farthing.ledger.file_queue import FileQueue
from farthing.ledger.sqlite_archived import file_of, folder_of
from farthing.ledger.sqlite_audit import add_act
from farthing.ledger.sqlite_partitions import Line

_ANOTHER_RUN_S = 0.2


class ArchiveInFile(ABC):
    """How entries leave a SQLite store.

    A partition goes through its states one step at a time, and each step is one transaction:
    its file is named (WRITING), written, synced and read back; then it counts (LEAVING), and its entries
    are deleted a few at a time; with the last of them it is ARCHIVED. What a killed run left behind is
    thrown away in the first state and finished in the second.
    """

    _path: Path

    @abstractmethod
    def _writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that writes."""

    @abstractmethod
    def _asking(self) -> AbstractContextManager[sqlite3.Connection]:
        """A connection that reads."""

    def months(self) -> list[Month]:
        """The months of which entries are in the file, oldest first."""
        with self._asking() as connection:
            return list(sqlite_partitions.months(connection))

    def partitions(self) -> list[Partition]:
        """What was archived, by month."""
        with self._asking() as connection:
            return sqlite_partitions.partitions(connection)

    def archive(
        self, folder: Path, *, until_us: int, at_us: int, by: str, progress: Progress | None = None
    ) -> list[Partition]:
        """Move the entries of every month that ends by a moment, and finish what was interrupted."""
        tell = progress or tell_nobody
        with _alone(self._path):
            done = self._finish(tell)
            for month in self.months():
                if month.until_us <= until_us and not month.open_holds:
                    done.append(self._archive_month(month, folder, at_us, by, tell))
        kept = {partition.number: partition for partition in self.partitions()}
        return [kept[number] for number in done]

    def forget_partitions(self, *, until_us: int, at_us: int, by: str, reason: str) -> list[Partition]:
        """Delete the files of archived months that end by a moment; the sums stay."""
        with _alone(self._path):
            self._finish(tell_nobody)
            leaving = [
                partition
                for partition in self.partitions()
                if partition.until_us <= until_us and partition.state is PartitionState.ARCHIVED
            ]
            for partition in leaving:
                with self._writing() as connection:
                    sqlite_partitions.forget(connection, partition, at_us=at_us, by=by, reason=reason)
                    add_act(connection, forget_act(partition, at_us=at_us, by=by, reason=reason))
                self._remove_forgotten(partition)
        return leaving

    # ── one month ───────────────────────────────────────────────────────────────────────────────

    def _archive_month(self, month: Month, folder: Path, at_us: int, by: str, tell: Progress) -> int:
        name = f"entries-{secrets.token_hex(4)}.parquet"
        file = (folder / "entries" / f"month={month.month}" / name).absolute()
        with self._writing() as connection:
            named = _named(file, folder_of(connection).resolve())
            partition = sqlite_partitions.add_partition(connection, month, named)
        try:
            partition, amounts = self._write(partition, file, month.entries, tell)
        except (OSError, LedgerUnavailable):
            self._discard(partition)
            raise
        partition = msgspec.structs.replace(partition, archived_at_us=at_us, archived_by=by)
        self._publish(partition, amounts)
        self._leave(partition, tell)
        return partition.number

    def _write(
        self, partition: Partition, file: Path, entries: int, tell: Progress
    ) -> tuple[Partition, Counter[int]]:
        """Write the file of a partition under another name, read it back, and give it its name."""
        file.parent.mkdir(parents=True, exist_ok=True)
        text, new = _unfinished(file)
        amounts: Counter[int] = Counter()

        def told() -> Iterator[Line]:
            for count, line in enumerate(self._lines(partition, amounts)):
                if count % sqlite_partitions.READ_TOGETHER == 0:
                    tell(f"writing {partition.month}", count, entries)
                yield line

        written = parquet.write_lines(told(), text)
        tell(f"checking {partition.month}", 0, entries)
        parquet.make_parquet(text, new, longest=written.longest)
        text.unlink()
        if parquet.read_back(new) != written:
            raise LedgerUnavailable(
                f"{file} does not read back as it was written; the entries of {partition.month} stay",
                fix="look at the disk, and try again",
            )
        sha256, file_bytes = parquet.file_sha256(new), new.stat().st_size
        new.replace(file)
        for folder in list(file.parents)[:3]:
            parquet.sync_folder(folder)
        partition = msgspec.structs.replace(
            partition,
            entries=written.lines,
            cost_nanodollars=written.cost_nanodollars,
            file_bytes=file_bytes,
            sha256=sha256,
        )
        return partition, amounts

    def _lines(self, partition: Partition, amounts: Counter[int]) -> Iterator[Line]:
        """The lines of a partition, oldest first; a correction follows its call."""
        return merge(
            self._lines_of_kind(partition, amounts, correction=False),
            self._lines_of_kind(partition, amounts, correction=True),
            key=lambda line: (line["at_us"], line["call_id"], line["correction"]),
        )

    def _lines_of_kind(
        self, partition: Partition, amounts: Counter[int], *, correction: bool
    ) -> Iterator[Line]:
        # A snapshot for each page: what is kept for a long one would grow the journal.
        after = (partition.since_us - 1, "\U0010ffff")
        while True:
            with self._asking() as connection:
                page = sqlite_partitions.lines_page(connection, partition, correction=correction, after=after)
                named = sqlite_partitions.name_accounts(connection, page, amounts)
            if not page:
                return
            yield from ({name: line[name] for name in parquet.COLUMNS} for line in named)
            after = (int(str(page[-1]["at_us"])), str(page[-1]["call_id"]))

    def _publish(self, partition: Partition, amounts: Counter[int]) -> None:
        with self._writing() as connection:
            sqlite_partitions.publish(connection, partition, amounts)
            add_act(connection, archive_act(partition))

    def _leave(self, partition: Partition, tell: Progress) -> None:
        """Delete what is in a partition, a little at a time; others have their turn in between."""
        left = 0
        while True:
            began_s = time.monotonic()
            with self._writing() as connection:
                count = sqlite_partitions.leave(connection, partition)
            if not count:
                return
            left += count
            tell(f"deleting {partition.month}", left, partition.entries)
            time.sleep(time.monotonic() - began_s)

    # ── what a killed run left behind ───────────────────────────────────────────────────────────

    def _finish(self, tell: Progress) -> list[int]:
        """Throw away what was not finished, finish what counts already; answer which that were."""
        finished = []
        for partition in self.partitions():
            if partition.state is PartitionState.WRITING:
                self._discard(partition)
            elif partition.state is PartitionState.LEAVING:
                self._leave(partition, tell)
                finished.append(partition.number)
            elif partition.state is PartitionState.FORGOTTEN and self._file(partition).exists():
                self._remove_forgotten(partition)
        return finished

    def _discard(self, partition: Partition) -> None:
        file = self._file(partition)
        for path in (file, *_unfinished(file)):
            path.unlink(missing_ok=True)
        with self._writing() as connection:
            sqlite_partitions.drop_partition(connection, partition)

    def _remove_forgotten(self, partition: Partition) -> None:
        for place in sqlite_partitions.forget_places():
            with self._writing() as connection:
                sqlite_partitions.forget_calls(connection, partition, place)
        self._file(partition).unlink(missing_ok=True)

    def _file(self, partition: Partition) -> Path:
        with self._asking() as connection:
            return file_of(connection, partition)


def _unfinished(file: Path) -> tuple[Path, Path]:
    """What a file is called while it is made: its lines, and itself."""
    return file.with_suffix(".lines"), file.with_suffix(".unfinished")


def _named(file: Path, beside: Path) -> str:
    """How a file is named in a ledger: from the ledger's folder where it is in it, so that both may move."""
    real = file.parent.resolve() / file.name
    return str(real.relative_to(beside)) if real.is_relative_to(beside) else str(real)


@contextmanager
def _alone(ledger: Path) -> Iterator[None]:
    """One run at a time on a ledger; the lock goes with its process."""
    queue = FileQueue(ledger.with_name(f"{ledger.name}-archive-lock"), deadline_s=_ANOTHER_RUN_S)
    try:
        try:
            queue.enter()
        except LedgerUnavailable as error:
            raise LedgerUnavailable(
                f"entries of {ledger} are being archived or forgotten by another process",
                fix="wait until it has ended",
            ) from error
        try:
            yield
        finally:
            queue.leave()
    finally:
        queue.close()
