"""Tell once in each window that a share of a budget is spent: a log line, and whom the user named."""

import inspect
import logging
import threading
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from farthing.domain.errors import LedgerUnavailable, Reason, Refusal
from farthing.domain.money import NANODOLLARS_PER_DOLLAR, dollars
from farthing.domain.period import Window
from farthing.ledger.entries import account_name
from farthing.sdk.errors import GuardError

if TYPE_CHECKING:
    from farthing.ledger.entries import Balance
    from farthing.ledger.store import Store

_log = logging.getLogger("farthing")


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A share of a budget is spent. Amounts are Decimal dollars.

    account: the budget in this window (and of this value), as the ledger names it.
    share: what alert_at said. limit: the whole budget.
    """

    budget: str
    account: str
    share: Decimal
    spent: Decimal
    limit: Decimal

    def __str__(self) -> str:
        """Show as one line."""
        return f"${self.spent:f} of ${self.limit:f} are spent in {self.account} (alert at {self.share:.0%})"


OnAlert = Callable[[Alert], object]


def on_alert_given(on_alert: OnAlert | None, alert_at: object) -> OnAlert | None:
    """Check whom to tell. Raises GuardError for what cannot be called, or would never be."""
    if on_alert is None:
        return None
    if not callable(on_alert) or inspect.iscoroutinefunction(on_alert):
        raise GuardError(f"on_alert={on_alert!r} must be a plain function that takes one Alert")
    if alert_at is None:
        raise GuardError("on_alert= is called at alert_at=; give a share, such as alert_at=0.8")
    return on_alert


class Alarm:
    """Watches one share of one budget. Of all processes that watch the same account, one tells."""

    def __init__(
        self, budget: str, *, share: Decimal, limit_nanodollars: int, on_alert: OnAlert | None = None
    ) -> None:
        self.budget = budget
        self._share = share
        self._limit = limit_nanodollars
        self._on_alert = on_alert
        self._told_of: str | None = None
        self._lock = threading.Lock()

    def look(self, balances: "Iterable[Balance]", store: "Store", at_us: int) -> None:
        """Look at what is spent after a call."""
        for balance in balances:
            if balance.budget == self.budget and balance.settled >= self._limit * self._share:
                self._tell(balance.account, balance.settled, store, at_us, balance.ends_at_us)

    def look_at_refusal(
        self, refusal: Refusal, window: Window, store: "Store", at_us: int, *, value: str | None = None
    ) -> None:
        """Count a final refusal as all of the budget: what is left of it is of no use."""
        if refusal.reason is Reason.BUDGET_EXCEEDED:
            account = account_name(self.budget, value, window.key)
            self._tell(account, refusal.spent or 0, store, at_us, window.ends_at_us)

    def _tell(self, account: str, spent: int, store: "Store", at_us: int, ends_at_us: int | None) -> None:
        with self._lock:
            if self._told_of == account:
                return
            try:
                is_first = store.first_to_note(
                    account, f"alert:{self._share:f}", at_us=at_us, ends_at_us=ends_at_us
                )
            except LedgerUnavailable:
                return  # the next call looks again
            self._told_of = account
        if not is_first:
            return
        alert = Alert(
            budget=self.budget,
            account=account,
            share=self._share,
            spent=Decimal(spent) / NANODOLLARS_PER_DOLLAR,
            limit=Decimal(self._limit) / NANODOLLARS_PER_DOLLAR,
        )
        _log.warning(
            "farthing: %s of %s are spent in %s (alert at %s)",
            dollars(spent), dollars(self._limit), account, f"{self._share:.0%}",
        )  # fmt: skip
        if self._on_alert is not None:
            try:
                self._on_alert(alert)
            except Exception:  # noqa: BLE001 - the user's own code; the call that it would break was paid for
                _log.exception("farthing: on_alert failed")
