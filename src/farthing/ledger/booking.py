"""The rules of the ledger, once for every store: apply operations to a page, in order, and answer each."""

from collections.abc import Iterable, Iterator, Sequence
from typing import assert_never

import msgspec

from farthing.domain.usage import Usage
from farthing.ledger.entries import (
    Answer,
    Booked,
    Claim,
    Done,
    EntryFacts,
    Held,
    Hold,
    Offer,
    Operation,
    Outcome,
    Record,
    Renew,
    Settle,
    SettleDead,
    Tight,
    Unit,
    Unknown,
    Void,
    shared_account_name,
)
from farthing.ledger.holding import hold_call
from farthing.ledger.noting import Note
from farthing.ledger.page import Details, Draft, EntryRow, Page
from farthing.ledger.raising import Raise, Raised
from farthing.ledger.rollups import Measures
from farthing.ledger.stopping import stop_of

_NO_MEASURES = Measures()


def calls_of(operations: Iterable[Operation]) -> list[str]:
    """Name the calls whose drafts and entries a batch needs on its page."""
    of_no_call = SettleDead | Renew | Raise | Note
    return [operation.call_id for operation in operations if not isinstance(operation, of_no_call)]


def raises_of(operations: Iterable[Operation]) -> list[str]:
    """Name the raises a batch needs on its page, where they were applied before."""
    return [operation.raise_id for operation in operations if isinstance(operation, Raise)]


def holds_any(operations: Iterable[Operation]) -> bool:
    """Whether a batch needs the live stops on its page."""
    return any(_offers_of(operation) for operation in operations)


def dead_owners_of(operations: Iterable[Operation]) -> list[str]:
    """Name the owners whose drafts a batch needs on its page, every one."""
    return [operation.owner for operation in operations if isinstance(operation, SettleDead)]


def accounts_of(operations: Iterable[Operation], page: Page) -> set[str]:
    """Name the accounts a batch needs on its page, once its drafts and entries are there."""
    names = set()
    for claim in _claims_of(operations):
        names.add(claim.account)
        if claim.values_max is not None:
            names.add(shared_account_name(claim))
    for draft in page.drafts.values():
        names.update([account for account, _ in draft.amounts])
    for entry in page.entries.values():
        names.update([account for account, _ in entry.booked])
    names.update([row.account for row in page.raises.values()])
    return names


def new_values(operations: Iterable[Operation], page: Page) -> set[tuple[str, str]]:
    """Name each (budget, window) whose values must be counted, for a value without an account came up."""
    return {
        (claim.budget, claim.window)
        for claim in _claims_of(operations)
        if claim.values_max is not None and claim.account not in page.accounts
    }


def _claims_of(operations: Iterable[Operation]) -> Iterator[Claim]:
    for operation in operations:
        if isinstance(operation, Raise):
            yield operation.claim
        for offer in _offers_of(operation):
            yield from offer.claims


def _offers_of(operation: Operation) -> tuple[Offer, ...]:
    """What may be granted of an operation."""
    match operation:
        case Hold():
            return operation.offers
        case Record(offer=Offer() as offer):
            return (offer,)
        case _:
            return ()


def apply_batch(operations: Sequence[Operation], page: Page) -> list[Answer]:
    """Apply each operation to what the ones before it left, and answer it. Never raises."""
    return [_apply(operation, page) for operation in operations]


def _apply(operation: Operation, page: Page) -> Answer:
    page.at_us = operation.at_us
    match operation:
        case Hold():
            return hold_call(operation, page)
        case Settle():
            return _settle(operation, page)
        case Void():
            return _void(operation, page)
        case Record():
            return _record(operation, page)
        case SettleDead():
            return _settle_dead(operation, page)
        case Renew():
            page.renewed[operation.owner] = operation
            page.forgotten.discard(operation.owner)
            return Done(1)
        case Raise():
            return _raise(operation, page)
        case Note():
            page.noted.append(operation.alert)
            return Done(1)
        case _:
            assert_never(operation)


def _raise(asked: Raise, page: Page) -> Raised:
    known = page.raises.get(asked.raise_id)
    row = known or page.add_raise(asked)
    (balance,) = page.balances([(row.account, 0)])
    return Raised(row=row, balance=balance, already=known is not None)


# ── settle, correct, void ───────────────────────────────────────────────────────────────────────


