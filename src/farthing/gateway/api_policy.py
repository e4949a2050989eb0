"""The policy over the governance API: which one is in force, and read its files anew."""

from fastapi import FastAPI, Response

from farthing.gateway.api_asking import Admin, Json, Viewer, Who
from farthing.gateway.reloading import Reloader


def add_policy(app: FastAPI, reloader: Reloader) -> None:
    """Add the routes."""

    @app.get("/api/policy", dependencies=[Viewer])
    def policy() -> Json:
        """The policy in force: its digest and files, and under `refused` what is wrong with changed ones."""
        return reloader.standing()

    @app.post("/api/policy/reload", dependencies=[Admin], responses={409: {"description": "kept the old"}})
    async def reload(response: Response, who: Who) -> Json:
        """Read the files anew, in every worker. 409 where they are wrong: the old policy stays in force."""
        await reloader.reload(by=who.name)
        if reloader.refused is not None:
            response.status_code = 409
        else:
            reloader.tell_the_others()
        return reloader.standing()
