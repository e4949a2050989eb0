"""Which fences are around the code that runs now: carried by the context, so that tasks inherit them."""

import contextvars
import logging
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from farthing.domain.errors import Reason, Refusal, Refused
from farthing.domain.period import Period, Window, window_of
from farthing.ledger.entries import account_name
from farthing.sdk.errors import BudgetExceeded
from farthing.sdk.report import Report

if TYPE_CHECKING:
    from farthing.domain.usage import Usage
    from farthing.ledger.entries import Balance
    from farthing.ledger.store import Store
    from farthing.policy.rules import Budget, Payer
    from farthing.sdk.alerts import Alarm

P = ParamSpec("P")
T = TypeVar("T")
# Code that catches every Exception is given up at this refusal.
REFUSALS_MAX = 3
# A run whose input grows by more than this factor is told so; short prompts do not count.
GROWTH_MAX = 10
GROWN_TOKENS_MIN = 2_000
_log = logging.getLogger("farthing")


class FenceShut(BaseException):
    """Ends code that goes on asking after its fence was shut; outside it becomes BudgetExceeded."""


class Growth:
    """How much more the latest call of a run sends than its first: agents send all they said again."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._told = False

    def factor(self, input_tokens: int | None) -> int | None:
        """The factor, once, where it is large."""
        if not input_tokens or self._told:
            return None
        if self._first is None:
            self._first = input_tokens
        self._told = input_tokens > max(self._first * GROWTH_MAX, GROWN_TOKENS_MIN)
        return input_tokens // self._first if self._told else None


class Scope(Report):
    """One fence around one run of the code inside it. Once a refusal was final it stays shut."""

    way_on = "give Fence() a larger budget="
    ends_with: type[FenceShut] = FenceShut

    def __init__(
        self,
        *,
        fence: object,
        budget: "Budget",
        value: str | None,
        labels: Mapping[str, str],
        model_fallback: str | None,
        ledger: str | None,
        shared: bool,
        environment: str | None,
        limit_nanodollars: int,
        alarms: "Sequence[Alarm]" = (),
    ) -> None:
        super().__init__(budget.name, limit_nanodollars)
        self.fence = fence
        self.budget = budget
        self.value = value
        self.labels = labels
        self.model_fallback = model_fallback
        self.ledger = ledger
        self.shared = shared
        self.environment = environment
        self.shut: Refusal | None = None
        self._refusals = 0
        self._alarms = alarms
        self._growth = Growth()
        self._store: Store | None = None
        self._lock = threading.Lock()

    @cached_property
    def url(self) -> str | None:
        """The ledger that it names, or that all processes share; None where any will do."""
        from farthing.sdk.runtime import url_of

        return url_of(ledger=self.ledger, shared=self.shared) if self.ledger or self.shared else None

    def open(self, store: "Store") -> None:
        """Take note of where the money inside is kept."""
        if self._store is not None:
            return
        self._store = store
        if self.budget.period is Period.TOTAL and not self.shared:
            gone = weakref.finalize(self, store.retire, account_name(self.budget.name, self.value, "total"))
            gone.atexit = False

    def _balance(self) -> "Balance | None":
        if self._store is None:
            return None
        from farthing.config.build import clock

        now_us = clock()
        account = account_name(self.budget.name, self.value, self._window(now_us).key)
        return self._store.balance(account, at_us=now_us)

    def _window(self, at_us: int) -> Window:
        return window_of(self.budget.period, at_us, self.budget.zone)

    def payer(self, at_us: int) -> "Payer":
        """The account that pays for calls inside."""
        from farthing.policy.rules import AtLimit, Payer

        at_limit = self.budget.at_limit or AtLimit.CLAMP
        return Payer(budget=self.budget, value=self.value, window=self._window(at_us), at_limit=at_limit)

    def check(self) -> None:
        """Let a call pass, or refuse it where the fence is shut."""
        if self.shut is not None:
            self._count_refusal()
            raise Refused(self.shut)

    def note_refusal(self, refusal: Refusal, store: "Store", at_us: int) -> None:
        """Shut for good where our money is spent; what is merely held shuts nothing."""
        if refusal.reason is Reason.BUDGET_EXCEEDED:
            self.shut = self.shut or refusal
            for alarm in self._alarms:
                alarm.look_at_refusal(refusal, self._window(at_us), store, at_us, value=self.value)
            self._count_refusal()

    def _count_refusal(self) -> None:
        with self._lock:
            self._refusals += 1
            refusals = self._refusals
        if refusals >= REFUSALS_MAX:
            assert self.shut is not None
            raise self.ends_with(self.shut.message)

    def note_end(
        self, balances: "Iterable[Balance]", usage: "Usage | None", store: "Store", at_us: int
    ) -> None:
        """Look at what is spent after a call, and at how much more it sent than the first one."""
        for alarm in self._alarms:
            alarm.look(balances, store, at_us)
        factor = self._growth.factor(usage.input_tokens if usage is not None else None)
        if factor is not None:
            _log.warning(
                "farthing: the context of %s grows: its latest call sent %s times the input of its first one",
                self.budget.name, factor,
            )  # fmt: skip

    def exceeded(self) -> BudgetExceeded | None:
        """What leaving the fence raises where it was shut."""
        return None if self.shut is None else BudgetExceeded(self.shut)


_active: contextvars.ContextVar[tuple[Scope, ...]] = contextvars.ContextVar("farthing_fences", default=())
# What stands around the whole process, in every task and thread: the fences of the test that runs.
_everywhere: tuple[Scope, ...] = ()


def active_scopes() -> tuple[Scope, ...]:
    """The fences around the code that asks, outermost first."""
    return (*_everywhere, *_active.get()) if _everywhere else _active.get()


def put_everywhere(scopes: tuple[Scope, ...]) -> None:
    """Put fences around all that this process does from now on; none takes them away."""
    global _everywhere
    _everywhere = scopes


@contextmanager
def inside(scope: Scope) -> Iterator[None]:
    """Run what follows inside a scope, and inside those around it."""
    enter(scope)
    try:
        yield
    finally:
        leave(scope)


def enter(scope: Scope) -> None:
    """Put a scope inside those that are around this code."""
    _active.set((*_active.get(), scope))


def leave(scope: Scope) -> None:
    """Take a scope away, wherever it stands: generators and their readers do not leave in order."""
    _active.set(tuple(one for one in _active.get() if one is not scope))


def carry(function: Callable[P, T]) -> Callable[P, T]:
    """Take the fences around here along to another thread: ``pool.submit(carry(work), …)``."""
    scopes = _active.get()

    def carried(*args: P.args, **kwargs: P.kwargs) -> T:
        token = _active.set(scopes)
        try:
            return function(*args, **kwargs)
        finally:
            _active.reset(token)

    return carried
