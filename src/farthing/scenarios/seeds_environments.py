"""Scenarios about environments: what development costs beside production, in a month and over months."""

from collections.abc import Iterator, Mapping
from itertools import cycle
from types import MappingProxyType

from farthing.domain.usage import Usage
from farthing.scenarios.moments import (
    DAY_US,
    MONTH_ENDS_AT_US,
    MONTH_STARTS_AT_US,
    day,
    evenly,
    in_order,
    parts_of,
    some_of,
)
from farthing.scenarios.pricing import Profile, cost_of
from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_people import DEVELOPERS

_DOLLAR = 1_000_000_000
_MICRODOLLAR = 1_000

# How many calls cost how much, where the profile is the published one; in the order of the table.
_PUBLISHED: Mapping[str, tuple[tuple[int, int], ...]] = MappingProxyType({
    "development": ((15_000, 13_500),),
    "staging": ((5_200, 10_588), (1_600, 10_589)),
    "production": ((10_000, 5_142), (60_000, 5_143)),
})  # fmt: skip


def g1(profile: Profile | str = Profile.PUBLISHED) -> Iterator[Row]:
    """A month: 15,000 calls in development, 8,000 in staging, 200,000 in production.

    Fifteen in a hundred of staging and 65 of production are answered from the response cache.
    """
    profile = Profile(profile)
    model = "gpt-4o" if profile is Profile.LAUNCH else "gpt-4o-mini"
    return in_order(
        _month("development", "gpt-4o", 1_200, 500, calls=15_000, hits=0, profile=profile),
        _month("staging", "gpt-4o", 1_000, 400, calls=8_000, hits=1_200, profile=profile),
        _month("production", model, 450, 180, calls=200_000, hits=130_000, profile=profile),
    )


def _month(
    environment: str,
    model: str,
    input_tokens: int,
    output_tokens: int,
    *,
    calls: int,
    hits: int,
    profile: Profile,
) -> Iterator[Row]:
    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    listed = cost_of(
        model,
        input_tokens,
        output_tokens,
        profile=Profile.LIVE if profile is Profile.PUBLISHED else profile,
    )
    costs = _published(environment) if profile is Profile.PUBLISHED else iter([listed] * (calls - hits))
    developers = cycle(DEVELOPERS) if environment == "development" else cycle([None])
    labels = {"feature": "search"}
    moments = evenly(calls, MONTH_STARTS_AT_US, MONTH_ENDS_AT_US)
    for at_us, hit, developer in zip(moments, some_of(hits, calls), developers, strict=False):
        yield Row(
            at_us=at_us,
            environment=environment,
            key=developer or f"{environment}-app",
            developer=developer,
            labels=labels,
            model_asked=model,
            model_served=model,
            cached=hit,
            usage=None if hit else usage,
            cost_nanodollars=0 if hit else next(costs),
            avoided_nanodollars=listed if hit else 0,
        )


def _published(environment: str) -> Iterator[int]:
    """The costs as told, each so often as told, spread evenly among each other."""
    counts = _PUBLISHED[environment]
    cheaper, dearer = counts[0], counts[-1]
    if cheaper is dearer:
        yield from [cheaper[1] * _MICRODOLLAR] * cheaper[0]
        return
    for is_dearer in some_of(dearer[0], cheaper[0] + dearer[0]):
        yield (dearer if is_dearer else cheaper)[1] * _MICRODOLLAR


# ── over months ─────────────────────────────────────────────────────────────────────────────────

# Cost of development beside that of production, in ten-thousandths, month by month.
RATIOS = (5_625, 4_800, 4_100, 3_400, 2_800, 2_400, 3_300)
_PRODUCTION_A_MONTH = 360 * _DOLLAR
_CALLS_A_MONTH = 300


