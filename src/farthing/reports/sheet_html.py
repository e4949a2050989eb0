"""A sheet as one HTML page that loads nothing from elsewhere: tables with bars beside their figures."""

import html
from collections.abc import Iterator, Sequence
from fractions import Fraction

from farthing.reports.sheet import Kind, Sheet, Table, Value
from farthing.reports.telling import rounded, shown

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bar: #2a78b8; --soft: #8882 }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
h1 { margin-bottom: 0 } .span { color: GrayText; margin-top: 0 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; min-width: 40rem }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .75rem }
th, td { text-align: right; white-space: nowrap }
th.text, td.text { text-align: left } tfoot td { border-bottom: 0; font-weight: 600 }
.flag { border-left: .3rem solid #8888; background: var(--soft); margin: 1rem 0; padding: .5rem 1rem }
.warning { border-color: #c77700 } .alarm { border-color: #c62828 }
svg { display: block; height: .8rem; width: 10rem } rect { fill: var(--bar) }
"""


def sheet_html(sheet: Sheet) -> str:
    """Write a sheet."""
    return "\n".join(_lines(sheet)) + "\n"


def _lines(sheet: Sheet) -> Iterator[str]:
    title = html.escape(sheet.title)
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{_STYLE}</style></head><body>"
    yield f"<h1>{title}</h1>"
    provisional = ", provisional: figures may still grow" if sheet.provisional else ""
    yield f'<p class="span">{sheet.span}{provisional}</p>'
    for flag in sheet.flags:
        fix = f"<br><code>{html.escape(flag.fix)}</code>" if flag.fix else ""
        yield f'<p class="flag {flag.level.value}">{html.escape(flag.text)}{fix}</p>'
    for table in sheet.tables:
        yield f'<h2>{html.escape(table.title)}</h2><div class="wide"><table>'
        yield from _table(table)
        yield "</table></div>"
    yield from (f"<p>{html.escape(note)}</p>" for note in sheet.notes)
    yield "</body></html>"


def _table(table: Table) -> Iterator[str]:
    bars = _bars(table)
    heads = [f"<th{_class(column.kind)}>{html.escape(column.heading)}</th>" for column in table.columns]
    yield f"<thead><tr>{''.join(heads)}{'<th></th>' if bars else ''}</tr></thead><tbody>"
    for number, row in enumerate(table.rows):
        yield f"<tr>{_cells(table, row)}{f'<td>{bars[number]}</td>' if bars else ''}</tr>"
    yield "</tbody>"
    if table.footer is not None:
        yield f"<tfoot><tr>{_cells(table, table.footer)}{'<td></td>' if bars else ''}</tr></tfoot>"


def _cells(table: Table, row: Sequence[Value]) -> str:
    return "".join(
        f"<td{_class(column.kind)}>{html.escape(shown(column.kind, value))}</td>"
        for column, value in zip(table.columns, row, strict=True)
    )


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


def _class(kind: Kind) -> str:
    return ' class="text"' if kind is Kind.TEXT else ""
