"""A sheet as one JSON document: the same members from the command line and from the API."""

from collections.abc import Sequence
from typing import Any

import msgspec

from farthing.domain.period import iso_utc
from farthing.reports.sheet import Sheet, Table, Value
from farthing.reports.telling import plain

# Shares are decimal numbers; they are written as JSON numbers, digit by digit.
_encode = msgspec.json.Encoder(decimal_format="number").encode


def sheet_json(sheet: Sheet) -> bytes:
    """Write a sheet; amounts are whole nanodollars, shares percent, moments UTC."""
    return _encode(sheet_document(sheet))


def sheet_document(sheet: Sheet) -> dict[str, Any]:
    """The members of a sheet; every table by its name, every row by the names of its columns."""
    return {
        "report": sheet.name,
        "title": sheet.title,
        "since": iso_utc(sheet.span.since_us),
        "until": iso_utc(sheet.span.until_us),
        "provisional": sheet.provisional,
        "tables": {table.name: _table(table) for table in sheet.tables},
        "flags": [
            {"name": flag.name, "level": flag.level.value, "text": flag.text, "fix": flag.fix or None}
            for flag in sheet.flags
        ],
        "notes": list(sheet.notes),
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "title": table.title,
        "rows": [_row(table, row) for row in table.rows],
        "total": None if table.footer is None else _row(table, table.footer),
    }


def _row(table: Table, row: Sequence[Value]) -> dict[str, Any]:
    return {column.name: plain(column.kind, value) for column, value in zip(table.columns, row, strict=True)}
