"""What the policy room asks of a price list, whoever keeps it."""

from collections.abc import Sequence
from typing import Protocol

from farthing.policy.kinds import HOME_PROVIDERS
from farthing.policy.reach import stands_for_any
from farthing.policy.rules import Target


class Card(Protocol):
    """Rates for inputs above some size."""

    @property
    def input(self) -> int:
        """Nanodollars per million tokens read."""
        ...

    @property
    def output(self) -> int:
        """Nanodollars per million tokens written."""
        ...


class ListedPrice(Protocol):
    """What one model costs."""

    @property
    def cards(self) -> Sequence[Card]:
        """Its rates, by rising threshold."""
        ...


class PriceList(Protocol):
    """Where prices are looked up."""

    def find(self, provider: str, model: str, at_us: int) -> ListedPrice | None:
        """The price of a model at a moment."""
        ...

    def known(self, model: str) -> tuple[str, ...]:
        """The providers that have a price for a model."""
        ...

    def names(self, provider: str | None = None) -> tuple[str, ...]:
        """Every listed name, of one provider or of all."""
        ...


class Prices:
    """A price list at one moment, as targets see it."""

    def __init__(self, listed: PriceList, at_us: int) -> None:
        self._listed = listed
        self._at_us = at_us

    def dearness(self, target: Target, model: str) -> int | None:
        """How dear a model is at a target, at most; None where it has no price."""
        provider = target.billed_as
        if stands_for_any(target):
            known = self._listed.known(model)
            homes = [HOME_PROVIDERS[family] for family in target.families if family in HOME_PROVIDERS]
            provider = next((home for home in homes if home in known), known[0] if known else provider)
        price = self._listed.find(provider, model, self._at_us)
        return None if price is None else max(card.input + card.output for card in price.cards)

    def names(self, provider: str | None = None) -> tuple[str, ...]:
        """Every listed name, of one provider or of all."""
        return self._listed.names(provider)

    def knows(self, model: str) -> bool:
        """Tell whether anybody has a price for a model."""
        return bool(self._listed.known(model)) or model in self._listed.names()
