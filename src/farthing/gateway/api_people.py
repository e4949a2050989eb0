"""Tokens and the audit over the governance API, and what a key reads of itself."""

from typing import Annotated

from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from farthing.config.build import Running
from farthing.domain.role import Role
from farthing.domain.span import BadSpan, span_us
from farthing.gateway.api_asking import Admin, Developer, Json, Viewer, Who
from farthing.gateway.token_admin import BadToken, TokenTaken, create_token, token_json
from farthing.ledger.auditing import WantedActs
from farthing.reports.audit import act_json
from farthing.reports.spend import check_dimensions, complete_spend, spend_json

ACTS_MAX = 1_000


class NewToken(BaseModel):
    """A token to create, for the role admin, approver or viewer."""

    model_config = ConfigDict(extra="forbid")

    name: str
    role: Role
    expires: Annotated[str | None, Field(examples=["30d"])] = None


def add_people(app: FastAPI, running: Running) -> None:
    """Add the routes."""

    @app.get("/api/tokens", dependencies=[Admin])
    def tokens() -> Json:
        """Tokens without their secrets, also those that were revoked."""
        return {"tokens": [token_json(row) for row in running.store.tokens()]}

    @app.post("/api/tokens", status_code=201, dependencies=[Admin])
    def new_token(asked: NewToken, who: Who) -> Json:
        """Create a token; the answer is the only place where its secret is ever shown."""
        now_us = running.clock()
        try:
            secret, row = create_token(
                running.store,
                name=asked.name,
                role=asked.role,
                by=who.name,
                at_us=now_us,
                expires_at_us=None if asked.expires is None else now_us + span_us(asked.expires),
            )
        except (BadToken, BadSpan) as error:
            raise HTTPException(400, str(error)) from error
        except TokenTaken as error:
            raise HTTPException(409, str(error)) from error
        return {**token_json(row), "token": secret}

    @app.delete("/api/tokens/{token_id}", dependencies=[Admin])
    def revoke(token_id: str, who: Who) -> Json:
        """Revoke a token; it opens nothing from now on."""
        if not running.store.revoke_token(token_id, at_us=running.clock(), by=who.name):
            raise HTTPException(404, f"no token {token_id} that is not revoked already")
        return {"revoked": token_id}

    @app.get("/api/audit", dependencies=[Viewer])
    def audit(
        action: str | None = None,
        by: str | None = None,
        about: str | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
        limit: Annotated[int, Query(ge=1, le=ACTS_MAX)] = 100,
    ) -> Json:
        """Who did what, newest first; `action=key` finds every act on keys."""
        wanted = WantedActs(action=action, by=by, about=about, since_us=since_us, until_us=until_us)
        return {"audit": [act_json(act) for act in running.store.acts(wanted, limit=limit)]}

    @app.get("/api/me/spend", dependencies=[Developer])
    def own_spend(
        who: Who,
        by: Annotated[list[str] | None, Query()] = None,
        since_us: int | None = None,
        until_us: int | None = None,
    ) -> Json:
        """What the key that asks has spent: by model, hour, provider or group, or in one sum."""
        try:
            rows = complete_spend(
                running.store,
                check_dimensions(by or ["key"]),
                since_us=since_us,
                until_us=until_us,
                where={"environment": who.environment or "", "key": who.key or ""},
            )
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        return {"environment": who.environment, "key": who.key, "spend": [spend_json(row) for row in rows]}
