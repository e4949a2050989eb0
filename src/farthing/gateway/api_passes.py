"""Premium passes over the governance API: list them, grant one, end it before its time."""

from typing import Annotated

from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from farthing.config.build import Running
from farthing.domain.money import BadAmount, nanodollars_from
from farthing.domain.period import MICROSECONDS
from farthing.domain.premium_pass import BadPass
from farthing.engine.passes import grant_pass
from farthing.gateway.api_asking import Decider, Json, Viewer, Who
from farthing.reports.passes import pass_json

_SECONDS_MAX = 366 * 86_400


class NewPass(BaseModel):
    """Who may ask for which model, for so many seconds, and with how many dollars.

    `model` is a name or a pattern; `environment` may be left out where the key tells it.
    `by` is for a token that several people share; without it the token says who it was.
    """

    model_config = ConfigDict(extra="forbid")

    model: str
    budget: str
    seconds: int = Field(gt=0, le=_SECONDS_MAX)
    reason: str
    environment: str | None = None
    key: str | None = None
    developer: str | None = None
    by: str | None = None


def add_passes(app: FastAPI, running: Running) -> None:
    """Add the routes."""

    @app.get("/api/passes", dependencies=[Viewer])
    def passes(*, live: bool = False) -> Json:
        """Premium passes, newest first, with those that are over unless only `live` ones are asked for."""
        now_us = running.clock()
        rows = [row for row in running.store.passes(only_open=live) if row.is_live(now_us) or not live]
        return {"passes": [pass_json(running.store, row, now_us) for row in rows]}

    @app.post("/api/passes", status_code=201, dependencies=[Decider])
    def grant(asked: NewPass, who: Who) -> Json:
        """Let a key or a developer ask for a model past the allowlist of its environment, for a while."""
        now_us = running.clock()
        try:
            granted = grant_pass(
                running.store,
                running.policy,
                model=asked.model,
                budget_nanodollars=nanodollars_from(asked.budget),
                at_us=now_us,
                until_us=now_us + asked.seconds * MICROSECONDS,
                by=who.name if asked.by is None else asked.by,
                reason=asked.reason,
                environment=asked.environment,
                key=asked.key,
                developer=asked.developer,
            )
        except (BadPass, BadAmount) as error:
            raise HTTPException(400, str(error)) from error
        return pass_json(running.store, granted, now_us)

    @app.delete("/api/passes/{pass_id}", dependencies=[Decider])
    def end(
        pass_id: str, who: Who, reason: str = "", by: Annotated[str | None, Query(min_length=1)] = None
    ) -> Json:
        """End a pass before its time; it stays in the list, with who ended it and why."""
        now_us = running.clock()
        if not running.store.end_pass(pass_id, at_us=now_us, by=by or who.name, reason=reason):
            raise HTTPException(404, f"no pass {pass_id} that is live")
        return next(
            pass_json(running.store, row, now_us) for row in running.store.passes() if row.pass_id == pass_id
        )
