"""Requests for more of a budget over the governance API: ask, answer, raise."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictInt, StrictStr

from farthing.config.build import Running
from farthing.domain.money import BadAmount, nanodollars_from
from farthing.domain.period import to_microseconds
from farthing.engine.raises import BadRaise
from farthing.engine.requests import (
    BadRequest,
    NoSuchRequest,
    OwnRequest,
    UnknownBudget,
    approve,
    ask_for_more,
    raise_budget,
    say_no,
)
from farthing.gateway.api_asking import Anyone, Asker, Decider, Json, Requester, Viewer, Who
from farthing.ledger.store import BatchPoisoned
from farthing.policy.rules import Policy
from farthing.reports.raises import raise_json
from farthing.reports.requests import request_json

REQUESTS_MAX = 1_000

Amount = Annotated[StrictStr | StrictInt, Field(examples=["$50", "12.50"])]


class NewRequest(BaseModel):
    """More of a budget, in its current window.

    `value` says which of its accounts, where it has several; `run` which run. With `until` the raise ends
    then; it ends with the window at the latest.
    """

    model_config = ConfigDict(extra="forbid")

    budget: str
    amount: Amount
    reason: str
    value: str | None = None
    run: str | None = None
    until: AwareDatetime | None = None


class Approval(BaseModel):
    """What is granted of a request: what was asked, unless another amount or end is told."""

    model_config = ConfigDict(extra="forbid")

    amount: Amount | None = None
    until: AwareDatetime | None = None
    reason: str = ""


class No(BaseModel):
    """Why a request is not granted."""

    model_config = ConfigDict(extra="forbid")

    reason: str


class NewRaise(NewRequest):
    """A raise of a budget in its current window; with `lower` the limit is lowered."""

    lower: bool = False


def add_requests(app: FastAPI, running: Running) -> None:
    """Add the routes."""

    @app.get("/api/requests", dependencies=[Anyone])
    def requests(
        who: Who, limit: Annotated[int, Query(ge=1, le=REQUESTS_MAX)] = 100, *, only_open: bool = False
    ) -> Json:
        """Requests for more of a budget, newest first; a call key sees its developer's own."""
        by = None if who.sees_all else who.name
        rows = running.store.requests(only_open=only_open, by=by, limit=limit)
        return {"requests": [request_json(row) for row in rows]}

    @app.post("/api/requests", status_code=201, dependencies=[Requester])
    def ask(asked: NewRequest, who: Who) -> Json:
        """Ask for more of a budget, with a reason; somebody else approves or denies it."""
        with _explained(who):
            row = ask_for_more(
                running.store,
                running.policy,
                asked.budget,
                amount_nanodollars=nanodollars_from(asked.amount),
                by=who.name,
                reason=asked.reason,
                at_us=running.clock(),
                value=_value(asked, who, running.policy),
                run=asked.run,
                until_us=_moment(asked.until),
            )
        return request_json(row)

    @app.post("/api/requests/{request_id}/approve", dependencies=[Decider])
    def grant(request_id: str, asked: Approval, who: Who) -> Json:
        """Approve a request of somebody else: the limit is raised in the same step."""
        with _explained(who):
            row = approve(
                running.store,
                running.policy,
                request_id,
                by=who.name,
                at_us=running.clock(),
                reason=asked.reason,
                amount_nanodollars=None if asked.amount is None else nanodollars_from(asked.amount),
                until_us=_moment(asked.until),
            )
        return request_json(row)

    @app.post("/api/requests/{request_id}/deny", dependencies=[Decider])
    def refuse(request_id: str, asked: No, who: Who) -> Json:
        """Deny a request of somebody else, and tell why."""
        with _explained(who):
            row = say_no(running.store, request_id, by=who.name, at_us=running.clock(), reason=asked.reason)
        return request_json(row)

    @app.get("/api/raises", dependencies=[Viewer])
    def raises(budget: str | None = None, limit: Annotated[int, Query(ge=1, le=REQUESTS_MAX)] = 100) -> Json:
        """Raises of limits and credits of wallets, newest first."""
        rows = running.store.raises(budget=budget, limit=limit)
        return {"raises": [raise_json(row) for row in rows]}

    @app.post("/api/raises", status_code=201, dependencies=[Decider])
    def raise_limit(asked: NewRaise, who: Who) -> Json:
        """Raise the limit of a budget in its current window, or lower it."""
        with _explained(who):
            amount = nanodollars_from(asked.amount)
            answer = raise_budget(
                running.store,
                running.policy,
                asked.budget,
                amount_nanodollars=-amount if asked.lower else amount,
                by=who.name,
                reason=asked.reason,
                at_us=running.clock(),
                value=asked.value,
                run=asked.run,
                until_us=_moment(asked.until),
            )
        return raise_json(answer.row)


def _value(asked: NewRequest, who: Asker, policy: Policy) -> str | None:
    """Which account is meant: as told, else that of the key that asks."""
    budget = next((row for row in policy.budgets if row.name == asked.budget), None)
    if asked.value is not None or budget is None or who.identity is None:
        return asked.value
    own = who.identity
    known = {
        "developer": own.developer,
        "key": own.key,
        "group": own.group,
        "environment": own.environment,
    }
    return known.get(budget.per or "")


def _moment(at: datetime | None) -> int | None:
    return None if at is None else to_microseconds(at)


@contextmanager
def _explained(who: Asker) -> Iterator[None]:
    """Tell what cannot be in the words and with the status of HTTP."""
    try:
        yield
    except UnknownBudget as error:
        known = f"; there are: {', '.join(error.known) or 'none'}" if who.sees_all else ""
        raise HTTPException(404, f"{error}{known}") from error
    except NoSuchRequest as error:
        raise HTTPException(404, str(error)) from error
    except OwnRequest as error:
        raise HTTPException(403, str(error)) from error
    except BatchPoisoned as error:
        raise HTTPException(400, "that is more than the ledger can remember") from error
    except (BadAmount, BadRaise, BadRequest) as error:
        raise HTTPException(400, str(error)) from error
