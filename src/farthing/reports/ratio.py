"""Development beside production, month by month: the band it is in, where it turns, what stays too dear."""

from collections.abc import Iterator, Sequence
from datetime import date

from farthing.domain.money import dollars
from farthing.domain.period import from_microseconds
from farthing.ledger.report_store import Annotation
from farthing.reports.annotations import accepts, in_force
from farthing.reports.asking import Question
from farthing.reports.comparing import compared
from farthing.reports.elevated import State, Watched, first_day_needed, watched
from farthing.reports.environments import DEVELOPMENT, nothing_yet
from farthing.reports.ranking import NONE, top_of
from farthing.reports.ratio_months import (
    NONPRODUCTION_TO,
    Band,
    Month,
    months_of,
    standing_reversal,
    trends_of,
)
from farthing.reports.scopes import Scope, culprits, growing, others_of, ranked, scopes_of
from farthing.reports.sheet import Column, Flag, Kind, Level, Sheet, Table, Value, part
from farthing.reports.telling import percent, ratio

TITLE = "Development beside production"
_MONTHS = (
    Column("month", "Month"),
    Column("development_cost_nanodollars", "Development", Kind.MONEY),
    Column("other_nonproduction_cost_nanodollars", "other non-production", Kind.MONEY),
    Column("production_cost_nanodollars", "Production", Kind.MONEY),
    Column("development_to_production", "Dev : prod", Kind.RATIO),
    Column("development_of_production_percent", "Dev of prod", Kind.SHARE),
    Column("band", "Band"),
    Column("trend", "Trend"),
    Column("nonproduction_percent", "Non-production (target 25 %)", Kind.SHARE),
    Column("nonproduction_times_production", "times production", Kind.TIMES),
)
_SCOPES = (
    Column("kind", "By"),
    Column("name", "Name"),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("cost_of_development_percent", "of development", Kind.SHARE),
    Column("before_nanodollars", "Before", Kind.MONEY),
    Column("growth_nanodollars", "Growth", Kind.MONEY),
)
_ANNOTATIONS = (
    Column("feature", "Feature"),
    Column("starts_at", "Starts", Kind.MOMENT),
    Column("ships_at", "Ships", Kind.MOMENT),
    Column("accepted_until_at", "Accepted until", Kind.MOMENT),
    Column("baseline_week_nanodollars", "Week before", Kind.MONEY),
    Column("last_week_nanodollars", "Last week", Kind.MONEY),
    Column("times_baseline", "times before", Kind.TIMES),
    Column("days_since_ship", "Days since it shipped", Kind.COUNT),
    Column("state", "State"),
)
_SHOWN_OF_EACH_KIND = 5
_BANDS_NOTE = (
    "Bands of development over production: low below 1:5, healthy to 1:3, watch to 1:2, flagged beyond. "
    "What is priced at 0 adds to neither side."
)


def report(asked: Question) -> Sheet:
    """Tell the ratio of the last months, and what to look at."""
    rows = asked.store.spend(
        by=["month", "environment"], since_us=asked.span.since_us, until_us=asked.span.until_us
    )
    costs = {(row.by["month"] or "", row.by["environment"] or ""): row.cost_nanodollars for row in rows}
    months = months_of(asked.span, costs)
    if not months:
        return nothing_yet("ratio", TITLE, asked)
    at_us = min(asked.now_us, asked.span.until_us)
    annotations = in_force(asked.store.annotations())
    scopes = _scopes(asked, months[-1])
    features = _watched(asked, annotations, at_us)
    tables = [_month_table(months), _scope_table(scopes, months[-1])]
    if features:
        tables.append(_annotation_table(features))
    flags = [
        *_ratio_flags(asked, months, scopes, annotations),
        *_share_flags(months[-1]),
        *_reversal_flags(asked, months, scopes),
        *_elevated_flags(features),
    ]
    notes = [_BANDS_NOTE]
    if not months[-1].production:
        notes.append(f"Production spent nothing in {months[-1].name}, so there is no ratio to judge.")
    return Sheet(
        name="ratio",
        title=TITLE,
        span=asked.span,
        provisional=asked.is_provisional,
        tables=tuple(tables),
        flags=tuple(flags),
        notes=tuple(notes),
    )


def _scopes(asked: Question, month: Month) -> list[Scope]:
    before, so_far = compared(month.span, asked.now_us)
    return scopes_of(asked.store, DEVELOPMENT, so_far, before)


def _watched(asked: Question, annotations: Sequence[Annotation], at_us: int) -> list[Watched]:
    """The annotated features whose work began before the moment that is judged."""
    begun = [one for one in annotations if one.starts_at_us < at_us]
    if not begun:
        return []
    rows = asked.store.spend(
        by=["day"], since_us=first_day_needed(begun), until_us=at_us, where={"environment": DEVELOPMENT}
    )
    costs = {date.fromisoformat(row.by["day"] or ""): row.cost_nanodollars for row in rows}
    return watched(begun, costs, at_us=at_us)


# ── tables ──────────────────────────────────────────────────────────────────────────────────────


def _month_table(months: Sequence[Month]) -> Table:
    total = Month(
        span=months[0].span,
        development=sum(month.development for month in months),
        other=sum(month.other for month in months),
        production=sum(month.production for month in months),
    )
    return Table(
        name="months",
        title="By month",
        columns=_MONTHS,
        rows=tuple(
            _month_cells(month.name, month, month.band, trend)
            for month, trend in zip(months, trends_of(months), strict=True)
        ),
        footer=_month_cells("total", total, None, None),
        chart="development_of_production_percent",
    )


