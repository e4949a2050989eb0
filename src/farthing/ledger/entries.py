"""What goes into the ledger and what comes out: claims, offers, operations, answers, entries. Frozen.

What is frozen cannot refer to itself, so the garbage collector need not look at it (gc=False).
"""

import enum
from collections.abc import Mapping

import msgspec

from farthing.domain.call import RequestFacts
from farthing.domain.money import TOKENS_PER_MILLION, divide_up
from farthing.domain.stop import Stop
from farthing.domain.usage import Usage
from farthing.ledger.noting import Note
from farthing.ledger.raising import Raise, Raised


class Unit(enum.StrEnum):
    """What an account counts. Kinds of limit are rows with a unit, not functions."""

    __hash__ = str.__hash__  # they are keys on the hot path, and Enum would hash by name, in Python

    NANODOLLARS = "nanodollars"
    REQUESTS = "requests"
    TOKENS = "tokens"
    CALLS_OPEN = "calls_open"


class AtShort(enum.StrEnum):
    """What the store does when an offer does not fit an account.

    CLAMP: lower the output cap to the most that fits, not below the offer's floor.
    REFUSE: the whole offer fits or it is not granted.
    PASS: grant it all the same; what goes beyond the limit is overrun (soft budgets, observe mode).
    """

    CLAMP = "clamp"
    REFUSE = "refuse"
    PASS = "pass"  # noqa: S105 not a password


class Need(msgspec.Struct, gc=False, frozen=True):
    """How much of a unit an offer needs: fixed + rate x output cap, rounded up once.

    rate_per_million is per million tokens of output cap, so prices stay whole numbers.
    """

    fixed: int
    rate_per_million: int = 0

    def at(self, output_cap: int) -> int:
        """The need at one output cap, in the unit."""
        return self.fixed + divide_up(self.rate_per_million * output_cap, TOKENS_PER_MILLION)

    def largest_cap(self, room: int) -> int | None:
        """The largest output cap whose need fits the room; None where the cap does not matter."""
        if self.rate_per_million == 0:
            return None
        return (room - self.fixed) * TOKENS_PER_MILLION // self.rate_per_million


