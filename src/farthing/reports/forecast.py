"""What will have been spent when the month ends, beside what was planned, and which budgets will not last."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction

import msgspec

from farthing.domain.money import dollars, nearest_whole
from farthing.domain.period import Period, from_microseconds, window_of
from farthing.ledger.entries import Balance, Unit
from farthing.ledger.grains import DAY_US
from farthing.policy.rules import Budget
from farthing.reports.asking import Question
from farthing.reports.comparing import is_month
from farthing.reports.environments import environment_place, nothing_yet
from farthing.reports.pace import LOOK_BACK_DAYS, Pace, pace_of
from farthing.reports.ranking import OTHERS, top_of
from farthing.reports.sheet import Column, Flag, Kind, Level, Sheet, Table, Value, part
from farthing.reports.spans import midnight_us
from farthing.reports.telling import percent, rounded_dollars

TITLE = "Forecast"
_ENVIRONMENTS = (
    Column("environment", "Environment"),
    Column("spent_nanodollars", "Spent", Kind.MONEY),
    Column("expected_a_day_nanodollars", "expected a day", Kind.MEAN),
    Column("forecast_nanodollars", "Forecast", Kind.MEAN),
    Column("plan_nanodollars", "Plan", Kind.MONEY),
    Column("forecast_of_plan_percent", "of plan", Kind.SHARE),
    Column("method", "Told from"),
)
_BUDGETS = (
    Column("budget", "Budget"),
    Column("value", "For"),
    Column("window", "Window"),
    Column("spent_nanodollars", "Spent", Kind.MONEY),
    Column("limit_nanodollars", "Limit", Kind.MONEY),
    Column("spent_of_limit_percent", "of limit", Kind.SHARE),
    Column("forecast_nanodollars", "Forecast", Kind.MEAN),
    Column("forecast_of_limit_percent", "forecast of limit", Kind.SHARE),
    Column("reached_on", "Reached"),
)
_FLAGS_MOST = 5
_Days = dict[date, int]


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What one environment has spent in the span, and will have when it ends.

    plan: the limit of its monthly budget; None where there is none, or the span is no month.
    """

    environment: str
    spent: int
    forecast: int
    pace: Pace
    plan: int | None = None


class BudgetOutlook(msgspec.Struct, frozen=True, kw_only=True):
    """Where a budget stands in its window, and will stand when that ends. reached_on: a day, or "reached"."""

    budget: str
    value: str | None
    window: str
    spent: int
    limit: int
    forecast: int
    reached_on: str | None = None

    @property
    def use(self) -> Fraction:
        """How much of the limit will be spent."""
        return Fraction(self.forecast, self.limit) if self.limit > 0 else Fraction(self.forecast)


def report(asked: Question) -> Sheet:
    """Forecast each environment, and each budget of the ledger."""
    days = _days(asked)
    outlooks = environment_outlooks(asked, days)
    if not outlooks:
        return nothing_yet("forecast", TITLE, asked)
    tables = [_environment_table(outlooks)]
    budgets = [] if asked.span.until_us <= asked.now_us else budget_outlooks(asked, days)
    if budgets:
        tables.append(_budget_table(budgets, asked.top))
    return Sheet(
        name="forecast",
        title=TITLE,
        span=asked.span,
        provisional=asked.is_provisional,
        tables=tuple(tables),
        flags=(*plan_flags(outlooks), *_budget_flags(budgets)),
        notes=tuple(_notes(asked, outlooks)),
    )


def environment_outlooks(asked: Question, days: Mapping[str, _Days] | None = None) -> list[Outlook]:
    """Every environment that spent in the span or lately: spent so far, and to be expected until its end."""
    days = _days(asked) if days is None else days
    span, plans = asked.span, _plans(asked)
    first, last = span.first_day, span.last_day
    found = []
    for environment in sorted(days, key=environment_place):
        spent = sum(cost for day, cost in days[environment].items() if first <= day <= last)
        pace = pace_of(_lately(days[environment], asked.now_us), asked.now_us)
        rest = pace.between(max(asked.now_us, span.since_us), span.until_us)
        if spent or rest:
            outlook = Outlook(
                environment=environment,
                spent=spent,
                forecast=spent + nearest_whole(rest),
                pace=pace,
                plan=plans.get(environment),
            )
            found.append(outlook)
    return found


