"""Scenarios about people: a developer on a dear model, a budget used up, a team's day of work."""

from collections.abc import Iterator

from farthing.domain.usage import Usage
from farthing.scenarios.moments import DAY_US, HOUR_US, WEEK_STARTS_AT_US, evenly, in_order
from farthing.scenarios.pricing import cost_of
from farthing.scenarios.rows import Row

_WORKING_DAYS = 5

ENGINEERS = ("engineer-a", "engineer-b", "engineer-c", "engineer-d", "engineer-e")
EXPENSIVE_ENGINEER = "engineer-b"


def g3() -> Iterator[Row]:
    """A week: four engineers make 300 calls each to gpt-4o-mini, engineer B 2,394 to gpt-4o."""
    return in_order(
        *[
            _week_of(name, "gpt-4o", 2_394)
            if name == EXPENSIVE_ENGINEER
            else _week_of(name, "gpt-4o-mini", 300)
            for name in ENGINEERS
        ]
    )


def _week_of(developer: str, model: str, calls: int) -> Iterator[Row]:
    """Calls from nine to five, Monday to Friday, as even as they can be."""
    usage = Usage(input_tokens=1_200, output_tokens=500)
    cost = cost_of(model, 1_200, 500)
    labels = {"feature": "search"}
    span_us = 8 * HOUR_US
    for worked_us in evenly(calls, 0, _WORKING_DAYS * span_us):
        day, within_us = divmod(worked_us, span_us)
        yield Row(
            at_us=WEEK_STARTS_AT_US + day * DAY_US + 9 * HOUR_US + within_us,
            environment="development",
            key=developer,
            developer=developer,
            labels=labels,
            model_asked=model,
            model_served=model,
            usage=usage,
            cost_nanodollars=cost,
        )
