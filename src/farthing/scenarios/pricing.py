"""The three price lists of scenarios: as published, as when the model came out, and as bundled on a day."""

import enum
from functools import lru_cache

from farthing.domain.money import nanodollars_from
from farthing.domain.usage import Usage
from farthing.prices.book import PriceBook, load_book
from farthing.prices.cost import cost_nanodollars
from farthing.prices.override import Override

# Every scenario plays in 2026, and the bundled prices count as they stood at this noon.
PRICED_AT_US = 1_788_264_000_000_000


class Profile(enum.StrEnum):
    """Which prices hold. PUBLISHED: costs are written as they were told, whatever a price list says."""

    PUBLISHED = "published"
    LAUNCH = "launch"
    LIVE = "live"


def book_of(profile: Profile) -> PriceBook:
    """The price book of a profile."""
    return _launch_book() if profile is Profile.LAUNCH else load_book()


@lru_cache(maxsize=1)
def _launch_book() -> PriceBook:
    """The bundled prices, with gpt-4o as it came out."""
    rates = {"input": nanodollars_from("5"), "output": nanodollars_from("15")}
    return load_book().with_overrides({"gpt-4o": Override(rates=rates)})


@lru_cache(maxsize=4_096)
def cost_of(
    model: str,
    input_tokens: int,
    output_tokens: int,
    *,
    provider: str = "openai",
    profile: Profile = Profile.LIVE,
) -> int:
    """What a call of so many tokens costs, in nanodollars, by the functions that settle."""
    price = book_of(profile).find(provider, model, PRICED_AT_US)
    if price is None:
        raise ValueError(f"the price book has no {model} of {provider}")
    return cost_nanodollars(Usage(input_tokens=input_tokens, output_tokens=output_tokens), price).nanodollars
