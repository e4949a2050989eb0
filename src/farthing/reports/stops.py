"""Stops as people see them: what is stopped, by whom, since when and why, and who lifted it."""

from collections.abc import Mapping

from farthing.domain.names import is_pattern, matches, names_model
from farthing.domain.period import iso_utc
from farthing.domain.stop import Stop
from farthing.ledger.store import Store


def stop_json(stop: Stop) -> dict[str, object]:
    """Show a stop."""
    return {
        "stop_id": stop.stop_id,
        "match": dict(stop.match),
        "scope": stop.scope,
        "reason": stop.reason,
        "by": stop.by,
        "at": iso_utc(stop.at_us),
        "live": stop.is_live,
        "resumed_at": iso_utc(stop.resumed_at_us) if stop.resumed_at_us is not None else None,
        "resumed_by": stop.resumed_by,
        "resumed_reason": stop.resumed_reason,
    }


def never_seen(store: Store, match: Mapping[str, str]) -> dict[str, list[str]]:
    """What a stop names although no call on this ledger had it, each with what calls do have.

    It may be a slip of the pen, or stop what is yet to come.
    """
    strange = {}
    for name, value in match.items():
        known = _known(store, name)
        is_meant = names_model if name == "model" else matches
        if not is_pattern(value) and not any(is_meant(value, one) for one in known):
            strange[name] = known
    return strange


def _known(store: Store, name: str) -> list[str]:
    if name != "workflow":
        return [value for row in store.spend(by=[name]) if (value := row.by[name])]
    labels = [
        row.by[by] for by in ("label:workflow", "label:workflow_id", "run") for row in store.spend(by=[by])
    ]
    return sorted({*(row.budget for row in store.balances()), *(value for value in labels if value)})
