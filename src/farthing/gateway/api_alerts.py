"""Alerts over the governance API."""

from typing import Annotated

from fastapi import FastAPI, Query

from farthing.config.build import Running
from farthing.gateway.api_asking import Json, Viewer
from farthing.reports.alerts import alert_json

ALERTS_MAX = 1_000


def add_alerts(app: FastAPI, running: Running) -> None:
    """Add the route."""

    @app.get("/api/alerts", dependencies=[Viewer])
    def alerts(budget: str | None = None, limit: Annotated[int, Query(ge=1, le=ALERTS_MAX)] = 100) -> Json:
        """Alerts, newest first: shares of budgets that were spent, each told once for its window."""
        rows = running.store.alerts(budget=budget, limit=limit)
        return {"alerts": [alert_json(row) for row in rows]}
