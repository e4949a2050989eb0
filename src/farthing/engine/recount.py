"""Bound a call again by an exact count, where what it cost can only be assumed.

A hold is first asked for with the input bounded by its bytes, which costs nothing; as long as there is
room nobody counts. What is assumed in the end is booked, so it must not be wider than it need be.
"""

from typing import TYPE_CHECKING

from farthing.engine.counting import count_input
from farthing.engine.offers import Quote, offer_of, quote
from farthing.ledger.entries import Unit
from farthing.policy.rules import Policy
from farthing.prices.book import PriceBook

if TYPE_CHECKING:
    from farthing.engine.governor import Grant


def can_be_counted(grant: "Grant") -> bool:
    """Whether an exact count may bound this call tighter than its hold did."""
    quoted = grant.quote
    return (
        bool(grant.prompt)
        and not quoted.counted
        and quoted.facts.vocabulary is not None
        and quoted.price is not None
        and not grant.call.facts.unbounded
    )


def counted_quote(grant: "Grant", policy: Policy, prices: PriceBook) -> Quote:
    """The quote of a granted call with its input counted; the one it has where it cannot be."""
    if not can_be_counted(grant):
        return grant.quote
    counted = quote(
        grant.call,
        grant.quote.candidate,
        grant.environment,
        policy,
        prices,
        count=lambda vocabulary: count_input(grant.prompt, vocabulary),
    )
    return counted if isinstance(counted, Quote) else grant.quote


def counted_ceiling(grant: "Grant", policy: Policy, prices: PriceBook) -> int:
    """The most a granted call can have cost, in nanodollars; never more than what is held for it."""
    counted = counted_quote(grant, policy, prices)
    if counted is grant.quote:
        return grant.ceiling_nanodollars
    offer = offer_of(grant.call, counted, grant.environment, policy)
    most = offer.needs[Unit.NANODOLLARS].at(grant.output_cap or offer.output_full)
    return min(most, grant.ceiling_nanodollars)