def _settle(settle: Settle, page: Page) -> Booked | Unknown:
    draft = page.drafts.get(settle.call_id)
    if draft is not None:
        page.close(draft)
        entry = _settled(draft, settle, page)
        page.write(entry)
        return page.booked(entry)
    first = page.entries.get((settle.call_id, False))
    if first is None:
        return Unknown(call_id=settle.call_id)
    if not first.assumed or settle.assumed or (settle.call_id, True) in page.entries:
        return page.booked(first, already=True)
    correction = _correction(first, settle, page)
    page.write(correction, replaces=first)
    return msgspec.structs.replace(page.booked(first, already=True), corrected=True)


def _settled(draft: Draft, settle: Settle, page: Page) -> EntryRow:
    measures = _measures(settle, draft.facts, clamped=int(draft.clamped), uncapped=int(draft.uncapped))
    return EntryRow(
        call_id=draft.call_id,
        at_us=draft.at_us,
        written_at_us=settle.at_us,
        outcome=Outcome.SETTLED,
        provider=draft.provider,
        model_served=draft.model,
        ceiling_nanodollars=draft.ceiling_nanodollars
        if settle.ceiling_nanodollars is None
        else settle.ceiling_nanodollars,
        measures=measures,
        booked=tuple([
            (account, _used(page.accounts[account].unit, settle, measures, held))
            for account, held in draft.amounts
        ]),
        details=_details(draft, settle),
    )  # fmt: skip


def _correction(first: EntryRow, settle: Settle, page: Page) -> EntryRow:
    """The line that turns what was assumed into what is true."""
    known = first.measures
    true = _measures(settle, first.details.facts, clamped=known.clamped, uncapped=known.uncapped)
    return msgspec.structs.replace(
        first,
        correction=True,
        written_at_us=settle.at_us,
        measures=true.minus(known),
        booked=tuple([
            (account, _used(page.accounts[account].unit, settle, true, booked) - booked)
            for account, booked in first.booked
        ]),
        details=_observed(first.details, settle),
    )  # fmt: skip


def _used(unit: Unit, settle: Settle, measures: Measures, held: int) -> int:
    """What a settlement books to an account that held an amount for it."""
    match unit:
        case Unit.NANODOLLARS:
            return measures.cost
        case Unit.TOKENS:
            return held if settle.assumed else measures.input_tokens + measures.output_tokens
        case Unit.REQUESTS:
            return held
        case Unit.CALLS_OPEN:
            return 0
        case _:
            assert_never(unit)


def _measures(settle: Settle, facts: EntryFacts, *, clamped: int, uncapped: int) -> Measures:
    cost = settle.cost_nanodollars if facts.cost_tracked else 0
    cost_asked = settle.cost_asked_nanodollars if facts.cost_tracked else 0
    measures = _tokens(settle.usage) if settle.usage is not None else _NO_MEASURES
    for _, usage in settle.by_model:
        measures = measures.plus(_tokens(usage))
    return measures._replace(
        calls=1,
        assumed=int(settle.assumed),
        cost=cost,
        cost_asked=cost if cost_asked is None else cost_asked,
        clamped=clamped,
        uncapped=uncapped,
    )


def _tokens(usage: Usage) -> Measures:
    return Measures(
        input_tokens=usage.input_tokens or 0,
        cached_read=usage.cached_read or 0,
        cached_write=_cached_write(usage),
        output_tokens=usage.output_tokens or 0,
        reasoning=usage.reasoning or 0,
    )


def _cached_write(usage: Usage) -> int:
    return (usage.cached_write_5m or 0) + (usage.cached_write_1h or 0) + (usage.cached_write_other or 0)


def _details(draft: Draft, settle: Settle) -> Details:
    return Details(
        facts=draft.facts,
        reason=draft.reason,
        rules=draft.rules,
        target=draft.target,
        assumed_rule=settle.assumed_rule,
        offer=draft.offer,
        output_cap=draft.output_cap,
        clamped=draft.clamped,
        price_version=draft.price_version,
        would_refuse=draft.would_refuse,
        model_answered=settle.model_answered,
        status=settle.status,
        usage=settle.usage,
        by_model=settle.by_model,
        service_tier=settle.service_tier,
        latency_ms=settle.latency_ms,
        first_byte_ms=settle.first_byte_ms,
        anomalies=settle.anomalies,
        error=settle.error,
        cost_asked_known=settle.cost_asked_nanodollars is not None and draft.facts.cost_tracked,
    )


