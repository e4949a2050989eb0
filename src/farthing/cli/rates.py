"""Rates as people read and write them: dollars per million tokens, with a guard against slips."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from farthing.cli.door import CommandError
from farthing.domain.money import NANODOLLARS_PER_DOLLAR, dollars, nanodollars_from
from farthing.domain.usage import Usage

if TYPE_CHECKING:
    from farthing.prices.facts import ModelFacts
    from farthing.prices.price import Price, RateCard

# No model costs less than a tenth of a cent or more than ten thousand dollars per million tokens: what
# lies outside was meant per token, or per thousand.
RATE_MIN = NANODOLLARS_PER_DOLLAR // 1_000
RATE_MAX = 10_000 * NANODOLLARS_PER_DOLLAR
SAMPLE = Usage(input_tokens=1_000, output_tokens=500)


def check_rates(rates: Mapping[str, str]) -> None:
    """Stop a price that was meant per token or per thousand tokens. Raises CommandError."""
    for name, text in rates.items():
        rate = nanodollars_from(text)
        if rate == 0:
            continue
        if rate < RATE_MIN:
            raise _slip(name, text, "less", f"if {text} is dollars per token, write {_times_million(rate)}")
        if rate > RATE_MAX:
            raise _slip(name, text, "more", "write dollars per million tokens, not cents or nanodollars")


def _slip(name: str, text: str, direction: str, fix: str) -> CommandError:
    return CommandError(
        f"{name.replace('_', ' ')} of {text} dollars per million tokens looks like a slip",
        why=f"that is {direction} than any model costs",
        fix=f"{fix}; or say that you are --sure",
    )


def _times_million(rate: int) -> str:
    return dollars(rate * 1_000_000).removeprefix("$")


def card_json(card: "RateCard") -> dict[str, str]:
    """Rates in dollars per million tokens, as exact text; classes without a rate of their own are absent."""
    kinds = [name for name in card.__struct_fields__ if name not in ("above_input_tokens", "assumed")]
    as_text = {"input_image": card.input, "input_video": card.input, "reasoning": card.output}
    return {
        name: dollars(rate).removeprefix("$")
        for name in kinds
        if name not in card.assumed and (rate := getattr(card, name)) != as_text.get(name)
    }


def price_json(price: "Price", facts: "ModelFacts", *, declared: bool) -> dict[str, object]:
    """Everything that is known of a price, with where it is from."""
    from farthing.prices.records import read_book

    record, version = read_book()
    bundled = f"{record.source} {record.source_version}, checked {record.checked}, {record.source_url}"
    return {
        "provider": price.provider,
        "model": price.model,
        "version": price.version if declared else version,
        "source": "declared in the policy" if declared else bundled,
        "cards": [_above(card) for card in price.cards],
        "tiers": {tier: [_above(card) for card in cards] for tier, cards in price.tiers.items()},
        "fees_dollars": {name: dollars(fee).removeprefix("$") for name, fee in price.fees.items()},
        "free": price.free,
        "output_tokens_max": facts.output_tokens_max,
        "context_window": facts.context_window,
        "reasoning": facts.reasoning,
        "vocabulary": facts.vocabulary,
    }


def _above(card: "RateCard") -> dict[str, object]:
    return {"above_input_tokens": card.above_input_tokens, "dollars_per_million": card_json(card)}


def sample_nanodollars(price: "Price | None") -> int | None:
    """What the sample call costs at a price: 1,000 input and 500 output tokens."""
    from farthing.prices.cost import cost_nanodollars

    return cost_nanodollars(SAMPLE, price).nanodollars if price is not None else None
