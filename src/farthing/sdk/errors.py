"""What a guarded client raises: our reason and the SDK's own type in one exception."""

from decimal import Decimal

import msgspec

from farthing.domain.errors import Reason, Refusal, Refused
from farthing.domain.money import NANODOLLARS_PER_DOLLAR

# These reasons mean that money or a rate is used up; SDKs have one type for that.
OF_LIMITS = frozenset({Reason.BUDGET_EXCEEDED, Reason.WALLET_EMPTY, Reason.BUDGET_HELD, Reason.RATE_LIMITED})


class GuardError(ValueError):
    """The guard was asked for something it cannot do: a budget that is none, an unknown client."""


class CallRefused(Refused):
    """The guard did not make this call; nothing was spent. ``refusal`` says why and how to go on."""

    def __init__(self, refusal: Refusal, call_id: str | None = None) -> None:
        super().__init__(refusal, call_id)
        self.args = (message_of(refusal),)

    @property
    def reason(self) -> Reason:
        """Why, in one word of the contract."""
        return self.refusal.reason

    def remember(self, refusal: Refusal, call_id: str | None) -> None:
        """Carry the reason beside what the SDK's own type carries."""
        self.refusal = refusal
        self.call_id = call_id


class BudgetExceeded(CallRefused):
    """A limit is reached: the call was not made. Amounts are Decimal dollars.

    What a guarded client raises is this and the SDK's own rate-limit error, so existing handlers work.
    """

    @property
    def budget(self) -> str | None:
        """The name of the budget that is short."""
        return self.refusal.budget

    @property
    def limit(self) -> Decimal | None:
        """What may be spent in the window."""
        return self._dollars(self.refusal.limit)

    @property
    def spent(self) -> Decimal | None:
        """What is settled."""
        return self._dollars(self.refusal.spent)

    @property
    def held(self) -> Decimal | None:
        """What calls in flight hold."""
        return self._dollars(self.refusal.held)

    @property
    def resets_at(self) -> str | None:
        """When the next window starts; None where there is none."""
        return self.refusal.resets_at

    def _dollars(self, nanodollars: int | None) -> Decimal | None:
        if nanodollars is None or self.refusal.unit not in (None, "nanodollars"):
            return None
        return Decimal(nanodollars) / NANODOLLARS_PER_DOLLAR


def with_way_on(refusal: Refusal, how_to_raise: str) -> Refusal:
    """Tell whoever gave the budget how to go on; the policy's owner has no part in it."""
    if refusal.reason is not Reason.BUDGET_EXCEEDED:
        return refusal
    ways = []
    if (refusal.spent or 0) < (refusal.limit or 0):
        ways.append("ask for less output (max_tokens) or send a shorter prompt")
    if refusal.resets_at:
        ways.append(f"wait for the next window at {refusal.resets_at}")
    ways.append(f"or {how_to_raise}" if ways else how_to_raise)
    return msgspec.structs.replace(refusal, fix=", ".join(ways))


def message_of(refusal: Refusal) -> str:
    """What happened and how to go on, as one line."""
    return f"{refusal.message}. To go on: {refusal.fix}"