def g4() -> Iterator[Row]:
    """Seven months, March to September, in which development gets cheaper beside production, until the last.

    In the last month the calls of one developer for one feature, bob's for agents, are what grew.
    """
    for number, ratio in enumerate(RATIOS, 3):
        starts_at_us, ends_at_us = day(2026, number), day(2026, number + 1)
        cost = _PRODUCTION_A_MONTH * ratio // 10_000
        before = _PRODUCTION_A_MONTH * RATIOS[-2] // 10_000
        grown = cost - before if number == 2 + len(RATIOS) else 0
        yield from in_order(
            _costs("production", None, "search", _PRODUCTION_A_MONTH, starts_at_us, ends_at_us),
            _costs("development", "alice", "search", (cost - grown) // 2, starts_at_us, ends_at_us),
            _costs(
                "development", "bob", "agents", (cost - grown) - (cost - grown) // 2 + grown,
                starts_at_us, ends_at_us,
            ),
        )  # fmt: skip


def _costs(
    environment: str,
    developer: str | None,
    feature: str,
    cost_nanodollars: int,
    starts_at_us: int,
    ends_at_us: int,
    *,
    calls: int = _CALLS_A_MONTH,
) -> Iterator[Row]:
    """Calls that cost so much together."""
    usage = Usage(input_tokens=1_200, output_tokens=500)
    labels = {"feature": feature}
    moments = evenly(calls, starts_at_us, ends_at_us)
    for at_us, cost in zip(moments, parts_of(cost_nanodollars, calls), strict=True):
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
        )


SHIPPED_AT_US = MONTH_STARTS_AT_US
SHIPPED_FEATURE = "checkout"
_BASELINE_DAYS = 56
_ELEVATED_DAYS = 24
_AFTER_DAYS = 6
_BASELINE_A_DAY = 10 * _DOLLAR
_CALLS_A_DAY = 20


def g5() -> Iterator[Row]:
    """A feature ships on day 0; development costs twice its baseline for 24 days, then the baseline again."""
    days = range(-_BASELINE_DAYS, _ELEVATED_DAYS + _AFTER_DAYS)
    for number in days:
        starts_at_us = SHIPPED_AT_US + number * DAY_US
        elevated = 0 <= number < _ELEVATED_DAYS
        more = _BASELINE_A_DAY if elevated else 0
        streams = [
            _costs(
                "production", None, "search", 3 * _BASELINE_A_DAY,
                starts_at_us, starts_at_us + DAY_US, calls=_CALLS_A_DAY,
            ),
            _costs(
                "development", "alice", "search", _BASELINE_A_DAY,
                starts_at_us, starts_at_us + DAY_US, calls=_CALLS_A_DAY,
            ),
        ]  # fmt: skip
        if more:
            streams.append(
                _costs(
                    "development",
                    "bob",
                    SHIPPED_FEATURE,
                    more,
                    starts_at_us,
                    starts_at_us + DAY_US,
                    calls=_CALLS_A_DAY,
                )
            )
        yield from in_order(*streams)


def g6() -> Iterator[Row]:
    """A young company: 3,000 dollars of production in a month, and 4,500 of development and staging."""
    span = (MONTH_STARTS_AT_US, MONTH_ENDS_AT_US)
    return in_order(
        _costs("production", None, "search", 3_000 * _DOLLAR, *span),
        _costs("development", "alice", "search", 3_100 * _DOLLAR, *span),
        _costs("staging", None, "search", 1_400 * _DOLLAR, *span),
    )


# What a request costs in thousandths of a dollar and how many there are a day, stage by stage.
STAGES = (
    ("pre-launch", 50, 20),
    ("beta", 500, 250),
    ("launch", 5_000, 400),
    ("growth", 50_000, 350),
)


def g9() -> Iterator[Row]:
    """Growth: one day of each of four stages; thirty such days are a month."""
    usage = Usage(input_tokens=1_200, output_tokens=500)
    for number, (stage, calls, thousandths) in enumerate(STAGES):
        starts_at_us = MONTH_STARTS_AT_US + number * DAY_US
        labels = {"stage": stage}
        for at_us in evenly(calls, starts_at_us, starts_at_us + DAY_US):
            yield Row(
                at_us=at_us,
                environment="production",
                key="production-app",
                labels=labels,
                model_asked="gpt-4o",
                model_served="gpt-4o",
                usage=usage,
                cost_nanodollars=thousandths * _DOLLAR // 1_000,
            )
