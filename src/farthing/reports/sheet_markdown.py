"""A sheet as Markdown, to be mailed, or put into a page or an issue."""

import re
from collections.abc import Iterator, Sequence

from farthing.reports.sheet import Kind, Level, Sheet, Table, Value
from farthing.reports.telling import readable, shown

_MARK = {Level.NOTE: "Note", Level.WARNING: "Warning", Level.ALARM: "Alarm"}
_MARKUP = re.compile(r"[\\`*_\[\]<>|#&~]")
# What begins a list or a heading where it stands first: a sign, or a number before a dot.
_BEGINS_BLOCK = re.compile(r"^(\d*)([-+=.)])")


def sheet_markdown(sheet: Sheet) -> str:
    """Write a sheet."""
    return "\n".join(_lines(sheet)) + "\n"


def _lines(sheet: Sheet) -> Iterator[str]:
    yield f"# {_safe(sheet.title)}"
    yield ""
    yield f"{sheet.span}{', provisional: figures may still grow' if sheet.provisional else ''}"
    for flag, fix in sheet.flags_to_tell():
        yield ""
        yield f"> **{_MARK[flag.level]}:** {_safe(flag.text)}"
        if fix:
            yield ">"
            yield f"> To go on: {_code(fix)}"
    for table in sheet.tables:
        yield ""
        yield f"## {_safe(table.title)}"
        yield ""
        yield from _table(table)
    for note in sheet.notes:
        yield ""
        yield _BEGINS_BLOCK.sub(r"\1\\\2", _safe(note))


def _table(table: Table) -> Iterator[str]:
    yield _row([_safe(column.heading) for column in table.columns])
    yield _row(["---" if column.kind is Kind.TEXT else "---:" for column in table.columns])
    for row in table.rows:
        yield _row(_cells(table, row))
    if table.footer is not None:
        yield _row([f"**{cell}**" if cell else "" for cell in _cells(table, table.footer)])


def _cells(table: Table, row: Sequence[Value]) -> list[str]:
    return [_safe(shown(column.kind, value)) for column, value in zip(table.columns, row, strict=True)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _safe(text: str) -> str:
    """Keep what users wrote (labels, keys) from becoming markup."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(readable(text).split()))


def _code(text: str) -> str:
    """A span of code, fenced by more backticks than any run of them in it."""
    one_line = " ".join(readable(text).split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", one_line)), default=0))
    apart = " " if one_line.startswith("`") or one_line.endswith("`") else ""
    return f"{fence}{apart}{one_line}{apart}{fence}"
