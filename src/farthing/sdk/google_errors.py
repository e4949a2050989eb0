"""Refusals that are also google-genai's own errors. Imported only where its client is guarded."""

from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

from google.genai import errors

from farthing.domain.errors import Refusal, Refused, explain
from farthing.sdk.errors import OF_LIMITS, BudgetExceeded, CallRefused, message_of

if TYPE_CHECKING:
    import httpx2


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


def refuse(family: ModuleType, request: "httpx2.Request", refused: Refused) -> NoReturn:
    """Raise from the transport: this SDK passes everything on."""
    refusal = refused.refusal
    kind = GoogleBudgetExceeded if refusal.reason in OF_LIMITS else GoogleCallRefused
    raise kind(refusal, refused.call_id) from None
