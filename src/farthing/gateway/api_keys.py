"""Keys over the governance API: create, list, rotate and revoke them."""

from typing import Annotated

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from farthing.config.build import Running
from farthing.domain.span import BadSpan, span_us
from farthing.gateway.api_asking import Admin, Json, Viewer, Who
from farthing.gateway.key_admin import (
    BadLabel,
    BadRotation,
    KeyTaken,
    UnknownEnvironment,
    create_key,
    key_json,
    last_used,
    rotate_key,
)


class NewKey(BaseModel):
    """A key to create."""

    environment: str
    label: str
    group: str | None = None
    developer: str | None = None
    expires: Annotated[str | None, Field(examples=["30d"])] = None


class Rotation(BaseModel):
    """How long the old secret works on, and, where that is to change, how long the key works."""

    model_config = ConfigDict(extra="forbid")

    overlap: Annotated[str, Field(examples=["24h", "0"])] = "24h"
    expires: Annotated[str | None, Field(examples=["30d"])] = None


def add_keys(app: FastAPI, running: Running) -> None:
    """Add the routes."""

    @app.get("/api/keys", dependencies=[Viewer])
    def keys() -> Json:
        """Keys without their secrets."""
        rows = running.store.keys()
        return {"keys": [{**key_json(row), "last_used_at": last_used(running.store, row)} for row in rows]}

    @app.post("/api/keys", status_code=201, dependencies=[Admin])
    def new_key(asked: NewKey, who: Who) -> Json:
        """Create a key; the answer is the only place where its secret is ever shown."""
        now_us = running.clock()
        try:
            secret, row = create_key(
                running.store,
                running.policy,
                environment=asked.environment,
                label=asked.label,
                group=asked.group,
                developer=asked.developer,
                by=who.name,
                at_us=now_us,
                expires_at_us=None if asked.expires is None else now_us + span_us(asked.expires),
            )
        except (BadLabel, BadSpan, UnknownEnvironment) as error:
            raise HTTPException(400, str(error)) from error
        except KeyTaken as error:
            raise HTTPException(409, str(error)) from error
        return {**key_json(row), "key": secret}

    @app.post("/api/keys/{key_id}/rotate", dependencies=[Admin])
    def rotate(key_id: str, asked: Rotation, who: Who) -> Json:
        """Give a key another secret, shown this once; the old one works on for the overlap."""
        now_us = running.clock()
        rows = running.store.keys()
        found = [row for row in rows if row.key_id == key_id and row.revoked_at_us is None]
        if not found:
            raise HTTPException(404, f"no key {key_id} that is not revoked already")
        try:
            secret, row = rotate_key(
                running.store,
                found[0],
                by=who.name,
                at_us=now_us,
                overlap_us=span_us(asked.overlap),
                expires_at_us=None if asked.expires is None else now_us + span_us(asked.expires),
            )
        except (BadRotation, BadSpan) as error:
            raise HTTPException(400, str(error)) from error
        return {**key_json(row), "key": secret}

    @app.delete("/api/keys/{key_id}", dependencies=[Admin])
    def revoke(key_id: str, who: Who) -> Json:
        """Revoke a key; it stops working within a second, everywhere."""
        if not running.store.revoke_key(key_id, running.clock(), by=who.name):
            raise HTTPException(404, f"no key {key_id} that is not revoked already")
        return {"revoked": key_id}