def _month_cells(name: str, month: Month, band: Band | None, trend: str | None) -> tuple[Value, ...]:
    return (
        name,
        month.development,
        month.other,
        month.production,
        month.ratio,
        month.ratio,
        band,
        trend,
        month.nonproduction_share,
        part(month.nonproduction, month.production),
    )


def _scope_table(scopes: Sequence[Scope], month: Month) -> Table:
    rows: list[tuple[Value, ...]] = []
    for kind in ("developer", "feature", "model"):
        shown = top_of(ranked(scopes, kind=kind), _SHOWN_OF_EACH_KIND, others_of)
        rows += [_scope_cells(scope, month.development) for scope in shown]
    return Table(
        name="development",
        title=f"Development in {month.name}, beside the same days a month before; each kind is the whole",
        columns=_SCOPES,
        rows=tuple(rows),
    )


def _scope_cells(scope: Scope, total_nanodollars: int) -> tuple[Value, ...]:
    return (
        scope.kind,
        scope.name or NONE,
        scope.cost_nanodollars,
        part(scope.cost_nanodollars, total_nanodollars),
        scope.before_nanodollars,
        scope.growth_nanodollars,
    )


def _annotation_table(features: Sequence[Watched]) -> Table:
    return Table(
        name="annotations",
        title="Features that were announced to cost more: weeks of development beside the median of 8 before",
        columns=_ANNOTATIONS,
        rows=tuple(
            (
                one.annotation.feature,
                one.annotation.starts_at_us,
                one.annotation.ships_at_us,
                one.annotation.until_us,
                one.baseline_nanodollars,
                one.last_week_nanodollars,
                one.times_baseline,
                max(one.days_since_ship, 0),
                one.state,
            )
            for one in features
        ),
    )


# ── what stands out ─────────────────────────────────────────────────────────────────────────────


def _ratio_flags(
    asked: Question, months: Sequence[Month], scopes: Sequence[Scope], annotations: Sequence[Annotation]
) -> Iterator[Flag]:
    """The last month, and the one before while the last is under way and does not stand out itself."""
    last = months[-1]
    under_way = last.span.until_us > asked.now_us
    judged = next(
        (month for month in months[: -3 if under_way else -2 : -1] if month.band is Band.FLAGGED), None
    )
    if judged is None or judged.ratio is None:
        return
    at_us = min(asked.now_us, judged.span.until_us - 1)
    excuse = next(
        (one for one in annotations if accepts(one, since_us=judged.span.since_us, at_us=at_us)), None
    )
    told = (
        f"In {judged.name} development costs {ratio(judged.ratio)} of production"
        f" ({dollars(judged.development)} against {dollars(judged.production)})"
    )
    if excuse is not None:
        until = from_microseconds(excuse.until_us).date()
        yield Flag(
            name="development_ratio_accepted",
            level=Level.NOTE,
            text=f"{told}; accepted until {until} for {excuse.feature}.",
        )
        return
    if judged is last:
        most = culprits(scopes, last.development)
    else:
        before, span = compared(judged.span, asked.now_us)
        most = culprits(scopes_of(asked.store, DEVELOPMENT, span, before), judged.development)
    yield Flag(
        name="development_ratio",
        level=Level.WARNING,
        text=f"{told}, worse than 1:2. Most of it: {most}.",
        fix=f"farthing report models --month {judged.name}",
    )


def _share_flags(month: Month) -> Iterator[Flag]:
    share = month.nonproduction_share
    if share is not None and share > NONPRODUCTION_TO and month.production:
        yield Flag(
            name="nonproduction_share",
            level=Level.WARNING,
            text=f"In {month.name} {percent(share)} % of all spend is not production"
            f" ({dollars(month.nonproduction)} of {dollars(month.total)}); the target is 25 %.",
            fix=f"farthing report environments --month {month.name}",
        )


def _reversal_flags(asked: Question, months: Sequence[Month], scopes: Sequence[Scope]) -> Iterator[Flag]:
    place = standing_reversal(trends_of(months))
    if place is None:
        return
    month, before = months[place], months[place - 1]
    if month is not months[-1]:
        earlier, span = compared(month.span, asked.now_us)
        scopes = scopes_of(asked.store, DEVELOPMENT, span, earlier)
    grown = ", ".join(f"{one} by {dollars(one.growth_nanodollars)}" for one in growing(scopes, 3))
    assert month.ratio is not None
    assert before.ratio is not None
    grew = (
        f" What grew most in development: {grown}."
        if grown
        else " Development did not grow; production fell."
    )
    yield Flag(
        name="ratio_reversal",
        level=Level.WARNING,
        text=f"The ratio fell month after month and rose in {month.name}: {ratio(before.ratio)}"
        f" to {ratio(month.ratio)}.{grew}",
        fix=f"farthing report models --month {month.name}",
    )


def _elevated_flags(features: Sequence[Watched]) -> Iterator[Flag]:
    for one in features:
        if one.state not in (State.AMBER, State.RED) or one.baseline_nanodollars is None:
            continue
        yield Flag(
            name="development_elevated",
            level=Level.ALARM if one.state is State.RED else Level.WARNING,
            text=f"{one.annotation.feature} shipped {one.days_since_ship} days ago, and development still"
            f" costs {dollars(one.last_week_nanodollars)} a week, against"
            f" {dollars(one.baseline_nanodollars)} before (median of {one.weeks} weeks).",
            fix="farthing report models --week last",
        )
