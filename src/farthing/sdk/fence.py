"""A budget around code: every model call inside, however deep, is on it, and once spent it stays shut."""

import functools
import inspect
import logging
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from types import TracebackType
from typing import Any, Literal, TypeVar, cast

from farthing.domain.money import dollars
from farthing.domain.period import Period
from farthing.sdk.alerts import Alarm, OnAlert, on_alert_given
from farthing.sdk.budgets_given import (
    Amount,
    amount_given,
    at_limit_given,
    labels_given,
    period_given,
    share_given,
)
from farthing.sdk.context import FenceShut, Scope, active_scopes, enter, inside, leave
from farthing.sdk.errors import CallRefused, GuardError
from farthing.sdk.instrument import instrument

Function = TypeVar("Function", bound=Callable[..., object])
_NO_VALUE = "(none)"
_WHOLE = Decimal(1)
_log = logging.getLogger("farthing")
_UNSEEN = (
    "no model call inside %s could be metered: its clients are of no SDK known here, or they ran in threads "
    "that were not given their work in farthing.carry()"
)


class Fence:
    """A budget for each run of the code inside it, or for a period where one is given.

    budget: dollars, as 0.50, "$5" or Decimal. model_fallback: takes the place of every dearer model.
    at_limit: clamp lowers the output cap of a call to what fits; refuse does not make the call.
    max_retries: how often a function is run again after an error that may pass, while there is money.
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
        on_alert: OnAlert | None = None,
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
        self._on_alert = on_alert_given(on_alert, alert_at)
        self._strict = strict

    # ── with ────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Scope:
        scope = self._scope()
        enter(scope)
        return scope

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        scope = next((one for one in reversed(active_scopes()) if one.fence is self), None)
        if scope is None:
            _log.warning("farthing: %s was entered in another task or thread than it was left in", self)
            return
        leave(scope)
        self._end(scope, error)

    async def __aenter__(self) -> Scope:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    # ── decorator ───────────────────────────────────────────────────────────────────────────────

    def guard(self, function: Function) -> Function:
        """Put each run of a function inside this fence: plain, async, generators of both kinds, methods.

        Raises GuardError for what is no function.
        """
        given: Any = function
        if isinstance(given, staticmethod | classmethod):
            return cast("Function", type(given)(self.guard(given.__func__)))
        if isinstance(given, type) or not callable(given):
            raise GuardError(f"{given!r} is no function; for a client there is farthing.guard(client, …)")
        says_its_kind = inspect.isroutine(given) or isinstance(given, functools.partial)
        called = given if says_its_kind else given.__call__
        fenced: Callable[..., object]
        if inspect.isasyncgenfunction(called):
            fenced = self._async_generator(given)
        elif inspect.iscoroutinefunction(called):
            fenced = self._coroutine(given)
        elif inspect.isgeneratorfunction(called):
            fenced = self._generator(given)
        else:
            fenced = self._plain(given)
        return cast("Function", fenced)

    def _plain(self, function: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(function)
        def fenced(*args: object, **kwargs: object) -> object:
            scope = self._scope(function)
            with self._left(scope), inside(scope):
                return self._run(functools.partial(function, *args, **kwargs))

        return fenced

    def _coroutine(
        self, function: Callable[..., Coroutine[object, object, object]]
    ) -> Callable[..., Coroutine[object, object, object]]:
        @functools.wraps(function)
        async def fenced(*args: object, **kwargs: object) -> object:
            scope = self._scope(function)
            with self._left(scope), inside(scope):
                return await self._run_async(functools.partial(function, *args, **kwargs))

        return fenced

    # Generators are inside only while they run, not while their readers do. What a reader has seen cannot
    # be taken back, so they are run again only until their first value.

    def _generator(
        self, function: Callable[..., Generator[object, object, object]]
    ) -> Callable[..., Generator[object, object, object]]:
        @functools.wraps(function)
        def fenced(*args: object, **kwargs: object) -> Generator[object, object, object]:
            steps: Generator[object, object, object]

            def begin() -> object:
                nonlocal steps
                steps = function(*args, **kwargs)
                return next(steps)

            scope = self._scope(function)
            step: Callable[[], object] = functools.partial(self._run, begin)
            with self._left(scope):
                while True:
                    try:
                        with inside(scope):
                            value = step()
                    except StopIteration as end:
                        return end.value
                    try:
                        step = functools.partial(steps.send, (yield value))
                    except GeneratorExit:
                        with inside(scope):
                            steps.close()
                        raise
                    except BaseException as thrown:  # noqa: BLE001 - it belongs to the generator, as with yield from
                        step = functools.partial(steps.throw, thrown)

        return fenced

    def _async_generator(
        self, function: Callable[..., AsyncGenerator[object, object]]
    ) -> Callable[..., AsyncGenerator[object, object]]:
        @functools.wraps(function)
        async def fenced(*args: object, **kwargs: object) -> AsyncGenerator[object, object]:
            steps: AsyncGenerator[object, object]

            async def begin() -> object:
                nonlocal steps
                steps = function(*args, **kwargs)
                return await anext(steps)

            scope = self._scope(function)
            step: Callable[[], Awaitable[object]] = functools.partial(self._run_async, begin)
            with self._left(scope):
                while True:
                    try:
                        with inside(scope):
                            value = await step()
                    except StopAsyncIteration:
                        return
                    try:
                        step = functools.partial(steps.asend, (yield value))
                    except GeneratorExit:
                        with inside(scope):
                            await steps.aclose()
                        raise
                    except BaseException as thrown:  # noqa: BLE001 - it belongs to the generator
                        step = functools.partial(steps.athrow, thrown)

        return fenced

    def _run(self, function: Callable[[], object]) -> object:
        if not self._retries:
            return function()
        from tenacity import Retrying

        from farthing.sdk.retries import repeated

        return repeated(Retrying, self._retries)(function)

    async def _run_async(self, function: Callable[[], Awaitable[object]]) -> object:
        if not self._retries:
            return await function()
        from tenacity import AsyncRetrying

        from farthing.sdk.retries import repeated

        async def attempt() -> object:
            return await function()

        return await repeated(AsyncRetrying, self._retries)(attempt)

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
            fence=self,
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
            limit_nanodollars=self._budget,
            alarms=self._alarms(name),
        )

    @contextmanager
    def _left(self, scope: Scope) -> Generator[None, None, None]:
        try:
            yield
        except (Exception, FenceShut) as error:
            self._end(scope, error)
            raise  # it is the caller's, or belongs to a fence around this one
        self._end(scope, None)

    def _end(self, scope: Scope, error: BaseException | None) -> None:
        """See to what leaving means: once it is shut, BudgetExceeded leaves; a run without calls is told.

        The code inside may have swallowed the refusal, or a framework made an error of its own of it.
        """
        if isinstance(error, CallRefused) or not isinstance(error, Exception | FenceShut | None):
            return
        exceeded = scope.exceeded()
        if exceeded is not None:
            raise exceeded from error
        if scope.calls == 0 and error is None:
            if self._strict:
                raise GuardError(_UNSEEN % scope.budget.name)
            _log.warning("farthing: " + _UNSEEN, scope.budget.name)

    def _alarms(self, budget: str) -> tuple[Alarm, ...]:
        """Whom to tell of what is spent; an overdraft is always told."""
        asked = [] if self._alert is None else [(self._alert, self._on_alert)]
        overdraft = [(_WHOLE, None)] if self._limit > self._budget and self._alert != _WHOLE else []
        return tuple(
            Alarm(budget, share=share, limit_nanodollars=self._budget, on_alert=on_alert)
            for share, on_alert in asked + overdraft
        )

    def __repr__(self) -> str:
        per = f" {self._period.value}" if self._period is not None else " for each run"
        return f"<Fence {self._name}: {dollars(self._budget)}{per}>"
