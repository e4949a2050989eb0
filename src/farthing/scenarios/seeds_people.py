"""Scenarios about people: a developer on a dear model, a budget used up, a team's day of work."""

from collections.abc import Iterator
from itertools import count, islice

from farthing.domain.usage import Usage
from farthing.ledger.entries import AtShort, Claim, Unit, account_name
from farthing.scenarios.moments import (
    DAY_US,
    HOUR_US,
    MONTH_ENDS_AT_US,
    MONTH_STARTS_AT_US,
    WEEK_STARTS_AT_US,
    day,
    evenly,
    in_order,
    parts_of,
)
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
        number, within_us = divmod(worked_us, span_us)
        yield Row(
            at_us=WEEK_STARTS_AT_US + number * DAY_US + 9 * HOUR_US + within_us,
            environment="development",
            key=developer,
            developer=developer,
            labels=labels,
            model_asked=model,
            model_served=model,
            usage=usage,
            cost_nanodollars=cost,
        )


# ── a budget for each developer ─────────────────────────────────────────────────────────────────

DEVELOPERS = ("alice", "bob", "carol", "dave", "erin")
DEVELOPER_LIMIT_NANODOLLARS = 150_000_000_000
_CALLS_WITHIN_LIMIT = 18_750


def g2() -> Iterator[Row]:
    """Five developers with 150 dollars a month each: alice uses hers up, and production goes on."""
    return in_order(
        _month_of("development", "alice", _CALLS_WITHIN_LIMIT),
        *[_month_of("development", name, 1_000) for name in DEVELOPERS if name != "alice"],
        _month_of("production", None, 2_000),
        [_refused_alice()],
    )


def _month_of(environment: str, developer: str | None, calls: int) -> Iterator[Row]:
    usage = Usage(input_tokens=1_200, output_tokens=500)
    cost = cost_of("gpt-4o", 1_200, 500)
    labels = {"feature": "search"}
    account = None if developer is None else developer_account(developer)
    for at_us in evenly(calls, MONTH_STARTS_AT_US, MONTH_ENDS_AT_US - DAY_US):
        yield Row(
            at_us=at_us,
            environment=environment,
            key=developer or f"{environment}-app",
            developer=developer,
            labels=labels,
            model_asked="gpt-4o",
            model_served="gpt-4o",
            usage=usage,
            cost_nanodollars=cost,
            account=account,
        )


def _refused_alice() -> Row:
    return Row(
        at_us=MONTH_ENDS_AT_US - HOUR_US,
        environment="development",
        key="alice",
        developer="alice",
        labels={"feature": "search"},
        model_asked="gpt-4o",
        refused="budget_exceeded",
        status=429,
        account=developer_account("alice"),
    )


def developer_account(developer: str) -> Claim:
    """What the budget of a developer for the month of the scenarios is asked for."""
    return Claim(
        account=account_name("per-developer", developer, "2026-09"),
        unit=Unit.NANODOLLARS,
        limit=DEVELOPER_LIMIT_NANODOLLARS,
        at_short=AtShort.REFUSE,
        budget="per-developer",
        value=developer,
        window="2026-09",
        starts_at_us=MONTH_STARTS_AT_US,
        ends_at_us=MONTH_ENDS_AT_US,
    )


# ── a day of a team, before and after ───────────────────────────────────────────────────────────

_DOLLAR = 1_000_000_000
TEAM_DAYS = 21

# What a developer's day costs in dollars, by what it is spent on.
ACTIVITIES = {
    "low": {"prompts": 5, "agents": 10, "smoke-tests": 15, "ci": 8},
    "high": {"prompts": 25, "agents": 40, "smoke-tests": 60, "ci": 35},
}

# The same lines before and after rules were in force, in dollars. The last one is the team's month.
CHANGES = {
    "low": {"development": (38, 5), "staging": (75, 20), "ci": (8, 1), "team": (4_000, 600)},
    "high": {"development": (160, 15), "staging": (300, 50), "ci": (35, 3), "team": (17_000, 2_000)},
}
CHANGED_AT_US = MONTH_STARTS_AT_US


def g12(vector: str = "low") -> Iterator[Row]:
    """Five developers for 21 working days in August, each spending the same on four things every day."""
    working_days = islice(_working_days(), TEAM_DAYS)
    for starts_at_us in working_days:
        yield from in_order(
            *[
                _day_of(developer, activity, dollars * _DOLLAR, starts_at_us)
                for developer in DEVELOPERS
                for activity, dollars in ACTIVITIES[vector].items()
            ]
        )


def _working_days() -> Iterator[int]:
    """Monday to Friday, from Monday, the third of August 2026."""
    monday = day(2026, 8, 3)
    for number in count():
        week, weekday = divmod(number, _WORKING_DAYS)
        yield monday + (7 * week + weekday) * DAY_US


def _day_of(developer: str, activity: str, cost_nanodollars: int, starts_at_us: int) -> Iterator[Row]:
    usage = Usage(input_tokens=1_200, output_tokens=500)
    labels = {"feature": activity}
    calls = 10
    moments = evenly(calls, starts_at_us + 9 * HOUR_US, starts_at_us + 17 * HOUR_US)
    for at_us, cost in zip(moments, parts_of(cost_nanodollars, calls), strict=True):
        yield Row(
            at_us=at_us,
            environment="ci" if activity == "ci" else "development",
            key=developer,
            developer=developer,
            labels=labels,
            model_asked="gpt-4",
            model_served="gpt-4",
            usage=usage,
            cost_nanodollars=cost,
        )


def g12_change(vector: str = "low") -> Iterator[Row]:
    """Before and after: what a line cost in August, and in September; each line is an environment."""
    spans = ((day(2026, 8), CHANGED_AT_US), (CHANGED_AT_US, MONTH_ENDS_AT_US))
    usage = Usage(input_tokens=1_200, output_tokens=500)
    for place, (starts_at_us, ends_at_us) in enumerate(spans):
        for environment, dollars in CHANGES[vector].items():
            yield Row(
                at_us=(starts_at_us + ends_at_us) // 2,
                environment=environment,
                key=f"{environment}-app",
                model_asked="gpt-4",
                model_served="gpt-4",
                usage=usage,
                cost_nanodollars=dollars[place] * _DOLLAR,
            )
