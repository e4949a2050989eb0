"""What a guarded client tells of its budget: spent, remaining, held, limit, calls."""

from collections.abc import Callable
from decimal import Decimal

from farthing.domain.money import NANODOLLARS_PER_DOLLAR
from farthing.ledger.entries import Balance


class Report:
    """The state of one budget, read from the ledger at each question. Amounts are Decimal dollars."""

    def __init__(
        self,
        name: str,
        limit_nanodollars: int | None,
        balance: Callable[[], Balance | None],
        count: list[int],
    ) -> None:
        self.name = name
        self._limit = limit_nanodollars
        self._balance = balance
        self._count = count

    @property
    def spent(self) -> Decimal:
        """What is settled in the current window."""
        balance = self._balance()
        return _dollars(balance.settled if balance else 0)

    @property
    def held(self) -> Decimal:
        """What calls in flight hold."""
        balance = self._balance()
        return _dollars(balance.held if balance else 0)

    @property
    def limit(self) -> Decimal | None:
        """What may be spent; None where only the policy's budgets count."""
        return None if self._limit is None else _dollars(self._limit)

    @property
    def remaining(self) -> Decimal | None:
        """What a new call may still take; never more than the limit, negative where a soft one was passed."""
        if self._limit is None:
            return None
        balance = self._balance()
        return _dollars(self._limit - (balance.settled + balance.held if balance else 0))

    @property
    def calls(self) -> int:
        """Calls that this guard sent, each retry of the SDK counted."""
        return self._count[0]

    def __repr__(self) -> str:
        return (
            f"<{self.name}: {self.spent} of {self.limit} dollars spent, {self.held} held, {self.calls} calls>"
        )


def _dollars(nanodollars: int) -> Decimal:
    return Decimal(nanodollars) / NANODOLLARS_PER_DOLLAR
