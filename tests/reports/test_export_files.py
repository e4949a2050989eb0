"""The files of an export: CSV for readers and spreadsheets, JSON lines, Parquet; the same bytes twice."""

import csv
import importlib.util
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from farthing.domain.money import decimal_text
from farthing.ledger.memory import MemoryStore
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import Store
from farthing.reports.calls import call_json
from farthing.reports.export import Forgotten
from farthing.reports.export_columns import ENTRY_COLUMNS, Cell, ExportColumn, Kind, entry_cells
from farthing.reports.export_parquet import NoParquet, write_parquet
from farthing.reports.export_text import CsvText
from farthing.reports.export_writing import Encoding, FileDiffers, Layout, Writing, beside, put, sha256_of
from farthing.reports.history import calls_in_order
from farthing.reports.spans import month_of
from tests.reports.exporting import AUGUST, CALLS_OF_AUGUST, NOW_US, an_export, every_kind, fill, rows_of

LAYOUTS = [
    Layout(encoding=Encoding.CSV),
    Layout(encoding=Encoding.JSON_LINES),
    Layout(encoding=Encoding.PARQUET),
    Layout(encoding=Encoding.CSV, focus="1.2", account="acme"),
    Layout(encoding=Encoding.PARQUET, focus="1.3", account="acme"),
]


@pytest.fixture
def store() -> Iterator[Store]:
    opened = MemoryStore()
    fill(opened, every_kind())
    yield opened
    opened.close()


def written(store: Store, layout: Layout, file: Path) -> bytes:
    """The bytes of a file."""
    writing = Writing(an_export(store), layout)
    writing.into(file)
    assert writing.exported is not None
    assert writing.exported.entries == len(CALLS_OF_AUGUST)
    return file.read_bytes()


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.ending)
def test_a_second_export_is_the_same_byte_for_byte(store: Store, layout: Layout, tmp_path: Path) -> None:
    once, again = written(store, layout, tmp_path / "once"), written(store, layout, tmp_path / "again")

    assert once == again
    assert b"".join(Writing(an_export(store), layout).chunks()) == once


# ── CSV ─────────────────────────────────────────────────────────────────────────────────────────


def test_csv_is_read_back_as_it_was(store: Store, tmp_path: Path) -> None:
    text = written(store, LAYOUTS[0], tmp_path / "calls.csv").decode("utf-8")
    heading, *read = csv.reader(io.StringIO(text, newline=""))

    def shown(cell: Cell) -> str:
        return "" if cell is None else str(cell).lower() if isinstance(cell, bool) else str(cell)

    assert heading == [column.name for column in ENTRY_COLUMNS]
    expected = [[shown(cell) for cell in row] for row in rows_of(an_export(store))]
    harmless = [[cell.removeprefix("'") for cell in row] for row in read]
    assert harmless == expected
    assert text.count("\r\n") == len(read) + 1


def test_a_cell_that_a_spreadsheet_would_run_is_made_harmless_and_counted() -> None:
    columns = [ExportColumn("word", Kind.TEXT), ExportColumn("number", Kind.COUNT)]
    text = CsvText(columns)
    starts = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "＝1", "plain", "1-1", "'=1"]

    (rows,) = text.chunks([[word, -5] for word in starts])

    _, *read = csv.reader(io.StringIO(rows.decode(), newline=""))
    assert [word for word, _ in read] == [*("'" + word for word in starts[:8]), *starts[8:]]
    assert {number for _, number in read} == {"-5"}  # a number is no formula
    assert text.made_harmless == 8


def test_labels_that_callers_wrote_do_not_become_formulas(store: Store) -> None:
    writing = Writing(an_export(store), LAYOUTS[0])
    rows = b"".join(writing.chunks()).decode()

    assert "\"'=HYPERLINK(" in rows
    assert "'-2" in rows
    assert writing.made_harmless == 2


def test_text_leaves_in_pieces() -> None:
    columns = [ExportColumn("word", Kind.TEXT)]
    read: list[int] = []

    def rows() -> Iterator[list[Cell]]:
        for number in range(200):
            read.append(number)
            yield ["x" * 1_000]

    pieces = CsvText(columns).chunks(rows())
    next(pieces)
    assert len(read) < 100
    assert len(list(pieces)) == 3


# ── JSON lines ──────────────────────────────────────────────────────────────────────────────────


def test_a_line_of_json_is_the_entry_as_the_api_shows_it(store: Store, tmp_path: Path) -> None:
    lines = written(store, LAYOUTS[1], tmp_path / "calls.jsonl").decode("utf-8").splitlines()

    shown = [call_json(entry) for entry in calls_in_order(store, AUGUST.since_us, AUGUST.until_us)]
    assert [json.loads(line) for line in lines] == shown


def test_an_empty_window_is_a_heading_or_nothing() -> None:
    empty = MemoryStore()
    (heading,) = Writing(an_export(empty), LAYOUTS[0]).chunks()
    assert heading.decode() == ",".join(column.name for column in ENTRY_COLUMNS) + "\r\n"
    assert b"".join(Writing(an_export(empty), LAYOUTS[1]).chunks()) == b""