def _days(asked: Question) -> dict[str, _Days]:
    """What each environment spent by day, in the span and in the days that a pace is told from."""
    today_us = asked.now_us // DAY_US * DAY_US
    since_us = max(min(asked.span.since_us, today_us - LOOK_BACK_DAYS * DAY_US), 0)
    rows = asked.store.spend(
        by=["day", "environment"],
        since_us=since_us,
        until_us=max(asked.span.until_us, today_us + DAY_US),
        where=asked.where,
    )
    days: dict[str, _Days] = {}
    for row in rows:
        day = date.fromisoformat(row.by["day"] or "")
        days.setdefault(row.by["environment"] or "", {})[day] = row.cost_nanodollars
    return days


def _lately(days: _Days, now_us: int) -> _Days:
    today = from_microseconds(now_us).date()
    return {day: cost for day, cost in days.items() if 0 <= (today - day).days <= LOOK_BACK_DAYS}


def _plans(asked: Question) -> dict[str, int]:
    """The least monthly limit that is for one environment as a whole, by environment."""
    plans: dict[str, int] = {}
    if asked.policy is None or not is_month(asked.span):
        return plans
    for budget in asked.policy.budgets:
        environment = _whole_environment(budget)
        if environment is not None and budget.period is Period.MONTHLY and budget.per is None:
            limit = budget.limit_in(window_of(Period.MONTHLY, asked.span.since_us + DAY_US, budget.zone))
            plans[environment] = min(limit, plans.get(environment, limit))
    return plans


def _whole_environment(budget: Budget) -> str | None:
    """The one environment that a budget is for, if it is for nothing else."""
    names = budget.match.get("environment", ())
    return names[0] if len(names) == 1 == len(budget.match) and not set("*?[") & set(names[0]) else None


# ── budgets ─────────────────────────────────────────────────────────────────────────────────────


def budget_outlooks(asked: Question, days: Mapping[str, _Days] | None = None) -> list[BudgetOutlook]:
    """Every account of money whose window is open now and a day long at least, the fullest first.

    An account goes on as it did in its window so far, in proportion to the pace of its environment, or of
    all environments where it is for no single one.
    """
    days = _days(asked) if days is None else days
    paces = {name: pace_of(_lately(costs, asked.now_us), asked.now_us) for name, costs in days.items()}
    every = pace_of(_lately(_together(days), asked.now_us), asked.now_us)
    environments = {
        budget.name: name
        for budget in (asked.policy.budgets if asked.policy else ())
        if (name := _whole_environment(budget)) is not None
    }
    found = []
    for balance in asked.store.balances(current_at_us=asked.now_us):
        environment = environments.get(balance.budget)
        if asked.environment in (None, environment) and _is_told(balance):
            found.append(_outlook(balance, paces.get(environment or "", every), asked.now_us))
    return sorted(found, key=lambda one: (-one.use, one.budget, one.value or ""))


def _is_told(balance: Balance) -> bool:
    starts_at_us, ends_at_us = balance.starts_at_us, balance.ends_at_us
    return (
        balance.unit is Unit.NANODOLLARS
        and starts_at_us is not None
        and ends_at_us is not None
        and ends_at_us - starts_at_us >= DAY_US - 2 * DAY_US // 24  # a day on which clocks change
    )


def _outlook(balance: Balance, pace: Pace, now_us: int) -> BudgetOutlook:
    assert balance.starts_at_us is not None
    assert balance.ends_at_us is not None
    # Early in a window little is known; what was spent by then counts as a whole day's.
    counted_us = max(now_us, balance.starts_at_us + DAY_US)
    so_far = pace.between(balance.starts_at_us, counted_us)
    if not so_far:
        pace, so_far = _EVEN, Fraction(counted_us - balance.starts_at_us, DAY_US)
    scale = Fraction(balance.settled) / so_far
    rest = scale * pace.between(now_us, balance.ends_at_us)
    left = balance.limit - balance.settled
    reached_us = None
    if left > 0 < scale:
        reached_us = pace.reaches(left / scale, since_us=now_us, until_us=balance.ends_at_us)
    reached = None if reached_us is None else str(from_microseconds(reached_us).date())
    return BudgetOutlook(
        budget=balance.budget,
        value=balance.value,
        window=balance.window,
        spent=balance.settled,
        limit=balance.limit,
        forecast=balance.settled + nearest_whole(rest),
        reached_on="reached" if left <= 0 < balance.settled else reached,
    )


