"""Annotations over the governance API: list them, announce a feature, let one expire."""

from datetime import date
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel, ConfigDict

from farthing.config.build import Running
from farthing.gateway.api_asking import Decider, Json, Viewer, Who
from farthing.reports.annotations import (
    BadAnnotation,
    annotation_json,
    end_annotations,
    in_force,
    new_annotation,
)


class NewAnnotation(BaseModel):
    """Which feature makes development dearer for a while: from the day work starts until after it ships.

    `until` is the day it expires, 14 days after it ships unless told otherwise.
    `by` is for a token that several people share; without it the token says who it was.
    """

    model_config = ConfigDict(extra="forbid")

    feature: str
    starts: date
    ships: date
    until: date | None = None
    reason: str = ""
    by: str | None = None


def add_annotations(app: FastAPI, running: Running) -> None:
    """Add the routes."""

    @app.get("/api/annotations", dependencies=[Viewer])
    def annotations(*, live: bool = False) -> Json:
        """Annotations, the latest start first, with the expired unless only `live` ones are asked for."""
        now_us = running.clock()
        rows = [one for one in in_force(running.store.annotations()) if one.until_us > now_us or not live]
        return {"annotations": [annotation_json(one, now_us=now_us) for one in rows]}

    @app.post("/api/annotations", status_code=201, dependencies=[Decider])
    def annotate(asked: NewAnnotation, who: Who) -> Json:
        """Announce a feature; the same feature and start once more replaces what was said before."""
        now_us = running.clock()
        try:
            made = new_annotation(
                feature=asked.feature,
                starts=asked.starts,
                ships=asked.ships,
                until=asked.until,
                note=asked.reason,
                by=who.name if asked.by is None else asked.by,
                at_us=now_us,
            )
        except BadAnnotation as error:
            raise HTTPException(400, str(error)) from error
        running.store.annotate(made)
        return annotation_json(made, now_us=now_us)

    @app.delete("/api/annotations", dependencies=[Decider])
    def end(
        feature: str, who: Who, reason: str = "", by: Annotated[str | None, Query(min_length=1)] = None
    ) -> Json:
        """Let the annotations of a feature expire now; they stay in the list."""
        now_us = running.clock()
        ended = end_annotations(running.store, feature, by=by or who.name, note=reason, at_us=now_us)
        if not ended:
            raise HTTPException(404, f"no annotation of {feature} is in force")
        return {"annotations": [annotation_json(one, now_us=now_us) for one in ended]}
