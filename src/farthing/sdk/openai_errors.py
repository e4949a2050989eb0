"""Refusals that are also OpenAI's own errors. Imported only where OpenAI's SDK is guarded."""

from types import ModuleType
from typing import TYPE_CHECKING

import openai

from farthing.domain.errors import Reason, Refusal, Refused, explain
from farthing.sdk.errors import OF_LIMITS, BudgetExceeded, CallRefused, message_of
from farthing.sdk.families import family_of
from farthing.sdk.refused_response import refused_response

if TYPE_CHECKING:
    import httpx2

_CODES = {Reason.BUDGET_EXCEEDED: "insufficient_quota", Reason.WALLET_EMPTY: "insufficient_quota"}


def _body(refusal: Refusal) -> dict[str, object]:
    code = _CODES.get(refusal.reason, refusal.reason.value)
    return {
        "message": message_of(refusal),
        "type": code,
        "param": None,
        "code": code,
        "farthing": explain(refusal),
    }


def _response(refusal: Refusal, status: int) -> "httpx2.Response":
    family = family_of(openai.DefaultHttpxClient)
    response: httpx2.Response = family.Response(
        status,
        headers={"x-should-retry": "false", "x-farthing-refusal": refusal.reason.value},
        json={"error": _body(refusal)},
        request=family.Request("POST", "https://guard.invalid/"),
    )
    return response


class OpenAIBudgetExceeded(BudgetExceeded, openai.RateLimitError):
    """A limit is reached: farthing's BudgetExceeded and OpenAI's RateLimitError in one."""

    def __init__(self, refusal: Refusal, call_id: str | None = None) -> None:
        response = _response(refusal, 429)
        openai.RateLimitError.__init__(self, message_of(refusal), response=response, body=_body(refusal))
        self.remember(refusal, call_id)


class OpenAICallRefused(CallRefused, openai.PermissionDeniedError):
    """A rule refused the call: farthing's CallRefused and OpenAI's PermissionDeniedError in one."""

    def __init__(self, refusal: Refusal, call_id: str | None = None) -> None:
        response = _response(refusal, 403)
        openai.PermissionDeniedError.__init__(
            self, message_of(refusal), response=response, body=_body(refusal)
        )
        self.remember(refusal, call_id)


def refuse(family: ModuleType, request: "httpx2.Request", refused: Refused) -> "httpx2.Response":
    """Say no in a way that every version of the SDK raises as it is, after one try."""
    refusal = refused.refusal
    kind = OpenAIBudgetExceeded if refusal.reason in OF_LIMITS else OpenAICallRefused
    error = kind(refusal, refused.call_id)
    return refused_response(family, error, error.response)
