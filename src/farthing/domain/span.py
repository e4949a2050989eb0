"""Spans of time as people write them: 30d, 2h, 90m."""

import re

_SPAN = re.compile(r"([1-9][0-9]{0,5})([mhdw])")
_SECONDS = {"m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}
_SECONDS_MAX = 3_653 * 86_400


class BadSpan(ValueError):
    """The text is no span of time."""


def span_us(text: str) -> int:
    """Microseconds of a span such as 30d. Raises BadSpan."""
    if text.strip() == "0":
        return 0
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise BadSpan(f"{text!r} is no span of time; write it like 90m, 2h, 30d or 4w")
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > _SECONDS_MAX:
        raise BadSpan(f"{text!r} is longer than ten years")
    return seconds * 1_000_000
