"""Ask the policy where a call may go, with what its models cost and what its caller asks for besides."""

from functools import lru_cache
from urllib.parse import urlsplit

import msgspec

from farthing.domain.call import Call
from farthing.domain.errors import Refusal
from farthing.engine.offers import priced_provider
from farthing.engine.terms import Terms
from farthing.policy.decide import Proposal, decide
from farthing.policy.routing import after
from farthing.policy.rules import Policy, Target
from farthing.policy.steering import Steering, steered
from farthing.prices.book import PriceBook
from farthing.prices.price import dearness


def proposal_for(
    call: Call, policy: Policy, prices: PriceBook, steering: Steering | None, provider_hint: str | None
) -> Proposal | Refusal:
    """Where a call may go, in the order to try, or why it may go nowhere."""
    family = call.facts.dialect.partition(".")[0]

    def how_dear(target: Target, model: str) -> int | None:
        provider = priced_provider(prices, target, model, family)
        price = prices.find(provider, model, call.at_us)
        return dearness(price.cards) if price is not None else None

    proposal = decide(call, policy, dearness=how_dear, provider_hint=provider_hint)
    if isinstance(proposal, Refusal) or steering is None:
        return proposal
    return steered(call, policy, proposal, steering, dearness=how_dear, provider_hint=provider_hint)


def within_reach(proposal: Proposal, terms: Terms) -> Proposal:
    """What of a proposal this very attempt can use: no target that failed it, none at another host.

    A client of the caller's own speaks to one host. Where no target is there, the policy does not know
    the host, and what it says of its targets is taken in the order of the policy.
    """
    candidates, fixed = proposal.candidates, False
    if terms.host is not None:
        here = tuple(one for one in candidates if _host(one.target.base_url) == terms.host)
        fixed = not here or here[0].reason != candidates[0].reason
        candidates = candidates if fixed else here
    if terms.hop is not None:
        candidates = after(candidates, terms.hop)
        assert candidates, terms.hop  # a grant says whether others remain
    if candidates is proposal.candidates and not fixed:
        return proposal
    return msgspec.structs.replace(proposal, candidates=candidates, fixed=fixed)


@lru_cache(maxsize=1_024)
def _host(base_url: str | None) -> str | None:
    return urlsplit(base_url).hostname if base_url else None
