"""Errors in the shape of each provider: one message, three families."""

import msgspec

_MESSAGES = {
    400: "The request is malformed.",
    401: "Incorrect API key provided.",
    403: "You are not allowed to use this model.",
    404: "The model does not exist or you do not have access to it.",
    408: "The request timed out.",
    409: "The request conflicts with another one.",
    429: "Rate limit reached. Please try again later.",
    500: "The server had an error while processing your request.",
    502: "Bad gateway.",
    503: "The service is temporarily unavailable.",
    504: "The upstream did not answer in time.",
    529: "Overloaded.",
}

_OPENAI = {
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}

_ANTHROPIC = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_GEMINI = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error_body(family: str, status: int, stem: str, message: str | None = None) -> dict[str, object]:
    """Say what went wrong as the provider of this family would."""
    said = message or _MESSAGES.get(status, f"The call failed with status {status}.")
    match family:
        case "anthropic":
            kind = _ANTHROPIC.get(status, "api_error" if status >= 500 else "invalid_request_error")
            error = {"type": kind, "message": said}
            return {"type": "error", "error": error, "request_id": f"req_{stem}"}
        case "gemini":
            fallback = "INTERNAL" if status >= 500 else "FAILED_PRECONDITION"
            return {"error": {"code": status, "message": said, "status": _GEMINI.get(status, fallback)}}
        case _:
            usual = ("server_error", None) if status >= 500 else ("invalid_request_error", None)
            kind, code = _OPENAI.get(status, usual)
            return {"error": {"message": said, "type": kind, "param": None, "code": code}}


def with_usage(body: dict[str, object], whole: bytes) -> bytes:
    """Add the usage that the answer would have had to an error."""
    answer = msgspec.json.decode(whole, type=dict[str, object])
    shares = {
        name: answer[name] for name in ("usage", "usageMetadata", "model", "modelVersion") if name in answer
    }
    return msgspec.json.encode(body | shares)