# ── Parquet ─────────────────────────────────────────────────────────────────────────────────────


def test_parquet_has_exact_decimals_whole_numbers_and_times_in_utc(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "calls.parquet"
    written(store, LAYOUTS[2], file)
    rows = list(rows_of(an_export(store)))

    with duckdb.connect() as connection:
        found = connection.execute("DESCRIBE SELECT * FROM read_parquet($1)", [str(file)]).fetchall()
        kinds = {name: kind for name, kind, *_ in found}
        read = connection.execute(
            'SELECT call_id, epoch_us("at"), stream, usage_requests, cost_dollars, cost_nanodollars,'
            " usage_audio_in, label_experiment FROM read_parquet($1)",
            [str(file)],
        ).fetchall()

    assert list(kinds) == [column.name for column in ENTRY_COLUMNS]
    assert (kinds["cost_dollars"], kinds["cost_nanodollars"]) == ("DECIMAL(19,9)", "BIGINT")
    assert (kinds["at"], kinds["stream"]) == ("TIMESTAMP WITH TIME ZONE", "BOOLEAN")
    assert [row[0] for row in read] == CALLS_OF_AUGUST
    by_name = [dict(zip(kinds, row, strict=True)) for row in rows]
    for row, told in zip(read, by_name, strict=True):
        cost = told["cost_nanodollars"]
        assert row[5] == cost
        assert row[4] == (None if cost is None else Decimal(decimal_text(int(cost))))
        assert row[2:4] == (told["stream"], told["usage_requests"])
        assert row[6:] == (None, told["label_experiment"])
    assert (read[0][1], read[-1][1]) == (AUGUST.since_us, AUGUST.until_us - 1)


@pytest.mark.parametrize("odd", ["", "NULL", "\\N", "a\x00b", '"', "\u2028", "{", "2026-08-01", "007", "🙂"])
def test_parquet_keeps_odd_words_as_they_are(odd: str, tmp_path: Path) -> None:
    columns = [
        ExportColumn("word", Kind.TEXT),
        ExportColumn("most", Kind.COUNT),
        ExportColumn("sum", Kind.DOLLARS),
    ]
    file = tmp_path / "odd.parquet"
    write_parquet(columns, [[odd, 2**63 - 1, "9000000000.000000001"], [None, None, None]], file)

    with duckdb.connect() as connection:
        read = connection.execute("SELECT * FROM read_parquet($1)", [str(file)]).fetchall()

    assert read == [(odd, 2**63 - 1, Decimal("9000000000.000000001")), (None, None, None)]


def test_without_duckdb_the_extra_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "duckdb" else found(name))

    with pytest.raises(NoParquet, match=r"pip install 'farthing\[parquet\]'"):
        Writing(an_export(store), LAYOUTS[2])
    assert Writing(an_export(store), LAYOUTS[0])


# ── files ───────────────────────────────────────────────────────────────────────────────────────


def test_a_file_is_there_whole_or_not_at_all_and_is_not_written_over_unasked(tmp_path: Path) -> None:
    file = tmp_path / "calls.csv"

    def put_in(text: str, *, replace: bool = False) -> str:
        with beside(file) as part:
            part.write_text(text)
            return put(part, file, replace=replace)

    assert put_in("one") == "written"
    before = file.stat().st_mtime_ns
    assert put_in("one") == "unchanged"
    assert file.stat().st_mtime_ns == before
    with pytest.raises(FileDiffers, match="says something else"):
        put_in("two")
    assert file.read_text() == "one"
    assert put_in("two", replace=True) == "replaced"
    with pytest.raises(ZeroDivisionError), beside(file) as part:
        part.write_text("three")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["calls.csv"]
    assert file.read_text() == "two"
    assert len(sha256_of(file)) == 64


# ── months that were archived ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("layout", [*LAYOUTS[:2], LAYOUTS[3]], ids=lambda layout: layout.ending)
def test_an_archived_month_is_exported_as_it_was(layout: Layout, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db")
    fill(store, every_kind())
    before = written(store, layout, tmp_path / "before")

    moved = store.archive(tmp_path / "archive", until_us=AUGUST.until_us, at_us=NOW_US, by="ana")

    assert sum(partition.entries for partition in moved) > len(CALLS_OF_AUGUST)
    assert written(store, layout, tmp_path / "after") == before
    store.close()


def test_a_month_whose_entries_were_deleted_on_purpose_says_so(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db")
    fill(store, every_kind())
    store.archive(tmp_path / "archive", until_us=AUGUST.until_us, at_us=NOW_US, by="ana")
    store.forget_partitions(until_us=AUGUST.until_us, at_us=NOW_US, by="ana", reason="two years are over")

    with pytest.raises(Forgotten, match=r"of 2026-08 were deleted by ana \(two years are over\)"):
        an_export(store)
    september = month_of("2026-09", NOW_US)
    assert [row[0] for row in rows_of(an_export(store, september))] == ["after"]
    store.close()


def test_every_row_has_a_cell_for_every_column(store: Store) -> None:
    for entry in calls_in_order(store, AUGUST.since_us, AUGUST.until_us):
        assert len(entry_cells(entry)) == len(ENTRY_COLUMNS)
