"""The rows a batch touches: accounts, drafts of open calls, entries. A store loads and flushes them."""

from collections.abc import Iterable, Sequence

import msgspec

from farthing.domain.alert import Alert
from farthing.domain.stop import Stop
from farthing.domain.usage import Usage
from farthing.ledger.entries import (
    OTHER_VALUES,
    Balance,
    Booked,
    Claim,
    Entry,
    EntryFacts,
    Held,
    OpenHold,
    Outcome,
    Renew,
    Short,
    Unit,
    shared_account_name,
)
from farthing.ledger.raising import Raise, RaiseRow, Raises, raised_by, raises_with
from farthing.ledger.rollups import Measures, Reason, Rollups


class Account(msgspec.Struct, gc=False, kw_only=True):
    """One account while a batch works on it.

    limit: what the policy said last; raises: what was added to it, and raised: what of that counts now.
    number: the store's own name for the row; None while there is none.
    used: something was held against it, or it was raised, in this batch.
    """

    account: str
    unit: Unit
    limit: int
    budget: str
    settled: int = 0
    held: int = 0
    value: str | None = None
    window: str = "total"
    starts_at_us: int | None = None
    ends_at_us: int | None = None
    number: int | None = None
    used: bool = False
    raises: Raises = ()
    raised: int = 0

    @property
    def is_kept(self) -> bool:
        """Whether it has a row, or gets one at the end of this batch."""
        return self.used or self.number is not None

    def as_of(self, at_us: int | None) -> "Account":
        """The account with the raises that count at a moment; without one, all of them."""
        if self.raises:
            self.raised = raised_by(self.raises, at_us)
        return self

    def balance(self) -> Balance:
        """What the account says to the outside, at this moment."""
        return Balance(
            account=self.account,
            unit=self.unit,
            settled=self.settled,
            held=self.held,
            limit=self.limit + self.raised,
            budget=self.budget,
            value=self.value,
            window=self.window,
            starts_at_us=self.starts_at_us,
            ends_at_us=self.ends_at_us,
        )


