"""Entries of a window leaving as rows, added up on the way and held against the ledger's own sums."""

import operator
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from farthing.domain.usage import Usage
from farthing.ledger.archiving import PartitionState
from farthing.ledger.entries import Entry, Outcome
from farthing.ledger.slices import SpendRow
from farthing.reports.history import calls_in_order
from farthing.reports.spans import Span
from farthing.reports.totals import total_of

if TYPE_CHECKING:
    from farthing.ledger.store import Store

Passing = Callable[[Iterable[Entry]], Iterator[Entry]]

# What is added up; each is a figure of farthing.ledger.slices.SpendRow too.
FIGURES = (
    "calls", "refused", "voided", "cached", "assumed", "cost_nanodollars", "cost_asked_nanodollars",
    "avoided_nanodollars", "input_tokens", "cached_read", "cached_write", "output_tokens", "reasoning",
)  # fmt: skip


class ExportDiffers(ValueError):
    """The rows do not sum to what the ledger says of the window; the message says where."""


class UnknownEnvironment(ValueError):
    """No policy and no call knows it, so it would export nothing and look well; known: those there are."""

    def __init__(self, environment: str, known: Sequence[str]) -> None:
        there = f"calls are of: {', '.join(known)}" if known else "no call is on this ledger"
        super().__init__(f"there is no environment {environment}; {there}")
        self.known = tuple(known)


def check_environment(environment: str | None, store: "Store", declared: Container[str]) -> None:
    """Raise UnknownEnvironment for a name that neither the policy declares nor any call has."""
    if environment is None or environment in declared:
        return
    known = sorted(row.by["environment"] or "" for row in store.spend(by=["environment"]))
    if environment not in known:
        raise UnknownEnvironment(environment, known)


class Forgotten(ValueError):
    """The entries of the window were deleted on purpose; only their sums are left, and no rows."""


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """How an export ended: its entries and their sums, and whether they may still change.

    provisional: the window has not ended, or calls of it are still open.
    """

    entries: int
    sums: dict[str, int]
    provisional: bool


class Export:
    """One pass over the entries of a window, oldest first.

    environment: only this one. passing: sees each entry on its way, to show how far it has come.
    Whether it is provisional is found out before the first entry is read. Raises Forgotten.
    """

    def __init__(self, store: "Store", window: Span, *, environment: str | None, now_us: int) -> None:
        self._store = store
        self.passing: Passing = iter
        self._check_kept(window)
        self.window = window
        self.environment = environment
        self.provisional = window.until_us > now_us or self._has_open_calls()
        self.expected = self._spend()
        self._entries = 0
        self._sums = [0] * len(FIGURES)

    def entries(self) -> Iterator[Entry]:
        """The entries; to be read once, to the end."""
        window = self.window
        found = calls_in_order(self._store, window.since_us, window.until_us, self.environment)
        for entry in self.passing(found):
            self._entries += 1
            self._sums = list(map(operator.add, self._sums, figures_of(entry)))
            yield entry

    def ended(self) -> Exported:
        """Hold the sums of what was read against the ledger. Raises ExportDiffers.

        What was booked while the entries were read may be among them or not, so a provisional export
        may differ from the sums of before and of after; one of a closed window may not.
        """
        expected, found = self._spend(), dict(zip(FIGURES, self._sums, strict=True))
        differences = [
            f"{name}: the rows have {found[name]}, the ledger {getattr(expected, name)}"
            for name in FIGURES
            if found[name] != getattr(expected, name)
        ]
        if differences and expected != self.expected and not self.provisional:
            raise ExportDiffers("calls of the window were booked while it was read; export it again")
        if differences and expected == self.expected:
            raise ExportDiffers("the rows do not sum to the ledger: " + "; ".join(differences))
        return Exported(entries=self._entries, sums=found, provisional=self.provisional)

    def _check_kept(self, window: Span) -> None:
        for partition in self._store.partitions():
            inside = partition.since_us < window.until_us and window.since_us < partition.until_us
            if inside and partition.state is PartitionState.FORGOTTEN:
                raise Forgotten(
                    f"the entries of {partition.month} were deleted by {partition.forgotten_by} "
                    f"({partition.forgotten_reason}); their sums are left, so reports can tell them"
                )

    def _has_open_calls(self) -> bool:
        return any(
            self.window.since_us <= hold.at_us < self.window.until_us
            and self.environment in (None, hold.environment)
            for hold in self._store.open_holds()
        )

    def _spend(self) -> SpendRow:
        rows = self._store.spend(
            by=["environment"],
            since_us=self.window.since_us,
            until_us=self.window.until_us,
            where={} if self.environment is None else {"environment": self.environment},
        )
        return total_of(rows)


def cached_write(usage: Usage) -> int:
    """Tokens written to a cache, of whatever life."""
    return (usage.cached_write_5m or 0) + (usage.cached_write_1h or 0) + (usage.cached_write_other or 0)


def figures_of(entry: Entry) -> tuple[int, ...]:
    """What an entry adds to each of the figures."""
    count, outcome, cost = entry.count, entry.outcome, entry.cost_nanodollars
    refused = count if outcome is Outcome.REFUSED else 0
    asked = entry.cost_asked_nanodollars
    tokens = _NO_TOKENS if entry.usage is None else _tokens(entry.usage)
    for _, usage in entry.by_model:
        tokens = tuple(map(operator.add, tokens, _tokens(usage)))
    return (
        count - refused,
        refused,
        count if outcome is Outcome.VOID else 0,
        count if outcome is Outcome.CACHED else 0,
        int(entry.assumed),
        cost,
        cost if asked is None else asked,
        entry.avoided_nanodollars,
        *tokens,
    )


_NO_TOKENS: tuple[int, ...] = (0, 0, 0, 0, 0)


def _tokens(usage: Usage) -> tuple[int, ...]:
    return (
        usage.input_tokens or 0,
        usage.cached_read or 0,
        cached_write(usage),
        usage.output_tokens or 0,
        usage.reasoning or 0,
    )
