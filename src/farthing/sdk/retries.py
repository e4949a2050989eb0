"""Run a fenced function again after an error that may pass: bounded by count and money, and not too soon."""

import logging
import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_exponential_jitter

from farthing.sdk.context import active_scopes
from farthing.sdk.errors import CallRefused, GuardError

# Who asks to be left alone for longer is not asked again.
PATIENCE_S = 60.0
_TRANSIENT = frozenset({408, 409, 429})
# Classes of the HTTP libraries, of the SDKs on them, and of what tools commonly use; none is imported here.
_LOST = frozenset({
    "APIConnectionError", "ClientConnectionError", "ConnectionError", "Timeout", "TimeoutException",
    "TransportError",
})  # fmt: skip
_OUR_MISTAKE = frozenset({"LocalProtocolError", "UnsupportedProtocol"})
_SPENT = "insufficient_quota"
_log = logging.getLogger("farthing")
_backoff = wait_exponential_jitter(initial=0.1, max=5.0, jitter=0.1)
Kind = TypeVar("Kind", Retrying, AsyncRetrying)


def repeated(kind: type[Kind], most: int) -> Kind:
    """Make what calls a function and, up to most times, calls it again; the last error leaves as it came."""
    return kind(
        retry=retry_if_exception(may_pass),
        stop=stop_after_attempt(most + 1),
        wait=_wait_s,
        before_sleep=_tell,
        reraise=True,
    )


def may_pass(error: BaseException) -> bool:
    """Whether running again may help: time-outs, lost connections, a busy provider. Never a refusal."""
    if isinstance(error, BaseExceptionGroup):  # what a group of tasks ends with
        return all(may_pass(one) for one in error.exceptions)
    if not isinstance(error, Exception) or any(scope.shut for scope in active_scopes()):
        return False
    if _is_from_us(error) or (asked_wait_s(error) or 0.0) > PATIENCE_S:
        return False
    said = _headers(error).get("x-should-retry")
    if said in ("true", "false"):
        return said == "true"
    return _is_lost(error) or _is_busy(error)


def _is_from_us(error: BaseException | None) -> bool:
    """Whether a refusal of ours stands behind an error, however it was wrapped on its way."""
    while error is not None:
        if isinstance(error, CallRefused | GuardError):
            return True
        error = error.__cause__
    return False


def _is_lost(error: Exception) -> bool:
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, TimeoutError | ConnectionError) or bool(
        names & _LOST and not names & _OUR_MISTAKE
    )


def _is_busy(error: Exception) -> bool:
    """Whether an SDK's error has a status that passes; money that is used up at a provider does not."""
    code = getattr(error, "code", None)
    status = getattr(error, "status_code", None) or code
    return isinstance(status, int) and code != _SPENT and (status in _TRANSIENT or status >= 500)


def asked_wait_s(error: BaseException) -> float | None:
    """How long the provider asks to wait, where the error carries its answer; None where it does not say."""
    headers = _headers(error)
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        asked = headers.get(name)
        if asked is None:
            continue
        try:
            seconds = float(asked) * unit_s
        except ValueError:
            return _until_s(asked)
        return seconds if math.isfinite(seconds) else None
    return None


def _until_s(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except ValueError:
        return None


def _headers(error: BaseException) -> Mapping[str, str]:
    headers = getattr(getattr(error, "response", None), "headers", None)
    return headers if isinstance(headers, Mapping) else {}


def _error_of(state: RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome is not None else None
    assert error is not None  # it is asked only after a failure
    return error


def _wait_s(state: RetryCallState) -> float:
    """As long as the provider asks, else longer after each attempt; never the same for two callers."""
    return max(asked_wait_s(_error_of(state)) or 0.0, _backoff(state))


def _tell(state: RetryCallState) -> None:
    error, action = _error_of(state), state.next_action
    assert action is not None
    _log.info(
        "farthing: attempt %s failed (%s: %s); the next follows in %.1f s",
        state.attempt_number, type(error).__name__, error, action.sleep,
    )  # fmt: skip
