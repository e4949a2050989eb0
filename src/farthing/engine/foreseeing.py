"""Foresee how a call would be decided at this moment: by the same rules and balances, and nothing is kept."""

from collections.abc import Callable

import msgspec

from farthing.domain.call import Call
from farthing.domain.errors import Refusal, Refused
from farthing.engine.governor import Governor
from farthing.engine.grant import Grant
from farthing.engine.terms import NO_TERMS, Terms
from farthing.ledger.committer import DEADLINE_S, Committer, Outcome
from farthing.ledger.entries import Answer, Balance, Booked, Hold, Offer, Operation, Unit
from farthing.ledger.entries import Outcome as Ending
from farthing.ledger.store import Store
from farthing.policy.rules import Policy
from farthing.prices.book import PriceBook


class Foreseen(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of a call.

    offers: what would be tried, in order; none where a rule refuses before any money is asked for.
    balances: the accounts that the offers name, as they stand, by name.
    """

    refusal: Refusal | None = None
    grant: Grant | None = None
    offers: tuple[Offer, ...] = ()
    balances: dict[str, Balance] = {}

    @property
    def taken(self) -> Offer | None:
        """The offer that would be granted."""
        if self.grant is None:
            return None
        wanted = (self.grant.target.id, self.grant.model)
        return next((offer for offer in self.offers if (offer.target, offer.model) == wanted), None)


def foresee(call: Call, policy: Policy, prices: PriceBook, store: Store, terms: Terms = NO_TERMS) -> Foreseen:
    """Decide a call as a governor would, and take nothing for it."""
    asking = _Asking(store, lambda: call.at_us)
    governor = Governor(policy=policy, prices=prices, committer=asking, clock=lambda: call.at_us)
    refusal, grant = None, None
    try:
        grant = governor.authorize(call, provider_hint=call.facts.provider, terms=terms)
    except Refused as refused:
        refusal = refused.refusal
    offers = asking.asked.offers if asking.asked is not None else ()
    accounts = {claim.account for offer in offers for claim in offer.claims}
    found = {name: store.balance(name, at_us=call.at_us) for name in accounts}
    if grant is not None:
        # These have the limits of this policy; what they hold for this call is not held.
        held = {balance.account: balance for balance in grant.balances}
        found |= {name: _without(held[name], found[name]) for name in accounts & held.keys()}
    return Foreseen(
        refusal=refusal,
        grant=grant,
        offers=offers,
        balances={name: balance for name, balance in found.items() if balance is not None},
    )


def most_nanodollars(offer: Offer) -> int:
    """What an offer can cost at most, at its full output."""
    return offer.needs[Unit.NANODOLLARS].at(offer.output_full)


def _without(after: Balance, before: Balance | None) -> Balance:
    return msgspec.structs.replace(after, held=before.held if before is not None else 0)


class _Asking(Committer):
    """Stands where the committer does, and commits nothing."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        super().__init__(store, clock, inline=True)
        self._asks = store
        self.asked: Hold | None = None

    @property
    def owner(self) -> str:
        """Nobody: nothing is held."""
        return "foreseen"

    def submit(self, operation: Operation, *, deadline_s: float = DEADLINE_S) -> Answer:
        """Answer a hold as the ledger would now. There is no text to count, so its first bound is all."""
        assert isinstance(operation, Hold), operation
        self.asked = msgspec.structs.replace(operation, tentative=False, waits=False)
        return self._asks.foresee(self.asked)

    def submit_soon(self, operation: Operation, answered: Callable[[Outcome], None]) -> None:
        """Pass over what would only be written."""
        call_id = getattr(operation, "call_id", "")
        answered(Booked(call_id=call_id, outcome=Ending.REFUSED, cost_nanodollars=0))
