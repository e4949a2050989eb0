"""Outcomes over the governance API: applications tell them with their own key; they are listed and summed."""

import secrets
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from farthing.config.build import Running
from farthing.domain.call import Identity
from farthing.domain.labels import told_by
from farthing.domain.outcome import BadOutcome, RecordedOutcome, check_outcome, value_given
from farthing.gateway.api_asking import Anyone, Asker, Json, Teller, Who
from farthing.gateway.headers import label_text
from farthing.ledger.outcome_sums import WantedOutcomes
from farthing.reports.outcomes import outcome_cost_json, outcome_costs, outcome_json
from farthing.reports.spend import BadDimension

OUTCOMES_MAX = 1_000
Scalar = bool | int | float | str


class NewOutcome(BaseModel):
    """An outcome to keep; environment is for the admin alone, a key says its own."""

    model_config = ConfigDict(extra="forbid")

    name: str
    value: Scalar | None = None
    labels: dict[str, Scalar] = {}
    run: str | None = None
    outcome_id: str | None = None
    environment: str | None = None


def add_outcomes(app: FastAPI, running: Running) -> None:
    """Add the routes."""

    @app.post("/api/outcomes", status_code=201, dependencies=[Teller])
    def record(asked: NewOutcome, who: Who, response: Response) -> Json:
        """Keep an outcome of the one whose key this is. The same id is kept once: 201, then 200."""
        whose = _whose(who, asked, running)
        told = told_by({name: label_text(value) or "" for name, value in asked.labels.items()})
        try:
            row = RecordedOutcome(
                outcome_id=f"out_{secrets.token_hex(12)}" if asked.outcome_id is None else asked.outcome_id,
                at_us=running.clock(),
                environment=whose.environment,
                group=whose.group,
                key=whose.key,
                developer=whose.developer,
                name=asked.name,
                value=value_given(asked.value),
                labels=told.labels,
                run=asked.run or told.run,
            )
            kept, is_first = running.store.add_outcome(check_outcome(row))
        except BadOutcome as error:
            raise HTTPException(400, str(error)) from error
        response.status_code = 201 if is_first else 200
        return outcome_json(kept)

    @app.get("/api/outcomes", dependencies=[Anyone])
    def list_outcomes(
        request: Request,
        who: Who,
        limit: Annotated[int, Query(ge=1, le=OUTCOMES_MAX)] = 100,
        cursor: Annotated[int | None, Query(ge=1)] = None,
        name: str | None = None,
        environment: str | None = None,
        run: str | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
    ) -> Json:
        """Outcomes, newest first. Any `label.NAME=value` in the query filters by that label."""
        given = request.query_params.items()
        wanted = WantedOutcomes(
            name=name,
            environment=environment if who.sees_all else who.environment,
            key=None if who.sees_all else who.key,
            run=run,
            labels={what[6:]: value for what, value in given if what.startswith("label.")},
            since_us=since_us,
            until_us=until_us,
            before=cursor,
        )
        rows = running.store.outcomes(wanted, limit=limit)
        following = rows[-1].number if len(rows) == limit else None
        return {"outcomes": [outcome_json(row) for row in rows], "next_cursor": following}

    @app.get("/api/outcomes/costs", dependencies=[Anyone])
    def costs(
        who: Who,
        by: Annotated[list[str] | None, Query()] = None,
        name: str | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
    ) -> Json:
        """What outcomes cost, by name and environment, and by group, key, developer, run or label:NAME.

        A call key sees its own outcomes over its own spend, so it cannot ask for runs and labels here.
        """
        try:
            rows = outcome_costs(
                running.store, by or (), name=name, environment=who.environment, key=who.key,
                since_us=since_us, until_us=until_us,
            )  # fmt: skip
        except BadDimension as error:
            raise HTTPException(400, str(error)) from error
        return {"outcomes": [outcome_cost_json(row) for row in rows]}


def _whose(who: Asker, asked: NewOutcome, running: Running) -> Identity:
    """Who an outcome belongs to: the key says so, or the admin."""
    known = running.policy.environments
    if who.identity is not None:
        if asked.environment not in (None, who.environment):
            raise HTTPException(400, f"this key is of {who.environment}; leave out environment")
        return who.identity
    if asked.environment is None or asked.environment not in known:
        raise HTTPException(400, f"environment must be one of {', '.join(known)}")
    return Identity(environment=asked.environment)
