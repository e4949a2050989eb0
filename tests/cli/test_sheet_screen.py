"""How a sheet is drawn on the terminal."""

import pytest

from farthing.cli.sheet_screen import draw_sheet
from farthing.reports.sheet import Flag, Level, Sheet
from tests.reports.ledgers import WEEK


def test_flags_that_one_line_mends_have_it_once_below_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    flags = tuple(
        Flag(name="premium", level=Level.NOTE, text=text, fix=fix)
        for text, fix in (("alice", "the line"), ("bob", "the line"), ("carol", "another"), ("dave", ""))
    )
    draw_sheet(Sheet(name="models", title="Models", span=WEEK, flags=flags))
    assert capsys.readouterr().out.splitlines()[2:] == [
        "note: alice",
        "note: bob",
        "  To go on: the line",
        "note: carol",
        "  To go on: another",
        "note: dave",
    ]
