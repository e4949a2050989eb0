"""Before and after: what a change made of spend, calls, cost per call and runaway incidents."""

from collections.abc import Iterator, Sequence
from datetime import date
from fractions import Fraction

import msgspec

from farthing.domain.errors import Reason
from farthing.domain.money import nearest_whole
from farthing.domain.period import from_microseconds
from farthing.ledger.auditing import WantedActs
from farthing.ledger.grains import DAY_US
from farthing.ledger.slices import SpendRow
from farthing.reports.asking import BadQuestion, Question
from farthing.reports.comparing import begun, is_whole_months
from farthing.reports.environments import DEVELOPMENT, environment_place, nothing_yet
from farthing.reports.incidents import runaway_incidents
from farthing.reports.sheet import Column, Kind, Sheet, Table, Value, part
from farthing.reports.spans import Span, midnight_us
from farthing.reports.totals import total_of

TITLE = "Before and after"
_MONEY = (
    Column("environment", "Environment"),
    Column("measure", "What"),
    Column("before_nanodollars", "Before", Kind.MONEY),
    Column("after_nanodollars", "After", Kind.MONEY),
    Column("saved_nanodollars", "Saved", Kind.MONEY),
    Column("saved_percent", "of before", Kind.SHARE),
)
_COUNTS = (
    Column("environment", "Environment"),
    Column("measure", "What"),
    Column("before", "Before", Kind.COUNT),
    Column("after", "After", Kind.COUNT),
    Column("change_percent", "Change", Kind.SHARE),
)
ALL = "all"
_ACTS_MOST = 100


