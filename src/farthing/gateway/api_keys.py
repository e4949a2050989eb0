"""Keys over the governance API: create, list and revoke them."""

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from farthing.config.build import Running
from farthing.gateway.api_asking import Admin, Json, Viewer, Who
from farthing.gateway.key_admin import BadLabel, KeyTaken, UnknownEnvironment, create_key, key_json


class NewKey(BaseModel):
    """A key to create."""

    environment: str
    label: str
    group: str | None = None
    developer: str | None = None


def add_keys(app: FastAPI, running: Running) -> None:
    """Add the routes."""

    @app.get("/api/keys", dependencies=[Viewer])
    def keys() -> Json:
        """Keys without their secrets."""
        return {
            "keys": [key_json(row) for row in running.store.keys()]  # noqa: SIM118 - a store is no dictionary
        }

    @app.post("/api/keys", status_code=201, dependencies=[Admin])
    def new_key(asked: NewKey, who: Who) -> Json:
        """Create a key; the answer is the only place where its secret is ever shown."""
        try:
            secret, row = create_key(
                running.store,
                running.policy,
                environment=asked.environment,
                label=asked.label,
                group=asked.group,
                developer=asked.developer,
                by=who.name,
                at_us=running.clock(),
            )
        except (BadLabel, UnknownEnvironment) as error:
            raise HTTPException(400, str(error)) from error
        except KeyTaken as error:
            raise HTTPException(409, str(error)) from error
        return {**key_json(row), "key": secret}

    @app.delete("/api/keys/{key_id}", dependencies=[Admin])
    def revoke(key_id: str, who: Who) -> Json:
        """Revoke a key; it stops working within a second, everywhere."""
        if not running.store.revoke_key(key_id, running.clock(), by=who.name):
            raise HTTPException(404, f"no key {key_id} that is not revoked already")
        return {"revoked": key_id}
