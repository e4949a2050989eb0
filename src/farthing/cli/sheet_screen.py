"""Draw a sheet on the terminal: its tables with bars, what stands out, and the span they cover."""

from farthing.cli import screen
from farthing.cli.table import Cell
from farthing.reports.sheet import Kind, Level, Sheet, Table
from farthing.reports.telling import readable, shown

_STYLES = {Level.NOTE: "cyan", Level.WARNING: "yellow", Level.ALARM: "red"}


def draw_sheet(sheet: Sheet) -> None:
    """Print a sheet."""
    screen.line(sheet.title, "bold")
    provisional = ", provisional: figures may still grow" if sheet.provisional else ""
    screen.line(f"{sheet.span}{provisional}", "dim")
    for table in sheet.tables:
        screen.line()
        screen.line(table.title, "bold")
        _draw(table)
    for flag, fix in sheet.flags_to_tell():
        screen.line(f"{flag.level.value}: {readable(flag.text)}", _STYLES[flag.level])
        if fix:
            screen.line(f"  To go on: {readable(fix)}")
    for note in sheet.notes:
        screen.line(readable(note))


def _draw(table: Table) -> None:
    values = table.bar_values()
    longest = max(values, default=0)
    columns = {column.heading: "left" if column.kind is Kind.TEXT else "right" for column in table.columns}
    rows: list[list[Cell]] = [
        [shown(column.kind, value) for column, value in zip(table.columns, row, strict=True)]
        for row in table.rows
    ]
    footer = None
    if table.footer is not None:
        footer = [
            shown(column.kind, value) for column, value in zip(table.columns, table.footer, strict=True)
        ]
    if longest > 0:
        columns[""] = "left"
        for row, value in zip(rows, values, strict=True):
            scaled = int(value * 1_000 / longest)
            row.append(screen.bar([(max(scaled, 1), "cyan")], 1_000) if value > 0 else "")
        footer = [*footer, ""] if footer is not None else None
    screen.table(columns, rows, footer=footer, spare=("",))
