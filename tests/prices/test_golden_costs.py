"""Costs that a person worked out from the providers' price lists, in both directions."""

import pytest

from farthing.domain.money import nanodollars_from
from farthing.domain.usage import Usage
from farthing.prices.cost import cost_nanodollars
from tests.prices.moments import TODAY, at, price_of

# provider, model, when, tier, usage, dollars
GOLDEN = [
    # The facts of every price list: a thousand tokens of each.
    ("openai", "gpt-4o", TODAY, None, Usage(input_tokens=1000, output_tokens=1000), "0.0125"),
    ("openai", "gpt-4o-2024-05-13", TODAY, None, Usage(input_tokens=1000, output_tokens=1000), "0.02"),
    ("openai", "gpt-4o-mini", TODAY, None, Usage(input_tokens=1200, output_tokens=500), "0.00048"),
    ("openai", "gpt-4", TODAY, None, Usage(input_tokens=1000, output_tokens=1000), "0.09"),
    ("openai", "gpt-5.4-mini", TODAY, None, Usage(input_tokens=1000, output_tokens=1000), "0.00525"),
    ("openai", "gpt-5.4-nano", TODAY, None, Usage(input_tokens=1000, output_tokens=1000), "0.00145"),
    ("anthropic", "claude-haiku-4-5", TODAY, None, Usage(input_tokens=1000, output_tokens=1000), "0.006"),
    ("anthropic", "claude-opus-5-5", TODAY, None, Usage(input_tokens=1000, output_tokens=1000), "0.024"),
    # A call of the price table in the requirements: 1200 in, 500 out on gpt-4o.
    ("openai", "gpt-4o", TODAY, None, Usage(input_tokens=1200, output_tokens=500), "0.008"),
    # Cached input is inside the input: 400 at 1.25, 800 at 2.50. Not 1200 at 2.50 and 400 more.
    ("openai", "gpt-4o", TODAY, None, Usage(input_tokens=1200, cached_read=400, output_tokens=0), "0.0025"),
    # Reasoning is inside the output, once.
    ("openai", "o3", TODAY, None, Usage(input_tokens=0, output_tokens=1000, reasoning=900), "0.008"),
    # Cache writes of five minutes and of one hour: 100 at 1, 200 at 0.10, 300 at 1.25, 400 at 2.
    (
        "anthropic",
        "claude-haiku-4-5",
        TODAY,
        None,
        Usage(
            input_tokens=1000, cached_read=200, cached_write_5m=300, cached_write_1h=400, output_tokens=100
        ),
        "0.001795",
    ),
    # A write of unstated life time: gpt-5.6 and later bill it at 1.25 times the input.
    (
        "openai",
        "gpt-6-sol",
        TODAY,
        None,
        Usage(input_tokens=1000, cached_write_other=1000, output_tokens=0),
        "0.0025",
    ),
    # Thresholds are cliffs: one token more reprices the whole request, output and cache included.
    ("openai", "gpt-5.4", TODAY, None, Usage(input_tokens=272_000, output_tokens=1000), "0.695"),
    ("openai", "gpt-5.4", TODAY, None, Usage(input_tokens=272_001, output_tokens=1000), "1.382505"),
    (
        "anthropic",
        "claude-haiku-5-5",
        TODAY,
        None,
        Usage(input_tokens=100_001, cached_read=100_000, output_tokens=1000),
        "0.0075005",
    ),
    ("anthropic", "claude-sonnet-4-5", TODAY, None, Usage(input_tokens=200_001, output_tokens=0), "1.200006"),
    # Other service tiers, as the answer names them.
    ("openai", "gpt-4o", TODAY, "priority", Usage(input_tokens=1000, output_tokens=1000), "0.02125"),
    ("openai", "gpt-4o", TODAY, "default", Usage(input_tokens=1000, output_tokens=1000), "0.0125"),
    ("openai", "gpt-4o", TODAY, "batch", Usage(input_tokens=1000, output_tokens=1000), "0.00625"),
    (
        "openai",
        "gpt-5",
        TODAY,
        "flex",
        Usage(input_tokens=1000, cached_read=1000, output_tokens=1000),
        "0.0050625",
    ),
    ("openai", "gpt-5.4", TODAY, "flex", Usage(input_tokens=300_000, output_tokens=0), "0.75"),
    ("anthropic", "claude-haiku-4-5", TODAY, "batch", Usage(input_tokens=1000, output_tokens=1000), "0.003"),
    (
        "anthropic",
        "claude-haiku-4-5",
        TODAY,
        "standard",
        Usage(input_tokens=1000, output_tokens=1000),
        "0.006",
    ),
    ("anthropic", "claude-opus-5-5", TODAY, "fast", Usage(input_tokens=1000, output_tokens=1000), "0.048"),
    # Audio has its own rates; cached audio is inside both shares:
    # 100 at 0.10, 400 at 1, 50 at 0.03, 450 at 0.30.
    (
        "google",
        "gemini-2.5-flash",
        TODAY,
        None,
        Usage(input_tokens=1000, audio_in=500, cached_read=150, cached_read_audio=100, output_tokens=0),
        "0.0005465",
    ),
    (
        "openai",
        "gpt-audio",
        TODAY,
        None,
        Usage(input_tokens=100, audio_in=90, output_tokens=100, audio_out=80),
        "0.008225",
    ),
    (
        "google",
        "gemini-3-pro-image-preview",
        TODAY,
        None,
        Usage(input_tokens=0, output_tokens=1130, image_out=1120),
        "0.13452",
    ),
    # Images, video and documents in are text to everybody who does not say otherwise.
    (
        "google",
        "gemini-2.5-flash",
        TODAY,
        None,
        Usage(input_tokens=1000, image_in=500, document_in=100, output_tokens=0),
        "0.0003",
    ),
    # DeepSeek by the clock: Monday 07:00 is peak, Sunday is not.
    (
        "deepseek",
        "deepseek-flash",
        at("2026-11-23T07:00"),
        None,
        Usage(input_tokens=1000, cached_read=500, output_tokens=1000),
        "0.001353",
    ),
    (
        "deepseek",
        "deepseek-flash",
        at("2026-11-22T07:00"),
        None,
        Usage(input_tokens=1000, cached_read=500, output_tokens=1000),
        "0.0006765",
    ),
    # Searches are billed apiece, on top.
    (
        "anthropic",
        "claude-haiku-4-5",
        TODAY,
        None,
        Usage(input_tokens=1000, output_tokens=0, requests={"web_search": 2, "web_fetch": 3}),
        "0.021",
    ),
    (
        "google",
        "gemini-3.8-flash",
        TODAY,
        None,
        Usage(input_tokens=0, output_tokens=0, requests={"web_search_queries": 1}),
        "0.014",
    ),
    # A fee that is owed once for each call.
    ("perplexity", "sonar", TODAY, None, Usage(input_tokens=9, output_tokens=12), "0.012021"),
    # Embeddings have input only.
    ("openai", "text-embedding-3-small", TODAY, None, Usage(input_tokens=1000), "0.00002"),
    # Rounded up once, at the end: 1 token of 0.0028 and 1 of 0.28 are 282.8 nanodollars.
    (
        "deepseek",
        "deepseek-v4-flash",
        at("2026-06-01"),
        None,
        Usage(input_tokens=1, cached_read=1, output_tokens=1),
        "0.000000283",
    ),
]


@pytest.mark.parametrize(("provider", "model", "moment", "tier", "usage", "dollars"), GOLDEN)
def test_a_call_costs_what_the_price_list_says(
    provider: str, model: str, moment: int, tier: str | None, usage: Usage, dollars: str
) -> None:
    cost = cost_nanodollars(usage, price_of(provider, model, moment), service_tier=tier)
    assert cost.nanodollars == nanodollars_from(dollars)
    assert cost.anomalies == ()


def test_the_lines_of_a_cost_say_what_was_used_at_which_rate() -> None:
    usage = Usage(input_tokens=1200, cached_read=400, output_tokens=500, requests={"web_search": 1})
    cost = cost_nanodollars(usage, price_of("openai", "gpt-4o"))
    assert [(line.kind, line.count) for line in cost.lines] == [
        ("input", 800),
        ("cache_read", 400),
        ("output", 500),
        ("web_search", 1),
    ]
    assert sum(line.count * line.rate for line in cost.lines) == cost.nanodollars * 1_000_000
