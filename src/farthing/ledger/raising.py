"""Raises of limits: what is asked, what is kept of it, and which of them count at a moment. Pure."""

from typing import TYPE_CHECKING

import msgspec

from farthing.domain.period import iso_utc

if TYPE_CHECKING:
    from farthing.ledger.entries import Balance, Claim

# What raises add to the limit of one account: (until, amount), one pair for each end; None has no end.
Raises = tuple[tuple[int | None, int], ...]


class Raise(msgspec.Struct, gc=False, frozen=True, kw_only=True, tag=True):
    """Add to the limit of one account; a second one with the same id changes nothing.

    An account is one window, so a raise ends with its window at the latest.

    claim: the account, with the limit that the policy gives it; it is opened if it is new.
    amount: in the unit of the account; a negative one lowers the limit.
    until_us: the first moment at which it no longer counts; None lets it last as long as the account.
    """

    raise_id: str
    claim: "Claim"
    at_us: int
    amount: int
    by: str
    reason: str
    until_us: int | None = None


class RaiseRow(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """A raise as it is kept for good: who, when, from which limit to which, for how long, and why."""

    raise_id: str
    account: str
    at_us: int
    amount: int
    limit_before: int
    limit_after: int
    until_us: int | None
    by: str
    reason: str


class Raised(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """The limit was raised; already where that had been done before and nothing was changed now."""

    row: RaiseRow
    balance: "Balance"
    already: bool = False


def raises_with(raises: Raises, until_us: int | None, amount: int) -> Raises:
    """The raises of an account with one more; those that end together are one."""
    by_end = dict(raises)
    by_end[until_us] = by_end.get(until_us, 0) + amount
    return tuple(by_end.items())


def raised_by(raises: Raises, at_us: int | None) -> int:
    """What raises add to a limit at a moment; without one, all of them, whatever their end."""
    return sum([
        amount for until_us, amount in raises if until_us is None or at_us is None or at_us < until_us
    ])  # fmt: skip


def what_raised(account: str, until_us: int | None) -> str:
    """Name the raises of an account that end together, where they do not add up."""
    return f"raised of {account} " + ("without end" if until_us is None else f"until {iso_utc(until_us)}")
