"""Refusals that are also google-genai's own errors. Imported only where its client is guarded."""

from types import ModuleType
from typing import TYPE_CHECKING

from google.genai import errors

from farthing.domain.errors import Refusal, Refused, explain
from farthing.sdk.errors import OF_LIMITS, BudgetExceeded, CallRefused, message_of
from farthing.sdk.refused_response import refused_response

if TYPE_CHECKING:
    import httpx2

# How the part that another generator made names itself (interactions of 1.x): it retries what is raised.
_RETRYING = "NextGenAPIClient/"


def _body(refusal: Refusal, code: int, status: str) -> dict[str, object]:
    error = {"code": code, "message": message_of(refusal), "status": status, "farthing": explain(refusal)}
    return {"error": error}


class GoogleBudgetExceeded(BudgetExceeded, errors.ClientError):  # type: ignore[misc]  # both say how to pickle
    """A limit is reached: farthing's BudgetExceeded and Google's ClientError in one; its code is 402."""

    def __init__(self, refusal: Refusal, call_id: str | None = None) -> None:
        # 429 is among the codes that retry options of the SDK name; nobody retries 402.
        errors.ClientError.__init__(self, 402, _body(refusal, 402, "RESOURCE_EXHAUSTED"))
        self.remember(refusal, call_id)


class GoogleCallRefused(CallRefused, errors.ClientError):  # type: ignore[misc]  # as above
    """A rule refused the call: farthing's CallRefused and Google's ClientError in one."""

    def __init__(self, refusal: Refusal, call_id: str | None = None) -> None:
        errors.ClientError.__init__(self, 403, _body(refusal, 403, "PERMISSION_DENIED"))
        self.remember(refusal, call_id)


def refuse(family: ModuleType, request: "httpx2.Request", refused: Refused) -> "httpx2.Response":
    """Raise from the transport: this SDK passes everything on, but for its parts of another generator."""
    refusal = refused.refusal
    kind = GoogleBudgetExceeded if refusal.reason in OF_LIMITS else GoogleCallRefused
    error = kind(refusal, refused.call_id)
    if _RETRYING in request.headers.get("user-agent", ""):
        return refused_response(family, error, family.Response(error.code, json=error.details))
    raise error from None