def _observed(details: Details, settle: Settle) -> Details:
    """The details of a call with what its correction saw."""
    return msgspec.structs.replace(
        details,
        model_answered=settle.model_answered,
        status=settle.status,
        usage=settle.usage,
        by_model=settle.by_model,
        service_tier=settle.service_tier,
        latency_ms=settle.latency_ms,
        first_byte_ms=settle.first_byte_ms,
        anomalies=settle.anomalies,
        error=settle.error,
        cost_asked_known=settle.cost_asked_nanodollars is not None and details.facts.cost_tracked,
    )


def _settle_dead(settle_dead: SettleDead, page: Page) -> Done:
    left = [draft for draft in page.drafts.values() if draft.owner == settle_dead.owner]
    for draft in left:
        settle = Settle(
            call_id=draft.call_id,
            at_us=settle_dead.at_us,
            cost_nanodollars=draft.ceiling_nanodollars,
            assumed=True,
            assumed_rule=settle_dead.rule,
        )
        page.close(draft)
        page.write(_settled(draft, settle, page))
    page.renewed.pop(settle_dead.owner, None)
    page.forgotten.add(settle_dead.owner)
    return Done(len(left))


def _void(void: Void, page: Page) -> Booked | Done | Unknown:
    draft = page.drafts.get(void.call_id)
    if draft is None:
        first = page.entries.get((void.call_id, False))
        return Unknown(call_id=void.call_id) if first is None else page.booked(first, already=True)
    page.close(draft)
    if void.forget:
        return Done(1)
    entry = EntryRow(
        call_id=draft.call_id,
        at_us=draft.at_us,
        written_at_us=void.at_us,
        outcome=Outcome.VOID,
        provider=draft.provider,
        model_served=draft.model,
        ceiling_nanodollars=draft.ceiling_nanodollars,
        measures=Measures(calls=1, voided=1, clamped=int(draft.clamped), uncapped=int(draft.uncapped)),
        booked=tuple([(account, 0) for account, _ in draft.amounts]),
        details=Details(
            facts=draft.facts,
            reason=draft.reason,
            rules=draft.rules,
            target=draft.target,
            assumed_rule=void.rule,
            offer=draft.offer,
            output_cap=draft.output_cap,
            clamped=draft.clamped,
            price_version=draft.price_version,
            error=void.error,
            would_refuse=draft.would_refuse,
        ),
    )
    page.write(entry)
    return page.booked(entry)


# ── record ──────────────────────────────────────────────────────────────────────────────────────


def _record(record: Record, page: Page) -> Held | Booked | Tight:
    first = page.entries.get((record.call_id, False))
    if first is not None:
        return page.booked(first, already=True)
    draft = page.drafts.get(record.call_id)
    if draft is not None:
        return page.held(draft)  # it is open: only a settlement or a void ends it
    if record.offer is not None:
        return _serve_kept(record, record.offer, page)
    refused = record.outcome is Outcome.REFUSED
    entry = EntryRow(
        call_id=record.call_id,
        at_us=record.at_us,
        written_at_us=record.at_us,
        outcome=record.outcome,
        measures=Measures(
            calls=0 if refused else record.count,
            refused=record.count if refused else 0,
            cached=record.count if record.outcome is Outcome.CACHED else 0,
            voided=record.count if record.outcome is Outcome.VOID else 0,
            avoided=record.avoided_nanodollars,
        ),
        details=Details(facts=record.facts, reason=record.reason, rules=record.rules, status=record.status),
    )
    page.write(entry)
    return page.booked(entry)


def _serve_kept(record: Record, offer: Offer, page: Page) -> Booked | Tight:
    """Book an answer from the cache: nothing is owed, but what the offer claims is used up."""
    hold = Hold(
        call_id=record.call_id,
        at_us=record.at_us,
        owner="",
        facts=record.facts,
        offers=(offer,),
        tentative=True,
    )
    if stop_of(offer, record.facts, page.stops) is not None or not isinstance(hold_call(hold, page), Held):
        return Tight(call_id=record.call_id)
    draft = page.drafts[record.call_id]
    page.close(draft)
    entry = EntryRow(
        call_id=draft.call_id,
        at_us=draft.at_us,
        written_at_us=draft.at_us,
        outcome=Outcome.CACHED,
        provider=draft.provider,
        model_served=draft.model,
        measures=Measures(calls=1, cached=1, avoided=record.avoided_nanodollars),
        booked=draft.amounts,
        details=Details(
            facts=draft.facts,
            reason=record.reason,
            rules=record.rules,
            target=draft.target,
            status=record.status,
            latency_ms=record.latency_ms,
            would_refuse=draft.would_refuse,
        ),
    )
    page.write(entry)
    return page.booked(entry)
