"""Choose the rates that hold at a moment, and say until when the choice stands."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time

from farthing.domain.period import MICROSECONDS, to_microseconds
from farthing.prices.records import ModelRecord, RateSteps, SpanRecord

DAY_US = 24 * 3600 * MICROSECONDS
EVER_US = 1 << 62


def holds(span: SpanRecord, at_us: int) -> bool:
    """Whether a span holds at a moment; days and hours are UTC, an hour range may pass midnight."""
    if span.starts_on is not None and at_us < _day_us(span.starts_on):
        return False
    if span.ends_on is not None and at_us >= _day_us(span.ends_on):
        return False
    day, in_day_us = divmod(at_us, DAY_US)
    # The first of January 1970 was a Thursday, the fourth day of an ISO week.
    if span.weekdays is not None and (day + 3) % 7 + 1 not in span.weekdays:
        return False
    if span.daily is None:
        return True
    start_us, end_us = (_time_us(at) for at in span.daily)
    if end_us < start_us:
        return in_day_us >= start_us or in_day_us < end_us
    return start_us <= in_day_us < end_us


def standard_span(model: ModelRecord, at_us: int) -> SpanRecord:
    """The span that holds at a moment; the last one that does counts, the first one where none does."""
    return next((span for span in reversed(model.spans) if holds(span, at_us)), model.spans[0])


def tier_rates(model: ModelRecord, standard: SpanRecord, at_us: int) -> dict[str, dict[str, RateSteps]]:
    """The whole rates of every other service tier: the standard ones where a tier has none of its own."""
    tiers: dict[str, dict[str, RateSteps]] = {}
    for variant in model.variants:
        if holds(variant, at_us):
            own = tiers.setdefault(variant.tier, {})
            # The first of several variants of one tier counts, for each class on its own.
            own.update({name: rate for name, rate in variant.rates.items() if name not in own})
    return {tier: {**standard.rates, **own} for tier, own in tiers.items()}


def stands_between(model: ModelRecord, at_us: int) -> tuple[int, int]:
    """The span of time around a moment in which no price of the model changes; the end is not in it."""
    from_us, until_us = -EVER_US, EVER_US
    for boundary_us in _boundaries((*model.spans, *model.variants), at_us):
        if boundary_us <= at_us:
            from_us = max(from_us, boundary_us)
        else:
            until_us = min(until_us, boundary_us)
    return from_us, until_us


def _boundaries(spans: Iterable[SpanRecord], at_us: int) -> Iterator[int]:
    midnight_us = at_us // DAY_US * DAY_US
    for span in spans:
        for day in (span.starts_on, span.ends_on):
            if day is not None:
                yield _day_us(day)
        if span.daily is not None or span.weekdays is not None:
            yield midnight_us
            yield midnight_us + DAY_US
        for at in span.daily or ():
            yield midnight_us + _time_us(at)


def _day_us(day: date) -> int:
    return to_microseconds(datetime.combine(day, time(), tzinfo=UTC))


def _time_us(at: time) -> int:
    return (at.hour * 3600 + at.minute * 60 + at.second) * MICROSECONDS
