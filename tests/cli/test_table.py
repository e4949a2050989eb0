"""Tables at every width: figures stay whole, lines fit, nothing that counts is left out."""

import io
from collections.abc import Mapping, Sequence

import pytest
from rich.console import Console
from rich.text import Text

from farthing.cli.table import Cell, draw

COLUMNS = {"budget": "left", "window": "left", "bar": "left", "spent so far": "right", "limit": "right"}
ROWS: Sequence[Sequence[Cell]] = [
    ("dev-month", "2026-11", Text("████░░░░"), "$0.0000318", "$750.00"),
    ("production-hour", "2026-11-22T04+0000", Text("█░░░░░░░"), "$1,204.123456789", "$20,000.00"),
]
FIGURES = [cell for row in ROWS for cell in row if isinstance(cell, str)]


def _drawn(width: int, columns: Mapping[str, str] = COLUMNS, rows: Sequence[Sequence[Cell]] = ROWS) -> str:
    file = io.StringIO()
    draw(Console(file=file, width=width), columns, rows, footer=None, spare=("bar",))
    return file.getvalue()


@pytest.mark.parametrize("width", range(40, 130))
def test_every_figure_stays_whole_and_every_line_fits(width: int) -> None:
    drawn = _drawn(width)

    assert [figure for figure in FIGURES if figure not in drawn] == []
    assert max(len(line) for line in drawn.splitlines()) <= width


def test_lines_end_without_blanks() -> None:
    for width in (40, 80, 120):
        assert [line for line in _drawn(width).splitlines() if line != line.rstrip()] == []


def test_a_spare_column_gives_way_before_the_columns_do() -> None:
    wide, narrow, narrowest = _drawn(120), _drawn(70), _drawn(50)

    assert "████" in wide
    assert "bar" not in narrow
    assert "─" in narrow
    assert "─" not in narrowest


def test_a_heading_breaks_between_words_before_a_column_is_left_out() -> None:
    assert "spent so far" in _drawn(120)
    assert "████" in _drawn(77, {**COLUMNS, "a heading of many long words": "left"}, [(*ROWS[0], "x")])


def test_a_text_goes_on_in_the_next_line_and_below_its_row_where_there_is_no_room() -> None:
    columns = {"where": "left", "what": "text"}
    rows = [("environments.development", "no budget covers all of it, " * 4)]

    beside, below = _drawn(80, columns, rows), _drawn(44, columns, rows)

    assert "environments.development   no budget covers" in beside
    assert "\n  what: no budget covers" in below


@pytest.mark.parametrize("width", [20, 80])
def test_the_footer_is_told_at_every_width(width: int) -> None:
    file = io.StringIO()
    draw(
        Console(file=file, width=width), {"environment": "left", "cost": "right"}, [("development", "$0.10")],
        footer=("total", "$0.10"), spare=(),
    )  # fmt: skip

    assert "total" in file.getvalue()
    assert file.getvalue().count("$0.10") == 2
