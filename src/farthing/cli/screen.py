"""What commands print: tables, bars and short lines for people, or one JSON document for programs."""

import json
import os
import sys
from collections.abc import Collection, Mapping, Sequence

from rich.console import Console
from rich.text import Text

from farthing.cli.table import Cell, draw

# What is not a terminal has no width of its own; rows should not break there.
WIDTH_UNKNOWN = 160
BAR_WIDTH = 24


def screen() -> Console:
    """The place for answers: stdout."""
    return _console(stderr=False)


def aside() -> Console:
    """The place for remarks that are not the answer: stderr."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else WIDTH_UNKNOWN
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def print_json(document: object) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def line(text: str = "", style: str = "") -> None:
    """Print one line of the answer."""
    screen().print(Text(text, style=style), soft_wrap=True)


def remark(text: str) -> None:
    """Print one line beside the answer."""
    aside().print(Text(text, style="dim"), soft_wrap=True)


def table(
    columns: Mapping[str, str],
    rows: Sequence[Sequence[Cell]],
    *,
    footer: Sequence[str] | None = None,
    spare: Collection[str] = (),
) -> None:
    """Print a table that fits the screen.

    columns: heading and "left", "right", or "text" for what may go on in a next line; footer: the sums
    under the columns; spare: headings of columns that a narrow screen may go without, the last one first.
    """
    draw(screen(), columns, rows, footer=footer, spare=spare)


def bar(parts: Sequence[tuple[int, str]], whole: int, *, width: int = BAR_WIDTH) -> Text:
    """Draw shares of a whole: (amount, style) in order; what is left over is the light rest.

    An amount above zero always shows at least one cell; more than the whole fills the bar.
    """
    glyphs = "#=." if _console(stderr=False).options.ascii_only else "█▒░"
    drawn = Text()
    used = 0
    for position, (amount, style) in enumerate(parts):
        cells = 0
        if amount > 0:
            cells = max(amount * width // whole, 1) if whole > 0 else width
        cells = min(cells, width - used)
        used += cells
        drawn.append(glyphs[min(position, 1)] * cells, style=style)
    drawn.append(glyphs[2] * (width - used), style="dim")
    return drawn


def share(part: int, whole: int) -> str:
    """A share in percent with one decimal, rounded half up; empty where there is no whole."""
    if whole <= 0:
        return ""
    tenths = (part * 2_000 + whole) // (2 * whole)
    return f"{tenths // 10}.{tenths % 10} %"


def age(milliseconds: int) -> str:
    """How long ago, in the two largest units: "4 s", "2 min 5 s", "3 h 12 min"."""
    seconds = max(milliseconds, 0) // 1000
    for size, name, smaller, small_name in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            rest = seconds % size // smaller
            return f"{seconds // size} {name} {rest} {small_name}" if rest else f"{seconds // size} {name}"
    return f"{seconds} s"


def count(number: int, name: str) -> str:
    """A number of things: "1 account", "1,204 accounts"."""
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"
