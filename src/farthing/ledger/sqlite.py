"""The embedded store: one SQLite file, safe for many threads and several processes of one host."""

import os
import sqlite3
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from farthing.domain.alert import Alert
from farthing.domain.errors import LedgerUnavailable
from farthing.domain.outcome import OutcomeSum, RecordedOutcome
from farthing.domain.stop import Stop
from farthing.ledger import (
    sqlite_alerts,
    sqlite_marks,
    sqlite_outcomes,
    sqlite_questions,
    sqlite_raises,
    sqlite_stops,
    sqlite_verify,
)
from farthing.ledger.archiving import Progress, tell_nobody
from farthing.ledger.booking import apply_batch
from farthing.ledger.entries import (
    Answer,
    Balance,
    Difference,
    Entry,
    Hold,
    OpenHold,
    Operation,
    Owner,
)
from farthing.ledger.file_queue import FileQueue
from farthing.ledger.fork_gate import ForkGate
from farthing.ledger.migrate import check_schema, migrate
from farthing.ledger.outcome_sums import WantedOutcomes
from farthing.ledger.raising import RaiseRow
from farthing.ledger.sqlite_apply import apply_in
from farthing.ledger.sqlite_archive import ArchiveInFile
from farthing.ledger.sqlite_archived import lines_for_batch
from farthing.ledger.sqlite_functions import add_functions
from farthing.ledger.sqlite_people import PeopleInFile
from farthing.ledger.sqlite_reports import ReportsInFile
from farthing.ledger.sqlite_rows import read_page
from farthing.ledger.store import BatchPoisoned

LOCK_DEADLINE_S = 10.0

_SQLITE_OLDEST = (3, 37, 0)

_inside_sqlite = ForkGate()


