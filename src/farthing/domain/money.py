"""Whole nanodollars: read from text, show, divide, round."""

import re
from decimal import Decimal
from fractions import Fraction

NANODOLLARS_PER_DOLLAR = 1_000_000_000
TOKENS_PER_MILLION = 1_000_000

# A 64-bit column holds nine billion dollars; nothing may be larger than it can remember.
NANODOLLARS_MAX = 9_000_000_000 * NANODOLLARS_PER_DOLLAR

_AMOUNT = re.compile(
    r"""\s*(?:\$\s*)?
        (?P<whole>\d{1,3}(?:,\d{3})+|\d+)
        (?:\.(?P<fraction>\d+))?
        \s*(?:usd|\$)?\s*""",
    re.IGNORECASE | re.VERBOSE,
)


class BadAmount(ValueError):
    """The text is not an amount of dollars that can be kept exactly."""


def nanodollars_from(amount: str | int | float | Decimal) -> int:
    """Read an amount of dollars: "$5", "5.00", "$1,000.00", "0.50 USD", 2, Decimal("0.5").

    A float is read by its repr, so 0.1 is ten cents and not the nearest binary fraction.

    Returns whole nanodollars, never negative.
    Raises BadAmount for nan, inf, booleans, negatives, more than nine decimals, other text.
    """
    if isinstance(amount, bool):
        raise BadAmount(f"{amount} is not an amount of money")
    text = format(Decimal(repr(amount)), "f") if isinstance(amount, float) else str(amount)
    if isinstance(amount, Decimal) and amount.is_finite():
        text = format(amount, "f")
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise BadAmount(f"{text!r} is not an amount of dollars; write it like $5, 5.00 or $1,000.00")
    fraction = (match["fraction"] or "").rstrip("0")
    if len(fraction) > 9:
        raise BadAmount(f"{text!r} has more than nine decimals; the smallest amount is $0.000000001")
    whole = int(match["whole"].replace(",", ""))
    nanodollars = whole * NANODOLLARS_PER_DOLLAR + int(fraction.ljust(9, "0") or "0")
    if nanodollars > NANODOLLARS_MAX:
        raise BadAmount(f"{text!r} is more than the ledger can remember")
    return nanodollars


def decimal_text(nanodollars: int) -> str:
    """Show an amount exactly, in dollars with nine decimals: "0.000480000"."""
    sign = "-" if nanodollars < 0 else ""
    whole, rest = divmod(abs(nanodollars), NANODOLLARS_PER_DOLLAR)
    return f"{sign}{whole}.{rest:09d}"


def dollars(nanodollars: int) -> str:
    """Show an amount to people: at least cents, and never fewer digits than the amount has.

    "$1,234.50", "$0.00048", "-$0.20".
    """
    sign = "-" if nanodollars < 0 else ""
    whole, rest = divmod(abs(nanodollars), NANODOLLARS_PER_DOLLAR)
    fraction = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}${whole:,}.{fraction}"


def divide_up(dividend: int, divisor: int) -> int:
    """Divide and round towards more money, so that a remainder is never lost."""
    return -(-dividend // divisor)


def nearest_whole(amount: Fraction) -> int:
    """Round a mean, a share or a forecast of an amount to the nearest whole number, half away from zero."""
    whole = (2 * abs(amount.numerator) + amount.denominator) // (2 * amount.denominator)
    return whole if amount >= 0 else -whole
