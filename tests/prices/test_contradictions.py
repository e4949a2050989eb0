"""What is missing or contradicts itself is priced at the dearest reading of the totals, and marked."""

import pytest

from farthing.domain.usage import Usage
from farthing.prices.cost import Cost, cost_nanodollars
from farthing.prices.override import override_from_dollars
from farthing.prices.price import Price
from tests.prices.moments import price_of

SIMPLE = override_from_dollars({"input": 2, "output": 10, "cache_read": "0.2"}).price("mine", "m", "v")
AUDIO = override_from_dollars(
    {
        "input": 1,
        "output": 4,
        "cache_read": "0.1",
        "input_audio": 10,
        "cache_read_audio": "0.5",
        "output_audio": 20,
    }
).price("mine", "audio", "v")


def cost(usage: Usage, price: Price = SIMPLE, tier: str | None = None) -> Cost:
    return cost_nanodollars(usage, price, service_tier=tier)


def test_more_cached_than_there_was_input_makes_all_of_it_fresh() -> None:
    odd = cost(Usage(input_tokens=100, cached_read=150, output_tokens=0))
    assert odd.nanodollars == 100 * 2000
    assert odd.anomalies == ("shares of the input exceed it, all of it is priced as input",)


def test_more_audio_than_there_was_input_makes_all_of_it_audio() -> None:
    odd = cost(Usage(input_tokens=100, audio_in=101, output_tokens=0), AUDIO)
    assert odd.nanodollars == 100 * 10_000
    assert odd.anomalies == ("shares of the input exceed it, all of it is priced as input_audio",)


def test_more_audio_out_than_output_makes_all_of_it_audio() -> None:
    odd = cost(Usage(input_tokens=0, output_tokens=10, audio_out=11), AUDIO)
    assert odd.nanodollars == 10 * 20_000
    assert odd.anomalies == ("shares of the output exceed it, all of it is priced as output_audio",)


def test_more_reasoning_than_output_is_marked_and_not_added() -> None:
    odd = cost(Usage(input_tokens=0, output_tokens=10, reasoning=11))
    assert odd.nanodollars == 10 * 10_000
    assert odd.anomalies == ("shares of the output exceed it, all of it is priced as output",)


def test_an_unknown_cached_share_of_audio_is_taken_as_none_and_marked() -> None:
    vague = cost(Usage(input_tokens=100, audio_in=40, cached_read=30, output_tokens=0), AUDIO)
    assert vague.nanodollars == 40 * 10_000 + 30 * 100 + 30 * 1000
    assert vague.anomalies == ("the cached share of audio was not reported",)


def test_shares_that_must_overlap_never_exceed_the_total() -> None:
    vague = cost(Usage(input_tokens=100, audio_in=80, cached_read=60, output_tokens=0), AUDIO)
    assert vague.nanodollars == 80 * 10_000 + 20 * 100
    assert sum(line.count for line in vague.lines) == 100


def test_cached_audio_that_was_not_audio_is_a_contradiction() -> None:
    odd = cost(Usage(input_tokens=100, cached_read=50, cached_read_audio=50, output_tokens=0), AUDIO)
    assert odd.anomalies == ("shares of the input exceed it, all of it is priced as input",)


def test_negative_counts_never_make_a_cost_negative() -> None:
    assert cost(Usage(input_tokens=-5, output_tokens=-5)).nanodollars == 0
    assert cost(Usage(input_tokens=10, cached_read=-5, output_tokens=0)).nanodollars == 10 * 2000


def test_an_input_that_was_not_reported_is_at_least_its_shares() -> None:
    odd = cost(Usage(cached_read=1000, output_tokens=0))
    assert odd.nanodollars == 200_000
    assert odd.anomalies == ("input tokens were not reported",)


def test_a_class_without_a_rate_is_never_free() -> None:
    without = override_from_dollars({"input": 2, "output": 10}).price("mine", "m", "v")
    read = cost(Usage(input_tokens=1000, cached_read=1000, output_tokens=0), without)
    assert read.nanodollars == 2_000_000
    assert read.anomalies == ("no rate for cache_read, priced as the dearest class it can be",)


