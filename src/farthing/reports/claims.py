"""Tell which keys were used by callers who say that they are elsewhere: a production key on a laptop."""

from collections.abc import Iterable

import msgspec

from farthing.ledger.entries import Entry


class Claimed(msgspec.Struct, kw_only=True):
    """Calls of one key whose callers claimed another environment than the key's."""

    environment: str
    claimed: str
    key: str
    calls: int = 0
    cost_nanodollars: int = 0


def claims_of(entries: Iterable[Entry]) -> list[Claimed]:
    """Each key with what its callers claimed to be, dearest first. The key decides whatever they say."""
    found: dict[tuple[str, str, str], Claimed] = {}
    for entry in entries:
        facts = entry.facts
        if not facts.claimed_environment or facts.claimed_environment == facts.environment:
            continue
        key = (facts.environment, facts.claimed_environment, facts.key or "(none)")
        row = found.setdefault(key, Claimed(environment=key[0], claimed=key[1], key=key[2]))
        row.calls += entry.count
        row.cost_nanodollars += entry.cost_nanodollars
    return sorted(found.values(), key=lambda row: (-row.cost_nanodollars, row.environment, row.key))
