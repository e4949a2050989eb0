"""The response cache over the governance API: what it keeps and saved, and to clear it."""

from fastapi import FastAPI, HTTPException

from farthing.config.build import Running
from farthing.gateway.api_asking import Admin, Json, Viewer
from farthing.reports.kept import kept_json, kept_standings


def add_cache(app: FastAPI, running: Running) -> None:
    """Add the routes."""

    @app.get("/api/cache", dependencies=[Viewer])
    def cache() -> Json:
        """What each environment keeps for identical requests, for how long, and what that has saved."""
        filled = running.cache.ask(lambda answers: answers.filled())
        rows = kept_standings(running.policy.environments, filled or (), running.store)
        return {"cache": [kept_json(row) for row in rows], "usable": filled is not None}

    @app.delete("/api/cache", dependencies=[Admin])
    def clear(environment: str | None = None) -> Json:
        """Forget every answer that is kept for an environment, or for all."""
        cleared = running.cache.ask(lambda answers: answers.clear(environment))
        if cleared is None:
            raise HTTPException(503, "the cache cannot be used; see the log of the gateway")
        return {"cleared": cleared, "environment": environment}
