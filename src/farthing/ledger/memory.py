"""The store that forgets at the end of the process: dictionaries under one lock."""

import os
import threading
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice

import msgspec

from farthing.domain.alert import Alert
from farthing.domain.outcome import OutcomeSum, RecordedOutcome
from farthing.domain.stop import Stop
from farthing.ledger.archiving import Progress
from farthing.ledger.auditing import raise_act, resume_act, stop_act
from farthing.ledger.booking import (
    accounts_of,
    apply_batch,
    calls_of,
    dead_owners_of,
    new_values,
    raises_of,
)
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
from farthing.ledger.forgetting import Marks, Unused, add_up
from farthing.ledger.memory_archive import NothingToArchive
from farthing.ledger.memory_people import PeopleInMemory
from farthing.ledger.memory_reports import ReportsInMemory
from farthing.ledger.noting import AlertsInMemory
from farthing.ledger.outcome_sums import WantedOutcomes, summed
from farthing.ledger.page import Account, Draft, EntryRow, Page, entry_of
from farthing.ledger.raising import RaiseRow, Raises, raises_with, what_raised
from farthing.ledger.rollups import Rollups

ENTRIES_KEPT = 10_000


class MemoryStore(NothingToArchive, PeopleInMemory, ReportsInMemory):
    """The reference: the same rules as every store, and nothing to go wrong between them and the rows.

    entries_kept: entries that can be asked for one by one, and outcomes. Older entries live on in the
    sums only, so that a process may run for months; older outcomes are forgotten.
    """

    def __init__(self, *, entries_kept: int = ENTRIES_KEPT) -> None:
        PeopleInMemory.__init__(self, entries_kept)
        ReportsInMemory.__init__(self)
        self._entries_kept = entries_kept
        self._unused = Unused()
        self._accounts: dict[str, Account] = {}
        self._values: Counter[tuple[str, str]] = Counter()
        self._drafts: dict[str, Draft] = {}
        self._owners: dict[str, Owner] = {}
        self._facts: dict[str, str] = {}
        self._outcomes: dict[tuple[str, str | None, str], RecordedOutcome] = {}
        self._outcomes_kept = 0
        self._stops: dict[str, Stop] = {}
        self._alerts = AlertsInMemory(entries_kept)
        self._raises: dict[str, RaiseRow] = {}
        self._marks = Marks()
        _stores.add(self)

    def apply(self, operations: Sequence[Operation]) -> list[Answer]:
        """Apply a batch in order, as one step that others see whole or not at all."""
        with self._lock:
            page = self._read_page(operations)
            answers = apply_batch(operations, page)
            self._write_page(page)
        return answers

    def foresee(self, hold: Hold) -> Answer:
        """What a hold would be answered now; nothing is taken, written or remembered."""
        with self._lock:
            page = self._read_page([hold])
            page.rollups = Rollups()
            return apply_batch([hold], page)[0]

    def turn(self) -> AbstractContextManager[None]:
        """Nobody waits to write here."""
        return nullcontext()

    def _read_page(self, operations: Sequence[Operation]) -> Page:
        calls = calls_of(operations)
        drafts = [self._drafts[call_id] for call_id in calls if call_id in self._drafts]
        for owner in dead_owners_of(operations):
            drafts += [draft for draft in self._drafts.values() if draft.owner == owner]
        lines = [(call_id, correction) for call_id in calls for correction in (False, True)]
        entries = [self._entries[line] for line in lines if line in self._entries]
        page = Page(drafts=drafts, entries=entries, rollups=self._rollups)
        if self._stops:
            page.stops = self.stops(live=True)[::-1]
        page.raises = {name: self._raises[name] for name in raises_of(operations) if name in self._raises}
        for name in accounts_of(operations, page):
            if name in self._accounts:
                page.accounts[name] = msgspec.structs.replace(self._accounts[name])
        page.values = {of_budget: self._values[of_budget] for of_budget in new_values(operations, page)}
        return page

    def _write_page(self, page: Page) -> None:
        for account in page.used_accounts():
            if account.number is None and account.value is not None:
                self._values[account.budget, account.window] += 1
            account.number = account.number or len(self._accounts) + 1
            self._accounts[account.account] = account
        self._drafts.update(page.opened)
        for call_id in page.closed:
            del self._drafts[call_id]
        for entry in page.written:
            self._entries[entry.call_id, entry.correction] = entry
            self._unused.wrote(entry)
        for raised in page.raised:
            self._raises[raised.raise_id] = raised
            self._unused.raised(raised.account)
            self._acts.append(raise_act(raised, self._accounts[raised.account].unit))
        for alert in page.noted:
            self._alerts.add(alert)
        while len(self._entries) > self._entries_kept:
            oldest, _ = next(iter(self._entries))
            self._fold(self._entries.pop((oldest, False)), self._entries.pop((oldest, True), None))
        if page.written:
            for name in self._unused.over(self._accounts, page.written[-1].written_at_us):
                self._forget(name)
        for owner in page.forgotten:
            self._owners.pop(owner, None)
        for renew in page.renewed.values():
            self._owners[renew.owner] = Owner(
                owner=renew.owner,
                host=renew.host,
                process=renew.process,
                renewed_at_us=renew.at_us,
                until_us=renew.until_us,
            )

    def _fold(self, first: EntryRow, correction: EntryRow | None) -> None:
        """Forget a call, but not what it adds to the sums."""
        self._folded.add(first, correction, self._rollups)
        for entry in (first, correction):
            if entry is not None:
                self._unused.folded(entry)

    def _forget(self, name: str) -> None:
        """Forget an account with everything that is known of it; no kept entry names it."""
        account = self._accounts.pop(name)
        self._folded.settled.pop(name, None)
        self._marks.forget(name)
        if account.raises:
            self._raises = {key: row for key, row in self._raises.items() if row.account != name}
        if account.value is not None:
            self._values[account.budget, account.window] -= 1
            if not self._values[account.budget, account.window]:
                del self._values[account.budget, account.window]

    def retire(self, account: str) -> None:
        """Forget an account with the last of its entries."""
        self._unused.retire(account)

    def balance(self, account: str, *, at_us: int | None = None) -> Balance | None:
        """One account, or None if nothing was ever held against it."""
        with self._lock:
            row = self._accounts.get(account)
            return None if row is None else row.as_of(at_us).balance()

    def balances(
        self, *, budget: str | None = None, current_at_us: int | None = None, at_us: int | None = None
    ) -> list[Balance]:
        """Accounts of a budget, or of all; only windows that contain the moment when one is given."""
        shown_at_us = current_at_us if at_us is None else at_us
        with self._lock:
            return [
                row.as_of(shown_at_us).balance()
                for _, row in sorted(self._accounts.items())
                if budget in (None, row.budget) and _contains(row, current_at_us)
            ]

    def entry(self, call_id: str) -> Entry | None:
        """One call, its correction applied."""
        with self._lock:
            row = self._entries.get((call_id, False))
            return None if row is None else entry_of(row, self._entries.get((call_id, True)))

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

        def wanted(row: EntryRow) -> bool:
            facts = row.details.facts
            return (
                (before is None or (row.at_us, row.call_id) < before)
                and outcome in (None, row.outcome.value)
                and environment in (None, facts.environment)
                and key in (None, facts.key or "")
                and (labels or {}).items() <= facts.labels.items()
                and request_id in (None, facts.request_id)
                and (since_us is None or row.at_us >= since_us)
                and (until_us is None or row.at_us < until_us)
            )

        with self._lock:
            first = [row for row in self._entries.values() if not row.correction]
            first.sort(key=lambda row: (row.at_us, row.call_id), reverse=True)
            found = islice(filter(wanted, first), limit)
            return [entry_of(row, self._entries.get((row.call_id, True))) for row in found]

    def open_holds(self) -> list[OpenHold]:
        """Calls in flight, oldest first."""
        with self._lock:
            holds = [draft.open_hold() for draft in self._drafts.values()]
        return sorted(holds, key=lambda hold: (hold.at_us, hold.call_id))

    def owners(self) -> list[Owner]:
        """Processes that hold or held money and have not been found dead."""
        with self._lock:
            return [owner for _, owner in sorted(self._owners.items())]

    def verify(self, progress: Progress | None = None) -> list[Difference]:
        """Recompute every balance and roll-up from the entries; empty when all agree."""
        with self._lock:
            again = Page()
            again.rollups.merge(self._folded.page.rollups)
            settled, held = Counter(self._folded.settled), Counter[str]()
            for entry in self._entries.values():
                replaced = self._entries[entry.call_id, False] if entry.correction else None
                add_up(entry, replaced, settled, again)
            for draft in self._drafts.values():
                for name, amount in draft.amounts:
                    held[name] += amount
            found = []
            for name, account in self._accounts.items():
                found += _differing(f"settled of {name}", settled[name], account.settled)
                found += _differing(f"held of {name}", held[name], account.held)
            found += self._differing_raises()
            return found + again.rollups.differences(self._rollups)

    def _differing_raises(self) -> list[Difference]:
        kept: dict[str, Raises] = {}
        for row in self._raises.values():
            kept[row.account] = raises_with(kept.get(row.account, ()), row.until_us, row.amount)
        found = []
        for name, account in self._accounts.items():
            expected, rides = dict(kept.get(name, ())), dict(account.raises)
            for until_us in expected.keys() | rides.keys():
                figures = expected.get(until_us, 0), rides.get(until_us, 0)
                found += _differing(what_raised(name, until_us), *figures)
        return found

    def add_outcome(self, row: RecordedOutcome) -> tuple[RecordedOutcome, bool]:
        """Keep an outcome once; answer what is kept, and whether this was the first time."""
        key = (row.environment, row.key, row.outcome_id)
        with self._lock:
            kept = self._outcomes.get(key)
            if kept is not None:
                return kept, False
            self._outcomes_kept += 1
            kept = self._outcomes[key] = msgspec.structs.replace(row, number=self._outcomes_kept)
            if len(self._outcomes) > self._entries_kept:
                del self._outcomes[next(iter(self._outcomes))]
            return kept, True

    def outcomes(self, wanted: WantedOutcomes, *, limit: int = 100) -> list[RecordedOutcome]:
        """Outcomes, newest first."""
        with self._lock:
            return list(islice(filter(wanted.has, reversed(self._outcomes.values())), limit))

    def outcome_sums(self, by: Sequence[str], wanted: WantedOutcomes) -> list[OutcomeSum]:
        """Sum outcomes by dimensions."""
        with self._lock:
            return summed(filter(wanted.has, self._outcomes.values()), by)

    def add_stop(self, stop: Stop) -> None:
        """Refuse every call that matches, until the stop is lifted."""
        with self._lock:
            self._stops[stop.stop_id] = stop
            self._acts.append(stop_act(stop))

    def resume(self, stop_id: str, *, at_us: int, by: str, reason: str) -> bool:
        """Lift a stop; False where there is none or it was lifted before."""
        with self._lock:
            stop = self._stops.get(stop_id)
            if stop is None or not stop.is_live:
                return False
            self._stops[stop_id] = msgspec.structs.replace(
                stop, resumed_at_us=at_us, resumed_by=by, resumed_reason=reason
            )
            self._acts.append(resume_act(stop, at_us=at_us, by=by, reason=reason))
            return True

    def stops(self, *, live: bool = False) -> list[Stop]:
        """Every stop there ever was, or those that refuse calls now; newest first."""
        with self._lock:
            kept = [stop for stop in self._stops.values() if stop.is_live or not live]
        return sorted(kept, key=lambda stop: (stop.at_us, stop.stop_id), reverse=True)

    def raises(
        self, *, budget: str | None = None, account: str | None = None, limit: int = 100
    ) -> list[RaiseRow]:
        """Raises of an account, of a budget, or all, newest first."""
        with self._lock:
            kept = [
                row
                for row in self._raises.values()
                if account in (None, row.account) and budget in (None, self._accounts[row.account].budget)
            ]
        return sorted(kept, key=lambda row: (row.at_us, row.raise_id), reverse=True)[:limit]

    def alerts(self, *, budget: str | None = None, limit: int = 100) -> list[Alert]:
        """Alerts of a budget, or all, newest first."""
        with self._lock:
            return list(self._alerts.newest(budget, limit))

    def remember(self, name: str, value: str, *, instead_of: str | None = None) -> str:
        """Keep a fact under a name unless another is kept; returns what is kept."""
        with self._lock:
            if instead_of is not None and self._facts.get(name) == instead_of:
                self._facts[name] = value
            return self._facts.setdefault(name, value)

    def recall(self, name: str) -> str | None:
        """What is kept under a name, if anything."""
        with self._lock:
            return self._facts.get(name)

    def first_to_note(self, account: str, mark: str, *, at_us: int, ends_at_us: int | None = None) -> bool:
        """Note something about an account; True for exactly one of all who note it."""
        with self._lock:
            return self._marks.first_to_note(account, mark, at_us=at_us, ends_at_us=ends_at_us)

    def close(self) -> None:
        """Nothing to let go of: what was remembered lives as long as the store."""


def _contains(account: Account, at_us: int | None) -> bool:
    if at_us is None:
        return True
    started = account.starts_at_us is None or account.starts_at_us <= at_us
    return started and (account.ends_at_us is None or at_us < account.ends_at_us)


def _differing(what: str, expected: int, found: int) -> list[Difference]:
    return [] if expected == found else [Difference(what=what, expected=expected, found=found)]


# A lock that another thread held at a fork would stay locked in the child for ever.
_stores: weakref.WeakSet[MemoryStore] = weakref.WeakSet()


def _unlock_inherited() -> None:
    for store in _stores:
        store._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_inherited)
