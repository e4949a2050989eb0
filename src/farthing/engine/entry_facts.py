"""Say of a call what its entry will, whatever becomes of it."""

from farthing.domain.call import Call
from farthing.ledger.entries import EntryFacts
from farthing.policy.rules import Policy


def entry_facts(call: Call, policy: Policy) -> EntryFacts:
    """Who asked for what, under which rules."""
    who, facts = call.identity, call.facts
    return EntryFacts(
        request_id=call.request_id,
        attempt=call.attempt,
        environment=who.environment,
        claimed_environment=call.claimed_environment,
        group=who.group,
        key=who.key,
        key_id=who.key_id,
        developer=who.developer,
        wallet=who.wallet,
        labels=call.labels,
        tags_invalid=call.tags_invalid,
        run=call.run,
        prompt_hash=call.prompt_hash,
        dialect=facts.dialect,
        model_asked=facts.model,
        stream=facts.stream,
        policy_digest=policy.digest,
        cost_tracked=policy.cost_tracked,
        request=facts,
    )
