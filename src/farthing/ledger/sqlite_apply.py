"""Apply a batch inside a transaction that is open already."""

import sqlite3
from collections.abc import Sequence

from farthing.ledger import sqlite_stops
from farthing.ledger.booking import apply_batch, holds_any
from farthing.ledger.entries import Answer, Operation
from farthing.ledger.sqlite_archived import lines_for_batch
from farthing.ledger.sqlite_rows import read_page, write_page


def apply_in(connection: sqlite3.Connection, operations: Sequence[Operation]) -> list[Answer]:
    """Apply a batch in order; answer each."""
    page = read_page(connection, operations, lines_for_batch)
    if holds_any(operations):
        page.stops = sqlite_stops.live_stops(connection)
    answers = apply_batch(operations, page)
    write_page(connection, page)
    return answers
