"""Make the command of a report from its row in the catalog: options, span, outputs."""

import inspect
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farthing.cli import options, screen
from farthing.cli.door import CommandError, command
from farthing.cli.opening import open_ledger, policy_or_none, read_prices
from farthing.reports.asking import BadQuestion, Question
from farthing.reports.catalog import OPTIONS, Report
from farthing.reports.spans import BadMoment, span_between

if TYPE_CHECKING:
    from farthing.reports.sheet import Sheet

_SPAN_OPTIONS: dict[str, Any] = {
    "since": Annotated[str | None, typer.Option(help="A day such as 2026-11-01, or how long ago: 30d, 2w.")],
    "until": Annotated[str | None, typer.Option(help="The same; this day is not included.")],
    "month": Annotated[str | None, typer.Option(help="2026-10, this or last; instead of --since.")],
    "week": Annotated[str | None, typer.Option(help="2026-W46, this or last; instead of --since.")],
}
_KINDS: dict[str, Any] = {"by": list[str] | None, "top": int | None, "least": int | None}
_AS_GIVEN = ("environment", "top", "least", "name")
_OUTPUT_OPTIONS: dict[str, Any] = {
    "layout": Annotated[
        str | None, typer.Option("--format", help="markdown or html, instead of a drawing for this screen.")
    ],
    "output": Annotated[Path | None, typer.Option(help="Write it to this file.")],
    "policy": options.Policies,
    "ledger": options.Ledger,
    "as_json": options.AsJson,
}


def add_report(app: typer.Typer, report: Report) -> None:
    """Add the command of a report to a group."""

    def show(**given: Any) -> None:  # noqa: ANN401 - its true signature is made below
        _show(report, given)

    own = {
        name: Annotated[_KINDS.get(name, str | None), typer.Option(help=OPTIONS[name])]
        for name in report.takes
    }
    annotations = {**own, **_SPAN_OPTIONS, **_OUTPUT_OPTIONS}
    show.__doc__ = f"{report.help}\n\nWhole days in UTC are counted."
    show.__annotations__ = annotations
    show.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=False if name == "as_json" else None,
                annotation=annotation,
            )
            for name, annotation in annotations.items()
        ]
    )
    command(app, report.name, example=report.example)(show)


def _show(report: Report, given: Mapping[str, Any]) -> None:
    layout, output, as_json = given["layout"], given["output"], given["as_json"]
    check_layout(layout, as_json=as_json)
    now_us = time.time_ns() // 1_000
    try:
        span = report.span_asked(given["since"], given["until"], given["month"], given["week"], now_us=now_us)
        at_us = span_between(given["at"], None, now_us, days=1).since_us if given.get("at") else None
    except BadMoment as error:
        raise CommandError(str(error), fix=report.example) from error
    loaded = policy_or_none(given["policy"], given["ledger"])
    with open_ledger(given["ledger"], given["policy"], empty=True) as store:
        asked = Question(
            store=store,
            span=span,
            now_us=now_us,
            policy=loaded.policy if loaded is not None else None,
            prices=read_prices(loaded),
            by=tuple(given.get("by") or ()),
            at_us=at_us,
            **{"top": report.top, **{name: given[name] for name in _AS_GIVEN if given.get(name) is not None}},
        )
        try:
            with screen.aside().status(f"Reading {report.name} ..."):
                sheet = report.build(asked)
        except BadQuestion as error:
            raise CommandError(str(error), fix=report.example) from error
    tell_sheet(sheet, layout=layout, output=output, as_json=as_json)


def check_layout(layout: str | None, *, as_json: bool) -> None:
    """Raise CommandError for a format that there is not."""
    fix = "write --format markdown, --format html or --json"
    if layout not in (None, "markdown", "html"):
        raise CommandError(f"--format {layout} is not one", fix=fix)
    if layout and as_json:
        raise CommandError("--format and --json exclude each other", fix=fix)


def tell_sheet(sheet: "Sheet", *, layout: str | None, output: Path | None, as_json: bool) -> None:
    """Draw a sheet on the screen, or write it as a document."""
    from farthing.cli.sheet_screen import draw_sheet
    from farthing.reports.sheet_html import sheet_html
    from farthing.reports.sheet_json import sheet_json
    from farthing.reports.sheet_markdown import sheet_markdown

    if as_json:
        text = sheet_json(sheet).decode() + "\n"
    elif layout is not None or output is not None:
        page = layout == "html" or (layout is None and output is not None and output.suffix == ".html")
        text = sheet_html(sheet) if page else sheet_markdown(sheet)
    else:
        draw_sheet(sheet)
        return
    if output is None:
        sys.stdout.write(text)
        return
    output.write_text(text, encoding="utf-8")
    screen.remark(f"Wrote {output}.")
