"""What a provider says was used and what it costs: the rows of its exports in one shape."""

import enum
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import msgspec

from farthing.domain.errors import FarthingError
from farthing.domain.money import NANODOLLARS_MAX, NANODOLLARS_PER_DOLLAR
from farthing.domain.period import MICROSECONDS, from_microseconds, to_microseconds
from farthing.ledger.grains import DAY_US

NANODOLLARS_PER_CENT = NANODOLLARS_PER_DOLLAR // 100
OPENAI, ANTHROPIC = "openai", "anthropic"
PROVIDERS = (OPENAI, ANTHROPIC)
BATCH = "batch"
# What providers call the tier that everybody has.
PLAIN_TIERS = frozenset({None, "", "default", "standard", "auto"})

# More of anything in one row is a broken file: the books count in 64 bits.
COUNT_MAX = 2**63 - 1
# An amount with more digits than this behind or before its point is no amount of money.
_PLACES_MAX = 60
_DIGITS_MAX = 20
# No provider has billed before 2000, and none bills beyond 2200: such a moment is a broken file.
_EARLIEST_US, _LATEST_US = 946_684_800 * MICROSECONDS, 7_258_118_400 * MICROSECONDS


class BadExport(FarthingError):
    """A file is no export that can be read: what is wrong, why, and how to go on."""

    def __init__(self, message: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.why = why
        self.fix = fix


class Kind(enum.StrEnum):
    """What a row tells of: quantities or money."""

    USAGE = "usage"
    COST = "cost"


class Quantities(NamedTuple):
    """What was used, in classes that do not overlap; None is not told, zero is zero."""

    requests: int | None = 0
    fresh_input: int | None = 0
    cached_read: int | None = 0
    cached_write: int | None = 0
    output_tokens: int | None = 0

    def plus(self, other: "Quantities") -> "Quantities":
        """The sum; what one of them does not tell, the sum does not tell."""
        pairs = zip(self, other, strict=True)
        return Quantities(*(None if one is None or more is None else one + more for one, more in pairs))


class ProviderRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of an export.

    key, model: as the provider names them; None where the export is not broken down by it.
    tier: the service tier, or batch; None where it is not told.
    quantities: of usage; amount: of cost, in nanodollars, exact.
    places: how many decimals of a dollar the amount is shown with.
    told: everything that the export is broken down by, so that a row given twice is found.
    """

    starts_at_us: int
    ends_at_us: int
    model: str | None = None
    key: str | None = None
    tier: str | None = None
    item: str = ""
    quantities: Quantities | None = None
    amount: Fraction | None = None
    places: int = 0
    told: Mapping[str, str]

    @property
    def day(self) -> int:
        """The UTC day, counted from 1970."""
        return self.starts_at_us // DAY_US


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One page or table of an export.

    source: the file, for messages. table: the endpoint that it comes from, as far as it can be told.
    spans: the buckets that it covers, empty ones too.
    more: the provider said that another page follows.
    apart: what it tells that is not compared, as counts by name.
    """

    source: str
    provider: str
    kind: Kind
    table: str
    spans: tuple[tuple[int, int], ...]
    rows: tuple[ProviderRow, ...]
    more: bool = False
    apart: Mapping[str, int] = {}


def count_from(number: int | None, what: str, source: str) -> int:
    """A count of things. Raises BadExport for what cannot be one."""
    if number is None:
        raise BadExport(f"{source}: a row has no {what}", fix="export again; the file may be cut short")
    if not 0 <= number <= COUNT_MAX:
        raise BadExport(f"{source}: {what} cannot be {_short(str(number))}", fix="export again")
    return number


def count_from_text(text: str, what: str, source: str) -> int:
    """A count as a table writes it, such as 12 or 12.0; nothing is zero."""
    if not text.strip():
        return 0
    try:
        number = Decimal(text.strip())
    except ArithmeticError as error:
        raise BadExport(f"{source}: {what} is {_short(text)!r}, no number", fix="export again") from error
    if not number.is_finite() or number.adjusted() > _DIGITS_MAX or number != number.to_integral_value():
        raise BadExport(f"{source}: {what} cannot be {_short(text)}", fix="export again")
    return count_from(int(number), what, source)


def amount_from(amount: Decimal, source: str, *, nanodollars_per_unit: int) -> tuple[Fraction, int]:
    """An amount in exact nanodollars, and how many decimals of a dollar it is shown with."""
    if not amount.is_finite() or amount.adjusted() > _DIGITS_MAX:
        raise BadExport(f"{source}: {_short(str(amount))} is no amount of money", fix="export again")
    exponent = int(amount.as_tuple().exponent)
    if exponent < -_PLACES_MAX:
        raise BadExport(f"{source}: {_short(str(amount))} has too many decimals", fix="export again")
    exact = Fraction(amount) * nanodollars_per_unit
    if abs(exact) > NANODOLLARS_MAX:
        raise BadExport(f"{source}: {_short(str(amount))} is more than a ledger can hold", fix="export again")
    return exact, max(-exponent, 0) + (2 if nanodollars_per_unit == NANODOLLARS_PER_CENT else 0)


def amount_from_text(text: str, source: str) -> tuple[Fraction, int]:
    """An amount of dollars as a table writes it."""
    try:
        amount = Decimal(text.strip())
    except ArithmeticError as error:
        raise BadExport(f"{source}: {_short(text)!r} is no amount of dollars", fix="export again") from error
    return amount_from(amount, source, nanodollars_per_unit=NANODOLLARS_PER_DOLLAR)


def check_currency(currency: str | None, source: str) -> None:
    """Raise BadExport for amounts that are not in US dollars."""
    if currency is None or currency.strip().lower() != "usd":
        named = "no currency" if not currency else f"the currency {_short(currency)!r}"
        raise BadExport(
            f"{source}: an amount has {named}",
            why="the ledger is kept in US dollars, and amounts of other currencies do not add up with it",
            fix="export the costs in US dollars, or leave this file out",
        )


def moment_from(text: str, source: str) -> int:
    """A moment in RFC 3339, or a date; UTC where no zone is told."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise BadExport(f"{source}: {_short(text)!r} is no date or time", fix="export again") from error
    at_us = to_microseconds(at if at.tzinfo else at.replace(tzinfo=UTC))
    return _bounded(at_us, f"{_short(text)!r} is not between 2000 and 2200", source)


def seconds_from(number: int, source: str) -> int:
    """Unix seconds as microseconds. Raises BadExport for what is no moment between 2000 and 2200."""
    return _bounded(number * MICROSECONDS, f"{_short(str(number))} is no time in Unix seconds", source)


def _bounded(at_us: int, wrong: str, source: str) -> int:
    if not _EARLIEST_US <= at_us <= _LATEST_US:
        raise BadExport(f"{source}: {wrong}", fix="export again")
    return at_us


def check_span(starts_at_us: int, ends_at_us: int, source: str) -> tuple[int, int]:
    """A bucket of time. Raises BadExport for one that is empty or reaches over midnight UTC."""
    if not starts_at_us < ends_at_us:
        raise BadExport(f"{source}: a bucket ends before it begins", fix="export again")
    if starts_at_us // DAY_US != (ends_at_us - 1) // DAY_US:
        raise BadExport(
            f"{source}: the bucket that begins at {from_microseconds(starts_at_us):%Y-%m-%dT%H:%M}Z reaches "
            "over midnight",
            why="days are compared in UTC, and what is in this bucket cannot be told apart by day",
            fix="ask for buckets of one day (1d) that begin at midnight UTC, or for smaller ones",
        )
    return starts_at_us, ends_at_us


def day_text(day: int) -> str:
    """A day as 2026-11-22."""
    return date.fromordinal(date(1970, 1, 1).toordinal() + day).isoformat()


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"
