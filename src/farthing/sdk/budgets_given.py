"""Read what the user's code says of money, labels and shares; strictly, before anything is spent."""

from collections.abc import Mapping
from decimal import Decimal
from uuid import UUID

from farthing.domain.money import BadAmount, nanodollars_from
from farthing.domain.period import Period
from farthing.sdk.errors import GuardError

Amount = str | int | float | Decimal
LABELS_MAX = 20
LABEL_NAME_MAX = 64
LABEL_VALUE_MAX = 256
# The policy's own words for what becomes of a call that does not fit.
AT_LIMIT = ("clamp", "refuse")
_PERIODS = {"minutely": "minute", "hour": "hourly", "day": "daily", "week": "weekly", "month": "monthly"}


def amount_given(amount: Amount, *, what: str = "budget") -> int:
    """Read an amount as nanodollars: 2, 0.5, "$1,000.00", "0.50 USD", Decimal("0.5").

    Raises GuardError for nan, inf, True, a negative one, more than nine decimals, other text.
    """
    if not isinstance(amount, str | int | float | Decimal):
        raise GuardError(
            f"{what}={amount!r} is not an amount of dollars; write it like 2, 0.50 or '$1,000.00'"
        )
    try:
        return nanodollars_from(amount)
    except BadAmount as error:
        raise GuardError(f"{what}: {error}") from error
    except ArithmeticError as error:
        raise GuardError(f"{what}={amount!r} is not an amount of dollars") from error


def share_given(share: float, *, what: str, most: str = "1") -> Decimal:
    """Read a share such as 0.8 of a budget. Raises GuardError outside 0 to most."""
    if isinstance(share, bool) or not isinstance(share, int | float | Decimal):
        raise GuardError(f"{what}={share!r} is not a share; write it like 0.8")
    read = Decimal(repr(share)) if isinstance(share, float) else Decimal(share)
    if not read.is_finite() or not 0 < read <= Decimal(most):
        raise GuardError(f"{what}={share!r} is not a share above 0 and up to {most}")
    return read


def period_given(period: str | None) -> Period | None:
    """Read a period by its name. Raises GuardError for an unknown one."""
    if period is None:
        return None
    name = str(period).strip().lower()
    try:
        return Period(_PERIODS.get(name, name))
    except ValueError:
        known = ", ".join(one.value for one in Period)
        raise GuardError(f"period={period!r} is not one of: {known}") from None


def at_limit_given(at_limit: str) -> str:
    """Read what becomes of a call that does not fit. Raises GuardError for an unknown word."""
    if at_limit not in AT_LIMIT:
        raise GuardError(f"at_limit={at_limit!r} is not one of: {', '.join(AT_LIMIT)}")
    return at_limit


def labels_given(labels: Mapping[str, object] | None) -> dict[str, str]:
    """Read labels as text. Raises GuardError for too many, too long ones, or values that are no scalars."""
    read: dict[str, str] = {}
    for name, value in (labels or {}).items():
        text = label_text(value)
        if text is None:
            raise GuardError(
                f"label {name!r} must be text, a number, a truth or a UUID, not {type(value).__name__}"
            )
        if not name or not isinstance(name, str) or len(name) > LABEL_NAME_MAX or len(text) > LABEL_VALUE_MAX:
            raise GuardError(
                f"label {name!r}: names have 1 to {LABEL_NAME_MAX} characters, "
                f"values at most {LABEL_VALUE_MAX}"
            )
        if not (name + text).isprintable():
            raise GuardError(f"label {name!r} holds a line break or another control character")
        read[name] = text
    if len(read) > LABELS_MAX:
        raise GuardError(f"{len(read)} labels were given; at most {LABELS_MAX} are kept")
    return read


def label_text(value: object) -> str | None:
    """A label's value as text; None for what is no scalar."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal | UUID):
        return str(value)
    return None