def test_a_class_without_a_rate_is_not_marked_where_it_was_not_used() -> None:
    without = override_from_dollars({"input": 2, "output": 10}).price("mine", "m", "v")
    assert cost(Usage(input_tokens=1000, cached_read=0, output_tokens=1), without).anomalies == ()


def test_an_hour_in_the_cache_without_a_rate_costs_twice_the_input() -> None:
    written = cost(
        Usage(input_tokens=1000, cached_write_1h=1000, output_tokens=0), price_of("google", "claude-opus-5-5")
    )
    without = override_from_dollars({"input": 2, "output": 10, "cache_write_5m": "2.5"}).price(
        "mine", "m", "v"
    )
    assumed = cost(Usage(input_tokens=1000, cached_write_1h=1000, output_tokens=0), without)
    assert written.nanodollars == 8_000_000
    assert assumed.nanodollars == 4_000_000
    assert assumed.anomalies == ("no rate for cache_write_1h, priced as the dearest class it can be",)


@pytest.mark.parametrize("tier", ["priority", "fast", "premium-plus"])
def test_a_tier_without_rates_costs_the_dearest_known_ones_and_is_marked(tier: str) -> None:
    usage = Usage(input_tokens=1000, output_tokens=1000)
    odd = cost(usage, price_of("openai", "gpt-5-nano"), tier)
    assert odd.nanodollars == cost(usage, price_of("openai", "gpt-5-nano")).nanodollars
    assert odd.anomalies == (f"no rates for service tier {tier}",)


def test_an_unknown_tier_of_a_model_with_priority_costs_priority() -> None:
    usage = Usage(input_tokens=1000, output_tokens=1000)
    gpt_4o = price_of("openai", "gpt-4o")
    assert cost(usage, gpt_4o, "ultra").nanodollars == cost(usage, gpt_4o, "priority").nanodollars


def test_a_discount_without_rates_is_no_discount() -> None:
    usage = Usage(input_tokens=1000, output_tokens=1000)
    odd = cost(usage, price_of("openai", "gpt-4o"), "flex")
    assert odd.nanodollars == cost(usage, price_of("openai", "gpt-4o")).nanodollars
    assert odd.anomalies == ("no rates for service tier flex",)


@pytest.mark.parametrize("tier", ["default", "standard", "auto", "ON_DEMAND", "on_demand"])
def test_providers_have_many_words_for_standard(tier: str) -> None:
    assert cost(Usage(input_tokens=1, output_tokens=1), tier=tier).anomalies == ()


def test_google_names_its_tiers_by_traffic() -> None:
    usage = Usage(input_tokens=1000, output_tokens=1000)
    speech = price_of("google", "gemini-3.8-flash-tts")
    assert cost(usage, speech, "ON_DEMAND_FLEX").nanodollars == cost(usage, speech, "flex").nanodollars
    assert cost(usage, speech, "ON_DEMAND_FLEX").nanodollars < cost(usage, speech).nanodollars


def test_an_extra_without_a_price_is_marked_unless_it_is_known_to_be_free() -> None:
    gpt_4o = price_of("openai", "gpt-4o")
    odd = cost(Usage(input_tokens=0, output_tokens=0, requests={"code_interpreter": 1}), gpt_4o)
    assert odd.anomalies == ("no price for code_interpreter",)
    fetched = cost(Usage(input_tokens=0, output_tokens=0, requests={"web_fetch": 1}), gpt_4o)
    assert fetched.anomalies == ()


def test_what_is_declared_free_costs_nothing_whatever_it_used() -> None:
    free = override_from_dollars({"input": 0, "output": 0}).price("vllm", "llama", "v")
    used = Usage(input_tokens=10**6, cached_read=10**5, output_tokens=10**6, requests={"web_search": 3})
    assert free.free
    assert cost(used, free).nanodollars == 0
