"""Draw tables so that no figure is broken: in columns where they fit, else each row on lines of its own."""

import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

Cell = str | Text

# Names and figures stay whole, so that they can be read and copied. Text may go on in the next line.
RIGHT, TEXT = "right", "text"
_TEXT_WIDTH_MIN = 36


@dataclass(frozen=True)
class Column:
    """One column with its heading, all its cells and what stands below them."""

    heading: str
    kind: str
    cells: Sequence[Cell]
    footer: str

    def wrapped_heading(self) -> str:
        """The heading, broken between words to be no wider than the cells ask for."""
        cells = max((line_width(cell) for cell in (*self.cells, self.footer)), default=0)
        words = max((len(word) for word in self.heading.split()), default=0)
        return textwrap.fill(self.heading, max(cells, words, 1), break_long_words=False)


def line_width(cell: Cell) -> int:
    """The width of the longest line of a cell."""
    text = cell if isinstance(cell, Text) else Text(cell)
    return max((line.cell_len for line in text.split()), default=0)


def draw(
    console: Console,
    columns: Mapping[str, str],
    rows: Sequence[Sequence[Cell]],
    *,
    footer: Sequence[str] | None,
    spare: Collection[str],
) -> None:
    """Print a table; where it is too wide, without the spare columns, the last one first; else as lines."""
    whole = [
        Column(heading, kind, [row[number] for row in rows], footer[number] if footer else "")
        for number, (heading, kind) in enumerate(columns.items())
    ]
    shown = whole
    for leave_out in (None, *reversed([name for name in columns if name in spare])):
        shown = [column for column in shown if column.heading != leave_out]
        for tight in (False, True):
            drawn = _table(shown, with_footer=footer is not None, tight=tight)
            if _fits(console, drawn):
                _print(console, drawn)
                return
    for text in _lines(shown, len(rows), console.width, with_footer=footer is not None):
        console.print(text, soft_wrap=True)


def _table(columns: Sequence[Column], *, with_footer: bool, tight: bool) -> Table:
    drawn = Table(
        box=box.SIMPLE_HEAD, show_footer=with_footer, pad_edge=False, padding=(0, 0 if tight else 1)
    )
    for column in columns:
        heading = column.wrapped_heading() if tight else column.heading
        whole = max(line_width(cell) for cell in (heading, *column.cells, column.footer))
        drawn.add_column(
            heading,
            justify="right" if column.kind == RIGHT else "left",
            vertical="top",
            no_wrap=column.kind != TEXT,
            min_width=min(whole, _TEXT_WIDTH_MIN) if column.kind == TEXT else whole,
            overflow="fold",
            footer=column.footer,
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        drawn.add_row(*cells)
    return drawn


def _fits(console: Console, drawn: Table) -> bool:
    unbounded = console.options.update(width=10_000, max_width=10_000)
    return Measurement.get(console, unbounded, drawn).minimum <= console.width


def _print(console: Console, drawn: Table) -> None:
    with console.capture() as paper:
        console.print(drawn)
    # What is copied or piped should carry no blanks at the ends of its lines.
    lines = [line.rstrip() for line in paper.get().splitlines()]
    console.file.write("\n".join(lines) + "\n")


def _lines(columns: Sequence[Column], rows: int, width: int, *, with_footer: bool) -> Iterator[Text]:
    """Each row as a line of what it is about, and below it its figures with their headings."""
    yield Text()
    for number in range(rows):
        yield from _record([(column, column.cells[number]) for column in columns], width)
    if with_footer:
        yield from _record([(column, column.footer) for column in columns], width)
    yield Text()


def _record(cells: Sequence[tuple[Column, Cell]], width: int) -> Iterator[Text]:
    (_, name), *rest = cells
    told = [(column, cell) for column, cell in rest if line_width(cell)]
    for figures in (False, True):
        named = [
            Text.assemble((f"{column.heading} ", "dim"), cell)
            for column, cell in told
            if column.kind != TEXT and (column.kind == RIGHT) == figures
        ]
        yield from _packed(named if figures else [name, *named], width, indent="  " if figures else "")
    for column, cell in told:
        if column.kind == TEXT:
            text = f"{column.heading}: {'; '.join(str(cell).splitlines())}"
            yield Text(
                textwrap.fill(
                    text, width, initial_indent="  ", subsequent_indent="    ",
                    break_long_words=False, break_on_hyphens=False,
                )
            )  # fmt: skip


def _packed(cells: Sequence[Cell], width: int, *, indent: str) -> Iterator[Text]:
    """As many cells on each line as fit, two blanks between them."""
    line = Text(indent)
    for cell in cells:
        apart = "  " if line.plain.strip() else ""
        if apart and line.cell_len + len(apart) + line_width(cell) > width:
            yield line
            line, apart = Text(indent), ""
        line.append(apart)
        line.append_text(cell if isinstance(cell, Text) else Text(cell))
    if line.plain.strip():
        yield line
