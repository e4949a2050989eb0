"""Calendar spans in a named time zone: which window a moment falls into, its start and its end."""

import enum
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

MICROSECONDS = 1_000_000
# How the window of a run begins; the run follows.
RUN_WINDOW = "run:"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Period(enum.StrEnum):
    """How long a budget lasts before it starts anew; the start is included, the end is not."""

    __hash__ = str.__hash__  # they are keys on the hot path, and Enum would hash by name, in Python

    MINUTE = "minute"
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"  # ISO weeks: Monday to Sunday
    MONTHLY = "monthly"
    RUN = "run"  # one execution of an agent or workflow; daily where no run id is known
    TOTAL = "total"


class Window(msgspec.Struct, frozen=True):
    """One period of one budget. Times are microseconds since 1970, UTC; None is open-ended."""

    key: str
    starts_at_us: int | None
    ends_at_us: int | None


def window_of(period: Period, at_us: int, zone: str, *, run: str | None = None) -> Window:
    """Find the window of a period that the moment falls into, in the budget's own zone.

    A new window is a new account: there is no job that resets anything.
    """
    if period is Period.TOTAL:
        return Window("total", None, None)
    if period is Period.RUN:
        if run:
            return Window(RUN_WINDOW + run, None, None)
        period = Period.DAILY
    latest = _latest.get((period, zone))
    if latest is not None and latest.starts_at_us <= at_us < latest.ends_at_us:  # type: ignore[operator]
        return latest
    window = _calendar_window(period, at_us, zone)
    _latest[(period, zone)] = window
    return window


# Nearly every call falls into the same window as the one before it.
_latest: dict[tuple[Period, str], Window] = {}


def _calendar_window(period: Period, at_us: int, zone: str) -> Window:
    local = from_microseconds(at_us).astimezone(_zone(zone))
    if period in (Period.MINUTE, Period.HOURLY):
        # Elapsed time, not wall-clock time: an hour that a zone repeats or skips stays one hour long.
        seconds = 60 if period is Period.MINUTE else 3600
        offset_us = _microseconds(local.utcoffset() or timedelta())
        starts_at_us = (at_us + offset_us) // (seconds * MICROSECONDS) * (seconds * MICROSECONDS) - offset_us
        start = from_microseconds(starts_at_us).astimezone(_zone(zone))
        form = "%Y-%m-%dT%H:%M" if period is Period.MINUTE else "%Y-%m-%dT%H"
        suffix = start.strftime("%z")
        return Window(start.strftime(form) + suffix, starts_at_us, starts_at_us + seconds * MICROSECONDS)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if period is Period.DAILY:
        start, end, key = midnight, _days_after(midnight, 1), midnight.strftime("%Y-%m-%d")
    elif period is Period.WEEKLY:
        start = _days_after(midnight, -midnight.weekday())
        end = _days_after(start, 7)
        key = start.strftime("%G-W%V")
    else:
        start = midnight.replace(day=1)
        end = (start + timedelta(days=32)).replace(day=1)
        key = start.strftime("%Y-%m")
    return Window(key, to_microseconds(start), to_microseconds(end))


def month_of(at_us: int, zone: str) -> int:
    """The month of the year of a moment in a zone; 1 is January."""
    return from_microseconds(at_us).astimezone(_zone(zone)).month


def _days_after(midnight: datetime, days: int) -> datetime:
    """The midnight some calendar days later, whatever the clocks did in between."""
    naive = midnight.replace(tzinfo=None) + timedelta(days=days)
    return naive.replace(tzinfo=midnight.tzinfo)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _microseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def to_microseconds(at: datetime) -> int:
    """Microseconds since 1970, UTC, of an aware time; exact, no float in between."""
    return _microseconds(at - _EPOCH)


def from_microseconds(at_us: int) -> datetime:
    """The aware UTC time of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=at_us)


def iso_utc(at_us: int) -> str:
    """Show a moment as 2026-11-22T01:02:03.456789Z: always six digits, so that text sorts as time."""
    at = from_microseconds(at_us)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}Z"
