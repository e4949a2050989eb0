"""What outcomes cost: the spend of a slice of calls, over how often its software achieved something."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from farthing.domain.outcome import OutcomeSum, RecordedOutcome
from farthing.domain.period import iso_utc
from farthing.ledger.grains import HOUR_US
from farthing.ledger.outcome_sums import WantedOutcomes
from farthing.ledger.store import Store
from farthing.reports.asking import BadQuestion, Question
from farthing.reports.environments import nothing_yet
from farthing.reports.ranking import NONE, OTHERS, top_of
from farthing.reports.sheet import Column, Flag, Kind, Level, Sheet, Table, Value, mean_nanodollars
from farthing.reports.spend import BadDimension, complete_spend

DIMENSIONS = ("group", "key", "developer", "run")
_LABEL = "label:"
_TITLE = "Cost per outcome"
_FIGURES = (
    Column("outcomes", "Outcomes", Kind.COUNT),
    Column("true", "True", Kind.COUNT),
    Column("false", "False", Kind.COUNT),
    Column("total", "Sum of values"),
    Column("cost_nanodollars", "Cost of the calls", Kind.MONEY),
    Column("cost_per_outcome_nanodollars", "per outcome", Kind.MEAN),
    Column("cost_per_true_nanodollars", "per true one", Kind.MEAN),
)


class OutcomeCost(msgspec.Struct, frozen=True, kw_only=True):
    """Outcomes of one name in one slice, and what all calls of that slice cost."""

    sums: OutcomeSum
    cost_nanodollars: int

    @property
    def per_outcome_nanodollars(self) -> int:
        """The cost of one outcome, rounded half up; there is one at least."""
        return mean_nanodollars(self.cost_nanodollars, self.sums.outcomes) or 0

    @property
    def per_true_nanodollars(self) -> int | None:
        """The cost of one outcome that was true; None where none was."""
        return mean_nanodollars(self.cost_nanodollars, self.sums.true)


def report(asked: Question) -> Sheet:
    """What an outcome cost: all calls of its environment, label or run, over how many outcomes there were."""
    try:
        costs = outcome_costs(
            asked.store, asked.by, name=asked.name, environment=asked.environment,
            since_us=asked.span.since_us, until_us=asked.span.until_us,
        )  # fmt: skip
    except BadDimension as error:
        raise BadQuestion(str(error)) from error
    if not costs:
        return nothing_yet(
            "outcomes",
            _TITLE,
            asked,
            "No outcomes in that span. Programs tell what their calls achieved with record_outcome() or "
            "POST /api/outcomes; with the same labels as their calls, outcomes are told by label too.",
        )
    return Sheet(
        name="outcomes",
        title=_TITLE,
        span=asked.span,
        provisional=asked.is_provisional,
        tables=(outcome_table(costs, asked.by, asked.top),),
        flags=tuple(_unmatched(costs, asked.by)),
        notes=() if asked.by else (
            "The cost is that of all calls of the environment. Tell it by what calls and outcomes share: "
            "--by label:workflow, --by label:user_id, --by label:feature, --by run.",
        ),
    )  # fmt: skip


def outcome_table(costs: Sequence[OutcomeCost], by: Sequence[str], top: int) -> Table:
    """Outcomes by name and environment, and what else they are told by, the dearest first."""
    names = ("environment", *by)
    dearest = sorted(
        costs, key=lambda row: (-row.cost_nanodollars, [value or "" for value in row.sums.by.values()])
    )
    columns = [Column(name, name.removeprefix(_LABEL).capitalize()) for name in names]
    return Table(
        name="outcomes",
        title="What outcomes cost",
        columns=(Column("name", "Outcome"), *columns, *_FIGURES),
        rows=tuple(_cells(row, names) for row in top_of(dearest, top, _together)),
        chart="cost_per_outcome_nanodollars",
    )


def _cells(row: OutcomeCost, names: Sequence[str]) -> tuple[Value, ...]:
    sums = row.sums
    is_rest = sums.by["name"] == OTHERS
    return (
        sums.by["name"],
        *("" if is_rest else sums.by[name] or NONE for name in names),
        sums.outcomes,
        sums.true,
        sums.false,
        format(sums.total, "f") if sums.numbers else None,
        row.cost_nanodollars,
        row.per_outcome_nanodollars,
        row.per_true_nanodollars,
    )


def _together(rows: Sequence[OutcomeCost]) -> OutcomeCost:
    """Several in one. The calls behind outcomes of two names are the same calls, and cost once."""
    calls = {tuple(list(row.sums.by.items())[1:]): row.cost_nanodollars for row in rows}
    sums = [row.sums for row in rows]
    return OutcomeCost(
        sums=OutcomeSum(
            by={"name": OTHERS},
            outcomes=sum([one.outcomes for one in sums]),
            true=sum([one.true for one in sums]),
            false=sum([one.false for one in sums]),
            # Values of outcomes of several names have no sum.
            numbers=0,
            total=Decimal(0),
        ),
        cost_nanodollars=sum(calls.values()),
    )


def _unmatched(costs: Sequence[OutcomeCost], by: Sequence[str]) -> Iterator[Flag]:
    alone = sum([row.sums.outcomes for row in costs if not row.cost_nanodollars])
    if alone and by:
        shared = " and ".join(name.removeprefix(_LABEL) for name in by)
        yield Flag(
            name="outcomes_without_calls",
            level=Level.NOTE,
            text=f"{alone:,} outcomes have no call that cost anything with the same {shared}.",
            fix=f"send the same {shared} with calls and with outcomes",
        )


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
