"""What part of a month earned money, and what part was development and evaluation."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from farthing.ledger.slices import SpendRow
from farthing.reports.asking import Question
from farthing.reports.environments import PRODUCTION, in_order, nothing_yet
from farthing.reports.sheet import Column, Kind, Sheet, Table, Value, mean_nanodollars, part

TITLE = "What earns money, and what makes it better"
EVALUATION = "evaluation"
REVENUE, WORK = "revenue-bearing", "development and evaluation"
_LABEL = f"label:{EVALUATION}"
_STREAMS = (
    Column("stream", "Stream"),
    Column("calls", "Calls", Kind.COUNT),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("cost_percent", "of cost", Kind.SHARE),
)
_PARTS = (
    Column("stream", "Stream"),
    Column("environment", "Environment"),
    Column("part", "Part"),
    Column("calls", "Calls", Kind.COUNT),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("cost_percent", "of cost", Kind.SHARE),
    Column("cost_per_call_nanodollars", "Cost per call", Kind.MEAN),
)


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one environment spends for one of the two streams."""

    stream: str
    environment: str | None
    name: str
    calls: int
    cost_nanodollars: int


def report(asked: Question) -> Sheet:
    """Part the total in two: production, and everything that prepares it."""
    since_us, until_us = asked.span.since_us, asked.span.until_us
    rows = in_order(asked.store.spend(by=["environment"], since_us=since_us, until_us=until_us))
    if not rows:
        return nothing_yet("planning", TITLE, asked)
    labelled = asked.store.spend(by=["environment", _LABEL], since_us=since_us, until_us=until_us)
    parts = [
        one
        for row in rows
        for one in _parts(
            row, [other for other in labelled if other.by["environment"] == row.by["environment"]]
        )
    ]
    return Sheet(
        name="planning",
        title=TITLE,
        span=asked.span,
        provisional=asked.is_provisional,
        tables=(_stream_table(parts), _part_table(parts)),
        notes=(
            f"Revenue-bearing is what production spends, but for calls with a label {EVALUATION}; "
            "all else is development and evaluation.",
        ),
    )


def _parts(row: SpendRow, labelled: Sequence[SpendRow]) -> Iterator[_Part]:
    """An environment without its evaluations, and those beside it, where there are any."""
    environment = row.by["environment"]
    calls = sum(one.calls for one in labelled)
    cost = sum(one.cost_nanodollars for one in labelled)
    if row.calls > calls or row.cost_nanodollars != cost or not calls:
        serves = environment == PRODUCTION
        yield _Part(
            stream=REVENUE if serves else WORK,
            environment=environment,
            name="serving" if serves else "building",
            calls=row.calls - calls,
            cost_nanodollars=row.cost_nanodollars - cost,
        )
    if calls:
        yield _Part(stream=WORK, environment=environment, name=EVALUATION, calls=calls, cost_nanodollars=cost)


def _stream_table(parts: Sequence[_Part]) -> Table:
    calls, cost = _sums(parts)
    rows: list[tuple[Value, ...]] = []
    for stream in (REVENUE, WORK):
        count, money = _sums([one for one in parts if one.stream == stream])
        rows.append((stream, count, money, part(money, cost)))
    return Table(
        name="streams",
        title="Two streams",
        columns=_STREAMS,
        rows=tuple(rows),
        footer=("total", calls, cost, None),
        chart="cost_nanodollars",
    )


def _part_table(parts: Sequence[_Part]) -> Table:
    calls, cost = _sums(parts)
    return Table(
        name="parts",
        title="What they are made of",
        columns=_PARTS,
        rows=tuple(
            (
                one.stream,
                one.environment,
                one.name,
                one.calls,
                one.cost_nanodollars,
                part(one.cost_nanodollars, cost),
                mean_nanodollars(one.cost_nanodollars, one.calls),
            )
            for one in sorted(parts, key=lambda one: one.stream != REVENUE)
        ),
        footer=("total", "", "", calls, cost, None, mean_nanodollars(cost, calls)),
    )


def _sums(parts: Iterable[_Part]) -> tuple[int, int]:
    kept = list(parts)
    return sum(one.calls for one in kept), sum(one.cost_nanodollars for one in kept)
