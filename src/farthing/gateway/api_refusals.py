"""Tell in the API's description how each route refuses: with which status, and in which one shape."""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

Json = dict[str, Any]

# The shape of gateway.refusals in the dialect of OpenAI, which every error under /api has.
_SHAPE: Json = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": ["string", "null"]},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_ANYWHERE = {
    400: "something that was sent cannot be understood or kept",
    401: "no token and no call key was sent, or one that opens nothing",
    403: "this is for another role",
    422: "something that was sent is missing or of the wrong kind",
    503: "the ledger cannot answer",
}
_OF_NAMES = {404: "nothing has this name"}
_OF_MAKING = {404: "something that was named is not there", 409: "it cannot be made beside what is there"}


def tell_refusals(app: FastAPI) -> None:
    """Describe on every route how it may refuse; what a route says of itself stays."""
    for route in app.routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        methods = route.methods or set()
        told = _ANYWHERE | (_OF_NAMES if "{" in route.path or "DELETE" in methods else {})
        told |= _OF_MAKING if "POST" in methods else {}
        described: dict[int | str, Json] = {
            status: {"description": why, "content": {"application/json": {"schema": _SHAPE}}}
            for status, why in sorted(told.items())
        }
        route.responses = {**described, **route.responses}
