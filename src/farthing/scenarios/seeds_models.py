"""Scenarios about models: what a long context costs, and how much goes to which tier of models."""

from collections.abc import Iterator

from farthing.domain.usage import Usage
from farthing.scenarios.moments import DAY_US, MONTH_STARTS_AT_US, evenly, in_order
from farthing.scenarios.pricing import cost_of
from farthing.scenarios.rows import Row

# What stands in a prompt, in tokens: at first, and with real users.
SHORT_PROMPT = {"question": 500}
LONG_PROMPT = {"instructions": 2_000, "conversation": 8_000, "documents": 12_000, "question": 200}
FLAT_NANODOLLARS_PER_TOKEN = 20_000  # twenty dollars for a million tokens


def g8(*, flat: bool = True) -> Iterator[Row]:
    """The same question with a short and with a long context; at a flat price, or at that of gpt-4o."""
    for number, (feature, parts) in enumerate((("short", SHORT_PROMPT), ("long", LONG_PROMPT))):
        tokens = sum(parts.values())
        cost = tokens * FLAT_NANODOLLARS_PER_TOKEN if flat else cost_of("gpt-4o", tokens, 0)
        yield Row(
            at_us=MONTH_STARTS_AT_US + number * DAY_US,
            environment="production",
            key="production-app",
            labels={"feature": feature},
            model_asked="gpt-4o",
            model_served="gpt-4o",
            usage=Usage(input_tokens=tokens, output_tokens=0),
            cost_nanodollars=cost,
        )


# Which model serves how many requests, by how hard they are.
TIERS = (
    ("simple", "gpt-4o-mini", 9_000),
    ("complex", "gpt-4o", 900),
    ("critical", "gpt-4", 100),
)


def g10() -> Iterator[Row]:
    """Ten thousand requests of a thousand input tokens: 90 in 100 simple ones, 9 complex, 1 critical."""
    return in_order(*[_tier(*tier) for tier in TIERS])


def _tier(name: str, model: str, calls: int) -> Iterator[Row]:
    usage = Usage(input_tokens=1_000, output_tokens=0)
    cost = cost_of(model, 1_000, 0)
    labels = {"feature": "search", "tier": name}
    for at_us in evenly(calls, MONTH_STARTS_AT_US, MONTH_STARTS_AT_US + 30 * DAY_US):
        yield Row(
            at_us=at_us,
            environment="production",
            key="production-app",
            labels=labels,
            model_asked=model,
            model_served=model,
            usage=usage,
            cost_nanodollars=cost,
        )
