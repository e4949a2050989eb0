"""A budget around code: every model call inside, however deep, is on it, and once spent it stays shut."""

import asyncio
import contextvars
import functools
import inspect
import logging
import random
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Literal, TypeVar, cast

from farthing.domain.money import NANODOLLARS_PER_DOLLAR, dollars
from farthing.domain.period import Period
from farthing.sdk.budgets_given import (
    Amount,
    amount_given,
    at_limit_given,
    labels_given,
    period_given,
    share_given,
)
from farthing.sdk.context import FenceShut, Scope, active_scopes, inside
from farthing.sdk.errors import BudgetExceeded, CallRefused, GuardError
from farthing.sdk.instrument import instrument

if TYPE_CHECKING:
    from farthing.ledger.entries import Balance

Function = TypeVar("Function", bound=Callable[..., object])
_RETRY_FIRST_S = 0.1
_RETRY_MAX_S = 5.0
_TRANSIENT = frozenset({408, 409, 429})
_NO_VALUE = "(none)"
_log = logging.getLogger("farthing")
# What with statements have entered, innermost last; of this thread or task alone.
_entered: contextvars.ContextVar[tuple[AbstractContextManager[None], ...]] = contextvars.ContextVar(
    "farthing_entered", default=()
)


class Fence:
    """A budget for each run of the code inside it, or for a period where one is given.

    budget: dollars, as 0.50, "$5" or Decimal. model_fallback: takes the place of every dearer model.
    at_limit: clamp lowers the output cap of a call to what fits; refuse does not make the call.
    max_retries: how often a function is run again after a transient error, as long as there is money.
    labels: stand on every call inside; those of an inner fence come on top.
    period: the budget is kept in the ledger file and shared by all processes; name it with name=.
    alert_at: from this share of the budget on, a log line and on_alert, once. kill_at: the share that
        refuses; above 1 it is an overdraft. per: a budget of its own for each value of this label.
    strict: raise where the code inside made no call that could be metered, instead of a warning.
    """

    def __init__(
        self,
        budget: Amount,
        *,
        model_fallback: str | None = None,
        max_retries: int = 0,
        labels: Mapping[str, object] | None = None,
        period: str | None = None,
        alert_at: float | None = None,
        kill_at: float = 1.0,
        at_limit: Literal["clamp", "refuse"] = "clamp",
        per: str | None = None,
        name: str | None = None,
        environment: str | None = None,
        ledger: str | None = None,
        on_alert: Callable[[Decimal], None] | None = None,
        strict: bool = False,
    ) -> None:
        self._budget = amount_given(budget)
        kill = share_given(kill_at, what="kill_at", most="100")
        self._alert = None if alert_at is None else share_given(alert_at, what="alert_at", most="100")
        if self._alert is not None and kill < self._alert:
            raise GuardError(f"kill_at={kill_at} is below alert_at={alert_at}, so the alert would never come")
        if isinstance(max_retries, bool) or not isinstance(max_retries, int) or max_retries < 0:
            raise GuardError(f"max_retries={max_retries!r} is not a whole number from 0 up")
        self._limit = int(self._budget * kill)
        self._retries = max_retries
        self._labels = labels_given(labels)
        self._period = period_given(period)
        self._model = model_fallback
        self._at_limit = at_limit_given(at_limit)
        self._per = per
        self._shared_name = name or "org"
        self._name = name or "fence"
        self._environment = environment
        self._ledger = ledger
        self._on_alert = on_alert
        self._strict = strict
        self._alerted: set[str] = set()

    # ── with ────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Scope:
        scope = self._scope()
        entered = self._around(scope)
        entered.__enter__()
        _entered.set((*_entered.get(), entered))
        return scope

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        *outer, entered = _entered.get()
        _entered.set(tuple(outer))
        return entered.__exit__(kind, error, trace)

    async def __aenter__(self) -> Scope:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self.__exit__(kind, error, trace)

    # ── decorator ───────────────────────────────────────────────────────────────────────────────

    def guard(self, function: Function) -> Function:
        """Put each run of a function inside this fence: plain, async, generators of both kinds, methods."""
        if inspect.isasyncgenfunction(function):
            return cast("Function", self._async_generator(function))
        if inspect.iscoroutinefunction(function):
            return cast("Function", self._coroutine(function))
        if inspect.isgeneratorfunction(function):
            return cast("Function", self._generator(function))
        return cast("Function", self._plain(function))

    def _plain(self, function: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(function)
        def fenced(*args: object, **kwargs: object) -> object:
            scope = self._scope(function)
            with self._left(scope):
                attempt = 0
                while True:
                    try:
                        with inside(scope):
                            return function(*args, **kwargs)
                    except Exception as error:
                        if not self._tries_again(scope, error, attempt):
                            raise
                    time.sleep(_pause_s(attempt))
                    attempt += 1

        return fenced

    def _coroutine(
        self, function: Callable[..., Coroutine[object, object, object]]
    ) -> Callable[..., Coroutine[object, object, object]]:
        @functools.wraps(function)
        async def fenced(*args: object, **kwargs: object) -> object:
            scope = self._scope(function)
            with self._left(scope):
                attempt = 0
                while True:
                    try:
                        with inside(scope):
                            return await function(*args, **kwargs)
                    except Exception as error:
                        if not self._tries_again(scope, error, attempt):
                            raise
                    await asyncio.sleep(_pause_s(attempt))
                    attempt += 1

        return fenced

    def _generator(
        self, function: Callable[..., Generator[object, object, object]]
    ) -> Callable[..., Generator[object, object, object]]:
        @functools.wraps(function)
        def fenced(*args: object, **kwargs: object) -> Generator[object, object, object]:
            scope = self._scope(function)
            with self._left(scope):
                steps = function(*args, **kwargs)
                sent: object = None
                try:
                    while True:
                        try:
                            with inside(scope):  # only while it runs, not while its reader does
                                value = steps.send(sent)
                        except StopIteration as end:
                            return end.value
                        sent = yield value
                finally:
                    steps.close()

        return fenced

    def _async_generator(
        self, function: Callable[..., AsyncGenerator[object, object]]
    ) -> Callable[..., AsyncGenerator[object, object]]:
        @functools.wraps(function)
        async def fenced(*args: object, **kwargs: object) -> AsyncGenerator[object, object]:
            scope = self._scope(function)
            with self._left(scope):
                steps = function(*args, **kwargs)
                sent: object = None
                try:
                    while True:
                        try:
                            with inside(scope):
                                value = await steps.asend(sent)
                        except StopAsyncIteration:
                            return
                        sent = yield value
                finally:
                    await steps.aclose()

        return fenced

    # ── one run ─────────────────────────────────────────────────────────────────────────────────

    def _scope(self, function: Callable[..., object] | None = None) -> Scope:
        from farthing.policy.rules import AtLimit, Budget

        instrument()
        around = active_scopes()
        labels = {**(around[-1].labels if around else {}), **self._labels}
        shared = self._period is not None
        what = getattr(function, "__qualname__", self._name)
        # Unless it is shared, each run has a budget that nobody else can name.
        name = self._shared_name if shared else f"{what}#{uuid.uuid4().hex[:12]}"
        if around and (self._ledger or around[-1].ledger) != around[-1].ledger:
            raise GuardError("a fence inside another keeps its books in the same ledger; leave out ledger=")
        return Scope(
            budget=Budget(
                name=name,
                limit_nanodollars=self._limit,
                period=self._period or Period.TOTAL,
                zone="UTC",
                at_limit=AtLimit(self._at_limit),
            ),
            value=None if self._per is None else labels.get(self._per) or _NO_VALUE,
            labels=labels,
            model_fallback=self._model or (around[-1].model_fallback if around else None),
            ledger=self._ledger or (around[-1].ledger if around else None),
            shared=shared or any(scope.shared for scope in around),
            environment=self._environment or (around[-1].environment if around else None),
            on_spent=None if self._alert is None else self._spent,
        )

    def _around(self, scope: Scope) -> AbstractContextManager[None]:
        @contextmanager
        def both() -> Generator[None, None, None]:
            with self._left(scope), inside(scope):
                yield

        return both()

    @contextmanager
    def _left(self, scope: Scope) -> Generator[None, None, None]:
        """See to what leaving means: a swallowed refusal is raised again, a run without calls is told."""
        try:
            yield
        except FenceShut as shut:
            exceeded = scope.exceeded()
            if exceeded is None:
                raise  # it belongs to a fence around this one
            raise exceeded from shut
        exceeded = scope.exceeded()
        if exceeded is not None:
            raise exceeded
        if scope.calls == 0:
            told = f"farthing: no model call inside {scope.budget.name} could be metered"
            if self._strict:
                raise GuardError(told)
            _log.warning(told)

    def _tries_again(self, scope: Scope, error: Exception, attempt: int) -> bool:
        return attempt < self._retries and scope.shut is None and _is_transient(error)

    def _spent(self, scope: Scope, balance: "Balance") -> None:
        """Tell once for each account that its alert share is reached."""
        assert self._alert is not None
        if balance.settled < self._budget * self._alert or balance.account in self._alerted:
            return
        self._alerted.add(balance.account)
        told = f"{dollars(balance.settled)} of {dollars(self._budget)} spent in {balance.account}"
        _log.warning("farthing: %s", told)
        if self._on_alert is not None:
            self._on_alert(Decimal(balance.settled) / NANODOLLARS_PER_DOLLAR)


def _is_transient(error: Exception) -> bool:
    """Whether running again may help: time-outs, lost connections, a busy provider; never a refusal."""
    if isinstance(error, CallRefused | GuardError | BudgetExceeded):
        return False
    if isinstance(error, TimeoutError | ConnectionError):
        return True
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"APIConnectionError", "TimeoutException", "TransportError"}:
        return True
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    return isinstance(status, int) and (status in _TRANSIENT or status >= 500)


def _pause_s(attempt: int) -> float:
    """Longer after each attempt, and never the same for two callers."""
    most: float = min(_RETRY_MAX_S, _RETRY_FIRST_S * 2**attempt)
    return most * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
