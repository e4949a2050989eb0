"""The window of an export: whole hours in UTC, and the name its file gets."""

import re
from datetime import MAXYEAR, UTC, datetime

from farthing.domain.period import from_microseconds, to_microseconds
from farthing.domain.span import BadSpan, span_us
from farthing.ledger.grains import HOUR_US
from farthing.reports.spans import BadMoment, Span, month_of, week_of

LAST = "last"
# How the name of a file says that it may still change.
PROVISIONAL = ".provisional"
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")


def window_asked(
    month: str | None, week: str | None, since: str | None, until: str | None, *, now_us: int
) -> Span:
    """The window that was asked for; the month that ended last where nothing was. Raises BadMoment."""
    window = _window_asked(month, week, since, until, now_us)
    if window.since_us < 0:
        raise BadMoment(f"there are no calls before 1970: {month or week or since}")
    return window


def _window_asked(
    month: str | None, week: str | None, since: str | None, until: str | None, now_us: int
) -> Span:
    given = [name for name, text in (("month", month), ("week", week), ("since", since)) if text is not None]
    if len(given) > 1 or (until is not None and "since" not in given):
        raise BadMoment("a window is one month, or one week, or since a moment (and until another)")
    if week is not None:
        return week_of(week, now_us)
    if since is None:
        return month_of(month or LAST, now_us)
    since_us = _whole_hour(since, now_us)
    until_us = -(-now_us // HOUR_US) * HOUR_US if until is None else _whole_hour(until, now_us)
    if since_us >= until_us:
        raise BadMoment(f"the window ends ({until or 'now'}) before it begins ({since})")
    return Span(since_us, until_us)


def window_name(window: Span, now_us: int) -> str:
    """A window as it stands in the name of a file: 2026-10, 2026-W46, or from which hour to which."""
    first = from_microseconds(window.since_us)
    month = f"{first:%Y-%m}"
    if month_of(month, now_us) == window:
        return month
    week = f"{first:%G-W%V}"
    if week_of(week, now_us) == window:
        return week
    return f"{first:%Y-%m-%dT%HZ}-{from_microseconds(window.until_us):%Y-%m-%dT%HZ}"


def file_name(window: Span, environment: str | None, ending: str, *, provisional: bool, now_us: int) -> str:
    """The name that every export of one window gets; a provisional one never takes that of the final one."""
    parts = ["farthing", window_name(window, now_us)]
    if environment is not None:
        parts.insert(1, _NOT_IN_A_NAME.sub("-", environment))
    return f"{'-'.join(parts)}{PROVISIONAL if provisional else ''}.{ending}"


def _whole_hour(text: str, now_us: int) -> int:
    """A moment that begins an hour; how long ago is counted from the hour that has begun."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        try:
            return max((now_us - span_us(text)) // HOUR_US * HOUR_US, 0)
        except BadSpan as error:
            raise BadMoment(
                f"{text!r} is no moment: write 2026-11-01 or 2026-11-01T06:00 (UTC), or how long ago: 7d"
            ) from error
    if at.year == MAXYEAR:
        raise BadMoment(f"{text} is further away than can be counted")
    at_us = to_microseconds(at if at.tzinfo else at.replace(tzinfo=UTC))
    if at_us % HOUR_US:
        raise BadMoment(
            f"{text} does not begin an hour in UTC: spend is summed by the hour, so that an export can be "
            f"held against it; write {from_microseconds(at_us // HOUR_US * HOUR_US):%Y-%m-%dT%H:00}"
        )
    return at_us
