"""The one store interface and its promises; every store runs one test suite that asks them all."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from farthing.domain.alert import Alert
from farthing.domain.errors import LedgerUnavailable
from farthing.domain.outcome import OutcomeSum, RecordedOutcome
from farthing.domain.stop import Stop
from farthing.ledger.archive_store import ArchiveStore
from farthing.ledger.archiving import Progress
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
from farthing.ledger.outcome_sums import WantedOutcomes
from farthing.ledger.people_store import PeopleStore
from farthing.ledger.raising import RaiseRow
from farthing.ledger.report_store import ReportStore

# Calls of a window settle after its end now and then, so its marks are kept for a while.
MARKS_KEPT_US = 31 * 86_400 * 1_000_000


class BatchPoisoned(LedgerUnavailable):
    """One operation of the batch cannot be written (a number beyond 64 bits, text that is no text).

    Nothing of the batch happened; asked one by one, the other operations will pass.
    """


class Store(ArchiveStore, PeopleStore, ReportStore, Protocol):
    """Where money is remembered.

    Every store promises (tests/ledger/test_every_store.py asks them all):

    1. A batch is one transaction: when apply returns, all of it is durable, or it raised and none is.
    2. When a hold is granted, settled + held fits the limit of every claim that is not PASS, with what
       raised it and still counts at the moment of the hold.
    3. A call is held once and settled once; asking again changes nothing and gives the first answer.
    4. A settlement is never refused, even late. One that was assumed takes one correction.
    5. A refusal consumes nothing of any account.
    6. Balances and roll-ups equal the sums of the entries.
    7. No hold is granted that matches a live stop, from the moment add_stop returns, in any process.
    """

    def apply(self, operations: Sequence[Operation]) -> list[Answer]:
        """Apply a batch in order, in one durable transaction; answer each.

        Raises LedgerUnavailable when the batch could not be made durable; then nothing happened.
        """
        ...

    def turn(self) -> AbstractContextManager[None]:
        """Wait until this process may write; an apply inside does not wait again.

        The committer takes its batch in its turn, so that what was queued during the wait joins it.
        Raises LedgerUnavailable when the turn does not come.
        """
        ...

    # Questions never wait for writers.

    def foresee(self, hold: Hold) -> Answer:
        """What a hold would be answered now; nothing is taken, written or remembered."""
        ...

    def balance(self, account: str, *, at_us: int | None = None) -> Balance | None:
        """One account, or None if nothing was ever held against it.

        Its limit is shown as raised at a moment; without one every raise counts, whatever its end.
        """
        ...

    def balances(
        self, *, budget: str | None = None, current_at_us: int | None = None, at_us: int | None = None
    ) -> list[Balance]:
        """Accounts of a budget, or of all; only windows that contain the moment when one is given.

        Limits are shown as raised at that moment, or at another one, as balance does.
        """
        ...

    def entry(self, call_id: str) -> Entry | None:
        """One call, its correction applied."""
        ...

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
        """Calls, newest first; before is the (at_us, call_id) of the last one seen (keyset paging)."""
        ...

    def open_holds(self) -> list[OpenHold]:
        """Calls in flight, oldest first."""
        ...

    def owners(self) -> list[Owner]:
        """Processes that hold or held money and have not been found dead."""
        ...

    def verify(self, progress: Progress | None = None) -> list[Difference]:
        """Recompute every balance and roll-up from the entries, archived ones too; empty when all agree."""
        ...

    # Outcomes, stops, raises, and what is told once.

    def add_outcome(self, row: RecordedOutcome) -> tuple[RecordedOutcome, bool]:
        """Keep an outcome; one with the same id of the same environment and key is kept once.

        Answers what is kept, and whether this was the first time.
        """
        ...

    def outcomes(self, wanted: WantedOutcomes, *, limit: int = 100) -> list[RecordedOutcome]:
        """Outcomes, newest first."""
        ...

    def outcome_sums(self, by: Sequence[str], wanted: WantedOutcomes) -> list[OutcomeSum]:
        """Sum outcomes by name, environment, group, key, developer, run and one label:NAME.

        Raises ValueError for other dimensions.
        """
        ...

    def add_stop(self, stop: Stop) -> None:
        """Refuse every call that matches, until the stop is lifted; calls in flight settle as ever."""
        ...

    def resume(self, stop_id: str, *, at_us: int, by: str, reason: str) -> bool:
        """Lift a stop; False where there is none or it was lifted before."""
        ...

    def stops(self, *, live: bool = False) -> list[Stop]:
        """Every stop there ever was, or those that refuse calls now; newest first."""
        ...

    def raises(
        self, *, budget: str | None = None, account: str | None = None, limit: int = 100
    ) -> list[RaiseRow]:
        """Raises of an account, of a budget, or all, newest first; who, from what to what, and why."""
        ...

    def alerts(self, *, budget: str | None = None, limit: int = 100) -> list[Alert]:
        """Alerts of a budget, or all, newest first; a Note keeps each once."""
        ...

    def remember(self, name: str, value: str, *, instead_of: str | None = None) -> str:
        """Keep a fact under a name; returns what is kept: the first one (budget definitions, salts).

        instead_of: a fact that gives way to this one, if it is still the one that is kept.
        """
        ...

    def recall(self, name: str) -> str | None:
        """What is kept under a name, if anything."""
        ...

    def first_to_note(self, account: str, mark: str, *, at_us: int, ends_at_us: int | None = None) -> bool:
        """Note something about an account, such as an alert; True for exactly one of all who note it.

        ends_at_us: the end of the account's window. Some time after it, its marks are forgotten; those
            of an account without end are kept for good.
        """
        ...

    def retire(self, account: str) -> None:
        """Say that nobody will hold against an account again; may be called in the middle of anything.

        A store that ends with its process may forget it, with the last entry that names it.
        """
        ...

    def close(self) -> None:
        """Let go of every file and connection."""
        ...
