"""Which offer fits: the one comparison of money held and spent with a limit. Pure."""

from collections.abc import Callable
from typing import NamedTuple

from farthing.domain.errors import Reason
from farthing.ledger.entries import AtShort, Claim, Need, Offer, Unit
from farthing.ledger.page import Account

AccountFor = Callable[[Claim], Account]

_NOTHING = Need(0)
_ONE = Need(1)


class Grant(NamedTuple):
    """An offer that fits: its place in the list, and the output cap that all its accounts can pay."""

    offer: int
    output_cap: int


class Shortage(NamedTuple):
    """Why no offer fits: one claim, what it needed at least, and whether waiting is in vain."""

    claim: Claim
    needed: int
    final: bool

    @property
    def reason(self) -> str:
        """What the refusal is called."""
        if self.claim.unit is not Unit.NANODOLLARS:
            return Reason.RATE_LIMITED.value
        return self.claim.spent_reason if self.final else Reason.BUDGET_HELD.value


def need_of(offer: Offer, unit: Unit) -> Need:
    """What an offer needs of a unit; where it does not say, one call and one request, and no more."""
    need = offer.needs.get(unit)
    if need is not None:
        return need
    return _ONE if unit is Unit.REQUESTS or unit is Unit.CALLS_OPEN else _NOTHING


def needed_at(offer: Offer, output_cap: int) -> dict[Unit, int]:
    """What an offer needs of every unit its claims count in, at one output cap."""
    return {unit: need_of(offer, unit).at(output_cap) for unit in {claim.unit for claim in offer.claims}}


def first_that_fits(offers: tuple[Offer, ...], account_for: AccountFor) -> Grant | None:
    """Find the first offer that fits all its accounts, at the largest output cap that does."""
    for place, offer in enumerate(offers):
        cap = _largest_cap(offer, account_for)
        if cap is not None:
            return Grant(place, cap)
    return None


def waiting_helps(offers: tuple[Offer, ...], grant: Grant | None, account_for: AccountFor) -> bool:
    """Tell whether more would fit if the calls in flight ended and cost nothing."""
    if grant is None:
        return not shortage(offers, account_for).final
    offer = offers[grant.offer]
    if grant.output_cap == offer.output_full:
        return False
    most = _largest_cap(offer, account_for, ignoring_held=True)
    return most is not None and most > grant.output_cap


def would_refuse(offer: Offer, output_cap: int, account_for: AccountFor) -> tuple[str, ...]:
    """Name the accounts of claims that let every call pass although this one does not fit."""
    return tuple(
        [
            account.account
            for claim in offer.claims
            if claim.at_short is AtShort.PASS
            and need_of(offer, claim.unit).at(output_cap) > _room(claim, account := account_for(claim))
        ]
    )


def shortage(offers: tuple[Offer, ...], account_for: AccountFor) -> Shortage:
    """Say which account is short, when no offer fits.

    Where an offer would fit if the open calls cost nothing, waiting helps: of its accounts, the one
    with the least left. Else it is final: of the last offer's accounts, money before rates, then the
    one that stays short for longest, then the one with the least left.
    """
    for offer in offers:
        if _largest_cap(offer, account_for, ignoring_held=True) is not None:
            short = _short_claims(offer, account_for, ignoring_held=False)
            return _shortage(offer, min(short, key=lambda claim: _left(claim, account_for)), final=False)
    offer = offers[-1]
    short = _short_claims(offer, account_for, ignoring_held=True)
    return _shortage(offer, min(short, key=lambda claim: _gravity(claim, account_for)), final=True)


def _shortage(offer: Offer, claim: Claim, *, final: bool) -> Shortage:
    return Shortage(claim, need_of(offer, claim.unit).at(_least_cap(offer, claim)), final)


def _largest_cap(offer: Offer, account_for: AccountFor, *, ignoring_held: bool = False) -> int | None:
    """The largest output cap that fits every account, or None where even the floor does not."""
    cap = offer.output_full
    floor = min(offer.output_floor, cap)
    full = needed_at(offer, cap)
    for claim in offer.claims:
        if claim.fallback_from is not None and _falls_back(
            claim, account_for(claim), ignoring_held=ignoring_held
        ):
            return None
        if claim.at_short is AtShort.PASS:
            continue
        room = _room(claim, account_for(claim), ignoring_held=ignoring_held)
        if full[claim.unit] <= room:
            continue
        if claim.at_short is AtShort.REFUSE:
            return None
        largest = need_of(offer, claim.unit).largest_cap(room)
        if largest is None or largest < floor:
            return None
        cap = min(cap, largest)
    return cap


def _room(claim: Claim, account: Account, *, ignoring_held: bool = False) -> int:
    """What is left of a limit. A request counts however little its call costs, so it is never ignored."""
    limit = claim.limit + account.raised
    if ignoring_held and claim.unit is not Unit.REQUESTS:
        return limit - account.settled
    return limit - account.settled - account.held


def _falls_back(claim: Claim, account: Account, *, ignoring_held: bool) -> bool:
    """Whether so much is spent that only a cheaper offer is made, whatever would still fit.

    It is the same share of a limit that was raised.
    """
    if claim.fallback_from is None:
        return False
    limit = claim.limit + account.raised
    used = limit - _room(claim, account, ignoring_held=ignoring_held)
    if account.raised and claim.limit > 0:
        return used * claim.limit >= claim.fallback_from * limit
    return used >= claim.fallback_from


def _least_cap(offer: Offer, claim: Claim) -> int:
    if claim.at_short is AtShort.CLAMP:
        return min(offer.output_floor, offer.output_full)
    return offer.output_full


def _short_claims(offer: Offer, account_for: AccountFor, *, ignoring_held: bool) -> list[Claim]:
    return [
        claim
        for claim in offer.claims
        if (
            claim.at_short is not AtShort.PASS
            and need_of(offer, claim.unit).at(_least_cap(offer, claim))
            > _room(claim, account_for(claim), ignoring_held=ignoring_held)
        )
        or _falls_back(claim, account_for(claim), ignoring_held=ignoring_held)
    ]


def _left(claim: Claim, account_for: AccountFor) -> tuple[bool, int]:
    return claim.unit is not Unit.NANODOLLARS, _room(claim, account_for(claim))


def _gravity(claim: Claim, account_for: AccountFor) -> tuple[bool, bool, int, int]:
    is_rate, room = _left(claim, account_for)
    return is_rate, claim.ends_at_us is not None, -(claim.ends_at_us or 0), room