class SqliteStore(ArchiveInFile, PeopleInFile, ReportsInFile):
    """The ledger in one file. Writers queue, one transaction at a time; readers never wait for them.

    full_sync: survive not only a killed process but also a power cut; each batch then costs an fsync.
    """

    def __init__(
        self, path: str | Path, *, full_sync: bool = False, lock_deadline_s: float = LOCK_DEADLINE_S
    ) -> None:
        self._path = Path(path)
        self._full_sync = full_sync
        self._lock_deadline_s = lock_deadline_s
        self._opened_files: _OpenFiles | None = None
        self._closed = False
        self._files()

    def apply(self, operations: Sequence[Operation]) -> list[Answer]:
        """Apply a batch in order, in one durable transaction; answer each."""
        if not operations:
            return []
        with self._writing() as connection:
            return apply_in(connection, operations)

    def foresee(self, hold: Hold) -> Answer:
        """What a hold would be answered now; nothing is taken, written or remembered."""
        with self._asking() as connection:
            page = read_page(connection, [hold], lines_for_batch)
            page.stops = sqlite_stops.live_stops(connection)
        return apply_batch([hold], page)[0]

    def balance(self, account: str, *, at_us: int | None = None) -> Balance | None:
        """One account, or None if nothing was ever held against it."""
        with self._asking() as connection:
            return sqlite_questions.balance(connection, account, at_us)

    def balances(
        self, *, budget: str | None = None, current_at_us: int | None = None, at_us: int | None = None
    ) -> list[Balance]:
        """Accounts of a budget, or of all; only windows that contain the moment when one is given."""
        with self._asking() as connection:
            return sqlite_questions.balances(connection, budget, current_at_us, at_us)

    def entry(self, call_id: str) -> Entry | None:
        """One call, its correction applied."""
        with self._asking() as connection:
            return sqlite_questions.entry(connection, call_id)

    def entries(
        self,
        *,
        limit: int = 100,
        before: tuple[int, str] | None = None,
        outcome: str | None = None,
        environment: str | None = None,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        request_id: str | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
    ) -> list[Entry]:
        """Calls, newest first."""
        wanted = sqlite_questions.Wanted(
            limit=limit,
            before=before,
            outcome=outcome,
            environment=environment,
            key=key,
            labels=labels or {},
            request_id=request_id,
            since_us=since_us,
            until_us=until_us,
        )
        with self._asking() as connection:
            return sqlite_questions.entries(connection, wanted)

    def open_holds(self) -> list[OpenHold]:
        """Calls in flight, oldest first."""
        with self._asking() as connection:
            return sqlite_questions.open_holds(connection)

    def owners(self) -> list[Owner]:
        """Processes that hold or held money and have not been found dead."""
        with self._asking() as connection:
            return sqlite_questions.owners(connection)

    def verify(self, progress: Progress | None = None) -> list[Difference]:
        """Recompute every balance and roll-up from the entries, on one snapshot."""
        with self._asking() as connection:
            return sqlite_verify.differences(connection, progress or tell_nobody)

    def add_outcome(self, row: RecordedOutcome) -> tuple[RecordedOutcome, bool]:
        """Keep an outcome once; answer what is kept, and whether this was the first time."""
        with self._writing() as connection:
            return sqlite_outcomes.add_outcome(connection, row)

    def outcomes(self, wanted: WantedOutcomes, *, limit: int = 100) -> list[RecordedOutcome]:
        """Outcomes, newest first."""
        with self._asking() as connection:
            return sqlite_outcomes.outcomes(connection, wanted, limit)

    def outcome_sums(self, by: Sequence[str], wanted: WantedOutcomes) -> list[OutcomeSum]:
        """Sum outcomes by dimensions."""
        with self._asking() as connection:
            return sqlite_outcomes.outcome_sums(connection, by, wanted)

    def add_stop(self, stop: Stop) -> None:
        """Refuse every call that matches, in every process, until the stop is lifted."""
        with self._writing() as connection:
            sqlite_stops.add_stop(connection, stop)

    def resume(self, stop_id: str, *, at_us: int, by: str, reason: str) -> bool:
        """Lift a stop; False where there is none or it was lifted before."""
        with self._writing() as connection:
            return sqlite_stops.resume(connection, stop_id, at_us, by, reason)

    def stops(self, *, live: bool = False) -> list[Stop]:
        """Every stop there ever was, or those that refuse calls now; newest first."""
        with self._asking() as connection:
            stops = sqlite_stops.all_stops(connection)
        return [stop for stop in stops if stop.is_live or not live]

    def raises(
        self, *, budget: str | None = None, account: str | None = None, limit: int = 100
    ) -> list[RaiseRow]:
        """Raises of an account, of a budget, or all, newest first."""
        with self._asking() as connection:
            return sqlite_raises.raises(connection, budget, account, limit)

    def alerts(self, *, budget: str | None = None, limit: int = 100) -> list[Alert]:
        """Alerts of a budget, or all, newest first."""
        with self._asking() as connection:
            return sqlite_alerts.newest_alerts(connection, budget, limit)

    def remember(self, name: str, value: str, *, instead_of: str | None = None) -> str:
        """Keep a fact under a name unless another is kept; returns what is kept."""
        kept = self.recall(name)
        if kept is not None and kept != instead_of:
            return kept
        with self._writing() as connection:
            return sqlite_questions.remember(connection, name, value, instead_of)

    def recall(self, name: str) -> str | None:
        """What is kept under a name, if anything."""
        with self._asking() as connection:
            return sqlite_questions.fact(connection, name)

    def first_to_note(self, account: str, mark: str, *, at_us: int, ends_at_us: int | None = None) -> bool:
        """Note something about an account; True for exactly one of all who note it."""
        with self._asking() as connection:
            if sqlite_marks.is_noted(connection, account, mark):
                return False
        with self._writing() as connection:
            return sqlite_marks.note(connection, account, mark, at_us, ends_at_us)

    def retire(self, account: str) -> None:
        """Forget nothing: a file remembers."""

    def shrink(self) -> None:
        """Give the room of deleted entries back to the disk."""
        with self.turn(), _inside_sqlite:
            self._files().writer.execute("VACUUM")
            self._files().writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Let go of every file and connection."""
        self._closed = True
        files, self._opened_files = self._opened_files, None
        if files is not None and files.process == os.getpid():
            files.close()

    def _files(self) -> "_OpenFiles":
        """The files as this process opened them; a forked child opens its own."""
        if self._closed:
            raise LedgerUnavailable(f"the ledger {self._path} was closed")
        files = self._opened_files
        if files is None or files.process != os.getpid():
            with _opening(self._path):
                files = _OpenFiles(self._path, full_sync=self._full_sync, deadline_s=self._lock_deadline_s)
            self._opened_files = files
        return files

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until this process may write, and keep the turn; what queues up meanwhile joins the batch."""
        files = self._files()
        with files.writing, _translated(self._path):
            files.enter()
            try:
                yield
            finally:
                files.leave()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction in our turn: committed at the end, undone by any error."""
        with self.turn(), _inside_sqlite:
            yield from _transaction(self._files().writer, self._path)

    @contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        """A connection for questions, on one snapshot; used by one thread at a time."""
        files = self._files()
        with _translated(self._path), _inside_sqlite:
            connection = files.take_reader()
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("COMMIT")
                files.readers.append(connection)


class _OpenFiles:
    """What one process has open of a ledger: the queue, the writer, and readers for as many threads."""

    def __init__(self, path: Path, *, full_sync: bool, deadline_s: float) -> None:
        self.process = os.getpid()
        self.path = path
        self.deadline_s = deadline_s
        self.writing = threading.RLock()
        self._turns = 0
        self.readers: deque[sqlite3.Connection] = deque()
        self._all_readers: list[sqlite3.Connection] = []
        self.queue = FileQueue(path.with_name(path.name + "-lock"), deadline_s=deadline_s)
        _open_files.add(self)
        with _inside_sqlite:
            self.writer = self._connect()
        try:
            self._prepare(full_sync=full_sync)
        except (sqlite3.Error, LedgerUnavailable):
            self.close()
            raise

    def _prepare(self, *, full_sync: bool) -> None:
        """Make the file a ledger of today's schema; one process at a time."""
        writer = self.writer
        self.queue.enter()
        try:
            with _inside_sqlite:
                writer.execute("PRAGMA journal_mode = WAL")
                writer.execute("PRAGMA synchronous = FULL" if full_sync else "PRAGMA synchronous = NORMAL")
                # Most pages of a batch are the same few; a longer journal copies them back less often.
                writer.execute("PRAGMA wal_autocheckpoint = 4000")
                migrate(writer, self.path)
        finally:
            self.queue.leave()

    def enter(self) -> None:
        """Wait for this process's turn to write, unless this thread has it already."""
        if self._turns == 0:
            self.queue.enter()
        self._turns += 1

    def leave(self) -> None:
        """Let other processes have their turn."""
        self._turns -= 1
        if self._turns == 0:
            self.queue.leave()

    def take_reader(self) -> sqlite3.Connection:
        """A connection that nobody else is reading on."""
        try:
            return self.readers.pop()
        except IndexError:
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
            self._all_readers.append(connection)
            return connection

    def close(self) -> None:
        """Close everything; the last process to do so folds the journal into the file."""
        with self.writing, _inside_sqlite:
            for connection in (*self._all_readers, self.writer):
                connection.close()
            self.queue.close()

    def abandon(self) -> None:
        """In a forked child: keep the parent's connections untouched for good, give up its lock file."""
        _inherited.append(self)
        self.queue.abandon()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self.deadline_s, isolation_level=None, check_same_thread=False
        )
        add_functions(connection)
        return connection


# SQLite forbids even closing a connection in a forked child; what is listed here is never collected.
_inherited: list[_OpenFiles] = []
_open_files: weakref.WeakSet[_OpenFiles] = weakref.WeakSet()


def _abandon_inherited() -> None:
    for files in list(_open_files):
        files.abandon()
    _open_files.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_inherited)


def _transaction(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        check_schema(connection, path)
        yield connection
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    if sqlite3.sqlite_version_info < _SQLITE_OLDEST:
        raise LedgerUnavailable(f"SQLite {sqlite3.sqlite_version} is too old; 3.37 or later is needed")
    try:
        with _translated(path):
            yield
    except OSError as error:
        raise LedgerUnavailable(f"cannot open the ledger {path}: {error.strerror}") from error


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Say in our words what SQLite says in its own."""
    try:
        yield
    except (OverflowError, UnicodeError, sqlite3.IntegrityError, sqlite3.DataError) as error:
        raise BatchPoisoned(f"the ledger {path} cannot hold this: {error}") from error
    except sqlite3.Error as error:
        raise LedgerUnavailable(f"the ledger {path} cannot be used: {error}") from error
