"""Requests for more of a budget: what is asked, and what was answered. Pure."""

import msgspec


class BudgetRequest(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """Somebody asks that the limit of one account be raised.

    value, run: which account of the budget, where it has several. window: the one that is asked for;
    once it is over, so is the request. until_us: when the raise is to end; None lasts with the window.
    approved: None until it is answered. granted_nanodollars: what the limit was raised by.
    """

    request_id: str
    budget: str
    value: str | None
    run: str | None
    window: str
    amount_nanodollars: int
    until_us: int | None
    reason: str
    by: str
    at_us: int
    approved: bool | None = None
    granted_nanodollars: int | None = None
    answered_at_us: int | None = None
    answered_by: str | None = None
    answer: str | None = None

    @property
    def state(self) -> str:
        """Where it stands, in one word."""
        if self.approved is None:
            return "open"
        return "approved" if self.approved else "denied"


class Ruling(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """The answer to a request: who gave it, when and why; granted is None where it is a no."""

    request_id: str
    by: str
    at_us: int
    reason: str
    granted_nanodollars: int | None


def answered(request: BudgetRequest, ruling: Ruling) -> BudgetRequest:
    """A request with its answer."""
    return msgspec.structs.replace(
        request,
        approved=ruling.granted_nanodollars is not None,
        granted_nanodollars=ruling.granted_nanodollars,
        answered_at_us=ruling.at_us,
        answered_by=ruling.by,
        answer=ruling.reason,
    )
