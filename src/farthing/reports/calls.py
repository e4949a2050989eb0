"""One entry as people and programs see it: the same members in the API, in --json and in exports."""

import msgspec

from farthing.domain.period import iso_utc
from farthing.domain.usage import Usage
from farthing.ledger.entries import Entry


def call_json(entry: Entry) -> dict[str, object]:
    """Show an entry with the names of the contract; amounts are whole nanodollars."""
    facts = entry.facts
    told: dict[str, object] = {
        "call_id": entry.call_id,
        "request_id": facts.request_id,
        "attempt": facts.attempt,
        "at": iso_utc(entry.at_us),
        "environment": facts.environment,
        "claimed_environment": facts.claimed_environment,
        "group": facts.group,
        "key": facts.key,
        "developer": facts.developer,
        "wallet": facts.wallet,
        "labels": dict(facts.labels),
        "tags_invalid": facts.tags_invalid,
        "run": facts.run,
        "prompt_hash": facts.prompt_hash,
        "dialect": facts.dialect,
        "provider": entry.provider,
        "target": entry.target,
        "model_asked": facts.model_asked,
        "model_served": entry.model_served,
        "model_answered": entry.model_answered,
        "stream": facts.stream,
        "outcome": entry.outcome.value,
        "assumed": entry.assumed,
        "assumed_rule": entry.assumed_rule,
        "corrected": entry.corrected,
        "status": entry.status,
        "cache": entry.cache,
        "clamped_to": entry.clamped_to,
        "usage": usage_json(entry.usage),
        "by_model": [{"model": model, "usage": usage_json(usage)} for model, usage in entry.by_model],
        "service_tier": entry.service_tier,
        "ceiling_nanodollars": entry.ceiling_nanodollars,
        "cost_nanodollars": entry.cost_nanodollars if facts.cost_tracked else None,
        "cost_asked_nanodollars": entry.cost_asked_nanodollars,
        "overrun_nanodollars": entry.overrun_nanodollars,
        "avoided_nanodollars": entry.avoided_nanodollars,
        "accounts": list(entry.accounts),
        "price_version": entry.price_version,
        "policy_digest": facts.policy_digest,
        "latency_ms": entry.latency_ms,
        "first_byte_ms": entry.first_byte_ms,
        "anomalies": list(entry.anomalies),
        "error": entry.error,
        "count": entry.count,
        "decision": {
            "reason": entry.reason,
            "rules": list(entry.rules),
            "would_refuse": list(entry.would_refuse),
        },
    }
    return told


def usage_json(usage: Usage | None) -> dict[str, object] | None:
    """Show usage; members that the provider did not report are absent."""
    if usage is None:
        return None
    told: dict[str, object] = msgspec.to_builtins(usage)
    return told
