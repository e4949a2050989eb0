"""What a store without a file may forget, so that a process may run for months. Pure bookkeeping."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

from farthing.ledger.grains import HOUR_US
from farthing.ledger.page import Account, EntryRow, Page
from farthing.ledger.rollups import Rollups
from farthing.ledger.store import MARKS_KEPT_US

# Rows of each roll-up that outlive their entries, and accounts looked at after each batch.
ROWS_KEPT = 10_000
LOOKS = 8
# Clocks are set back now and then; an account is kept for so long after its window.
KEPT_AFTER_US = HOUR_US

Key = TypeVar("Key")
Value = TypeVar("Value")


class Folded:
    """Calls that are no longer kept one by one: what they add to the sums."""

    def __init__(self, *, rows_kept: int = ROWS_KEPT) -> None:
        self.settled: Counter[str] = Counter()
        self.page = Page()
        self._rows_kept = rows_kept

    def add(self, first: EntryRow, correction: EntryRow | None, rollups: Rollups) -> None:
        """Fold one call; the oldest rows of the roll-ups that only folded calls are in may go for it."""
        add_up(first, None, self.settled, self.page)
        if correction is not None:
            add_up(correction, first, self.settled, self.page)
        own = self.page.rollups
        _forget(own.hours, rollups.hours, self._rows_kept)
        for run in _forget_rows(own.runs, rollups.runs, self._rows_kept):
            del own.spans[run], rollups.spans[run]
        _forget(own.labels, rollups.labels, self._rows_kept)
        _forget(own.buckets, rollups.buckets, self._rows_kept)
        _forget(own.activity, rollups.activity, self._rows_kept)
        _forget(own.prompts, rollups.prompts, self._rows_kept)
        _forget(own.reasons, rollups.reasons, self._rows_kept)


class Marks:
    """What was noted about accounts; that of windows long gone is forgotten."""

    def __init__(self) -> None:
        self.noted: dict[str, tuple[int | None, set[str]]] = {}

    def first_to_note(self, account: str, mark: str, *, at_us: int, ends_at_us: int | None) -> bool:
        """Note something about an account; True for the first who notes it."""
        if account not in self.noted:
            self._forget_old(at_us - MARKS_KEPT_US)
            self.noted[account] = (ends_at_us, set())
        _, noted = self.noted[account]
        is_first = mark not in noted
        noted.add(mark)
        return is_first

    def forget(self, account: str) -> None:
        """Forget all that was noted about an account."""
        self.noted.pop(account, None)

    def _forget_old(self, before_us: int) -> None:
        """Forget marks of old windows, of the few accounts not looked at for longest."""
        for name in list(islice(self.noted, LOOKS)):
            ends_at_us, noted = self.noted.pop(name)
            if ends_at_us is None or ends_at_us >= before_us:
                self.noted[name] = (ends_at_us, noted)


class Unused:
    """Accounts that no kept entry names. Those that nobody will hold against again are forgotten."""

    def __init__(self) -> None:
        self._lines: Counter[str] = Counter()
        self._waiting: dict[str, None] = {}
        self._retired: set[str] = set()
        self._told: SimpleQueue[str] = SimpleQueue()

    def retire(self, account: str) -> None:
        """Take note that an account will not be used again; may be called in the middle of anything."""
        self._told.put(account)

    def raised(self, account: str) -> None:
        """Take note that an account was opened although no entry names it yet."""
        self._waiting[account] = None

    def wrote(self, entry: EntryRow) -> None:
        """Count a line that is kept."""
        for name, _ in entry.booked:
            self._lines[name] += 1

    def folded(self, entry: EntryRow) -> None:
        """Count a line that is no longer kept."""
        for name, _ in entry.booked:
            self._lines[name] -= 1
            if not self._lines[name]:
                del self._lines[name]
                self._waiting[name] = None

    def over(self, accounts: dict[str, Account], now_us: int) -> Iterator[str]:
        """Name accounts to forget, of a few that wait longest."""
        while not self._told.empty():
            name = self._told.get()
            if name in accounts:
                self._retired.add(name)
                self._waiting[name] = None
        for name in list(islice(self._waiting, LOOKS)):
            del self._waiting[name]
            account = accounts.get(name)
            if account is None or name in self._lines:
                continue
            if account.held == 0 and (name in self._retired or _is_past(account, now_us)):
                self._retired.discard(name)
                yield name
            else:
                self._waiting[name] = None


def add_up(entry: EntryRow, replaces: EntryRow | None, settled: Counter[str], page: Page) -> None:
    """Add a line to the sums of accounts and of roll-ups."""
    for name, amount in entry.booked:
        settled[name] += amount
    page.add_to_rollups(entry, replaces=replaces)


def _is_past(account: Account, now_us: int) -> bool:
    return account.ends_at_us is not None and account.ends_at_us + KEPT_AFTER_US <= now_us


def _forget_rows(folded: dict[Key, Value], kept: dict[Key, Value], most: int) -> Iterator[Key]:
    """Forget the oldest rows beyond so many, but none that a kept entry adds to."""
    for key in list(islice(folded, max(0, len(folded) - most))):
        if folded[key] == kept.get(key):
            del folded[key], kept[key]
            yield key


def _forget(folded: dict[Key, Value], kept: dict[Key, Value], most: int) -> None:
    for _ in _forget_rows(folded, kept, most):
        pass
