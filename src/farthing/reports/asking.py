"""What a report is asked: of which ledger, for which span, narrowed to what."""

from typing import TYPE_CHECKING

import msgspec

from farthing.reports.spans import Span

if TYPE_CHECKING:  # the command line lists the reports without loading what they read
    from farthing.ledger.store import Store
    from farthing.policy.rules import Policy
    from farthing.prices.book import PriceBook


class BadQuestion(ValueError):
    """The report cannot be told like that; the message says how it can."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One question; a report takes what it understands of it and passes over the rest.

    policy, prices: what is in force now, where it is known; figures never depend on them, hints do.
    environment: only this one. by: further dimensions. top: how many rows of a ranking.
    least: from how many on something counts as repeated. at_us: a moment that parts two periods.
    name: only what is called so.
    """

    store: "Store"
    span: Span
    now_us: int
    policy: "Policy | None" = None
    prices: "PriceBook | None" = None
    environment: str | None = None
    by: tuple[str, ...] = ()
    top: int = 20
    least: int = 3
    at_us: int | None = None
    name: str | None = None

    @property
    def where(self) -> dict[str, str]:
        """What the question is narrowed to, as the store asks it."""
        return {} if self.environment is None else {"environment": self.environment}

    @property
    def is_provisional(self) -> bool:
        """Whether the figures may still grow: the span has not ended, or holds calls that are open."""
        span = self.span
        if span.until_us > self.now_us:
            return True
        return any(span.since_us <= hold.at_us < span.until_us for hold in self.store.open_holds())
