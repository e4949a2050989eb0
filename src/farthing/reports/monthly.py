"""The monthly sheet of production: burn against plan, what changed and why, whether the money will last.

It is put together from the other reports, so its totals are theirs.
"""

from collections.abc import Iterator
from fractions import Fraction

import msgspec

from farthing.ledger.report_store import CostCounts
from farthing.ledger.slices import SpendRow
from farthing.reports import caps, forecast, mix, percentiles, planning
from farthing.reports.asking import Question
from farthing.reports.comparing import compared
from farthing.reports.composing import taken
from farthing.reports.environments import PRODUCTION, nothing_yet
from farthing.reports.forecast import Outlook
from farthing.reports.funding import (
    Demand,
    funding_flags,
    provider_budgets,
    provider_table,
    wallet_table,
    wallets,
)
from farthing.reports.outcomes import outcome_costs, outcome_table
from farthing.reports.quantiles import how_exact
from farthing.reports.sheet import Column, Kind, Sheet, Table, mean_nanodollars, part
from farthing.reports.totals import total_of

_MONTH = (
    Column("environment", "Environment"),
    Column("calls", "Calls", Kind.COUNT),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("cost_before_nanodollars", "Before", Kind.MONEY),
    Column("change_percent", "Change", Kind.SHARE),
    Column("cost_per_call_nanodollars", "Cost per call", Kind.MEAN),
    Column("cache_hit_percent", "Cache hits", Kind.SHARE),
    Column("avoided_nanodollars", "Avoided", Kind.MONEY),
)
_PLAN = (
    Column("environment", "Environment"),
    Column("plan_nanodollars", "Plan", Kind.MONEY),
    Column("cost_nanodollars", "Burned", Kind.MONEY),
    Column("cost_of_plan_percent", "Burned of plan", Kind.SHARE),
    Column("elapsed_percent", "Time over", Kind.SHARE),
    Column("forecast_nanodollars", "Forecast", Kind.MEAN),
    Column("forecast_of_plan_percent", "Forecast of plan", Kind.SHARE),
    Column("method", "Told from"),
)
_SUMMED = ("streams", "parts")
_CHANGED = ("effects", "drivers", "models")


def report(asked: Question) -> Sheet:
    """Tell the month of production, for the people who pay for it and plan the next."""
    environment = asked.environment or PRODUCTION
    title = f"The month of {environment}"
    every = msgspec.structs.replace(asked, environment=None)
    asked = msgspec.structs.replace(every, environment=environment)
    rows = _spend(every)
    here = next((row for row in rows if row.by["environment"] == environment), None)
    if here is None:
        return nothing_yet("monthly", title, asked)
    outlook = next(iter(forecast.environment_outlooks(asked)), None)
    demand = _demand(every, here, outlook)
    budgets, purses = provider_budgets(asked, demand), wallets(asked, demand)
    counts = asked.store.cost_counts(
        of="calls",
        by=["environment"],
        since_us=asked.span.since_us,
        until_us=asked.span.until_us,
        where=asked.where,
    )
    changed, limits = mix.report(asked), caps.report(asked)
    tables = [
        _month(here, asked),
        *([_plan(here, outlook, asked)] if outlook else ()),
        *taken([planning.report(every)], *_SUMMED),
        *taken([changed], *_CHANGED),
        *([provider_table(budgets)] if budgets else ()),
        *([wallet_table(purses)] if purses else ()),
        *_percentiles(counts),
        *_outcomes(asked),
        *taken([limits], "incidents"),
    ]
    return Sheet(
        name="monthly",
        title=title,
        span=asked.span,
        provisional=asked.is_provisional,
        tables=tuple(tables),
        flags=(
            *forecast.plan_flags([outlook] if outlook else []),
            *funding_flags(budgets, purses),
            *limits.flags,
        ),
        notes=(
            *_without_plan(outlook, environment),
            *changed.notes,
            *([how_exact(counts, "calls")] if counts.rows else ()),
        ),
    )


def _spend(asked: Question) -> list[SpendRow]:
    span = asked.span
    rows = asked.store.spend(by=["environment"], since_us=span.since_us, until_us=span.until_us)
    return [row for row in rows if row.calls or row.cost_nanodollars]


def _month(here: SpendRow, asked: Question) -> Table:
    before, _ = compared(asked.span, asked.now_us)
    earlier = total_of(
        asked.store.spend(
            by=["environment"], since_us=before.since_us, until_us=before.until_us, where=asked.where
        )
    )
    cost, cost_before = here.cost_nanodollars, earlier.cost_nanodollars
    return Table(
        name="month",
        title=f"What was spent, beside {before}",
        columns=_MONTH,
        rows=(
            (
                asked.environment,
                here.calls,
                cost,
                cost_before,
                part(cost - cost_before, cost_before),
                mean_nanodollars(cost, here.calls),
                part(here.cached, here.calls),
                here.avoided_nanodollars,
            ),
        ),
    )


def _plan(here: SpendRow, outlook: Outlook, asked: Question) -> Table:
    span, plan = asked.span, outlook.plan or 0
    elapsed = min(max(asked.now_us - span.since_us, 0), span.until_us - span.since_us)
    return Table(
        name="plan",
        title="Burn against plan",
        columns=_PLAN,
        rows=(
            (
                asked.environment,
                outlook.plan,
                here.cost_nanodollars,
                part(here.cost_nanodollars, plan),
                part(elapsed, span.until_us - span.since_us),
                outlook.forecast,
                part(outlook.forecast, plan),
                outlook.pace.method if elapsed < span.until_us - span.since_us else "the span is over",
            ),
        ),
    )


def _demand(asked: Question, here: SpendRow, outlook: Outlook | None) -> Demand:
    """What will be asked of accounts; nothing more once the span is over."""
    if asked.span.until_us <= asked.now_us:
        return Demand(forecasts={}, growth=Fraction(1))
    growth = Fraction(1)
    if outlook is not None and here.cost_nanodollars > 0:
        growth = max(Fraction(outlook.forecast, here.cost_nanodollars), growth)
    forecasts = {(one.budget, one.window): one.forecast for one in forecast.budget_outlooks(asked)}
    return Demand(forecasts=forecasts, growth=growth)


def _percentiles(counts: CostCounts) -> Iterator[Table]:
    if counts.rows:
        table = percentiles.by_environment(counts.rows)
        yield msgspec.structs.replace(table, name="percentiles", title=percentiles.TITLE)


def _outcomes(asked: Question) -> Iterator[Table]:
    costs = outcome_costs(
        asked.store,
        environment=asked.environment,
        since_us=asked.span.since_us,
        until_us=asked.span.until_us,
    )
    if costs:
        yield outcome_table(costs, (), asked.top)


def _without_plan(outlook: Outlook | None, environment: str) -> Iterator[str]:
    if outlook is None or outlook.plan is None:
        yield (
            f"There is no plan for {environment}: a monthly budget of the policy is one, such as {{name: "
            f"{environment}-month, match: {{environment: {environment}}}, limit: $5000, period: monthly}}."
        )
