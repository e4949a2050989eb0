"""Runaway incidents: single runs, branches, workflows and guarded tasks that a cap ended, and stops."""

from collections.abc import Mapping

import msgspec

from farthing.domain.errors import Reason
from farthing.domain.period import from_microseconds
from farthing.domain.premium_pass import ACCOUNT_PREFIX
from farthing.ledger.store import Store
from farthing.policy.definition import definition_name, read_definition
from farthing.policy.wallets import team_of
from farthing.reports.spans import Span

STOP = "(stop)"


class Incidents(msgspec.Struct, frozen=True, kw_only=True):
    """How often calls of one month ran into a cap of their own task, or were stopped by hand.

    budget: whose accounts ran out; STOP for stops. count: accounts, or stops. refused: the calls refused.
    """

    month: str
    environment: str | None
    budget: str
    count: int
    refused: int


def runaway_incidents(store: Store, span: Span, where: Mapping[str, str]) -> list[Incidents]:
    """Count by month, environment and budget the tasks that ran away, and by month the stops.

    A task is a run, or a value of a label (branch, workflow, feature ...), with a budget of its own; or
    the work inside a guard or a fence, whose budget no policy file knows. The money of environments,
    groups, developers and providers is no task: that it runs out is no accident.
    """
    rows = store.reasons(
        by=["month", "environment", "reason", "budget"],
        since_us=span.since_us,
        until_us=span.until_us,
        where=where,
    )
    is_task = {budget: _is_task(budget, store) for row in rows if (budget := row.by["budget"])}
    found = [
        Incidents(
            month=row.by["month"] or "",
            environment=row.by["environment"],
            budget=budget,
            count=row.accounts,
            refused=row.calls,
        )
        for row in rows
        if row.by["reason"] == Reason.BUDGET_EXCEEDED and (budget := row.by["budget"]) and is_task[budget]
    ]
    return [*found, *_stops(store, span, where)]


def _is_task(budget: str, store: Store) -> bool:
    if team_of(budget) is not None or budget.startswith(ACCOUNT_PREFIX):
        return False
    definition = store.recall(definition_name(budget))
    return definition is None or read_definition(definition).is_of_one_task


def _stops(store: Store, span: Span, where: Mapping[str, str]) -> list[Incidents]:
    counts: dict[tuple[str, str | None], int] = {}
    for stop in store.stops():
        if span.since_us <= stop.at_us < span.until_us and all(
            stop.match.get(name) in (None, value) for name, value in where.items()
        ):
            key = (f"{from_microseconds(stop.at_us):%Y-%m}", stop.match.get("environment"))
            counts[key] = counts.get(key, 0) + 1
    return [
        Incidents(month=month, environment=environment, budget=STOP, count=count, refused=0)
        for (month, environment), count in sorted(counts.items(), key=str)
    ]
