"""What is kept for identical requests, by environment: how much, for how long, and what it has saved."""

from collections.abc import Mapping, Sequence

import msgspec

from farthing.cache.kept import Filled
from farthing.domain.period import iso_utc
from farthing.ledger.slices import SpendRow
from farthing.ledger.store import Store
from farthing.policy.rules import Caching, Environment


class KeptStanding(msgspec.Struct, frozen=True, kw_only=True):
    """The cache of one environment.

    caching: None where the policy keeps no answers (any more).
    filled: None where none are kept.
    hits, calls: as long as this ledger knows the environment; calls that were refused are not among them.
    """

    environment: str
    caching: Caching | None
    filled: Filled | None
    hits: int
    calls: int
    avoided_nanodollars: int

    @property
    def hit_percent(self) -> str:
        """The share of calls that were answered from the cache, with one decimal."""
        permille = (2_000 * self.hits + self.calls) // (2 * self.calls) if self.calls else 0
        return f"{permille // 10}.{permille % 10}"


def kept_standings(
    environments: Mapping[str, Environment], filled: Sequence[Filled], store: Store
) -> list[KeptStanding]:
    """Every environment that keeps answers, did, or has some left."""
    left = {one.environment: one for one in filled}
    spent = {str(row.by["environment"]): row for row in store.spend(by=["environment"])}
    names = dict.fromkeys((*environments, *left, *(name for name, row in spent.items() if row.cached)))
    rows = [_standing(name, environments.get(name), left.get(name), spent.get(name)) for name in names]
    return [row for row in rows if row.caching is not None or row.filled is not None or row.hits]


def _standing(
    name: str, environment: Environment | None, filled: Filled | None, spent: SpendRow | None
) -> KeptStanding:
    return KeptStanding(
        environment=name,
        caching=environment.caching if environment is not None else None,
        filled=filled,
        hits=spent.cached if spent is not None else 0,
        calls=spent.calls if spent is not None else 0,
        avoided_nanodollars=spent.avoided_nanodollars if spent is not None else 0,
    )


def kept_json(row: KeptStanding) -> dict[str, object]:
    """Show the cache of an environment; amounts are whole nanodollars."""
    caching, filled = row.caching, row.filled
    return {
        "environment": row.environment,
        "enabled": caching is not None,
        "ttl_seconds": caching.ttl_seconds if caching is not None else None,
        "max_entries": caching.entries_max if caching is not None else None,
        "max_bytes": caching.bytes_max if caching is not None else None,
        "temperature_max": str(caching.temperature_max) if caching is not None else None,
        "tools": caching.tools if caching is not None else None,
        "entries": filled.entries if filled is not None else 0,
        "bytes": filled.bytes if filled is not None else 0,
        "oldest_at": iso_utc(filled.oldest_at_us) if filled and filled.oldest_at_us is not None else None,
        "calls": row.calls,
        "hits": row.hits,
        "avoided_nanodollars": row.avoided_nanodollars,
    }
