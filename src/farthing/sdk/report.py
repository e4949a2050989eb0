"""What a guarded client or a fence tells of its budget: spent, held, remaining, limit, overrun, calls."""

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from farthing.domain.money import NANODOLLARS_PER_DOLLAR, dollars

if TYPE_CHECKING:
    from farthing.ledger.entries import Balance


class Report:
    """The state of one budget, read from the ledger at each question. Amounts are Decimal dollars."""

    def __init__(
        self,
        name: str,
        limit_nanodollars: int | None,
        balance: "Callable[[], Balance | None] | None" = None,
    ) -> None:
        self.name = name
        self._limit = limit_nanodollars
        self._ask = balance
        self._calls = 0
        self._counting = threading.Lock()

    @property
    def spent(self) -> Decimal:
        """What is settled in the current window."""
        return _dollars(self._amounts()[0])

    @property
    def held(self) -> Decimal:
        """What calls in flight hold."""
        return _dollars(self._amounts()[1])

    @property
    def limit(self) -> Decimal | None:
        """The budget; None where only the policy's budgets count."""
        return None if self._limit is None else _dollars(self._limit)

    @property
    def remaining(self) -> Decimal | None:
        """What a new call may still take; negative where an overdraft or a warning let more be spent."""
        return None if self._limit is None else _dollars(self._limit - sum(self._amounts()))

    @property
    def overrun(self) -> Decimal:
        """What was spent beyond the budget."""
        return _dollars(0 if self._limit is None else max(0, self._amounts()[0] - self._limit))

    @property
    def calls(self) -> int:
        """Calls that were sent, each retry of the SDK counted."""
        return self._calls

    def count(self, calls: int) -> None:
        """Add calls; threads do so at once."""
        with self._counting:
            self._calls += calls

    def _balance(self) -> "Balance | None":
        return None if self._ask is None else self._ask()

    def _amounts(self) -> tuple[int, int]:
        balance = self._balance()
        return (balance.settled, balance.held) if balance is not None else (0, 0)

    def __repr__(self) -> str:
        spent, held = self._amounts()
        of_limit = "" if self._limit is None else f" of {dollars(self._limit)}"
        return f"<{self.name}: {dollars(spent)}{of_limit} spent, {dollars(held)} held, {self.calls} calls>"


def _dollars(nanodollars: int) -> Decimal:
    return Decimal(nanodollars) / NANODOLLARS_PER_DOLLAR
