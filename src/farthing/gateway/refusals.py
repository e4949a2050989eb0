"""A refusal in the shape of the caller's dialect, so that official clients raise their own errors.

How each client reacts was measured: a status and a header that stop its retries at the first try
differ from dialect to dialect, and so does the table here.
"""

import msgspec

from farthing.domain.errors import Reason, Refusal, explain

STATUS: dict[Reason, tuple[int, int, int]] = {
    #                          OpenAI  Anthropic  Gemini
    Reason.INVALID_KEY:        (401, 401, 401),
    Reason.BUDGET_EXCEEDED:    (429, 429, 402),
    Reason.WALLET_EMPTY:       (429, 402, 402),
    Reason.BUDGET_HELD:        (429, 429, 429),
    Reason.RATE_LIMITED:       (429, 429, 429),
    Reason.MODEL_NOT_ALLOWED:  (403, 400, 403),
    Reason.UNPRICED_MODEL:     (403, 400, 403),
    Reason.UNBOUNDED_INPUT:    (403, 400, 403),
    Reason.STOPPED:            (403, 400, 403),
    Reason.UNMETERED_PATH:     (404, 404, 404),
    Reason.LEDGER_UNAVAILABLE: (503, 503, 503),
}  # fmt: skip
_FAMILIES = {"openai": 0, "anthropic": 1, "gemini": 2}

_OPENAI_TYPES = {
    401: "invalid_request_error",
    403: "permission_error",
    404: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    502: "api_error",
    503: "api_error",
    504: "api_error",
}
_OPENAI_CODES = {
    Reason.INVALID_KEY: "invalid_api_key",
    Reason.BUDGET_EXCEEDED: "insufficient_quota",
    Reason.WALLET_EMPTY: "insufficient_quota",
    Reason.BUDGET_HELD: "rate_limit_exceeded",
    Reason.RATE_LIMITED: "rate_limit_exceeded",
}
_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_GEMINI_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP answer of the gateway's own."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def reject(
    family: str,
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    farthing: dict[str, object] | None = None,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Rejection:
    """Say no in a dialect's own error shape."""
    error: dict[str, object]
    if family == "anthropic":
        error = {"type": _ANTHROPIC_TYPES.get(status, "api_error"), "message": message}
        body: dict[str, object] = {"type": "error", "error": error}
    elif family == "gemini":
        error = {"code": status, "message": message, "status": _GEMINI_STATUSES.get(status, "UNKNOWN")}
        body = {"error": error}
    else:
        error = {
            "message": message,
            "type": _OPENAI_TYPES.get(status, "invalid_request_error"),
            "param": param,
            "code": code,
        }
        if code == "insufficient_quota":
            error["type"] = "insufficient_quota"
        body = {"error": error}
    if farthing is not None:
        error["farthing"] = farthing
    return Rejection(
        status=status,
        body=msgspec.json.encode(body),
        headers=((b"content-type", b"application/json"), (b"cache-control", b"private, no-store"), *headers),
    )


def reject_refusal(family: str, dialect: str, refusal: Refusal, *, call_id: str | None = None) -> Rejection:
    """Turn a refusal into the answer that makes the dialect's clients stop, or wait, as they should."""
    status = STATUS[refusal.reason][_FAMILIES[family]]
    if status == 403 and dialect == "openai.responses":
        status = 400  # Codex reconnects on 403 and stops at 400
    headers: list[tuple[bytes, bytes]] = [(b"x-farthing-refusal", refusal.reason.value.encode())]
    if call_id is not None:
        headers.append((b"x-farthing-call-id", call_id.encode()))
    if refusal.retry_after_s is not None:
        headers.append((b"retry-after", str(refusal.retry_after_s).encode()))
    else:
        headers.append((b"x-should-retry", b"false"))
    return reject(
        family,
        status,
        f"{refusal.message}. To go on: {refusal.fix}",
        code=_OPENAI_CODES.get(refusal.reason, refusal.reason.value),
        farthing=explain(refusal),
        headers=tuple(headers),
    )
