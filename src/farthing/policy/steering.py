"""Lead calls of one caller to the cheaper model it named: always, or at the limit of its money."""

import msgspec

from farthing.domain.call import Call
from farthing.policy.compiled import compiled
from farthing.policy.decide import Proposal
from farthing.policy.kinds import same_kind
from farthing.policy.reach import Dearness, price_of
from farthing.policy.rules import Candidate, Policy


class Steering(msgspec.Struct, frozen=True, kw_only=True):
    """Models that a caller wants instead of those it asks for. Neither is ever dearer than what was asked.

    always: takes the place of every other model.
    at_limit: the next one where the model asked for does not fit, or is no longer to be paid for.
    """

    always: str | None = None
    at_limit: str | None = None


def steered(
    call: Call,
    policy: Policy,
    proposal: Proposal,
    steering: Steering,
    *,
    dearness: Dearness,
    provider_hint: str | None,
) -> Proposal:
    """Put the caller's own cheaper model in the place of a proposal's, or behind it. Pure.

    A model of another dialect, one that is dearer, or one that the policy does not allow changes nothing.
    """

    def instead(model: str | None, reason: str, rule: str) -> tuple[Candidate, ...]:
        if model is None or model == asked.model:
            return ()
        if not same_kind(call.facts, model) or not rules.allows(proposal.environment, model):
            return ()
        return tuple(
            Candidate(target=one.target, model=one.model, reason=reason, rules=(*one.rules, rule))
            for one in reach.surely_serving(model, dearness)
            if price_asked is None or (price_of(one.target, one.model, dearness) or 0) <= price_asked
        )

    asked = proposal.candidates[0]
    rules = compiled(policy)
    family = call.facts.dialect.partition(".")[0]
    reach = rules.reach(proposal.environment, family, provider_hint, proposal.route.targets)
    price_asked = price_of(asked.target, asked.model, dearness)
    always = instead(steering.always, "downgraded", f"downgrade_model: {steering.always}")
    if always:
        return msgspec.structs.replace(proposal, candidates=always)
    behind = instead(steering.at_limit, "cheaper", f"fallback: {steering.at_limit}")
    if not behind:
        return proposal
    before = tuple(msgspec.structs.replace(one, whole=True) for one in proposal.candidates)
    return msgspec.structs.replace(proposal, candidates=before + behind)
