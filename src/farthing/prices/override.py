"""Prices that a policy declares itself: negotiated rates, own models, models that cost nothing."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

import msgspec

from farthing.domain.money import nanodollars_from
from farthing.prices.price import RATE_NAMES, Price, rate_cards

Dollars = str | int | float | Decimal


class BadOverride(ValueError):
    """A declared price names a class that does not exist, or leaves out the input."""


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """A declared price. It replaces the bundled one whole: no thresholds, no service tiers.

    rates: nanodollars per million tokens by class. One that is left out takes the dearest sensible
        rate and is marked on every entry that used it.
    fees: nanodollars apiece, by the name in ``Usage.requests``; "request" is owed once a call.
    provider: the only provider it holds for; None holds for any.
    """

    rates: Mapping[str, int]
    fees: Mapping[str, int] = MappingProxyType({})
    provider: str | None = None

    def price(self, provider: str, model: str, version: str, *, tier_asked: str | None = None) -> Price:
        """The price of a model at these rates."""
        return Price(
            provider=provider,
            model=model,
            version=version,
            cards=rate_cards(self.rates),
            tier_asked=tier_asked,
            fees=self.fees,
            free=not any(self.rates.values()) and not any(self.fees.values()),
            cache_writes_unasked="cache_write_5m" in self.rates,
        )


def override_from_dollars(
    rates: Mapping[str, Dollars], *, fees: Mapping[str, Dollars] | None = None, provider: str | None = None
) -> Override:
    """Read a declared price: dollars per million tokens by class, and dollars apiece for fees.

    Raises BadOverride for a class that does not exist or a missing input rate, BadAmount for text
    that is not an amount of dollars.
    """
    unknown = sorted(rates.keys() - RATE_NAMES)
    if unknown:
        raise BadOverride(f"{unknown[0]} is not a class of tokens; use {', '.join(sorted(RATE_NAMES))}")
    if "input" not in rates:
        raise BadOverride("a price needs an input rate; write 0 for a model that costs nothing")
    return Override(
        rates={name: nanodollars_from(amount) for name, amount in rates.items()},
        fees={name: nanodollars_from(amount) for name, amount in (fees or {}).items()},
        provider=provider,
    )