class Draft(msgspec.Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """An open call: what it holds, and all its entry will say, so that anyone can settle it.

    amounts: what each account holds for it, in the account's unit, in the order of the claims.
    uncapped: no limit on this call alone or on its run was in the way.
    """

    call_id: str
    at_us: int
    owner: str
    facts: EntryFacts
    offer: int
    target: str
    provider: str
    model: str
    ceiling_nanodollars: int
    amounts: tuple[tuple[str, int], ...]
    output_cap: int = 0
    clamped: bool = False
    reason: str = "as_asked"
    rules: tuple[str, ...] = ()
    price_version: str | None = None
    would_refuse: tuple[str, ...] = ()
    uncapped: bool = False

    def open_hold(self) -> OpenHold:
        """The hold as people see it."""
        return OpenHold(
            call_id=self.call_id,
            at_us=self.at_us,
            owner=self.owner,
            environment=self.facts.environment,
            key=self.facts.key,
            model=self.model,
            ceiling_nanodollars=self.ceiling_nanodollars,
            accounts=tuple(account for account, _ in self.amounts),
        )


class Details(msgspec.Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """What an entry tells besides its figures; nothing sums or searches by it."""

    facts: EntryFacts
    reason: str
    rules: tuple[str, ...] = ()
    target: str | None = None
    model_answered: str | None = None
    assumed_rule: str | None = None
    status: int | None = None
    offer: int = 0
    output_cap: int = 0
    clamped: bool = False
    usage: Usage | None = None
    by_model: tuple[tuple[str, Usage], ...] = ()
    price_version: str | None = None
    service_tier: str | None = None
    latency_ms: int | None = None
    first_byte_ms: int | None = None
    anomalies: tuple[str, ...] = ()
    error: str | None = None
    would_refuse: tuple[str, ...] = ()
    cost_asked_known: bool = False
    short: Short | None = None
    stopped: Stop | None = None


class EntryRow(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """One line of the ledger, written once and never changed.

    A correction is a line of its own: its measures and amounts are what it adds to the first line.
    at_us is the moment of authorization on both; written_at_us is when the line was written.
    booked: what each account was settled by, in the account's unit.
    """

    call_id: str
    correction: bool = False
    at_us: int
    written_at_us: int
    outcome: Outcome
    provider: str | None = None
    model_served: str | None = None
    ceiling_nanodollars: int = 0
    measures: Measures
    booked: tuple[tuple[str, int], ...] = ()
    details: Details

    @property
    def assumed(self) -> bool:
        """Whether the line books what was assumed, not what was reported."""
        return self.measures.assumed > 0


def entry_of(row: EntryRow, correction: EntryRow | None) -> Entry:
    """Tell a call as one entry, its correction applied."""
    first, latest = row.details, (correction or row).details
    cost_nanodollars = row.measures.cost
    cost_asked_nanodollars = row.measures.cost_asked
    if correction is not None:
        cost_nanodollars += correction.measures.cost
        cost_asked_nanodollars += correction.measures.cost_asked
    over = cost_nanodollars - row.ceiling_nanodollars
    return Entry(
        call_id=row.call_id,
        at_us=row.at_us,
        facts=first.facts,
        outcome=row.outcome,
        reason=first.reason,
        rules=first.rules,
        provider=row.provider,
        target=first.target,
        model_served=row.model_served,
        model_answered=latest.model_answered,
        assumed=row.assumed and correction is None,
        assumed_rule=first.assumed_rule,
        status=latest.status,
        cache="hit" if row.outcome is Outcome.CACHED else "miss",
        clamped_to=first.output_cap if first.clamped else None,
        usage=latest.usage,
        by_model=latest.by_model,
        ceiling_nanodollars=row.ceiling_nanodollars,
        cost_nanodollars=cost_nanodollars,
        cost_asked_nanodollars=cost_asked_nanodollars if latest.cost_asked_known else None,
        overrun_nanodollars=max(over, 0) if row.outcome is Outcome.SETTLED else 0,
        accounts=tuple(account for account, _ in row.booked),
        price_version=first.price_version,
        service_tier=latest.service_tier,
        latency_ms=latest.latency_ms,
        first_byte_ms=latest.first_byte_ms,
        anomalies=latest.anomalies,
        error=latest.error,
        would_refuse=first.would_refuse,
        count=max(row.measures.calls, row.measures.refused),
        corrected=correction is not None,
        avoided_nanodollars=row.measures.avoided,
        short=first.short,
        stop=first.stopped,
        ended_at_us=row.written_at_us,
    )


class Page:
    """What one batch sees and changes: rows are read once, changed here, and written once.

    The store fills accounts, drafts, entries and values before the batch is applied. Afterwards it
    writes opened, closed, written, raised, noted, rollups, renewed, forgotten, and the accounts of
    used_accounts().

    values: how many values of a (budget, window) have an account, for those that new_values names.
    stops: those that are live, oldest first.
    raises: those of the batch that were applied before.
    at_us: the moment of the operation that is being applied; raises count, or not, by it.
    rollups: the sums that the batch adds to; sums of its own unless given.
    """

    def __init__(
        self,
        *,
        accounts: Iterable[Account] = (),
        drafts: Iterable[Draft] = (),
        entries: Iterable[EntryRow] = (),
        rollups: Rollups | None = None,
    ) -> None:
        self.accounts = {account.account: account for account in accounts}
        self.drafts = {draft.call_id: draft for draft in drafts}
        self.entries = {(entry.call_id, entry.correction): entry for entry in entries}
        self.values: dict[tuple[str, str], int] = {}
        self.stops: Sequence[Stop] = ()
        self.raises: dict[str, RaiseRow] = {}
        self.at_us: int | None = None
        self.opened: dict[str, Draft] = {}
        self.closed: set[str] = set()
        self.written: list[EntryRow] = []
        self.raised: list[RaiseRow] = []
        self.noted: list[Alert] = []
        self.rollups = Rollups() if rollups is None else rollups
        self.renewed: dict[str, Renew] = {}
        self.forgotten: set[str] = set()

    def account_for(self, claim: Claim) -> Account:
        """The account of a claim, opened if it is new; the limit last asked of it is kept.

        A value that comes when its budget has as many accounts as it may have gets the shared one.
        """
        account = self.accounts.get(claim.account)
        if account is not None and account.is_kept:
            return account.as_of(self.at_us)
        if claim.values_max is not None:
            values = self.values.get((claim.budget, claim.window), 0)
            if values >= claim.values_max:
                return self._shared_account(claim)
        if account is None:
            account = self.accounts[claim.account] = _new_account(claim, claim.account, claim.value)
        return account

    def _shared_account(self, claim: Claim) -> Account:
        name = shared_account_name(claim)
        account = self.accounts.get(name)
        if account is None:
            account = self.accounts[name] = _new_account(claim, name, OTHER_VALUES)
        return account.as_of(self.at_us)

    def used_accounts(self) -> list[Account]:
        """The accounts to write: those that were there before, and new ones that held something."""
        return [account for account in self.accounts.values() if account.is_kept]

    def open(self, draft: Draft) -> None:
        """Hold what a draft holds."""
        self.drafts[draft.call_id] = draft
        self.opened[draft.call_id] = draft
        for name, amount in draft.amounts:
            account = self.accounts[name]
            self._use(account)
            account.held += amount

    def _use(self, account: Account) -> None:
        """Let an account have a row; a value that gets its first one is counted."""
        if not account.is_kept and account.value is not None:
            of_budget = (account.budget, account.window)
            self.values[of_budget] = self.values.get(of_budget, 0) + 1
        account.used = True

    def add_raise(self, asked: Raise) -> RaiseRow:
        """Raise the limit of an account, and keep who did it and why."""
        account = self.account_for(asked.claim)
        self._use(account)
        account.limit = asked.claim.limit
        limit_before = account.limit + account.raised
        account.raises = raises_with(account.raises, asked.until_us, asked.amount)
        row = RaiseRow(
            raise_id=asked.raise_id,
            account=account.account,
            at_us=asked.at_us,
            amount=asked.amount,
            limit_before=limit_before,
            limit_after=account.as_of(self.at_us).balance().limit,
            until_us=asked.until_us,
            by=asked.by,
            reason=asked.reason,
        )
        self.raises[row.raise_id] = row
        self.raised.append(row)
        return row

    def close(self, draft: Draft) -> None:
        """Free what a draft holds; a hold opened in this very batch leaves no trace."""
        del self.drafts[draft.call_id]
        if self.opened.pop(draft.call_id, None) is None:
            self.closed.add(draft.call_id)
        for account, amount in draft.amounts:
            self.accounts[account].held -= amount

    def write(self, entry: EntryRow, *, replaces: EntryRow | None = None) -> None:
        """Write an entry, book its amounts and add it to every roll-up."""
        self.entries[(entry.call_id, entry.correction)] = entry
        self.written.append(entry)
        for account, amount in entry.booked:
            self.accounts[account].settled += amount
        self.add_to_rollups(entry, replaces=replaces)

    def add_to_rollups(self, entry: EntryRow, *, replaces: EntryRow | None) -> None:
        """Add an entry to every roll-up; replaces is the line that a correction corrects."""
        self.rollups.add(
            at_us=entry.at_us,
            facts=entry.details.facts,
            provider=entry.provider,
            model_served=entry.model_served,
            measures=entry.measures,
            priced=is_priced(entry),
            replaces_nanodollars=None if replaces is None else replaces.measures.cost,
            refused=entry.outcome is Outcome.REFUSED,
            reason=None if entry.correction else _reason_of(entry),
        )

    def held(self, draft: Draft) -> Held:
        """What is held for an open call, and the accounts at this moment."""
        return Held(
            call_id=draft.call_id,
            offer=draft.offer,
            output_cap=draft.output_cap,
            clamped=draft.clamped,
            ceiling_nanodollars=draft.ceiling_nanodollars,
            balances=self.balances(draft.amounts),
            would_refuse=draft.would_refuse,
        )

    def booked(self, entry: EntryRow, *, already: bool = False) -> Booked:
        """What stands in the books for a call, its correction applied."""
        correction = self.entries.get((entry.call_id, True))
        return Booked(
            call_id=entry.call_id,
            outcome=entry.outcome,
            cost_nanodollars=entry.measures.cost + (correction.measures.cost if correction else 0),
            balances=self.balances(entry.booked),
            already=already,
        )

    def balances(self, amounts: Iterable[tuple[str, int]]) -> tuple[Balance, ...]:
        """The accounts that amounts belong to, at this moment."""
        return tuple([self.accounts[account].as_of(self.at_us).balance() for account, _ in amounts])


def is_priced(entry: EntryRow) -> bool:
    """Whether a call has a cost that belongs into the histogram."""
    return entry.outcome is Outcome.SETTLED and entry.details.facts.cost_tracked


# Why an offer was granted that is just what was asked for.
_AS_ASKED = frozenset(("as_asked", "routed"))


def _reason_of(entry: EntryRow) -> Reason | None:
    """Why a call was refused, or granted otherwise than asked; None where there is nothing to explain."""
    details = entry.details
    if entry.outcome is Outcome.REFUSED:
        short = details.short
        if short is None:
            return Reason(details.reason)
        return Reason(details.reason, short.balance.budget, short.balance.account)
    if entry.outcome is Outcome.CACHED or details.reason in _AS_ASKED:
        return None
    return Reason(details.reason)


def _new_account(claim: Claim, name: str, value: str | None) -> Account:
    return Account(
        account=name,
        unit=claim.unit,
        limit=claim.limit,
        budget=claim.budget,
        value=value,
        window=claim.window,
        starts_at_us=claim.starts_at_us,
        ends_at_us=claim.ends_at_us,
    )