class Claim(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """One account that must pay for a call. Limits come with each hold, so edits keep history.

    spent_reason: what a refusal is called when this account is spent for good (wallet_empty ...).
    values_max: how many values of the budget have an account of their own in one window; those that
        come later share one. None where callers cannot make up values.
    fallback_from: once so much is settled or held, the offer is not made; a cheaper one stands behind it.
    of_one_call: the limit is for this call alone; nothing is held and no account is kept.
    """

    account: str
    unit: Unit
    limit: int
    at_short: AtShort
    budget: str
    value: str | None = None
    window: str = "total"
    starts_at_us: int | None = None
    ends_at_us: int | None = None
    spent_reason: str = "budget_exceeded"
    values_max: int | None = None
    fallback_from: int | None = None
    of_one_call: bool = False


class Offer(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """One way to serve a call: a target, what it needs at most, and the accounts that must pay.

    The store grants the largest output cap between output_floor and output_full that fits every
    account. Where a call has no output, both are 0.

    unpaid: budgets whose call it is although they need not pay for it, because it is free.
    """

    target: str
    provider: str
    model: str
    needs: Mapping[Unit, Need]
    claims: tuple[Claim, ...]
    output_full: int = 0
    output_floor: int = 0
    price_version: str | None = None
    reason: str = "as_asked"  # why this offer: as_asked, downgraded, routed ...
    rules: tuple[str, ...] = ()
    unpaid: tuple[str, ...] = ()


class EntryFacts(msgspec.Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """What an entry says about a call before it goes upstream; by its request it can be decided again."""

    request_id: str
    environment: str
    dialect: str
    model_asked: str
    attempt: int = 1
    stream: bool = False
    claimed_environment: str | None = None
    group: str | None = None
    key: str | None = None
    key_id: str | None = None
    developer: str | None = None
    wallet: str | None = None
    labels: Mapping[str, str] = {}
    tags_invalid: bool = False
    run: str | None = None
    prompt_hash: str | None = None
    policy_digest: str | None = None
    cost_tracked: bool = True
    request: RequestFacts | None = None


class Outcome(enum.StrEnum):
    """How a call ended, as its entry says."""

    SETTLED = "settled"
    VOID = "void"
    REFUSED = "refused"
    CACHED = "cached"


# ── operations: a batch of them is one transaction ──────────────────────────────────────────────


class Hold(msgspec.Struct, gc=False, frozen=True, kw_only=True, tag=True):
    """Set money aside for the first offer that fits all its accounts; refuse when none does.

    tentative: grant only the first offer, and in full; otherwise answer Tight, write nothing and
        remember nothing, because the asker comes back with tighter bounds.
    waits: where calls in flight hold what this one would get more from, answer Tight likewise,
        because the asker comes back when some of them have ended.
    keeps: what the asker itself keeps held in each account meanwhile; it would wait for that in vain.
    made: the call went out while the ledger was away; no stop can refuse it any more.
    """

    call_id: str
    at_us: int
    owner: str
    facts: EntryFacts
    offers: tuple[Offer, ...]
    tentative: bool = False
    waits: bool = False
    keeps: Mapping[str, int] = {}
    made: bool = False


class Settle(msgspec.Struct, gc=False, frozen=True, kw_only=True, tag=True):
    """Replace a hold by the cost and free the rest. Never refused; a second one changes nothing.

    A call settled as assumed whose truth arrives later (assumed=False) gets one correction.
    ceiling_nanodollars: the ceiling, where it was found to be lower than what was held.
    """

    call_id: str
    at_us: int
    cost_nanodollars: int
    cost_asked_nanodollars: int | None = None
    usage: Usage | None = None
    by_model: tuple[tuple[str, Usage], ...] = ()
    assumed: bool = False
    assumed_rule: str | None = None
    status: int | None = None
    model_answered: str | None = None
    service_tier: str | None = None
    latency_ms: int | None = None
    first_byte_ms: int | None = None
    anomalies: tuple[str, ...] = ()
    error: str | None = None
    ceiling_nanodollars: int | None = None


class Void(msgspec.Struct, gc=False, frozen=True, kw_only=True, tag=True):
    """Drop a hold because nothing is owed: the provider was never reached.

    forget: whoever asked for the hold never heard of it; leave no entry, as if it had not been asked.
    """

    call_id: str
    at_us: int
    rule: str
    error: str | None = None
    forget: bool = False


class Record(msgspec.Struct, gc=False, frozen=True, kw_only=True, tag=True):
    """Write an entry for a call that was never held: refused by a rule, answered from a cache.

    count is how many alike refusals this one row stands for.
    offer: for an answer from the cache, what it uses up although it costs nothing (a request of a rate
        limit). Where it does not fit, or a stop refuses it, the answer is Tight, and nothing is written.
    avoided_nanodollars: what the answer would have cost.
    """

    call_id: str
    at_us: int
    facts: EntryFacts
    outcome: Outcome
    reason: str
    rules: tuple[str, ...] = ()
    status: int | None = None
    count: int = 1
    offer: Offer | None = None
    avoided_nanodollars: int = 0
    latency_ms: int | None = None


class SettleDead(msgspec.Struct, gc=False, frozen=True, kw_only=True, tag=True):
    """Settle every hold of an owner that is gone as assumed, at its ceiling, and forget the owner."""

    owner: str
    at_us: int
    rule: str = "owner_died"


class Renew(msgspec.Struct, gc=False, frozen=True, kw_only=True, tag=True):
    """Say that an owner lives until a moment; its first renewal makes it known."""

    owner: str
    at_us: int
    until_us: int
    host: str
    process: str


Operation = Hold | Settle | Void | Record | SettleDead | Renew | Raise | Note


# ── answers: one for each operation, in order ───────────────────────────────────────────────────


class Balance(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """One account: what is settled, what calls in flight hold, and the limit last asked of it, as raised."""

    account: str
    unit: Unit
    settled: int
    held: int
    limit: int
    budget: str
    value: str | None = None
    window: str = "total"
    starts_at_us: int | None = None
    ends_at_us: int | None = None

    @property
    def remaining(self) -> int:
        """What a new hold may still take; negative where soft limits were passed."""
        return self.limit - self.settled - self.held


class Held(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """Granted: which offer, at which output cap, what is held, and the accounts after it.

    would_refuse names the accounts of PASS claims that did not fit.
    """

    call_id: str
    offer: int
    output_cap: int
    clamped: bool
    ceiling_nanodollars: int
    balances: tuple[Balance, ...]
    would_refuse: tuple[str, ...] = ()


class Short(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """Not granted, nothing taken: the account that was short, and whether waiting helps.

    final is False where the offer would fit if all open calls cost nothing (the money is only held).
    reason is what the refused entry says: budget_exceeded, budget_held, rate_limited ...
    """

    call_id: str
    balance: Balance
    needed: int
    final: bool
    reason: str = "budget_exceeded"


class Stopped(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """Not granted, nothing taken: somebody stopped calls like this one."""

    call_id: str
    stop: Stop


class Tight(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """A hold that was tentative or waits, or an answer from the cache, got nothing.

    Nothing was taken, written or remembered.
    """

    call_id: str


class Booked(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """Settled, void or recorded: what stands in the books for the call, and the accounts after it.

    already is True where the call had been booked before and this operation changed nothing;
    corrected is True where it wrote the one correction of an assumed settlement.
    """

    call_id: str
    outcome: Outcome
    cost_nanodollars: int
    balances: tuple[Balance, ...] = ()
    already: bool = False
    corrected: bool = False


class Done(msgspec.Struct, gc=False, frozen=True):
    """Housekeeping was done; count says on how many holds."""

    count: int = 0


class Unknown(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """The ledger has never heard of this call; the other operations of the batch are not touched."""

    call_id: str


Answer = Held | Short | Stopped | Tight | Booked | Done | Raised | Unknown


class Entry(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """One call as the ledger tells it, its correction applied; short or stop is why it was refused."""

    call_id: str
    at_us: int
    facts: EntryFacts
    outcome: Outcome
    reason: str
    rules: tuple[str, ...]
    provider: str | None
    target: str | None
    model_served: str | None
    model_answered: str | None
    assumed: bool
    assumed_rule: str | None
    status: int | None
    cache: str
    clamped_to: int | None
    usage: Usage | None
    by_model: tuple[tuple[str, Usage], ...]
    ceiling_nanodollars: int
    cost_nanodollars: int
    cost_asked_nanodollars: int | None
    overrun_nanodollars: int
    accounts: tuple[str, ...]
    price_version: str | None
    service_tier: str | None
    latency_ms: int | None
    first_byte_ms: int | None
    anomalies: tuple[str, ...]
    error: str | None
    would_refuse: tuple[str, ...]
    count: int
    corrected: bool
    avoided_nanodollars: int = 0
    short: Short | None = None
    stop: Stop | None = None
    ended_at_us: int = 0


class OpenHold(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """A call in flight: what it holds, since when, and whose it is."""

    call_id: str
    at_us: int
    owner: str
    environment: str
    key: str | None
    model: str
    ceiling_nanodollars: int
    accounts: tuple[str, ...]


class Owner(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """A process that holds money; dead when its lease ran out or its process is gone."""

    owner: str
    host: str
    process: str
    renewed_at_us: int
    until_us: int


class Difference(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """Where a balance or roll-up does not equal the sum of the entries."""

    what: str
    expected: int
    found: int


# The value whose account is shared by all values that came too late for one of their own.
OTHER_VALUES = "(other)"

# SQLite's own JSON ends a text at its first NUL, so no account may have one in its name.
_ESCAPES = str.maketrans({"%": "%25", "/": "%2F", "\0": "%00"})


def account_name(budget: str, value: str | None, window: str) -> str:
    """Name an account: dev-month/2026-11, per-developer/alice/2026-11. Unique, and made to be read."""
    if value is None:
        return f"{budget}/{window.translate(_ESCAPES)}"
    return f"{budget}/{value.translate(_ESCAPES)}/{window.translate(_ESCAPES)}"


def shared_account_name(claim: Claim) -> str:
    """Name the account that is used where the claim's own value came too late."""
    return account_name(claim.budget, OTHER_VALUES, claim.window)
