"""Refusals that are also Anthropic's own errors. Imported only where Anthropic's SDK is guarded."""

from types import ModuleType
from typing import TYPE_CHECKING

import anthropic

from farthing.domain.errors import Refusal, Refused, explain
from farthing.sdk.errors import OF_LIMITS, BudgetExceeded, CallRefused, message_of
from farthing.sdk.families import family_of
from farthing.sdk.refused_response import refused_response

if TYPE_CHECKING:
    import httpx2


def _body(refusal: Refusal, kind: str) -> dict[str, object]:
    error = {"type": kind, "message": message_of(refusal), "farthing": explain(refusal)}
    return {"type": "error", "error": error}


def _response(refusal: Refusal, status: int, kind: str) -> "httpx2.Response":
    """An answer that tells the SDK not to try again."""
    family = family_of(anthropic.DefaultHttpxClient)
    response: httpx2.Response = family.Response(
        status,
        headers={"x-should-retry": "false", "x-farthing-refusal": refusal.reason.value},
        json=_body(refusal, kind),
        request=family.Request("POST", "https://guard.invalid/"),
    )
    return response


class AnthropicBudgetExceeded(BudgetExceeded, anthropic.RateLimitError):
    """A limit is reached: farthing's BudgetExceeded and Anthropic's RateLimitError in one."""

    def __init__(self, refusal: Refusal, call_id: str | None = None) -> None:
        kind = "rate_limit_error"
        response = _response(refusal, 429, kind)
        anthropic.RateLimitError.__init__(
            self, message_of(refusal), response=response, body=_body(refusal, kind)
        )
        self.remember(refusal, call_id)


class AnthropicCallRefused(CallRefused, anthropic.PermissionDeniedError):
    """A rule refused the call: farthing's CallRefused and Anthropic's PermissionDeniedError in one."""

    def __init__(self, refusal: Refusal, call_id: str | None = None) -> None:
        kind = "permission_error"
        response = _response(refusal, 403, kind)
        anthropic.PermissionDeniedError.__init__(
            self, message_of(refusal), response=response, body=_body(refusal, kind)
        )
        self.remember(refusal, call_id)


def refuse(family: ModuleType, request: "httpx2.Request", refused: Refused) -> "httpx2.Response":
    """Say no in a way that every version of the SDK raises as it is, after one try."""
    refusal = refused.refusal
    kind = AnthropicBudgetExceeded if refusal.reason in OF_LIMITS else AnthropicCallRefused
    error = kind(refusal, refused.call_id)
    return refused_response(family, error, error.response)
