"""What the users of the software cost: who the most, how much in the mean, by tier, and over time."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

import msgspec

from farthing.ledger.grains import DAY_US
from farthing.ledger.slices import SpendRow
from farthing.reports.asking import Question
from farthing.reports.environments import nothing_yet
from farthing.reports.quantiles import PERCENTS, nearest_rank
from farthing.reports.ranking import OTHERS, Cells
from farthing.reports.sheet import Column, Flag, Kind, Level, Sheet, Table, mean_nanodollars, part
from farthing.reports.spans import Span, month_of
from farthing.reports.telling import percent, rounded_dollars

USER = "label:user_id"
TIER = "label:tier"
# Users are counted anew for each day, and there may be many of them.
DAYS_TOLD = 7
MONTHS_TOLD = 12
# How tiers are called whose users pay nothing.
FREE = frozenset({"free", "trial", "freemium"})

_DEAREST = (
    Column("user_id", "User"),
    Column("calls", "Calls", Kind.COUNT),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("cost_percent", "of cost", Kind.SHARE),
    Column("cost_per_day_nanodollars", "a day", Kind.MEAN),
    Column("times_median", "times the median", Kind.TIMES),
)
_EACH = (
    Column("users", "Users", Kind.COUNT),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("mean_nanodollars", "Mean", Kind.MEAN),
    Column("p50_nanodollars", "P50, the median", Kind.MEAN),
    Column("p95_nanodollars", "P95", Kind.MEAN),
    Column("p99_nanodollars", "P99", Kind.MEAN),
    Column("most_nanodollars", "Most", Kind.MONEY),
)
_DAYS = (
    Column("day", "Day"),
    Column("users", "Users", Kind.COUNT),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("cost_per_user_nanodollars", "Cost per user", Kind.MEAN),
)
_TIERS = (
    Column("tier", "Tier"),
    Column("users", "Users", Kind.COUNT),
    Column("calls", "Calls", Kind.COUNT),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("cost_percent", "of cost", Kind.SHARE),
    Column("cost_per_user_nanodollars", "Cost per user", Kind.MEAN),
    Column("median_nanodollars", "Median", Kind.MEAN),
)
_MONTHS = (
    Column("month", "Month"),
    Column("users", "Users", Kind.COUNT),
    Column("users_growth_percent", "Growth of users", Kind.SHARE),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("cost_growth_percent", "Growth of cost", Kind.SHARE),
    Column("cost_per_user_nanodollars", "Cost per user", Kind.MEAN),
)


class Users(msgspec.Struct, frozen=True, kw_only=True):
    """Some users, by the day, the month or the tier they have in common."""

    name: str
    calls: int
    costs: list[int]

    @property
    def cost_nanodollars(self) -> int:
        """What all of them cost."""
        return sum(self.costs)

    @property
    def mean_nanodollars(self) -> int | None:
        """What one of them costs in the mean."""
        return mean_nanodollars(self.cost_nanodollars, len(self.costs))


def report(asked: Question) -> Sheet:
    """Rank users by cost, tell what one costs, and hold the growth of cost against that of users."""
    title = "Users"
    rows = _by([USER], asked, asked.span)
    if not rows:
        return nothing_yet("users", title, asked, _WAY_ON)
    costs = sorted(row.cost_nanodollars for row in rows)
    months = _grouped(_by([USER, "month"], asked, _months_told(asked)), "month")
    tiers = _grouped(_by([USER, TIER], asked, asked.span), TIER)
    tables = [
        _dearest(rows, costs, asked),
        _each(costs),
        *([_tiers(tiers)] if tiers else ()),
        _months(months, asked.now_us),
        _days(_grouped(_by([USER, "day"], asked, _days_told(asked)), "day")),
    ]
    return Sheet(
        name="users",
        title=title,
        span=asked.span,
        provisional=asked.is_provisional,
        tables=tuple(tables),
        flags=(*_growth_flags(months, asked.now_us), *_tier_flags(tiers)),
        notes=tuple(_notes(tiers)),
    )


_WAY_ON = (
    "No call in that span names its user. Send the label with each call: "
    'X-Metering-Tags: {"user_id": "4711", "tier": "free"} through the gateway, or '
    'guard(client, labels={"user_id": user.id, "tier": user.tier}).'
)


def percentile_of(costs: Sequence[int], per_cent: int) -> int:
    """The least of sorted costs that so many per cent of all do not exceed; there is one at least."""
    return costs[nearest_rank(len(costs), per_cent) - 1]


# ── which users ─────────────────────────────────────────────────────────────────────────────────


def _by(dimensions: Sequence[str], asked: Question, span: Span) -> list[SpendRow]:
    rows = asked.store.spend(by=dimensions, since_us=span.since_us, until_us=span.until_us, where=asked.where)
    return [row for row in rows if row.calls]


def _grouped(rows: Iterable[SpendRow], dimension: str) -> list[Users]:
    """Users by what they have in common; each of them is one row there."""
    groups: dict[str, list[SpendRow]] = {}
    for row in rows:
        groups.setdefault(row.by[dimension] or "", []).append(row)
    return [
        Users(
            name=name,
            calls=sum(row.calls for row in inside),
            costs=sorted(row.cost_nanodollars for row in inside),
        )
        for name, inside in sorted(groups.items())
    ]


def _months_told(asked: Question) -> Span:
    """The months of the span and the one before, whole ones, but not more than a year of them."""
    months = list(asked.span.months())[-MONTHS_TOLD:]
    first = month_of("this", months[0].since_us)
    last = month_of("this", months[-1].since_us)
    before = month_of("last", first.since_us)
    return Span(before.since_us, last.until_us)


def _days_told(asked: Question) -> Span:
    """The last days of the span that have come."""
    today_us = asked.now_us // DAY_US * DAY_US + DAY_US
    until_us = max(min(asked.span.until_us, today_us), asked.span.since_us + DAY_US)
    return Span(max(until_us - DAYS_TOLD * DAY_US, asked.span.since_us), until_us)


# ── tables ──────────────────────────────────────────────────────────────────────────────────────


def _dearest(rows: Sequence[SpendRow], costs: Sequence[int], asked: Question) -> Table:
    total, median = sum(costs), percentile_of(costs, 50)
    days = (_days_told(asked).until_us - asked.span.since_us) // DAY_US
    ranked = sorted(rows, key=lambda row: (-row.cost_nanodollars, -row.calls, row.by[USER] or ""))
    shown: list[Cells] = [
        (
            row.by[USER],
            row.calls,
            row.cost_nanodollars,
            part(row.cost_nanodollars, total),
            mean_nanodollars(row.cost_nanodollars, days),
            part(row.cost_nanodollars, median),
        )
        for row in ranked[: asked.top + 1]
    ]
    if len(ranked) > len(shown):
        rest = ranked[asked.top :]
        fewer, cost = sum(row.calls for row in rest), sum(row.cost_nanodollars for row in rest)
        shown[asked.top :] = [(OTHERS, fewer, cost, part(cost, total), None, None)]
    calls = sum(row.calls for row in rows)
    return Table(
        name="dearest",
        title="Who costs the most",
        columns=_DEAREST,
        rows=tuple(shown),
        footer=(f"{len(rows):,} users", calls, total, None, mean_nanodollars(total, days), None),
        chart="cost_nanodollars",
    )


def _each(costs: Sequence[int]) -> Table:
    total = sum(costs)
    row: Cells = (
        len(costs),
        total,
        mean_nanodollars(total, len(costs)),
        *[percentile_of(costs, per_cent) for per_cent in PERCENTS],
        costs[-1],
    )
    return Table(name="each", title="What one user costs in the span", columns=_EACH, rows=(row,))


def _tiers(tiers: Sequence[Users]) -> Table:
    total = sum(tier.cost_nanodollars for tier in tiers)
    return Table(
        name="tiers",
        title="By the tier of the user",
        columns=_TIERS,
        rows=tuple(
            (
                tier.name,
                len(tier.costs),
                tier.calls,
                tier.cost_nanodollars,
                part(tier.cost_nanodollars, total),
                tier.mean_nanodollars,
                percentile_of(tier.costs, 50),
            )
            for tier in sorted(tiers, key=lambda tier: -tier.cost_nanodollars)
        ),
        chart="cost_per_user_nanodollars",
    )


def _months(months: Sequence[Users], now_us: int) -> Table:
    return Table(
        name="months",
        title="Whole months: the growth of cost against that of users",
        columns=_MONTHS,
        rows=tuple(
            (
                month.name,
                len(month.costs),
                growth.users if growth else None,
                month.cost_nanodollars,
                growth.cost if growth else None,
                month.mean_nanodollars,
            )
            for month, growth in _with_growth(months, now_us)
        ),
        chart="cost_per_user_nanodollars",
    )


def _days(days: Sequence[Users]) -> Table:
    return Table(
        name="days",
        title="Cost per user and day",
        columns=_DAYS,
        rows=tuple((day.name, len(day.costs), day.cost_nanodollars, day.mean_nanodollars) for day in days),
        chart="cost_per_user_nanodollars",
    )


# ── what stands out ─────────────────────────────────────────────────────────────────────────────


class Growth(msgspec.Struct, frozen=True):
    """How much more there was than in the month before, as shares of that."""

    before: Users
    users: Fraction
    cost: Fraction


def _with_growth(months: Sequence[Users], now_us: int) -> Iterator[tuple[Users, Growth | None]]:
    """Each month with its growth, where the month before is known and this one has ended."""
    by_name = {month.name: month for month in months}
    for month in months:
        span = month_of(month.name, now_us)
        before = by_name.get(month_of("last", span.since_us).month)
        if before is None or not before.cost_nanodollars or span.until_us > now_us:
            yield month, None
            continue
        yield (
            month,
            Growth(
                before,
                Fraction(len(month.costs), len(before.costs)) - 1,
                Fraction(month.cost_nanodollars, before.cost_nanodollars) - 1,
            ),
        )


def _growth_flags(months: Sequence[Users], now_us: int) -> Iterator[Flag]:
    """The last month with a growth, where its cost grew faster than its users."""
    grown = [(month, growth) for month, growth in _with_growth(months, now_us) if growth is not None]
    if not grown:
        return
    month, growth = grown[-1]
    if growth.cost > growth.users:
        yield Flag(
            name="cost_outgrows_users",
            level=Level.WARNING,
            text=(
                f"In {month.name} the cost of users changed by {percent(growth.cost)} % and their number by "
                f"{percent(growth.users)} %: one costs {rounded_dollars(month.mean_nanodollars or 0)}, after "
                f"{rounded_dollars(growth.before.mean_nanodollars or 0)} in {growth.before.name}."
            ),
            fix=f"farthing report mix --month {month.name} tells whether volume, models or tokens did it",
        )


def _tier_flags(tiers: Sequence[Users]) -> Iterator[Flag]:
    """Users who pay nothing and cost more each than some who do pay."""
    paying = [tier for tier in tiers if tier.name.lower() not in FREE]
    for free in tiers:
        if free.name.lower() not in FREE or not paying:
            continue
        cheapest = min(paying, key=lambda tier: (tier.mean_nanodollars or 0, tier.name))
        if (free.mean_nanodollars or 0) > (cheapest.mean_nanodollars or 0):
            yield Flag(
                name="free_tier_costs_more",
                level=Level.WARNING,
                text=(
                    f"A user of tier {free.name} costs {rounded_dollars(free.mean_nanodollars or 0)}, one of "
                    f"{cheapest.name} {rounded_dollars(cheapest.mean_nanodollars or 0)}."
                ),
                fix=(
                    f"in the policy,  budgets: [{{name: {free.name}-user, match: {{tier: {free.name}}}, "
                    "per: user_id, limit: $0.10, period: daily}]  below a budget for all of them"
                ),
            )


def _notes(tiers: Sequence[Users]) -> Iterator[str]:
    yield "Only calls that name their user are counted. Percentiles are nearest ranks over the users."
    if not tiers:
        yield 'No call names the tier of its user: send {"user_id": "4711", "tier": "free"} to compare tiers.'