class _Period(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger says of one of the two spans, by environment."""

    span: Span
    rows: dict[str, SpendRow]
    developer_days: dict[str, int]
    runs: dict[str, int]
    incidents: dict[str, int]
    otherwise: dict[str, int]

    def row(self, environment: str) -> SpendRow:
        """One environment, or all of them."""
        if environment == ALL:
            return total_of(list(self.rows.values()))
        return self.rows.get(environment, total_of([]))

    def count(self, name: str, environment: str) -> int:
        """A count of one environment, or of all of them."""
        counts: dict[str, int] = getattr(self, name)
        return sum(counts.values()) if environment == ALL else counts.get(environment, 0)


def report(asked: Question) -> Sheet:
    """Hold two periods against each other, parted by a day."""
    parted = _periods(asked)
    before, after = _known(asked, *parted), parted[1]
    then, now = _told(asked, before), _told(asked, after)
    if not then.rows and not now.rows:
        return nothing_yet("impact", TITLE, asked)
    names = sorted({*then.rows, *now.rows}, key=environment_place)
    if len(names) > 1:
        names.append(ALL)
    days = (before.days, after.days)
    alike = days[0] == days[1] or (is_whole_months(before) and is_whole_months(after))
    return Sheet(
        name="impact",
        title=f"{TITLE} {after.first_day}",
        span=Span(before.since_us, after.until_us),
        provisional=asked.is_provisional,
        tables=(_money_table(names, then, now, by_day=not alike), _count_table(names, then, now)),
        notes=tuple(_notes(before, after, alike=alike, begins=before != parted[0])),
    )


def _periods(asked: Question) -> tuple[Span, Span]:
    """What comes before and after the day that is asked for, else the day a policy came in force last.

    Where none did inside the span, its halves: rules that were only observed before and enforced after
    came in force with a policy.
    """
    span = begun(asked.span, asked.now_us)
    if asked.at_us is None:
        changed_us = _policy_changed_us(asked, span)
        if changed_us is not None:
            return _parted(span, changed_us)
        if span.days < 2:
            raise BadQuestion("one day has no before and after; name a longer span, or the day with --at")
        return _parted(span, span.since_us + span.days // 2 * DAY_US)
    at_us = asked.at_us // DAY_US * DAY_US
    if at_us >= span.until_us:
        raise BadQuestion(
            f"nothing is known after {from_microseconds(at_us).date()} in {span}; name an earlier day"
        )
    if at_us <= span.since_us:  # the span is all after: before it, as many days
        span = Span(max(2 * at_us - span.until_us, 0), span.until_us)
    return _parted(span, at_us)


def _policy_changed_us(asked: Question, span: Span) -> int | None:
    """The start of the last day inside the span on which another policy came in force."""
    wanted = WantedActs(action="policy use", since_us=span.since_us + DAY_US, until_us=span.until_us)
    changes = [act.at_us for act in asked.store.acts(wanted, limit=_ACTS_MOST) if act.before is not None]
    return max(changes) // DAY_US * DAY_US if changes else None


def _parted(span: Span, at_us: int) -> tuple[Span, Span]:
    return Span(span.since_us, at_us), Span(at_us, span.until_us)


def _known(asked: Question, before: Span, after: Span) -> Span:
    """What comes before, without the days before the ledger's first call: on them nothing was saved.

    Whole months stay as they are, as on an invoice.
    """
    if is_whole_months(before) and is_whole_months(after):
        return before
    if asked.store.spend(by=["month"], until_us=before.since_us):
        return before
    rows = asked.store.spend(by=["day"], since_us=before.since_us, until_us=before.until_us)
    first = min((row.by["day"] or "" for row in rows), default=None)
    return before if first is None else Span(midnight_us(date.fromisoformat(first)), before.until_us)


def _told(asked: Question, span: Span) -> _Period:
    store, where = asked.store, asked.where
    asks = (span.since_us, span.until_us)
    rows = store.spend(by=["environment"], since_us=asks[0], until_us=asks[1], where=where)
    worked: dict[str, int] = {}
    for row in store.spend(
        by=["day", "environment", "developer"], since_us=asks[0], until_us=asks[1], where=where
    ):
        if row.by["developer"] is not None and row.calls:
            name = row.by["environment"] or ""
            worked[name] = worked.get(name, 0) + 1
    runs: dict[str, int] = {}
    for one in store.cost_counts(
        of="runs", by=["environment"], since_us=asks[0], until_us=asks[1], where=where
    ).rows:
        name = one.by["environment"] or ""
        runs[name] = runs.get(name, 0) + one.count
    incidents: dict[str, int] = {}
    for found in runaway_incidents(store, span, where):
        name = found.environment or ""
        incidents[name] = incidents.get(name, 0) + found.count
    otherwise: dict[str, int] = {}
    for reason in store.reasons(
        by=["environment", "reason"], since_us=asks[0], until_us=asks[1], where=where
    ):
        if reason.by["reason"] not in _REFUSALS:
            name = reason.by["environment"] or ""
            otherwise[name] = otherwise.get(name, 0) + reason.calls
    return _Period(
        span=span,
        rows={row.by["environment"] or "": row for row in rows},
        developer_days=worked,
        runs=runs,
        incidents=incidents,
        otherwise=otherwise,
    )


_REFUSALS = frozenset(reason.value for reason in Reason)


# ── tables ──────────────────────────────────────────────────────────────────────────────────────


def _money_table(names: Sequence[str], then: _Period, now: _Period, *, by_day: bool) -> Table:
    return Table(
        name="money",
        title=f"What it saved{', by the day' if by_day else ''}",
        columns=_MONEY,
        rows=tuple(
            (name, measure, *_amounts(before, after))
            for name in names
            for measure, before, after in _measures(name, then, now, by_day=by_day)
        ),
    )


def _measures(
    name: str, then: _Period, now: _Period, *, by_day: bool
) -> Iterator[tuple[str, Fraction | None, Fraction | None]]:
    costs = [period.row(name).cost_nanodollars for period in (then, now)]
    days = [period.span.days for period in (then, now)]
    if not by_day:
        yield "cost", Fraction(costs[0]), Fraction(costs[1])
    yield "cost a day", Fraction(costs[0], days[0]), Fraction(costs[1], days[1])
    for measure, counts in (
        ("cost per call", [period.row(name).calls for period in (then, now)]),
        ("cost per developer a day", [period.count("developer_days", name) for period in (then, now)]),
        ("cost per run", [period.count("runs", name) for period in (then, now)]),
    ):
        if any(counts) and (measure != "cost per developer a day" or name == DEVELOPMENT):
            yield measure, part(costs[0], counts[0]), part(costs[1], counts[1])


def _amounts(before: Fraction | None, after: Fraction | None) -> tuple[Value, ...]:
    saved = before - after if before is not None and after is not None else None
    return (
        _rounded(before),
        _rounded(after),
        _rounded(saved),
        saved / before if saved is not None and before else None,
    )


def _rounded(amount: Fraction | None) -> int | None:
    return None if amount is None else nearest_whole(amount)


def _count_table(names: Sequence[str], then: _Period, now: _Period) -> Table:
    rows: list[tuple[Value, ...]] = []
    for name in names:
        before, after = then.row(name), now.row(name)
        counts = {
            "calls": (before.calls, after.calls),
            "answered from the cache": (before.cached, after.cached),
            "refused": (before.refused, after.refused),
            "served otherwise than asked": tuple(period.count("otherwise", name) for period in (then, now)),
            "with a lowered output cap": (before.clamped, after.clamped),
            "runaway incidents": tuple(period.count("incidents", name) for period in (then, now)),
        }
        rows += [
            (name, measure, one, two, part(two - one, one))
            for measure, (one, two) in counts.items()
            if one or two or measure == "calls"
        ]
    return Table(name="counts", title="What happened", columns=_COUNTS, rows=tuple(rows))


def _notes(before: Span, after: Span, *, alike: bool, begins: bool) -> Iterator[str]:
    yield f"Before: {before}. After: {after}."
    if begins:
        yield f"The first call of the ledger is of {before.first_day}; days before it do not count."
    if not alike:
        yield "The two are not equally long, so costs are held against each other by the day."
    yield (
        "A developer's day is a day on which the developer made a call. The cost per run is all that the "
        "environment spent over the runs that began. What was only observed before would have been stopped "
        "by the rules that  farthing policy observed  lists."
    )
