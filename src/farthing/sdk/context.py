"""Which fences are around the code that runs now: carried by the context, so that tasks inherit them."""

import contextvars
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from farthing.domain.errors import Reason, Refusal, Refused
from farthing.sdk.errors import BudgetExceeded

if TYPE_CHECKING:
    from farthing.ledger.entries import Balance
    from farthing.policy.rules import Budget, Payer

P = ParamSpec("P")
T = TypeVar("T")
# Code that catches every Exception is given up at this refusal.
REFUSALS_MAX = 3
_log = logging.getLogger("farthing")


class FenceShut(BaseException):
    """Ends code that goes on asking after its fence was shut; outside it becomes BudgetExceeded."""


class Scope:
    """One fence around one run of the code inside it. Once a refusal was final it stays shut."""

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
        on_spent: "Callable[[Scope, Balance], None] | None" = None,
    ) -> None:
        self.fence = fence
        self.budget = budget
        self.value = value
        self.labels = labels
        self.model_fallback = model_fallback
        self.ledger = ledger
        self.shared = shared
        self.environment = environment
        self.calls = 0
        self.shut: Refusal | None = None
        self._refusals = 0
        self._on_spent = on_spent
        self._lock = threading.Lock()

    def payer(self, at_us: int) -> "Payer":
        """The account that pays for calls inside."""
        from farthing.domain.period import window_of
        from farthing.policy.rules import AtLimit, Payer

        window = window_of(self.budget.period, at_us, self.budget.zone)
        at_limit = self.budget.at_limit or AtLimit.CLAMP
        return Payer(budget=self.budget, value=self.value, window=window, at_limit=at_limit)

    def check(self) -> None:
        """Let a call pass, or refuse it where the fence is shut."""
        if self.shut is not None:
            self._count()
            raise Refused(self.shut)

    def note_refusal(self, refusal: Refusal) -> None:
        """Shut for good where it is our money that is spent; what is merely held shuts nothing."""
        if refusal.reason is Reason.BUDGET_EXCEEDED and refusal.budget == self.budget.name:
            self.shut = self.shut or refusal
            self._count()

    def _count(self) -> None:
        with self._lock:
            self._refusals += 1
            refusals = self._refusals
        if refusals >= REFUSALS_MAX:
            assert self.shut is not None
            raise FenceShut(self.shut.message)

    def note_balance(self, balance: "Balance") -> None:
        """Look at what is spent after a call, for alerts."""
        if self._on_spent is not None and balance.budget == self.budget.name:
            self._on_spent(self, balance)

    def exceeded(self) -> BudgetExceeded | None:
        """What leaving the fence raises where it was shut."""
        return None if self.shut is None else BudgetExceeded(self.shut)


_active: contextvars.ContextVar[tuple[Scope, ...]] = contextvars.ContextVar("farthing_fences", default=())
active_scopes = _active.get


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
