"""Leave to make one call, as the governor gives it."""

import msgspec

from farthing.domain.call import Call
from farthing.engine.offers import Quote
from farthing.engine.terms import NO_TERMS, Terms
from farthing.ledger.entries import Balance
from farthing.policy.rules import Environment, Route, Target


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """Leave to make one call: where to send it, with which cap, and what is held for it.

    output_cap: the cap that must go upstream; None leaves the caller's body as it is.
    held: False where nothing was held because the ledger failed and the policy said to stay open.
    prompt: the input as it was sent, to be counted if its cost must be assumed.
    route: how often, and for how long, the call may be tried.
    others_remain: another target might serve it, should this one fail.
    """

    call: Call
    environment: Environment
    quote: Quote
    output_cap: int | None
    ceiling_nanodollars: int
    balances: tuple[Balance, ...]
    clamped: bool = False
    would_refuse: tuple[str, ...] = ()
    held: bool = True
    terms: Terms = NO_TERMS
    prompt: bytes = b""
    route: Route = Route()
    others_remain: bool = False

    @property
    def target(self) -> Target:
        """Where the call goes."""
        return self.quote.candidate.target

    @property
    def model(self) -> str:
        """The model it is sent to."""
        return self.quote.candidate.model
