"""A sheet as one HTML page that loads nothing from elsewhere: tables with bars beside their figures."""

import html
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import starmap

from farthing.reports.sheet import Column, Flag, Kind, Level, Sheet, Table, Value
from farthing.reports.telling import readable, rounded, shown

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #57606a; --line: #d0d7de;
  --band: #f6f8fa; --bar: #2a78b8; --note: #2a78b8; --warning: #9a6700; --alarm: #c62828 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --paper: #14181d; --soft: #9aa5b1; --line: #343b44;
    --band: #1c2128; --bar: #58a6e0; --note: #58a6e0; --warning: #d9a520; --alarm: #ff7b72 }
}
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  margin: 2rem auto; max-width: 80rem; padding: 0 1.25rem }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 }
.span { color: var(--soft); margin: .25rem 0 1.5rem }
.flags { list-style: none; margin: 0; padding: 0 }
.flags li { --level: var(--note); background: var(--band); border-left: .3rem solid var(--level);
  margin: .75rem 0; padding: .6rem 1rem }
.flags .warning { --level: var(--warning) } .flags .alarm { --level: var(--alarm) }
.flags b { color: var(--level) }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere }
.wide { margin: 1.75rem 0; overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
caption { font-size: 1.2rem; font-weight: 600; padding-bottom: .4rem; text-align: left; white-space: nowrap }
th, td { border-bottom: 1px solid var(--line); font-weight: 400; padding: .35rem .75rem;
  text-align: right; vertical-align: top; white-space: nowrap }
thead th { color: var(--soft); font-size: .85rem; vertical-align: bottom; white-space: normal }
.text { max-width: 28rem; min-width: 6rem; overflow-wrap: break-word; text-align: left; white-space: normal }
.long { min-width: 16rem }
tbody tr:hover { background: var(--band) }
tfoot th, tfoot td { border-bottom: 0; font-weight: 600 }
.bar { min-width: 8rem } rect { fill: var(--bar) }
svg { display: block; height: .8rem; margin-top: .35rem; width: 100% }
@media print {
  :root { --ink: #000; --paper: #fff; --soft: #444; --line: #999; --band: #fff }
  body { font-size: 10pt; margin: 0; max-width: none }
  .wide { overflow: visible } tr, .flags li { break-inside: avoid } thead { display: table-header-group }
  svg { print-color-adjust: exact; -webkit-print-color-adjust: exact }
}
"""
# Sentences get room for some words a line; names need none.
_LONG = 40
_LEVELS = {Level.NOTE: "Note", Level.WARNING: "Warning", Level.ALARM: "Alarm"}


def sheet_html(sheet: Sheet) -> str:
    """Write a sheet."""
    return "\n".join(_lines(sheet)) + "\n"


def _lines(sheet: Sheet) -> Iterator[str]:
    title = _safe(sheet.title)
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}, {_safe(str(sheet.span))}</title><style>{_STYLE}</style></head><body><main>"
    yield f"<h1>{title}</h1>"
    provisional = ", provisional: figures may still grow" if sheet.provisional else ""
    yield f'<p class="span">{_safe(str(sheet.span))}{provisional}</p>'
    if sheet.flags:
        flags = "".join(starmap(_flag, sheet.flags_to_tell()))
        yield f'<ul class="flags" aria-label="What stands out">{flags}</ul>'
    for table in sheet.tables:
        # What is wider than the window can be scrolled with the keys too.
        yield f'<div class="wide" role="region" tabindex="0" aria-label="{_safe(table.title)}"><table>'
        yield f"<caption>{_safe(table.title)}</caption>"
        yield from _table(table)
        yield "</table></div>"
    yield from (f"<p>{_safe(note)}</p>" for note in sheet.notes)
    yield "</main></body></html>"


def _flag(flag: Flag, fix: str) -> str:
    code = f"<br>To go on: <code>{_safe(fix)}</code>" if fix else ""
    return f'<li class="{flag.level.value}"><b>{_LEVELS[flag.level]}:</b> {_safe(flag.text)}{code}</li>'


def _table(table: Table) -> Iterator[str]:
    bars = _bars(table)
    heads = "".join(
        f'<th scope="col"{_class(column)}>{_safe(column.heading)}</th>' for column in table.columns
    )
    beside = '<td class="bar"></td>' if bars else ""
    yield f"<thead><tr>{heads}{beside}</tr></thead><tbody>"
    for number, row in enumerate(table.rows):
        bar = f'<td class="bar">{bars[number]}</td>' if bars else ""
        yield f"<tr>{_cells(table, row)}{bar}</tr>"
    yield "</tbody>"
    if table.footer is not None:
        yield f"<tfoot><tr>{_cells(table, table.footer)}{beside}</tr></tfoot>"


def _cells(table: Table, row: Sequence[Value]) -> str:
    return "".join(
        _cell(column, value, names_row=number == 0)
        for number, (column, value) in enumerate(zip(table.columns, row, strict=True))
    )


def _cell(column: Column, value: Value, *, names_row: bool) -> str:
    text = shown(column.kind, value)
    kind = _class(column, is_long=len(text) > _LONG)
    return f'<th scope="row"{kind}>{_safe(text)}</th>' if names_row else f"<td{kind}>{_safe(text)}</td>"


def _bars(table: Table) -> list[str]:
    """A bar for each row, as long as its share of the longest."""
    values = table.bar_values()
    longest = max(values, default=Fraction(0))
    if longest <= 0:
        return []
    return [
        f'<svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{rounded(max(value, Fraction(0)) * 100 / longest, 2)}" height="8"/></svg>'
        for value in values
    ]


def _class(column: Column, *, is_long: bool = False) -> str:
    if column.kind is not Kind.TEXT:
        return ""
    return ' class="text long"' if is_long else ' class="text"'


def _safe(text: str) -> str:
    """Keep what users wrote (labels, keys) from becoming markup."""
    return html.escape(readable(text))
