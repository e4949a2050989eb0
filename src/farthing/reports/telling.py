"""Show the exact figures of a sheet: to people as text, to programs as plain values."""

import unicodedata
from decimal import Decimal
from fractions import Fraction

from farthing.domain.money import NANODOLLARS_PER_DOLLAR, dollars, nearest_whole
from farthing.domain.period import iso_utc
from farthing.reports.sheet import Kind, Value

# Embeddings, overrides and isolates: what follows them may be read in another order than it is written.
_TURNS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def shown(kind: Kind, value: Value) -> str:
    """A cell as people read it; empty where there is no figure."""
    if value is None:
        return ""
    match kind:
        case Kind.MONEY:
            return dollars(int(value))
        case Kind.MEAN:
            return dollars(significant(int(value)))
        case Kind.COUNT:
            return f"{int(value):,}"
        case Kind.SHARE:
            return f"{percent(Fraction(value))} %"
        case Kind.RATIO:
            return ratio(Fraction(value))
        case Kind.TIMES:
            return f"{rounded(Fraction(value), 1)}x"
        case Kind.NUMBER:
            return f"{rounded(Fraction(value), 1):,}"
        case Kind.MOMENT:
            return iso_utc(int(value))[:16].replace("T", " ")
        case Kind.DURATION:
            return _duration(int(value) // 1_000_000)
        case Kind.TEXT:
            return readable(str(value))


def readable(text: str) -> str:
    """A text that callers chose, without signs that steer a terminal or turn the direction of a line."""
    if text.isprintable():
        return text
    return "".join("\ufffd" if _steers(sign) else sign for sign in text)


def _steers(sign: str) -> bool:
    # Lines may break; format signs (Cf) join letters and emoji, those that turn directions excepted.
    if unicodedata.category(sign) == "Cc":
        return sign not in "\n\t"
    return unicodedata.bidirectional(sign) in _TURNS


def plain(kind: Kind, value: Value) -> str | int | Decimal | None:
    """A cell as programs read it: amounts in whole nanodollars, shares in percent to four places."""
    if value is None:
        return None
    match kind:
        case Kind.SHARE:
            return rounded(Fraction(value) * 100, 4)
        case Kind.TIMES | Kind.NUMBER:
            return rounded(Fraction(value), 4)
        case Kind.RATIO:
            return ratio(Fraction(value))
        case Kind.MOMENT:
            return iso_utc(int(value))
        case Kind.DURATION:
            return rounded(Fraction(int(value), 1_000_000), 6)
        case Kind.MONEY | Kind.MEAN | Kind.COUNT:
            return int(value)
        case Kind.TEXT:
            return str(value)


def rounded_dollars(nanodollars: int) -> str:
    """An amount in a sentence: to the cent, and an amount below a dollar to three digits that count."""
    places = 2
    while places < 9 and 0 < abs(nanodollars) < 10 ** (11 - places):
        places += 1
    return dollars(int(rounded(Fraction(nanodollars, 10**9), places) * 10**9))


def percent(share: Fraction) -> str:
    """A share in percent: one decimal, or two where those tell it exactly: 43.3, 7.5, 56.25."""
    hundredths = share * 10_000
    if hundredths.denominator == 1 and hundredths.numerator % 10:
        return f"{rounded(share * 100, 2):,.2f}"
    return f"{rounded(share * 100, 1):,.1f}"


def ratio(of: Fraction) -> str:
    """One sum over another with the smaller as one: 1:1.78, 1:3, 9.8:1."""
    if of <= 0:
        return "0:1"
    if of <= 1:
        return f"1:{_short(rounded(1 / of, 2))}"
    return f"{_short(rounded(of, 1))}:1"


def rounded(value: Fraction, places: int) -> Decimal:
    """A fraction as a decimal number, rounded half away from zero."""
    # Read from text, which keeps every digit; arithmetic with decimals would keep twenty-eight.
    return Decimal(f"{nearest_whole(value * 10**places)}E-{places}")


def significant(nanodollars: int) -> int:
    """An amount rounded to four digits that count, and never coarser than a cent."""
    places = max(len(str(abs(nanodollars))) - 4, 0)
    unit = min(int(10**places), NANODOLLARS_PER_DOLLAR // 100)
    return nearest_whole(Fraction(nanodollars, unit)) * unit


def _short(number: Decimal) -> str:
    text = format(number, ",f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _duration(seconds: int) -> str:
    hours, minutes = divmod(seconds // 60, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"
