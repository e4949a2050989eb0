"""The most a call can cost, in the cases where it is not the plain rates."""

from farthing.domain.usage import Usage
from farthing.prices.cost import Ceiling, ceiling, cost_nanodollars
from tests.prices.moments import price_of


def test_a_plain_ceiling_is_input_and_output_at_their_rates() -> None:
    most = ceiling(price_of("openai", "gpt-4o-mini"), input_tokens=1200)
    assert most == Ceiling(180_000, 600_000_000)
    assert most.at(500) == 480_000


def test_every_choice_may_use_the_whole_cap() -> None:
    assert ceiling(price_of("openai", "gpt-4o-mini"), input_tokens=0, choices=3).at(100) == 180_000


def test_an_input_that_may_pass_a_threshold_is_held_at_the_dearer_card() -> None:
    price = price_of("openai", "gpt-5.4")
    assert ceiling(price, input_tokens=272_000).fixed_nanodollars == 680_000_000
    assert ceiling(price, input_tokens=272_001).fixed_nanodollars == 1_360_005_000
    assert ceiling(price, input_tokens=272_001).rate_nanodollars_per_million == 22_500_000_000


def test_cache_writes_are_held_where_the_caller_asked_for_them() -> None:
    price = price_of("anthropic", "claude-haiku-4-5")
    assert ceiling(price, input_tokens=1000).fixed_nanodollars == 1_000_000
    assert ceiling(price, input_tokens=1000, cache_writes="5m").fixed_nanodollars == 1_250_000
    assert ceiling(price, input_tokens=1000, cache_writes="1h").fixed_nanodollars == 2_000_000


def test_cache_writes_are_held_unasked_where_the_provider_bills_them_unasked() -> None:
    assert ceiling(price_of("openai", "gpt-6-sol"), input_tokens=1000).fixed_nanodollars == 2_500_000
    assert ceiling(price_of("openai", "gpt-4o"), input_tokens=1000).fixed_nanodollars == 2_500_000


def test_the_tier_that_was_asked_for_is_held_and_auto_may_be_any() -> None:
    plain = ceiling(price_of("openai", "gpt-4o"), input_tokens=1000)
    priority = ceiling(price_of("openai", "gpt-4o", tier="priority"), input_tokens=1000)
    auto = ceiling(price_of("openai", "gpt-4o", tier="auto"), input_tokens=1000)
    flex = ceiling(price_of("openai", "gpt-5", tier="flex"), input_tokens=1000)
    assert plain.fixed_nanodollars == 2_500_000
    assert priority == auto == Ceiling(4_250_000, 17_000_000_000)
    assert flex == ceiling(price_of("openai", "gpt-5"), input_tokens=1000)


def test_a_call_that_can_hold_no_audio_is_held_at_the_rates_of_text() -> None:
    price = price_of("google", "gemini-2.5-flash")
    assert ceiling(price, input_tokens=1000).fixed_nanodollars == 1_000_000
    assert ceiling(price, input_tokens=1000, media=False).fixed_nanodollars == 300_000


def test_fees_are_held_as_often_as_they_may_be_owed() -> None:
    search = ceiling(price_of("anthropic", "claude-haiku-4-5"), input_tokens=0, fees={"web_search": 5})
    sonar = ceiling(price_of("perplexity", "sonar"), input_tokens=0)
    assert search.fixed_nanodollars == 50_000_000
    assert sonar.fixed_nanodollars == 12_000_000
    usage = Usage(input_tokens=0, output_tokens=0, requests={"web_search": 5})
    assert cost_nanodollars(usage, price_of("anthropic", "claude-haiku-4-5")).nanodollars == search.at(0)
