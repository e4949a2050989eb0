"""How often calls were refused because money, or a rate, was used up: by developer, by team, by day."""

from collections.abc import Iterable, Sequence

import msgspec

from farthing.domain.errors import Reason
from farthing.ledger.report_store import ReasonRow
from farthing.reports.asking import Question
from farthing.reports.ranking import NONE

# What a larger limit would have let pass; a model that is not allowed is no matter of limits.
AT_LIMIT = frozenset((Reason.BUDGET_EXCEEDED, Reason.BUDGET_HELD, Reason.WALLET_EMPTY, Reason.RATE_LIMITED))


class LimitHits(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of one slice refused at one limit: how many, and on how many days."""

    of: str
    budget: str
    reason: str
    calls: int
    days: int


def refused_at_limits(asked: Question, dimension: str) -> dict[str | None, int]:
    """How many calls were refused at a limit, by developer, group or another dimension."""
    sums: dict[str | None, int] = {}
    for row in _reasons(asked, [dimension, "reason"]):
        sums[row.by[dimension]] = sums.get(row.by[dimension], 0) + row.calls
    return sums


def limit_hits(asked: Question, dimension: str) -> list[LimitHits]:
    """Each limit that was hit, by whom, most often first."""
    days: dict[tuple[str, str, str], dict[str | None, int]] = {}
    for row in _reasons(asked, [dimension, "budget", "reason", "day"]):
        key = (row.by[dimension] or NONE, row.by["budget"] or NONE, row.by["reason"] or NONE)
        days.setdefault(key, {})[row.by["day"]] = row.calls
    hits = (
        LimitHits(of=of, budget=budget, reason=reason, calls=sum(by_day.values()), days=len(by_day))
        for (of, budget, reason), by_day in days.items()
    )
    return sorted(hits, key=lambda hit: (-hit.calls, -hit.days, hit.of, hit.budget, hit.reason))


def _reasons(asked: Question, by: Sequence[str]) -> Iterable[ReasonRow]:
    rows = asked.store.reasons(
        by=by, since_us=asked.span.since_us, until_us=asked.span.until_us, where=asked.where
    )
    return [row for row in rows if row.by["reason"] in AT_LIMIT]
