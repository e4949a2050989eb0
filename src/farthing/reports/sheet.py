"""What every report is: tables of exact figures, what stands out, and the span they cover. Pure."""

import enum
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import zip_longest

import msgspec

from farthing.domain.money import nearest_whole
from farthing.reports.spans import Span

# Begins the row of a ranking that holds what is not shown one by one.
OTHERS = "(others)"

# A figure stays exact until it is shown; None is a cell without one.
Value = str | int | Fraction | None


class Kind(enum.StrEnum):
    """What a column holds, which decides how each output shows it.

    TEXT: str. COUNT: int. MONEY: int, nanodollars, shown to the last digit. MEAN: int, nanodollars of a
    mean, a percentile or a forecast, shown to people with four digits that count. SHARE: Fraction of a
    whole, shown in percent.
    RATIO: Fraction of one sum over another, shown like 1:1.78. TIMES: Fraction, shown like 7.5x.
    NUMBER: Fraction, such as a mean. MOMENT: int, microseconds since 1970. DURATION: int, microseconds.
    """

    TEXT = "text"
    COUNT = "count"
    MONEY = "money"
    MEAN = "mean"
    SHARE = "share"
    RATIO = "ratio"
    TIMES = "times"
    NUMBER = "number"
    MOMENT = "moment"
    DURATION = "duration"


# How the name of a column ends, by its kind, so that a program knows the unit of what it reads.
UNITS = {
    Kind.MONEY: "_nanodollars",
    Kind.MEAN: "_nanodollars",
    Kind.SHARE: "_percent",
    Kind.MOMENT: "_at",
    Kind.DURATION: "_seconds",
}


class Column(msgspec.Struct, frozen=True):
    """One column: its name for programs, its heading for people."""

    name: str
    heading: str
    kind: Kind = Kind.TEXT


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of exact values in columns.

    footer: the sums under the columns, where they mean something.
    chart: the name of the column that is drawn as bars, beside the figures.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    footer: tuple[Value, ...] | None = None
    chart: str | None = None

    def __post_init__(self) -> None:
        """Refuse two columns that a reader, or a program, could not tell apart."""
        for told in ([one.heading for one in self.columns], [one.name for one in self.columns]):
            if len(set(told)) < len(told):
                raise ValueError(f"the table {self.name} has two columns of one name: {told}")

    def named_rows(self) -> list[dict[str, Value]]:
        """Rows as mappings by the names of the columns."""
        return [self.named(row) for row in self.rows]

    def bar_values(self) -> list[Fraction]:
        """The figures that are drawn as bars, row by row; none where the table has no chart.

        What is told together has no bar: it would make those of single rows too short to compare.
        """
        if self.chart is None:
            return []
        place = [column.name for column in self.columns].index(self.chart)
        return [Fraction(row[place] or 0) if row[0] != OTHERS else Fraction(0) for row in self.rows]

    def named(self, row: Sequence[Value]) -> dict[str, Value]:
        """One row as a mapping by the names of the columns."""
        return dict(zip([column.name for column in self.columns], row, strict=True))


class Level(enum.StrEnum):
    """How much a flag matters."""

    NOTE = "note"
    WARNING = "warning"
    ALARM = "alarm"


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """Something that stands out: a stable name for programs, a sentence, and the line that mends it."""

    name: str
    level: Level
    text: str
    fix: str = ""


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """One report.

    provisional: calls inside the span are still open, or the span has not ended; figures may grow.
    notes: sentences under the tables; the way on, where there is nothing to show.
    """

    name: str
    title: str
    span: Span
    provisional: bool = False
    tables: tuple[Table, ...] = ()
    flags: tuple[Flag, ...] = ()
    notes: tuple[str, ...] = ()

    def table(self, name: str) -> Table:
        """The table of a name. Raises KeyError."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)

    def flags_to_tell(self) -> Iterator[tuple[Flag, str]]:
        """Its flags with what mends each; where one line mends several in a row, the last of them has it."""
        for flag, following in zip_longest(self.flags, self.flags[1:]):
            shared = following is not None and following.fix == flag.fix
            yield flag, "" if shared else flag.fix

    def flag(self, name: str) -> Flag | None:
        """The first flag of a name, if it is raised."""
        return next((flag for flag in self.flags if flag.name == name), None)


def part(of: int, whole: int) -> Fraction | None:
    """A share or a ratio; None where there is nothing to compare with."""
    return Fraction(of, whole) if whole else None


def mean_nanodollars(cost_nanodollars: int, count: int) -> int | None:
    """The cost of one, to the nearest nanodollar; None of none."""
    return nearest_whole(Fraction(cost_nanodollars, count)) if count > 0 else None
