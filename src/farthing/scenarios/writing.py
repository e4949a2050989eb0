"""Write the calls of a scenario into a ledger, through the same operations that real calls take."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice

from farthing.cache.canonical import digest_of
from farthing.domain.money import TOKENS_PER_MILLION
from farthing.ledger.entries import (
    Answer,
    AtShort,
    Booked,
    Claim,
    EntryFacts,
    Held,
    Hold,
    Need,
    Offer,
    Operation,
    Outcome,
    Record,
    Settle,
    Unit,
)
from farthing.ledger.store import Store
from farthing.scenarios.rows import Row

ROWS_A_BATCH = 1_000
OWNER = "scenario"

# The reason of an offer that no account can pay; a refused entry has the account's own reason.
_REFUSED = "refused"
_DIALECTS = {"anthropic": "anthropic.messages", "google": "gemini.generate"}


class AlreadyWritten(ValueError):
    """Calls of this name stand in the ledger; to write them again would change nothing."""


def write(
    rows: Iterable[Row],
    store: Store,
    *,
    name: str | None = None,
    first: int = 0,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write rows in the order they come; answer how many calls were written.

    name: begins the id of every call; made from the first row unless given.
    first: the number of the first row, where earlier ones were written before.
    progress: told how many rows were written so far, after each batch.

    Raises AlreadyWritten where calls of this name are in the ledger, ValueError where a row says that
    a call was granted or refused, and the ledger comes to another answer.
    """
    written = 0
    remaining = iter(rows)
    while batch := list(islice(remaining, ROWS_A_BATCH)):
        name = name or _name_of(batch[0])
        operations = [
            operation
            for number, row in enumerate(batch, first + written)
            for operation in operations_of(row, f"{name}-{number:08}")
        ]
        for operation, answer in zip(operations, store.apply(operations), strict=True):
            _check(operation, answer)
        written += len(batch)
        if progress is not None:
            progress(written)
    return written


def _name_of(row: Row) -> str:
    return digest_of([repr(row)]).hex()[:12]


def _check(operation: Operation, answer: Answer) -> None:
    """A scenario is no experiment: what its rows say must be what is booked."""
    if isinstance(answer, Booked) and answer.already:
        raise AlreadyWritten("these calls are in the ledger already; give write() another name")
    if isinstance(operation, Hold):
        granted, wanted = isinstance(answer, Held), operation.offers[0].reason != _REFUSED
        if granted is not wanted:
            should = "granted" if wanted else "refused"
            raise ValueError(f"{operation.call_id} should be {should}, and the ledger says {answer}")


# ── one row ─────────────────────────────────────────────────────────────────────────────────────


def operations_of(row: Row, call_id: str) -> tuple[Operation, ...]:
    """Say a row in the words of the ledger: a hold and its settlement, a record, or a hold that fails."""
    facts = EntryFacts(
        request_id=call_id,
        environment=row.environment,
        dialect=_DIALECTS.get(row.provider, "openai.chat"),
        model_asked=row.model_asked,
        group=row.group,
        key=row.key,
        developer=row.developer,
        labels=row.labels,
        run=row.run,
        prompt_hash=row.prompt_hash,
    )
    if row.cached:
        return (_cached(row, call_id, facts),)
    if row.refused is not None:
        return (_refused(row, call_id, facts),)
    hold = Hold(call_id=call_id, at_us=row.at_us, owner=OWNER, facts=facts, offers=(_offer_of(row),))
    return (hold, _settle(row, call_id))


def _cached(row: Row, call_id: str, facts: EntryFacts) -> Record:
    served = row.model_served or row.model_asked
    offer = _offer(row.provider, served, _decision(row), row.price_version, 0, (), None, None)
    return Record(
        call_id=call_id,
        at_us=row.at_us,
        facts=facts,
        outcome=Outcome.CACHED,
        reason=offer.reason,
        status=row.status,
        offer=offer,
        avoided_nanodollars=row.avoided_nanodollars,
        latency_ms=row.latency_ms,
    )


def _refused(row: Row, call_id: str, facts: EntryFacts) -> Hold | Record:
    assert row.refused is not None
    if row.account is None:
        return Record(
            call_id=call_id,
            at_us=row.at_us,
            facts=facts,
            outcome=Outcome.REFUSED,
            reason=row.refused,
            status=row.status,
        )
    offer = _offer_too_dear(row.provider, row.model_asked, row.account)
    return Hold(call_id=call_id, at_us=row.at_us, owner=OWNER, facts=facts, offers=(offer,))


def _settle(row: Row, call_id: str) -> Settle:
    return Settle(
        call_id=call_id,
        at_us=row.at_us + row.latency_ms * 1_000,
        cost_nanodollars=row.cost_nanodollars,
        cost_asked_nanodollars=row.cost_asked_nanodollars,
        usage=row.usage,
        assumed=row.assumed_rule is not None,
        assumed_rule=row.assumed_rule,
        status=row.status,
        model_answered=row.model_served,
        latency_ms=row.latency_ms,
    )


# ── offers, which are alike for many rows ───────────────────────────────────────────────────────


def _offer_of(row: Row) -> Offer:
    return _offer(
        row.provider,
        row.model_served or row.model_asked,
        _decision(row),
        row.price_version,
        row.cost_nanodollars,
        row.payers if row.account is None else (row.account, *row.payers),
        row.call_limit_nanodollars,
        row.clamped_to,
    )


def _decision(row: Row) -> str:
    if row.decision is not None:
        return row.decision
    return "as_asked" if row.model_served in (None, row.model_asked) else "downgraded"


@lru_cache(maxsize=4_096)
def _offer(
    provider: str,
    model: str,
    decision: str,
    price_version: str | None,
    cost_nanodollars: int,
    accounts: tuple[Claim, ...],
    call_limit_nanodollars: int | None,
    clamped_to: int | None,
) -> Offer:
    """An offer that needs what the call will cost, and is clamped exactly where the row says so.

    A clamped one needs a nanodollar for each token of its output cap, so that the limit on the call
    leaves room for as many tokens as were sent, and full for twice as many.
    """
    need = Need(cost_nanodollars)
    full = 0
    if clamped_to is not None and call_limit_nanodollars is not None:
        need = Need(call_limit_nanodollars - clamped_to, TOKENS_PER_MILLION)
        full = 2 * clamped_to
    return Offer(
        target=provider,
        provider=provider,
        model=model,
        needs={Unit.NANODOLLARS: need},
        claims=tuple(_claims(accounts, call_limit_nanodollars)),
        output_full=full,
        price_version=price_version,
        reason=decision,
    )


def _claims(accounts: tuple[Claim, ...], call_limit_nanodollars: int | None) -> Iterator[Claim]:
    yield from accounts
    if call_limit_nanodollars is not None:
        yield Claim(
            account="call/total",
            unit=Unit.NANODOLLARS,
            limit=call_limit_nanodollars,
            at_short=AtShort.CLAMP,
            budget="call",
            of_one_call=True,
        )


@lru_cache(maxsize=4_096)
def _offer_too_dear(provider: str, model: str, account: Claim) -> Offer:
    """An offer that its account can never pay."""
    return Offer(
        target=provider,
        provider=provider,
        model=model,
        needs={account.unit: Need(account.limit + 1)},
        claims=(account,),
        reason=_REFUSED,
    )
