"""Grant a hold the first offer that fits, or say why there is none: short of money, or stopped."""

from collections.abc import Sequence

import msgspec

from farthing.domain.errors import Reason
from farthing.domain.period import RUN_WINDOW
from farthing.ledger.entries import (
    Answer,
    Booked,
    Claim,
    Held,
    Hold,
    Offer,
    Outcome,
    Short,
    Stopped,
    Tight,
    Unit,
    Unknown,
)
from farthing.ledger.granting import (
    AccountFor,
    Grant,
    first_that_fits,
    need_of,
    needed_at,
    shortage,
    waiting_helps,
    would_refuse,
)
from farthing.ledger.page import Account, Details, Draft, EntryRow, Page
from farthing.ledger.rollups import Measures
from farthing.ledger.stopping import places_left, stop_of


def hold_call(hold: Hold, page: Page) -> Answer:
    """Hold what a call needs at most; a call that was held before gets its first answer again."""
    draft = page.drafts.get(hold.call_id)
    if draft is not None:
        return page.held(draft)
    entry = page.entries.get((hold.call_id, False))
    if entry is not None:
        return _first_answer(entry, page)
    if not hold.offers:
        return Unknown(call_id=hold.call_id)
    offers = hold.offers
    places: Sequence[int] = range(len(offers))
    if page.stops and not hold.made:
        left = places_left(hold, page.stops)
        if not left:
            return _refuse_stopped(hold, page)
        offers, places = tuple([hold.offers[place] for place in left]), left
    grant = first_that_fits(offers, page.account_for)
    if hold.tentative and grant != Grant(0, offers[0].output_full):
        return Tight(call_id=hold.call_id)
    if hold.waits and waiting_helps(offers, grant, _what_others_hold(hold, page)):
        return Tight(call_id=hold.call_id)
    if grant is None:
        return _refuse_short(hold, offers, page)
    return _open(hold, places[grant.offer], grant.output_cap, page)


def _what_others_hold(hold: Hold, page: Page) -> AccountFor:
    """See accounts as if what the asker itself keeps held were spent."""

    def account_for(claim: Claim) -> Account:
        account = page.account_for(claim)
        kept = min(hold.keeps.get(account.account, 0), account.held)
        if not kept:
            return account
        return msgspec.structs.replace(account, settled=account.settled + kept, held=account.held - kept)

    return account_for if hold.keeps else page.account_for


def _open(hold: Hold, place: int, output_cap: int, page: Page) -> Held:
    offer = hold.offers[place]
    needed = needed_at(offer, output_cap)
    payers = [(claim, page.account_for(claim)) for claim in offer.claims if not claim.of_one_call]
    amounts = {account.account: needed[claim.unit] for claim, account in payers}
    draft = Draft(
        call_id=hold.call_id,
        at_us=hold.at_us,
        owner=hold.owner,
        facts=hold.facts,
        offer=place,
        target=offer.target,
        provider=offer.provider,
        model=offer.model,
        ceiling_nanodollars=need_of(offer, Unit.NANODOLLARS).at(output_cap),
        amounts=tuple(amounts.items()),
        output_cap=output_cap,
        clamped=output_cap < offer.output_full,
        reason=offer.reason,
        rules=offer.rules,
        price_version=offer.price_version,
        would_refuse=would_refuse(offer, output_cap, page.account_for),
        uncapped=not any(_caps_call_or_run(claim) for claim in offer.claims),
    )
    for claim, account in payers:
        account.limit = claim.limit
    page.open(draft)
    return page.held(draft)


def _caps_call_or_run(claim: Claim) -> bool:
    return claim.of_one_call or claim.window.startswith(RUN_WINDOW)


def _first_answer(entry: EntryRow, page: Page) -> Held | Short | Stopped | Booked:
    """What a hold was answered when it was first asked for; its call has ended since."""
    details = entry.details
    if details.short is not None:
        return details.short
    if details.stopped is not None:
        return Stopped(call_id=entry.call_id, stop=details.stopped)
    if entry.outcome in (Outcome.REFUSED, Outcome.CACHED):
        return page.booked(entry, already=True)
    return Held(
        call_id=entry.call_id,
        offer=details.offer,
        output_cap=details.output_cap,
        clamped=details.clamped,
        ceiling_nanodollars=entry.ceiling_nanodollars,
        balances=page.balances(entry.booked),
        would_refuse=details.would_refuse,
    )


def _refuse_short(hold: Hold, offers: tuple[Offer, ...], page: Page) -> Short:
    short_of = shortage(offers, page.account_for)
    account = page.account_for(short_of.claim)
    account.limit = short_of.claim.limit
    short = Short(
        call_id=hold.call_id,
        balance=account.balance(),
        needed=short_of.needed,
        final=short_of.final,
        reason=short_of.reason,
    )
    page.write(_refused(hold, Details(facts=hold.facts, reason=short.reason, short=short)))
    return short


def _refuse_stopped(hold: Hold, page: Page) -> Stopped:
    stop = stop_of(hold.offers[0], hold.facts, page.stops)
    assert stop is not None  # else the first offer had been left
    details = Details(facts=hold.facts, reason=Reason.STOPPED.value, rules=(stop.stop_id,), stopped=stop)
    page.write(_refused(hold, details))
    return Stopped(call_id=hold.call_id, stop=stop)


def _refused(hold: Hold, details: Details) -> EntryRow:
    return EntryRow(
        call_id=hold.call_id,
        at_us=hold.at_us,
        written_at_us=hold.at_us,
        outcome=Outcome.REFUSED,
        measures=Measures(refused=1),
        details=details,
    )
