"""The reports of the catalog over the governance API: the same sheets as on the command line."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Path, Query, Response

from farthing.config.build import Running
from farthing.gateway.api_asking import Json, Viewer
from farthing.reports.asking import BadQuestion, Question
from farthing.reports.catalog import BY_NAME, OPTIONS, REPORTS, Report
from farthing.reports.sheet import Sheet
from farthing.reports.sheet_html import sheet_html
from farthing.reports.sheet_json import sheet_json
from farthing.reports.sheet_markdown import sheet_markdown
from farthing.reports.spans import BadMoment, span_between

_Text = Annotated[str | None, Query(max_length=300)]
_Name = Annotated[str, Path(json_schema_extra={"enum": [*BY_NAME]})]
TOP_MAX = 1_000

_MARKDOWN, _HTML = "text/markdown", "text/html"
# The page loads nothing and runs nothing, whatever it shows.
_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
}
_TEXT_SCHEMA = {"schema": {"type": "string"}}


def add_reports(app: FastAPI, running: Running) -> None:
    """Add the routes."""

    @app.get("/api/reports", dependencies=[Viewer])
    def reports() -> Json:
        """Every report: the question it answers, and what it may be asked besides a span of time."""
        return {
            "reports": [
                {
                    "name": report.name,
                    "help": report.help,
                    "example": report.example,
                    "takes": {name: OPTIONS[name] for name in report.takes},
                }
                for report in REPORTS
            ]
        }

    @app.get(
        "/api/reports/{report}",
        dependencies=[Viewer],
        responses={200: {"content": {_MARKDOWN: _TEXT_SCHEMA, _HTML: _TEXT_SCHEMA}}},
    )
    def one_report(
        report: _Name,
        since: _Text = None,
        until: _Text = None,
        month: _Text = None,
        week: _Text = None,
        environment: _Text = None,
        by: Annotated[list[str] | None, Query(max_length=5)] = None,
        top: Annotated[int | None, Query(ge=1, le=TOP_MAX)] = None,
        least: Annotated[int | None, Query(ge=2)] = None,
        at: _Text = None,
        name: _Text = None,
        format: Literal["json", "markdown", "html"] = "json",
    ) -> Response:
        """One report, as JSON or as a page. A span is days such as 2026-11-01 or ages such as 30d, in UTC."""
        asked = BY_NAME.get(report)
        if asked is None:
            raise HTTPException(404, f"there is no report {report}; there are: {', '.join(BY_NAME)}")
        given = {"environment": environment, "by": tuple(by or ()), "top": top, "least": least, "name": name}
        given = {what: value for what, value in given.items() if value not in (None, ())}
        unknown = {*given, *(["at"] if at else [])} - {*asked.takes}
        if unknown:
            takes = ", ".join(asked.takes) or "only a span of time"
            raise HTTPException(400, f"{report} does not take {', '.join(sorted(unknown))}; it takes {takes}")
        try:
            sheet = _sheet(running, asked, (since, until, month, week), at, given)
        except (BadMoment, BadQuestion) as error:
            raise HTTPException(400, str(error)) from error
        return _as(sheet, format)


def _sheet(
    running: Running,
    report: Report,
    span: tuple[str | None, str | None, str | None, str | None],
    at: str | None,
    given: Mapping[str, Any],
) -> Sheet:
    now_us = running.clock()
    asked = Question(
        store=running.store,
        span=report.span_asked(*span, now_us=now_us),
        now_us=now_us,
        policy=running.policy,
        prices=running.prices,
        at_us=span_between(at, None, now_us, days=1).since_us if at else None,
        **{"top": report.top, **given},
    )
    return report.build(asked)


def _as(sheet: Sheet, layout: str) -> Response:
    if layout == "markdown":
        return Response(
            sheet_markdown(sheet), media_type=f"{_MARKDOWN}; charset=utf-8", headers=_PAGE_HEADERS
        )
    if layout == "html":
        return Response(sheet_html(sheet), media_type=f"{_HTML}; charset=utf-8", headers=_PAGE_HEADERS)
    return Response(sheet_json(sheet), media_type="application/json")
