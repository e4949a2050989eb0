"""The routes of the governance API, with their OpenAPI description."""

import html
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from farthing import __version__
from farthing.config.build import Running
from farthing.domain.errors import LedgerUnavailable
from farthing.gateway.api_alerts import add_alerts
from farthing.gateway.api_annotations import add_annotations
from farthing.gateway.api_asking import ROLES, Anyone, Json, Viewer, Who, tell_roles
from farthing.gateway.api_cache import add_cache
from farthing.gateway.api_exports import add_exports
from farthing.gateway.api_keys import add_keys
from farthing.gateway.api_outcomes import add_outcomes
from farthing.gateway.api_passes import add_passes
from farthing.gateway.api_people import add_people
from farthing.gateway.api_policy import add_policy
from farthing.gateway.api_refusals import tell_refusals
from farthing.gateway.api_reports import add_reports
from farthing.gateway.api_requests import add_requests
from farthing.gateway.api_stops import add_stops
from farthing.gateway.api_wallets import add_wallets
from farthing.gateway.refusals import reject
from farthing.gateway.reloading import Reloader
from farthing.ledger.store import BatchPoisoned
from farthing.reports.budgets import balance_json, hold_json, in_order
from farthing.reports.calls import call_json
from farthing.reports.spend import check_dimensions, complete_spend, spend_json

CALLS_MAX = 1_000


def no_unknown_parameter(request: Request) -> None:
    """Refuse what would be passed over in silence: a misspelt filter would show more than was asked for."""
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    for name in request.query_params:
        if name not in known | {"key"} and not name.startswith("label."):
            has = f"it has: {', '.join(sorted(known))}" if known else "it has none"
            raise HTTPException(400, f"{name} is not a parameter of this path; {has}")


