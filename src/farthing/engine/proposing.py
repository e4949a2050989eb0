"""Ask the policy where a call may go, with what its models cost and what its caller asks for besides."""

from farthing.domain.call import Call
from farthing.domain.errors import Refusal
from farthing.engine.offers import priced_provider
from farthing.policy.decide import Proposal, decide
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
