"""What holds for every price in the book and whatever a provider reports."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.domain.usage import Usage
from farthing.prices.book import load_book
from farthing.prices.cost import ceiling, cost_nanodollars
from farthing.prices.price import Price
from tests.prices.moments import TODAY, at

BOOK = load_book()
PROVIDERS = ("openai", "anthropic", "google", "deepseek", "mistral", "x-ai", "groq", "aws", "perplexity")
MOMENTS = (TODAY, at("2025-06-01T17:00"), at("2026-08-20T02:00"), at("2026-11-23T07:00"), at("2027-02-01"))
MODELS = [(provider, name) for provider in PROVIDERS for name in BOOK.names(provider)]

counts = st.integers(0, 1200) | st.sampled_from([0, 1, 100_000, 100_001, 200_001, 272_001, 10**6])
SHARES = sorted({*Usage.__struct_fields__} - {"input_tokens", "output_tokens", "requests"})
tiers = st.sampled_from([None, "default", "auto", "priority", "flex", "batch", "fast", "unheard-of"])


@st.composite
def prices(draw: st.DrawFn) -> Price:
    """Any price of the main providers, at a moment, for a tier that was asked."""
    provider, name = draw(st.sampled_from(MODELS))
    price = BOOK.find(provider, name, draw(st.sampled_from(MOMENTS)), service_tier=draw(tiers))
    assert price is not None
    return price


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Anything that a provider may report, contradictions included."""
    chosen = draw(st.dictionaries(st.sampled_from(SHARES), counts, max_size=5))
    totals = {"input_tokens": draw(counts), "output_tokens": draw(counts)}
    return msgspec.convert(totals | chosen, Usage)


@settings(max_examples=300, deadline=None)
@given(usage=usages(), price=prices(), tier=tiers)
def test_the_lines_sum_to_the_totals_and_the_cost_is_rounded_up_once(
    usage: Usage, price: Price, tier: str | None
) -> None:
    cost = cost_nanodollars(usage, price, service_tier=tier)
    exact = sum(line.count * line.rate for line in cost.lines)
    tokens = sum(line.count for line in cost.lines if line.kind != "request")
    assert tokens == (usage.input_tokens or 0) + (usage.output_tokens or 0)
    assert all(line.count > 0 and line.rate >= 0 for line in cost.lines)
    assert 0 <= cost.nanodollars * 10**6 - exact < 10**6


@settings(max_examples=300, deadline=None)
@given(usage=usages(), price=prices(), spare=st.integers(0, 1000), choices=st.integers(1, 3), data=st.data())
def test_no_call_costs_more_than_its_ceiling(
    usage: Usage, price: Price, spare: int, choices: int, data: st.DataObject
) -> None:
    """The same rates on both sides: whatever is used within the bounds fits what was held."""
    asked = price.tier_asked
    answered = data.draw(st.sampled_from([None, "default", *(price.tiers if asked == "auto" else [asked])]))
    most = ceiling(
        price,
        input_tokens=(usage.input_tokens or 0) + spare,
        choices=choices,
        cache_writes="1h",
    )
    output_cap = -(-(usage.output_tokens or 0) // choices) + spare
    assert cost_nanodollars(usage, price, service_tier=answered).nanodollars <= most.at(output_cap)


@settings(max_examples=200, deadline=None)
@given(usage=usages(), price=prices())
def test_a_text_call_that_asked_for_no_cache_fits_the_ceiling_of_text(usage: Usage, price: Price) -> None:
    text = Usage(
        input_tokens=usage.input_tokens,
        cached_read=usage.cached_read,
        cached_write_other=usage.cached_write_other if price.cache_writes_unasked else None,
        output_tokens=usage.output_tokens,
        reasoning=usage.reasoning,
    )
    most = ceiling(price, input_tokens=usage.input_tokens or 0, media=False)
    assert cost_nanodollars(text, price).nanodollars <= most.at(usage.output_tokens or 0)


@settings(max_examples=200, deadline=None)
@given(price=prices(), inputs=counts, outputs=counts, more=st.integers(0, 5000))
def test_using_more_never_costs_less(price: Price, inputs: int, outputs: int, more: int) -> None:
    less = cost_nanodollars(Usage(input_tokens=inputs, output_tokens=outputs), price).nanodollars
    more_in = cost_nanodollars(Usage(input_tokens=inputs + more, output_tokens=outputs), price).nanodollars
    more_out = cost_nanodollars(Usage(input_tokens=inputs, output_tokens=outputs + more), price).nanodollars
    assert less <= more_in
    assert less <= more_out


@settings(max_examples=200, deadline=None)
@given(price=prices(), input_tokens=counts, caps=st.tuples(counts, counts))
def test_a_ceiling_is_affine_in_the_output_cap(
    price: Price, input_tokens: int, caps: tuple[int, int]
) -> None:
    most = ceiling(price, input_tokens=input_tokens)
    low, high = sorted(caps)
    grown = most.at(high) - most.at(low)
    exact = most.rate_nanodollars_per_million * (high - low)
    assert most.at(0) == most.fixed_nanodollars
    assert abs(grown * 10**6 - exact) < 10**6


@settings(max_examples=100, deadline=None)
@given(name=st.text(max_size=30), provider=st.sampled_from([*PROVIDERS, "openrouter", "vllm"]))
def test_any_text_may_be_asked_for_as_a_model(name: str, provider: str) -> None:
    price = BOOK.find(provider, name, TODAY)
    assert price is None or price.version == BOOK.version
    assert BOOK.facts(provider, name).output_floor >= 1
