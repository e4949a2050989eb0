"""Put a sheet together from the tables of other reports, so that its totals are theirs."""

from collections.abc import Iterator, Sequence

from farthing.reports.sheet import Sheet, Table


def taken(sheets: Sequence[Sheet], *names: str) -> Iterator[Table]:
    """Tables of other reports by name, in the order of the names, as far as they have something to tell."""
    for name in names:
        yield from (table for sheet in sheets for table in sheet.tables if table.name == name)
