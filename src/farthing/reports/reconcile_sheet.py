"""Show a comparison with providers as a sheet: totals, the lines that differ, and why they do."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from farthing.domain.money import dollars
from farthing.ledger.grains import DAY_US
from farthing.reports.provider_rows import Kind, day_text
from farthing.reports.reconcile import Compared, totals
from farthing.reports.reconcile_line import COST, Figure, Line
from farthing.reports.sheet import UNITS, Column, Flag, Level, Sheet, Table, Value
from farthing.reports.sheet import Kind as Cell
from farthing.reports.spans import Span
from farthing.reports.telling import rounded_dollars

ALL = "(all)"
_NAMES = {"openai": "OpenAI", "anthropic": "Anthropic"}
_FLAGS_MAX = 40
_WORDS = {
    "requests": "requests",
    "fresh_input": "fresh input",
    "cached_read": "cache read",
    "cached_write": "cache write",
    "output_tokens": "output",
    COST: "cost",
}


def reconcile_sheet(compared: Sequence[Compared], *, every: bool = False, paired: bool = False) -> Sheet:
    """Make the sheet. every: show the lines that agree too. paired: somebody named pairs of keys."""
    days = [day for one in compared for covered in one.days.values() for day in covered]
    lines = [line for one in compared for line in one.lines]
    shown = [line for line in lines if every or not line.agrees]
    tables = [_total_quantities(compared), _total_cost(compared)]
    tables += [_lines(shown, Cell.COUNT, "quantities", "Quantities that differ", every=every)]
    tables += [_lines(shown, Cell.MONEY, "costs", "Costs that differ", every=every)]
    return Sheet(
        name="reconcile",
        title="What the providers say, and what the ledger says",
        span=Span(min(days) * DAY_US, (max(days) + 1) * DAY_US),
        provisional=any(line.provisional for line in lines),
        tables=tuple(table for table in tables if table.rows),
        flags=tuple(_flags([line for line in lines if not line.agrees])),
        notes=tuple(note for one in compared for note in _notes(one, paired=paired)),
    )


# ── totals ──────────────────────────────────────────────────────────────────────────────────────


def _total_quantities(compared: Sequence[Compared]) -> Table:
    return Table(
        name="total_quantities",
        title="Quantities",
        columns=(Column("provider", "provider"), Column("figure", "figure"), *_sides(Cell.COUNT)),
        rows=tuple(row for one in compared for row in _total_rows(one) if row[1] != COST),
    )


def _total_cost(compared: Sequence[Compared]) -> Table:
    return Table(
        name="total_cost",
        title="Cost",
        columns=(Column("provider", "provider"), Column("figure", "figure"), *_sides(Cell.MONEY)),
        rows=tuple(row for one in compared for row in _total_rows(one) if row[1] == COST),
    )


def _total_rows(one: Compared) -> Iterator[tuple[Value, ...]]:
    sums = totals(one)
    for name, words in _WORDS.items():
        if (name, "theirs") in sums:
            theirs, ours = sums[(name, "theirs")], sums[(name, "ours")]
            yield one.provider, words, theirs, ours, theirs - ours


def _sides(kind: Cell) -> tuple[Column, ...]:
    unit = UNITS.get(kind, "")
    return tuple(Column(f"{side}{unit}", side, kind) for side in ("theirs", "ours", "difference"))


# ── lines ───────────────────────────────────────────────────────────────────────────────────────


def _lines(lines: Sequence[Line], kind: Cell, name: str, title: str, *, every: bool) -> Table:
    rows = []
    for line in lines:
        figures = line.figures if every else line.differences
        place = (_day(line), line.provider, line.model or ALL, line.key or ALL)
        for figure in figures:
            if (figure.name == COST) == (kind is Cell.MONEY):
                rows.append((*place, _WORDS[figure.name], *_both(figure), _cause(line, figure)))
    return Table(
        name=name,
        title="All " + name if every else title,
        columns=(
            Column("day", "day"),
            Column("provider", "provider"),
            Column("model", "model"),
            Column("key", "key"),
            Column("figure", "figure"),
            *_sides(kind),
            Column("cause", "likely cause"),
        ),
        rows=tuple(rows),
    )


def _day(line: Line) -> str:
    return ALL if line.day is None else day_text(line.day)


def _both(figure: Figure) -> tuple[int, int, int]:
    return figure.theirs, figure.ours, figure.difference


def _cause(line: Line, figure: Figure) -> str:
    """The names of the causes; what each means stands below the table."""
    if not line.differs(figure):
        return "rounding" if figure.difference else ""
    return ", ".join(cause.name for cause in line.causes)


# ── sentences ───────────────────────────────────────────────────────────────────────────────────


def _flags(lines: Sequence[Line]) -> Iterator[Flag]:
    told: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        place = ", ".join(part for part in (_day(line), line.model, line.key) if part and part != ALL)
        for cause in line.causes:
            told.setdefault((cause.name, cause.text), []).append(place or line.provider)
    for (name, text), places in list(told.items())[:_FLAGS_MAX]:
        where = places[0] + (f" and {len(places) - 1:,} more" if len(places) > 1 else "")
        yield Flag(name=name, level=Level.WARNING, text=f"{where}: {text}")
    if len(told) > _FLAGS_MAX:
        text = f"{len(told) - _FLAGS_MAX:,} more causes are not shown"
        yield Flag(name="more", level=Level.NOTE, text=text, fix="compare fewer days, or --by model")


def _notes(one: Compared, *, paired: bool) -> Iterator[str]:
    yield _summary(one)
    if paired and not one.keys_paired:
        yield f"None of the keys in the files of {_NAMES[one.provider]} is paired, so they are summed."
    if one.days[Kind.COST]:
        yield (
            f"An amount of {_NAMES[one.provider]} may be {dollars(max(round(one.half_unit), 1))} off by "
            "rounding; that much is no difference. Quantities must be the same to the token."
        )
    failed = sum(line.failed for line in one.lines)
    if failed:
        calls = "1 call" if failed == 1 else f"{failed:,} calls"
        yield f"{_NAMES[one.provider]} answered {calls} with an error, which are not counted here."
    for name, count in sorted(one.apart.items()):
        yield f"{count:,} {name} are in the files of {_NAMES[one.provider]}; only their cost is compared."


def _summary(one: Compared) -> str:
    """The whole in words: what they want, what we booked, how far apart."""
    name = _NAMES[one.provider]
    sums = totals(one)
    theirs, ours = sums[(COST, "theirs")], sums[(COST, "ours")]
    differing = sum(not line.agrees for line in one.lines)
    lines = f"{len(one.lines):,} line{'' if len(one.lines) == 1 else 's'}"
    agreement = f"all {lines} agree" if not differing else f"{differing:,} of {lines} differ"
    exact = sum(any(cause.exact for cause in line.causes) for line in one.lines)
    if exact:
        agreement += f", {'all' if exact == differing else f'{exact:,}'} of them accounted for in full"
    if not one.days[Kind.COST]:
        return f"{name}: {agreement}. Its file of costs was not given, so money is not compared."
    apart = theirs - ours
    if apart == 0:
        money = f"{name} and the ledger both say {rounded_dollars(theirs)}"
    else:
        percent = Fraction(100 * abs(apart), ours) if ours else None
        share = "" if percent is None else f" ({_two_places(percent)} %)"
        money = (
            f"{name} says {rounded_dollars(theirs)} and the ledger {rounded_dollars(ours)}: "
            f"{rounded_dollars(abs(apart))}{share} {'more' if apart > 0 else 'less'} there"
        )
    return f"{money}; {agreement}."


def _two_places(percent: Fraction) -> str:
    hundredths = round(percent * 100)
    return "less than 0.01" if hundredths == 0 else f"{hundredths // 100}.{hundredths % 100:02d}"
