"""What outcomes cost: the spend of a slice of calls, over how often its software achieved something."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from farthing.domain.outcome import OutcomeSum, RecordedOutcome
from farthing.domain.period import iso_utc
from farthing.ledger.outcome_sums import WantedOutcomes
from farthing.ledger.rollups import HOUR_US
from farthing.ledger.store import Store
from farthing.reports.spend import BadDimension, complete_spend

DIMENSIONS = ("group", "key", "developer", "run")
_LABEL = "label:"


class OutcomeCost(msgspec.Struct, frozen=True, kw_only=True):
    """Outcomes of one name in one slice, and what all calls of that slice cost."""

    sums: OutcomeSum
    cost_nanodollars: int

    @property
    def per_outcome_nanodollars(self) -> int:
        """The cost of one outcome, rounded half up; there is one at least."""
        return _share(self.cost_nanodollars, self.sums.outcomes)

    @property
    def per_true_nanodollars(self) -> int | None:
        """The cost of one outcome that was true; None where none was."""
        return _share(self.cost_nanodollars, self.sums.true) if self.sums.true else None


def outcome_costs(
    store: Store,
    by: Sequence[str] = (),
    *,
    name: str | None = None,
    environment: str | None = None,
    key: str | None = None,
    since_us: int | None = None,
    until_us: int | None = None,
) -> list[OutcomeCost]:
    """Outcomes by name and environment, and by a label, the run, or group, key and developer on request.

    Spend is kept by the hour, so outcomes are counted in whole hours too. Raises BadDimension.
    """
    for dimension in by:
        if dimension not in DIMENSIONS and not (
            dimension.startswith(_LABEL) and len(dimension) > len(_LABEL)
        ):
            raise BadDimension(
                f"outcomes cannot be told by {dimension!r}; choose from {', '.join(DIMENSIONS)} or label:NAME"
            )
    since_us = None if since_us is None else since_us // HOUR_US * HOUR_US
    until_us = None if until_us is None else -(-until_us // HOUR_US) * HOUR_US
    of_calls = ("environment", *by)
    where = {what: value for what, value in (("environment", environment), ("key", key)) if value is not None}
    try:
        spend = complete_spend(store, of_calls, since_us=since_us, until_us=until_us, where=where)
    except ValueError as error:
        raise BadDimension(str(error)) from error
    costs = {tuple([row.by[what] for what in of_calls]): row.cost_nanodollars for row in spend}
    wanted = WantedOutcomes(name=name, environment=environment, key=key, since_us=since_us, until_us=until_us)
    return [
        OutcomeCost(sums=sums, cost_nanodollars=costs.get(tuple([sums.by[what] for what in of_calls]), 0))
        for sums in store.outcome_sums(("name", *of_calls), wanted)
    ]


def outcome_cost_json(row: OutcomeCost) -> dict[str, object]:
    """Show a slice of outcomes; amounts are whole nanodollars."""
    sums = row.sums
    return {
        **dict(sums.by),
        "outcomes": sums.outcomes,
        "true": sums.true,
        "false": sums.false,
        "numbers": sums.numbers,
        "total": format(sums.total, "f"),
        "cost_nanodollars": row.cost_nanodollars,
        "cost_per_outcome_nanodollars": row.per_outcome_nanodollars,
        "cost_per_true_nanodollars": row.per_true_nanodollars,
    }


def outcome_json(row: RecordedOutcome) -> dict[str, object]:
    """Show an outcome; a number is told as text, so that no digit is lost."""
    return {
        "outcome_id": row.outcome_id,
        "at": iso_utc(row.at_us),
        "environment": row.environment,
        "group": row.group,
        "key": row.key,
        "developer": row.developer,
        "name": row.name,
        "value": format(row.value, "f") if isinstance(row.value, Decimal) else row.value,
        "labels": dict(row.labels),
        "run": row.run,
    }


def _share(cost_nanodollars: int, count: int) -> int:
    return (2 * cost_nanodollars + count) // (2 * count)