_EVEN = Pace(weekdays=(Fraction(1),) * 7, days=1, by_weekday=False)


def _together(days: Mapping[str, _Days]) -> _Days:
    sums: _Days = {}
    for costs in days.values():
        for day, cost in costs.items():
            sums[day] = sums.get(day, 0) + cost
    return sums


# ── tables and flags ────────────────────────────────────────────────────────────────────────────


def _environment_table(outlooks: Sequence[Outlook]) -> Table:
    planned = [one.plan for one in outlooks]
    plan = sum(one for one in planned if one is not None) if None not in planned else None
    return Table(
        name="environments",
        title="By environment, when the span ends",
        columns=_ENVIRONMENTS,
        rows=tuple(
            (
                one.environment,
                one.spent,
                nearest_whole(one.pace.a_day),
                one.forecast,
                one.plan,
                part(one.forecast, one.plan or 0),
                one.pace.method,
            )
            for one in outlooks
        ),
        footer=(
            "total",
            sum(one.spent for one in outlooks),
            sum(nearest_whole(one.pace.a_day) for one in outlooks),
            (forecast := sum(one.forecast for one in outlooks)),
            plan,
            part(forecast, plan or 0),
            "",
        ),
        chart="forecast_nanodollars",
    )


def _budget_table(budgets: Sequence[BudgetOutlook], top: int) -> Table:
    return Table(
        name="budgets",
        title="Budgets, when their windows end",
        columns=_BUDGETS,
        rows=tuple(_budget_cells(one) for one in top_of(budgets, top, _others)),
    )


def _others(budgets: Sequence[BudgetOutlook]) -> BudgetOutlook:
    return BudgetOutlook(
        budget=OTHERS,
        value=None,
        window="",
        spent=sum(one.spent for one in budgets),
        limit=sum(one.limit for one in budgets),
        forecast=sum(one.forecast for one in budgets),
    )


def _budget_cells(one: BudgetOutlook) -> tuple[Value, ...]:
    return (
        one.budget,
        one.value,
        one.window,
        one.spent,
        one.limit,
        part(one.spent, one.limit),
        one.forecast,
        part(one.forecast, one.limit),
        one.reached_on,
    )


def plan_flags(outlooks: Sequence[Outlook]) -> Iterator[Flag]:
    """Which environments will have spent more than was planned."""
    for one in outlooks:
        if one.plan is not None and one.forecast > one.plan:
            yield Flag(
                name="forecast_over_plan",
                level=Level.WARNING,
                text=f"{one.environment} will have spent {rounded_dollars(one.forecast)} when the month ends,"
                f" {_of(one.forecast, one.plan)} of the {dollars(one.plan)} planned.",
                fix=f"farthing report mix --environment {one.environment} --month this",
            )


def _budget_flags(budgets: Sequence[BudgetOutlook]) -> Iterator[Flag]:
    short = [one for one in budgets if one.reached_on is not None and one.reached_on != "reached"]
    for one in short[:_FLAGS_MOST]:
        name = f"{one.budget} of {one.value}" if one.value else one.budget
        value = f" --value {one.value}" if one.value else ""
        yield Flag(
            name="budget_will_be_reached",
            level=Level.WARNING,
            text=f"{name} will reach its limit of {dollars(one.limit)} on {one.reached_on}; at this pace"
            f" it would take {rounded_dollars(one.forecast)} in {one.window}.",
            fix=f'farthing budget raise {one.budget}{value} AMOUNT --reason "…"',
        )


def _of(amount: int, whole: int) -> str:
    return f"{percent(Fraction(amount, whole))} %" if whole else "more than none"


def _notes(asked: Question, outlooks: Sequence[Outlook]) -> Iterator[str]:
    if asked.span.until_us <= asked.now_us:
        yield "The span is over: what is forecast is what was spent."
        return
    elapsed = asked.now_us - asked.span.since_us
    length = midnight_us(asked.span.last_day) + DAY_US - asked.span.since_us
    if 0 < elapsed < length:
        yield f"{percent(Fraction(elapsed, length))} % of the time is over."
    if any(not one.pace.by_weekday for one in outlooks):
        yield (
            "A straight line knows no weekends: with more than four weeks of calls behind it, an environment "
            "is told from the weekdays of the last four."
        )
    if all(one.plan is None for one in outlooks):
        yield "No plan is known: give the environment a budget with  period: monthly  in the policy."