def build_api(running: Running, reloader: Reloader) -> FastAPI:
    """Build the application that answers under /api."""
    app = FastAPI(
        title="farthing",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        description="What software spends on AI models: calls, budgets, spend and keys.",
        dependencies=[Depends(no_unknown_parameter)],
    )
    app.add_exception_handler(StarletteHTTPException, _tell_refused)
    app.add_exception_handler(RequestValidationError, _tell_unreadable)
    app.add_exception_handler(BatchPoisoned, _tell_impossible)
    app.add_exception_handler(LedgerUnavailable, _tell_ledger_away)

    _add_calls(app, running)
    _add_money(app, running)
    add_keys(app, running)
    add_people(app, running)
    add_requests(app, running)
    add_outcomes(app, running)
    add_stops(app, running)
    add_passes(app, running)
    add_wallets(app, running)
    add_alerts(app, running)
    add_annotations(app, running)
    add_cache(app, running)
    add_policy(app, reloader)
    add_reports(app, running)
    add_exports(app, running)

    tell_roles(app)
    tell_refusals(app)

    @app.get("/api/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(_docs_page(app.openapi()))

    return app


def _add_calls(app: FastAPI, running: Running) -> None:
    @app.get("/api/calls", dependencies=[Anyone])
    def list_calls(
        request: Request,
        who: Who,
        limit: Annotated[int, Query(ge=1, le=CALLS_MAX)] = 100,
        cursor: str | None = None,
        outcome: str | None = None,
        environment: str | None = None,
        request_id: str | None = None,
    ) -> Json:
        """Calls, newest first. Any `label.NAME=value` in the query filters by that label."""
        if not who.sees_all:
            environment = who.environment
        labels = {
            name[6:]: value for name, value in request.query_params.items() if name.startswith("label.")
        }
        rows = running.store.entries(
            limit=limit,
            before=_cursor(cursor),
            outcome=outcome,
            environment=environment,
            labels=labels or None,
            key=None if who.sees_all else who.key,
            request_id=request_id,
        )
        following = f"{rows[-1].at_us}:{rows[-1].call_id}" if len(rows) == limit else None
        return {"calls": [call_json(row) for row in rows], "next_cursor": following}

    @app.get("/api/calls/{call_id}", dependencies=[Anyone])
    def one_call(call_id: str, who: Who) -> Json:
        """One call, with its correction where it has one."""
        row = running.store.entry(call_id)
        own = row is not None and (
            who.sees_all or (row.facts.environment, row.facts.key) == (who.environment, who.key)
        )
        if row is None or not own:
            raise HTTPException(404, f"no call {call_id} on this ledger; calls in flight are at /api/holds")
        return call_json(row)


def _add_money(app: FastAPI, running: Running) -> None:
    @app.get("/api/budgets", dependencies=[Viewer])
    def budgets(budget: str | None = None, *, current: bool = True) -> Json:
        """Accounts of every budget, or of one; only current windows unless told otherwise."""
        now_us = running.clock()
        rows = running.store.balances(budget=budget, current_at_us=now_us if current else None, at_us=now_us)
        return {"budgets": [balance_json(row) for row in in_order(rows)]}

    @app.get("/api/holds", dependencies=[Viewer])
    def holds() -> Json:
        """Calls in flight and what they hold, oldest first."""
        now = running.clock()
        return {"holds": [hold_json(row, now_us=now) for row in running.store.open_holds()]}

    @app.get("/api/spend", dependencies=[Anyone])
    def spend(
        who: Who,
        by: Annotated[list[str] | None, Query()] = None,
        since_us: int | None = None,
        until_us: int | None = None,
    ) -> Json:
        """Spend by environment, key, model, provider, group, developer, run, hour or label:NAME."""
        where = None if who.sees_all else {"environment": who.environment or "", "key": who.key or ""}
        try:
            rows = complete_spend(
                running.store,
                check_dimensions(by or ["environment"]),
                since_us=since_us,
                until_us=until_us,
                where=where,
            )
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        return {"spend": [spend_json(row) for row in rows]}


async def _tell_refused(_: Request, error: Exception) -> Response:
    """Every error under /api has the shape that its door gives to an unknown key."""
    assert isinstance(error, StarletteHTTPException)
    return _in_one_shape(error.status_code, str(error.detail))


async def _tell_unreadable(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = (f"{'.'.join(str(part) for part in row['loc'][1:])}: {row['msg']}" for row in error.errors())
    return _in_one_shape(422, "; ".join(problem.removeprefix(": ") for problem in problems))


async def _tell_impossible(_: Request, error: Exception) -> Response:
    """A number beyond 64 bits, or text that is no text, is the asker's to mend."""
    return _in_one_shape(400, f"this cannot be asked: {error}")


async def _tell_ledger_away(_: Request, error: Exception) -> Response:
    fix = error.fix if isinstance(error, LedgerUnavailable) else ""
    return _in_one_shape(503, f"the ledger cannot answer: {error}" + (f"; {fix}" if fix else ""))


def _in_one_shape(status: int, message: str) -> Response:
    rejection = reject("openai", status, message)
    return Response(rejection.body, status, media_type="application/json")


def _cursor(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    at_us, _, call_id = text.partition(":")
    if not at_us.isdigit() or not call_id:
        raise HTTPException(400, "cursor is not one that /api/calls gave")
    return int(at_us), call_id


_PAGE = """<!doctype html>
<html lang=en>
<meta charset=utf-8>
<title>farthing API</title>
<style>
body {{ font: 16px system-ui; margin: 2rem; max-width: 70rem }}
table {{ border-collapse: collapse; width: 100% }}
td, th {{ border-bottom: 1px solid #ccc; padding: .5rem; text-align: left; vertical-align: top }}
</style>
<h1>farthing API {version}</h1>
<p>Send <code>Authorization: Bearer</code> with a token, or with a call key for its own calls.
The machine-readable description is at <a href=/api/openapi.json>/api/openapi.json</a>.</p>
<table>
<tr><th>Method<th>Path<th>What it does<th>Parameters<th>Who may</tr>
{rows}
</table>
</html>
"""


def _docs_page(schema: Json) -> str:
    """Describe the API on one page that loads nothing from elsewhere."""
    rows = []
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            named = ", ".join(item["name"] for item in operation.get("parameters", [])) or "none"
            cells = (
                f"<code>{method.upper()}</code>",
                f"<code>{html.escape(path)}</code>",
                html.escape(operation.get("description", "")),
                html.escape(named),
                html.escape(", ".join(operation[ROLES])),
            )
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return _PAGE.format(version=html.escape(__version__), rows="\n".join(rows))
