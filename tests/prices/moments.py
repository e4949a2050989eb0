"""Moments and prices that tests of this room speak of."""

from datetime import UTC, datetime

from farthing.domain.period import to_microseconds
from farthing.prices.book import load_book
from farthing.prices.price import Price


def at(text: str) -> int:
    """Microseconds of a moment in UTC: "2026-11-22" or "2026-11-22T01:30"."""
    return to_microseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


TODAY = at("2026-11-22T12:00")  # a Sunday


def price_of(provider: str, model: str, moment: int = TODAY, *, tier: str | None = None) -> Price:
    """The bundled price of a model that is known to have one."""
    price = load_book().find(provider, model, moment, service_tier=tier)
    assert price is not None, f"{provider} {model} has no price"
    return price


def dollars_per_million(price: Price) -> tuple[float, float, float]:
    """Input, output and cache read of the first card, as price lists show them."""
    card = price.cards[0]
    return card.input / 1e9, card.output / 1e9, card.cache_read / 1e9
