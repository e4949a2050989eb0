"""Read the single values of a policy file: money, names, zones, rates. Each error says how to mend it."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BeforeValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from farthing.domain.money import BadAmount, nanodollars_from
from farthing.domain.names import nearest
from farthing.domain.period import Period
from farthing.policy.rules import Counted, Limit

_PERCENT_MAX = 1000
_TEMPERATURE_MAX = 2
_NUMBER = r"[0-9][0-9,_]{0,14}"
_PER = r"( per (key|developer|group|environment))?"
_RATE = re.compile(rf"\s*({_NUMBER})\s*/\s*(minute|hour|day){_PER}\s*")
_AT_ONCE = re.compile(rf"\s*({_NUMBER}){_PER}\s*")
_RATE_PERIODS = {"minute": Period.MINUTE, "hour": Period.HOURLY, "day": Period.DAILY}


def wrong(message: str, fix: str) -> PydanticCustomError:
    """An error that knows how to mend itself. Braces would be read as places to fill in."""
    return PydanticCustomError("farthing", "{said}", {"said": message, "fix": fix})


def _money(value: object) -> int:
    if not isinstance(value, str | int | Decimal) or isinstance(value, bool):
        raise wrong("is not an amount of dollars", "write it like $5, 5.00 or $1,000.00")
    try:
        return nanodollars_from(value)
    except BadAmount as error:
        said, _, fix = str(error).partition("; ")
        raise wrong(said, fix or "write it like $5, 5.00 or $1,000.00") from error


def _percent(value: object) -> int:
    text = value.removesuffix("%").strip() if isinstance(value, str) else value
    number = int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else text
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= _PERCENT_MAX:
        raise wrong(
            f"{value} is not a percentage", f"write a whole number from 1 to {_PERCENT_MAX}, such as 90"
        )
    return number


_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
)  # fmt: skip


def _month(value: object) -> int:
    name = value.lower() if isinstance(value, str) else value
    if isinstance(name, str) and name in _MONTHS:
        return _MONTHS.index(name) + 1
    number = int(name) if isinstance(name, str) and name.isascii() and name.isdigit() else name
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= len(_MONTHS):
        meant = nearest(name, _MONTHS) if isinstance(name, str) else None
        raise wrong(f"{value} is not a month", f"did you mean {meant}?" if meant else "write december or 12")
    return number


def _temperature(value: object) -> Decimal:
    number = Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None
    if number is None or not number.is_finite() or not 0 <= number <= _TEMPERATURE_MAX:
        fix = f"write a number from 0 to {_TEMPERATURE_MAX}, such as 0.7"
        raise wrong(f"{value} is not a temperature", fix)
    return number


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        meant = nearest(name, available_timezones())
        fix = f"did you mean {meant}?" if meant else "write an IANA zone such as Europe/London or UTC"
        raise wrong(f"{name!r} is not a time zone", fix) from error
    return name


def _rates(counts: Counted) -> Callable[[object], tuple[Limit, ...]]:
    """Read one rate or a list of them."""

    def read(value: object) -> tuple[Limit, ...]:
        values = value if isinstance(value, list) else [value]
        limits = tuple(_rate(one, counts) for one in values)
        return _told_apart(limits)

    return read


def _rate(value: object, counts: Counted) -> Limit:
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    most = _whole(match[1]) if match else 0
    if match is None or most == 0:
        raise wrong(f"{value} is not a rate", "write it like 10/minute or 600/hour")
    return Limit(counts=counts, most=most, period=_RATE_PERIODS[match[2]], per=match[4] or "key")


def _calls_open(value: object) -> tuple[Limit, ...]:
    """Read a number of calls open at once, or a list of them."""
    values = value if isinstance(value, list) else [value]
    return _told_apart(tuple(_at_once(one) for one in values))


def _at_once(value: object) -> Limit:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    match = _AT_ONCE.fullmatch(text) if isinstance(text, str) else None
    most = _whole(match[1]) if match else 0
    if match is None or most == 0:
        raise wrong(f"{value} is not a number of calls", "write it like 8, or 50 per environment")
    return Limit(counts=Counted.CALLS_OPEN, most=most, period=Period.TOTAL, per=match[3] or "key")


def _whole(digits: str) -> int:
    return int(re.sub("[,_]", "", digits))


def _told_apart(limits: tuple[Limit, ...]) -> tuple[Limit, ...]:
    """Refuse two limits that would count on one account."""
    if not limits or len({(limit.period, limit.per) for limit in limits}) < len(limits):
        raise wrong("limits the same thing twice, or nothing", "keep one for each period and  per")
    return limits


def _url(text: str) -> str:
    if any(mark.isspace() for mark in text) or not _names_a_server(text):
        raise wrong(
            "is not the address of a server", "write it like https://host/v1, without a name, key or query"
        )
    return text.rstrip("/")


def _names_a_server(text: str) -> bool:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        return False
    plain = "@" not in url.netloc and not url.query and not url.fragment and port != 0
    return plain and url.scheme in ("http", "https") and bool(url.hostname)


def _patterns(value: object) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or any(isinstance(one, bool) or not isinstance(one, str | int) for one in values):
        raise wrong("matches nothing", "write a name, a pattern such as claude-*, or a list of them")
    return tuple(str(one) for one in values)


def _variable(text: str) -> str:
    # Not shown: what stands here by mistake is often the secret itself.
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text) is None:
        raise wrong(
            "is not the name of a variable", "write its name, such as OPENAI_API_KEY, never the secret"
        )
    return text


def _text_like(pattern: str, what: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise wrong(f"{text[:80]!r} cannot be used as a name here", what)
        return text

    return check


_MONEY_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": r"^\s*\$?\s*[0-9][0-9,]*(\.[0-9]{1,9})?"},
        {"type": "number", "minimum": 0},
    ],
    "description": "dollars: $5, 5.00 or $1,000.00",
}
_PERCENT_SCHEMA = {"type": "integer", "minimum": 1, "maximum": _PERCENT_MAX}
_ONE_RATE = {"type": "string", "pattern": rf"^\s*{_NUMBER}\s*/\s*(minute|hour|day){_PER}\s*$"}
_RATE_SCHEMA = {"anyOf": [_ONE_RATE, {"type": "array", "items": _ONE_RATE, "minItems": 1}]}
_ONE_AT_ONCE = {
    "anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": rf"^\s*{_NUMBER}{_PER}\s*$"}]
}
_AT_ONCE_SCHEMA = {"anyOf": [_ONE_AT_ONCE, {"type": "array", "items": _ONE_AT_ONCE, "minItems": 1}]}
_TEMPERATURE_SCHEMA = {"type": "number", "minimum": 0, "maximum": _TEMPERATURE_MAX}
_ONE_PATTERN = {"type": ["string", "integer"]}
_PATTERNS_SCHEMA = {"anyOf": [_ONE_PATTERN, {"type": "array", "items": _ONE_PATTERN, "minItems": 1}]}

Money = Annotated[int, BeforeValidator(_money), WithJsonSchema(_MONEY_SCHEMA)]
Month = Annotated[int, BeforeValidator(_month)]
Percent = Annotated[int, BeforeValidator(_percent), WithJsonSchema(_PERCENT_SCHEMA)]
Limits = tuple[Limit, ...]
RequestRate = Annotated[Limits, PlainValidator(_rates(Counted.REQUESTS)), WithJsonSchema(_RATE_SCHEMA)]
TokenRate = Annotated[Limits, PlainValidator(_rates(Counted.TOKENS)), WithJsonSchema(_RATE_SCHEMA)]
CallsOpen = Annotated[Limits, PlainValidator(_calls_open), WithJsonSchema(_AT_ONCE_SCHEMA)]
Temperature = Annotated[Decimal, PlainValidator(_temperature), WithJsonSchema(_TEMPERATURE_SCHEMA)]
Zone = Annotated[str, AfterValidator(_zone)]
Url = Annotated[str, AfterValidator(_url)]
Patterns = Annotated[tuple[str, ...], PlainValidator(_patterns), WithJsonSchema(_PATTERNS_SCHEMA)]

# Account names are joined with "/", so a budget may not have one in its own name.
Name = Annotated[
    str,
    AfterValidator(
        _text_like(
            r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
            "use up to 64 letters, digits, dots, dashes and underscores, beginning with a letter or digit",
        )
    ),
]
TargetId = Annotated[
    str,
    AfterValidator(_text_like(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}", "use letters, digits and . _ : / @ -")),
]
ModelName = Annotated[
    str, AfterValidator(_text_like(r"[^\s\x00-\x1f]{1,256}", "write the name of a model, without spaces"))
]
LabelName = Annotated[
    str, AfterValidator(_text_like(r"[^\s\x00-\x1f]{1,64}", "use up to 64 characters, without spaces"))
]
VariableName = Annotated[str, AfterValidator(_variable)]
Match = dict[LabelName, Patterns]
