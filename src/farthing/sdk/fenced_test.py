"""The fences around one test: the cap of the whole run, and inside it the budget of the test's marker."""

import importlib
import importlib.util
import uuid
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import pytest

from farthing.domain.errors import Refusal
from farthing.domain.money import NANODOLLARS_PER_DOLLAR, dollars
from farthing.domain.period import Period, Window, window_of
from farthing.policy.rules import AtLimit, Budget
from farthing.sdk.budgets_given import Amount, amount_given
from farthing.sdk.ci import CAP, CAP_NAME, run_cap
from farthing.sdk.context import FenceShut, Scope, put_everywhere
from farthing.sdk.errors import GuardError
from farthing.sdk.instrument import instrument

Kind = TypeVar("Kind", bound=Scope)
ENVIRONMENT = "ci"
_NAME_MAX = 200


class TestEnded(FenceShut, pytest.fail.Exception):  # type: ignore[misc,name-defined]  # pytest types it so
    """Ends a test that goes on asking, in the way of pytest: event loops that tests share survive it."""


class TestScope(Scope):
    """The budget of one test."""

    way_on = "give the test more with @pytest.mark.ai_budget"
    ends_with = TestEnded


class RunScope(Scope):
    """The cap of the run, as a fence around one test; every process of the run has the same account."""

    way_on = f"give the run more with --ai-budget or {CAP}"
    ends_with = TestEnded
    run: str

    def _window(self, at_us: int) -> Window:
        return window_of(Period.RUN, at_us, self.budget.zone, run=self.run)


class FencedTest:
    """Everything that one test asks of models, also through clients that nobody wrapped, is inside.

    Raises GuardError where CI_AI_BUDGET is no amount.
    """

    def __init__(self, name: str, budget_nanodollars: int | None, model_fallback: str | None) -> None:
        run, cap = run_cap()
        outer = _scope(
            RunScope,
            Budget(
                name=CAP_NAME,
                limit_nanodollars=cap,
                period=Period.RUN,
                zone="UTC",
                at_limit=AtLimit.CLAMP,
            ),
            model_fallback,
        )
        outer.run = run
        self.scopes: tuple[Scope, ...] = (outer,)
        if budget_nanodollars is not None:
            shown = "".join(letter if letter.isprintable() else "?" for letter in name)[:_NAME_MAX]
            inner = Budget(
                name=f"{shown}#{uuid.uuid4().hex[:12]}",
                limit_nanodollars=budget_nanodollars,
                period=Period.TOTAL,
                zone="UTC",
                at_limit=AtLimit.CLAMP,
            )
            self.scopes = (outer, _scope(TestScope, inner, model_fallback))

    @property
    def scope(self) -> Scope:
        """The innermost fence: the test's own budget, or the run's where it has none."""
        return self.scopes[-1]

    @property
    def budget(self) -> Decimal:
        """What may be spent inside, in dollars."""
        return Decimal(self.scope.budget.limit_nanodollars) / NANODOLLARS_PER_DOLLAR

    def enter(self) -> None:
        """Put the fences around what this process does from now on, in whatever thread or old event loop."""
        for library in ("httpx2", "httpx"):
            if importlib.util.find_spec(library) is not None:  # a test may import its SDK as late as it likes
                importlib.import_module(library)
        instrument()
        put_everywhere(self.scopes)

    def leave(self) -> None:
        """Take the fences away."""
        put_everywhere(())

    def refusal(self) -> Refusal | None:
        """Why a fence is shut; None while all are open."""
        return next((scope.shut for scope in self.scopes if scope.shut is not None), None)


def _scope(kind: type[Kind], budget: Budget, model_fallback: str | None) -> Kind:
    return kind(
        fence=None,
        budget=budget,
        value=None,
        labels={},
        model_fallback=model_fallback,
        ledger=None,
        shared=True,
        environment=ENVIRONMENT,
        limit_nanodollars=budget.limit_nanodollars,
    )


def read_marker(args: tuple[object, ...], kwargs: dict[str, object]) -> tuple[int, str | None]:
    """Read @pytest.mark.ai_budget(0.10, model_fallback="gpt-4o-mini"): nanodollars and the model.

    Raises GuardError for anything else.
    """
    more = dict(kwargs)
    model = more.pop("model_fallback", None)
    if len(args) != 1 or more or not (model is None or (isinstance(model, str) and model.strip())):
        given = ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())])
        raise GuardError(
            f"ai_budget({given}) cannot be read; write it like ai_budget(0.10) "
            'or ai_budget("$0.10", model_fallback="gpt-4o-mini")'
        )
    amount: Amount = args[0]  # type: ignore[assignment]  # anything; it is checked there
    return amount_given(amount, what="ai_budget"), model


def reason_of(refusal: Refusal, test: str, trace: TracebackType | None, file: Path) -> str:
    """Say which budget a test reached, its numbers, where, and how to give it more."""
    is_run = refusal.budget == CAP_NAME
    whose = f"this run ({CAP_NAME})" if is_run else test
    spent, held, limit, needed = (
        dollars(amount or 0) for amount in (refusal.spent, refusal.held, refusal.limit, refusal.needed)
    )
    used = f"{spent} of {limit} spent" + (f", {held} held by calls in flight" if refusal.held else "")
    how = (
        f"--ai-budget DOLLARS or the variable {CAP} gives the run more"
        if is_run
        else "@pytest.mark.ai_budget(DOLLARS) gives the test more"
    )
    line = _line_in(file, trace)
    where = f"\nasked at {file.name}:{line}" if line is not None else ""
    return f"the AI budget of {whose} is reached: {used}; the next call needed up to {needed}. {how}{where}"


def _line_in(file: Path, trace: TracebackType | None) -> int | None:
    """The first line of a file that an error came through: of a test's file, the line in the test."""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            return trace.tb_lineno
        trace = trace.tb_next
    return None
