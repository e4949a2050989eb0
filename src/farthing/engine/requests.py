"""Ask for more of a budget, answer it, raise a limit: what the API and the command line both do."""

import secrets

from farthing.domain.period import window_of
from farthing.engine.raises import BadRaise, raise_of
from farthing.ledger.raising import Raise, Raised
from farthing.ledger.requests import BudgetRequest, Ruling
from farthing.ledger.store import Store
from farthing.policy.rules import Budget, Policy


class UnknownBudget(ValueError):
    """The policy has no budget of this name."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"there is no budget {name} in the policy")
        self.name = name
        self.known = known


class BadRequest(ValueError):
    """A request, or the answer to one, says too little or cannot be."""


class NoSuchRequest(ValueError):
    """There is no such request, or it was answered before."""


class OwnRequest(ValueError):
    """Nobody answers what they asked for themselves."""


def budget_named(policy: Policy, name: str, *, value: str | None) -> Budget:
    """The budget that is meant, one of whose accounts a value names. Raises UnknownBudget, BadRequest."""
    budget = next((row for row in policy.budgets if row.name == name), None)
    if budget is None:
        raise UnknownBudget(name, tuple(row.name for row in policy.budgets))
    if budget.per is not None and not value:
        raise BadRequest(f"budget {name} has an account for each {budget.per}; say for which one")
    if budget.per is None and value is not None:
        raise BadRequest(f"budget {name} has one account for all; leave out {value!r}")
    return budget


def ask_for_more(
    store: Store,
    policy: Policy,
    name: str,
    *,
    amount_nanodollars: int,
    by: str,
    reason: str,
    at_us: int,
    value: str | None = None,
    run: str | None = None,
    until_us: int | None = None,
) -> BudgetRequest:
    """Keep a request for more of a budget in its current window.

    Raises UnknownBudget, BadRequest, BadRaise.
    """
    budget = budget_named(policy, name, value=value)
    if amount_nanodollars <= 0:
        raise BadRequest("ask for an amount above nothing")
    raised = raise_of(
        budget, at_us=at_us, amount_nanodollars=amount_nanodollars, by=by, reason=reason, value=value,
        run=run, until_us=until_us,
    )  # fmt: skip
    row = BudgetRequest(
        request_id=f"req_{secrets.token_hex(4)}",
        budget=name,
        value=value,
        run=run,
        window=raised.claim.window,
        amount_nanodollars=amount_nanodollars,
        until_us=until_us,
        reason=raised.reason,
        by=raised.by,
        at_us=at_us,
    )
    store.add_request(row)
    return row


def approve(
    store: Store,
    policy: Policy,
    request_id: str,
    *,
    by: str,
    at_us: int,
    reason: str = "",
    amount_nanodollars: int | None = None,
    until_us: int | None = None,
) -> BudgetRequest:
    """Raise the limit by what was asked, or by another amount or until another moment.

    Raises NoSuchRequest, OwnRequest, BadRequest, BadRaise, UnknownBudget.
    """
    request = _open_request(store, request_id, by)
    granted = request.amount_nanodollars if amount_nanodollars is None else amount_nanodollars
    if granted <= 0:
        raise BadRequest("approve an amount above nothing, or deny the request")
    budget = budget_named(policy, request.budget, value=request.value)
    window = window_of(budget.period, at_us, budget.zone, run=request.run)
    if window.key != request.window:
        raise BadRequest(
            f"{request_id} is for {request.window} of {request.budget}, which is over; it has to be "
            "asked anew"
        )
    raised = raise_of(
        budget,
        at_us=at_us,
        amount_nanodollars=granted,
        by=by,
        reason=f"{request.by} asked: {request.reason}",
        value=request.value,
        run=request.run,
        until_us=request.until_us if until_us is None else until_us,
        raise_id=f"raise_of_{request_id}",
    )
    ruling = Ruling(request_id=request_id, by=by, at_us=at_us, reason=reason, granted_nanodollars=granted)
    return _answer(store, ruling, raised)


def say_no(store: Store, request_id: str, *, by: str, at_us: int, reason: str) -> BudgetRequest:
    """Answer a request with no, and why. Raises NoSuchRequest, OwnRequest, BadRequest."""
    _open_request(store, request_id, by)
    if not reason.strip():
        raise BadRequest("a no needs a reason: whoever asked is told")
    ruling = Ruling(
        request_id=request_id, by=by, at_us=at_us, reason=reason.strip(), granted_nanodollars=None
    )
    return _answer(store, ruling, None)


def raise_budget(
    store: Store,
    policy: Policy,
    name: str,
    *,
    amount_nanodollars: int,
    by: str,
    reason: str,
    at_us: int,
    value: str | None = None,
    run: str | None = None,
    until_us: int | None = None,
) -> Raised:
    """Raise the limit of a budget in its current window; a negative amount lowers it.

    Raises UnknownBudget, BadRequest, BadRaise.
    """
    budget = budget_named(policy, name, value=value)
    raised = raise_of(
        budget, at_us=at_us, amount_nanodollars=amount_nanodollars, by=by, reason=reason, value=value,
        run=run, until_us=until_us,
    )  # fmt: skip
    (answer,) = store.apply([raised])
    assert isinstance(answer, Raised), answer
    return answer


def _open_request(store: Store, request_id: str, by: str) -> BudgetRequest:
    request = store.request(request_id)
    if request is None:
        raise NoSuchRequest(f"there is no request {request_id}")
    if request.approved is not None:
        raise NoSuchRequest(f"{request_id} was {request.state} by {request.answered_by} before")
    if not by.strip():
        raise BadRaise("an answer needs a 'by': it is kept for good")
    if request.by.casefold() == by.strip().casefold():
        raise OwnRequest(f"{request_id} is of {request.by}: somebody else has to answer it")
    return request


def _answer(store: Store, ruling: Ruling, raised: Raise | None) -> BudgetRequest:
    row = store.answer_request(ruling, raised)
    if row is None:
        raise NoSuchRequest(f"{ruling.request_id} was answered a moment ago")
    return row
