"""An outcome: something that software achieved with what it spent, told by the application itself."""

import decimal
from collections.abc import Mapping
from decimal import Decimal

import msgspec

NAME_MAX = 64
ID_MAX = 128
LABELS_MAX = 20
LABEL_VALUE_MAX = 256
DIGITS_MAX = 64

# Wide enough to add up as many of the longest numbers as there ever are.
_EXACT = decimal.Context(prec=3 * DIGITS_MAX)


class BadOutcome(ValueError):
    """An outcome that cannot be recorded: a value that is none, a name or label that is too long."""


class RecordedOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One outcome. One with the same id, of the same environment and key, is the same one.

    number: counts upwards as outcomes are kept; 0 before.
    """

    outcome_id: str
    at_us: int
    environment: str
    name: str
    value: Decimal | bool | None = None
    labels: Mapping[str, str] = {}
    run: str | None = None
    group: str | None = None
    key: str | None = None
    developer: str | None = None
    number: int = 0


class OutcomeSum(msgspec.Struct, frozen=True, kw_only=True):
    """A slice of outcomes: how many, how many were true or false, and the sum of the numbers among them."""

    by: Mapping[str, str | None]
    outcomes: int
    true: int
    false: int
    numbers: int
    total: Decimal


def value_given(given: object) -> Decimal | bool | None:
    """Read the value of an outcome: nothing, a truth, or a number; a float counts as it is shown.

    Raises BadOutcome.
    """
    if given is None or isinstance(given, bool):
        return given
    if not isinstance(given, int | float | str | Decimal):
        raise BadOutcome(f"the value of an outcome is a number, a truth or None, not {type(given).__name__}")
    try:
        value = Decimal(repr(given) if isinstance(given, float) else given)
    except (decimal.InvalidOperation, ValueError):
        value = Decimal("nan")
    if not value.is_finite():
        raise BadOutcome(f"{given!r} is no number that an outcome can have")
    if value.adjusted() > DIGITS_MAX or len(value_text(value) or "") > DIGITS_MAX:
        raise BadOutcome(f"{given!r} has too many digits; an outcome keeps {DIGITS_MAX}")
    return value


def check_outcome(outcome: RecordedOutcome) -> RecordedOutcome:
    """Check the texts of an outcome. Raises BadOutcome."""
    for what, text, most in (("name", outcome.name, NAME_MAX), ("outcome_id", outcome.outcome_id, ID_MAX)):
        if not text.strip() or len(text) > most or not text.isprintable():
            raise BadOutcome(f"the {what} of an outcome has 1 to {most} characters, all printable: {text!r}")
    if len(outcome.labels) > LABELS_MAX:
        raise BadOutcome(f"{len(outcome.labels)} labels were given; at most {LABELS_MAX} are kept")
    for name, text in {**outcome.labels, "run": outcome.run or ""}.items():
        if not name or len(name) > NAME_MAX or len(text) > LABEL_VALUE_MAX or not (name + text).isprintable():
            raise BadOutcome(
                f"label {name!r}: names have 1 to {NAME_MAX} characters, values at most {LABEL_VALUE_MAX}, "
                "all printable"
            )
    return outcome


def value_text(value: Decimal | bool | None) -> str | None:
    """A value as it is kept: true, false or a number in full, without an exponent."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value, "f")


def value_from(text: str | None) -> Decimal | bool | None:
    """The value that was kept as a text."""
    return text == "true" if text in ("true", "false") else None if text is None else Decimal(text)


def add_exactly(total: Decimal, value: Decimal, times: int = 1) -> Decimal:
    """Add a number so many times, to the last digit."""
    return _EXACT.add(total, _EXACT.multiply(value, times))
