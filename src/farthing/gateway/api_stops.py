"""Stops over the governance API: list them, stop what matches, let it go on."""

from typing import Annotated

from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel, ConfigDict

from farthing.config.build import Running
from farthing.domain.stop import LABEL, BadStop, new_stop
from farthing.gateway.api_asking import Admin, Json, Viewer, Who
from farthing.reports.stops import never_seen, stop_json


class NewStop(BaseModel):
    """What to stop: calls that have all that is named here, or `all` of them.

    `by` is for a token that several people share; without it the token says who it was.
    """

    model_config = ConfigDict(extra="forbid")

    reason: str
    by: str | None = None
    all: bool = False
    environment: str | None = None
    group: str | None = None
    key: str | None = None
    developer: str | None = None
    workflow: str | None = None
    run: str | None = None
    provider: str | None = None
    model: str | None = None
    labels: dict[str, str] = {}

    def match(self) -> dict[str, str]:
        """What is named."""
        named = self.model_dump(exclude_none=True, exclude={"reason", "by", "all", "labels"})
        return named | {LABEL + name: value for name, value in self.labels.items()}


def add_stops(app: FastAPI, running: Running) -> None:
    """Add the routes."""

    @app.get("/api/stops", dependencies=[Viewer])
    def stops(*, live: bool = False) -> Json:
        """Stops, newest first, with those that were lifted unless only `live` ones are asked for."""
        return {"stops": [stop_json(row) for row in running.store.stops(live=live)]}

    @app.post("/api/stops", status_code=201, dependencies=[Admin])
    def stop(asked: NewStop, who: Who) -> Json:
        """Refuse every call that matches, at once in every process on this ledger, until it is lifted."""
        match = asked.match()
        if asked.all == bool(match):
            raise HTTPException(400, "name what to stop, or give all: true; not both")
        try:
            made = new_stop(
                match,
                reason=asked.reason,
                by=who.name if asked.by is None else asked.by,
                at_us=running.clock(),
            )
        except BadStop as error:
            raise HTTPException(400, str(error)) from error
        running.store.add_stop(made)
        return {**stop_json(made), "never_seen": list(never_seen(running.store, made.match))}

    @app.delete("/api/stops/{stop_id}", dependencies=[Admin])
    def resume(
        stop_id: str, who: Who, reason: str = "", by: Annotated[str | None, Query(min_length=1)] = None
    ) -> Json:
        """Lift a stop; it stays in the list, with who lifted it and why."""
        if not running.store.resume(stop_id, at_us=running.clock(), by=by or who.name, reason=reason):
            raise HTTPException(404, f"no stop {stop_id} that is live")
        return next(stop_json(row) for row in running.store.stops() if row.stop_id == stop_id)
