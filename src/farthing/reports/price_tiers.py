"""Which models are cheap, middling or premium: by their prices beside each other's."""

from collections.abc import Iterable, Mapping

from farthing.prices.book import PriceBook
from farthing.prices.price import Price
from farthing.reports.cheaper import CheaperModels, is_small

CHEAP, MIDDLE, PREMIUM, NO_PRICE = "cheap", "middle", "premium", "(no price)"
TIERS = (CHEAP, MIDDLE, PREMIUM, NO_PRICE)

# A provider and a model of his.
Model = tuple[str, str]

HOW = (
    "Price tiers: a model's price is three parts of its input price and one of its output price. The range "
    "from the cheapest to the dearest model in use, with the cheaper model that could stand in for each, is "
    "cut in three by equal factors: cheap, middle, premium. Where the dearest is less than twice the "
    "cheapest, all are cheap; the small model of a family (mini, haiku, flash) is never premium."
)


def price_tiers(models: Iterable[Model], prices: PriceBook, at_us: int) -> Mapping[Model, str]:
    """The tier of each model; of those without a price, or with none to pay, that they have none."""
    found = {model: prices.find(*model, at_us) for model in models}
    blended = {model: _blended(price) for model, price in found.items() if price is not None}
    blended = {model: price for model, price in blended.items() if price}
    # What is in use alone would make the one model that everybody uses the cheapest there is.
    instead = CheaperModels(None, prices, at_us)
    stand_ins = [_blended(other.price) for model in blended if (other := instead.of(None, *model))]
    known = [*blended.values(), *stand_ins]
    if not known:
        return dict.fromkeys(found, NO_PRICE)
    least, most = min(known), max(known)
    return {model: _tier(model, blended.get(model), least, most) for model in found}


def _tier(model: Model, price: int | None, least: int, most: int) -> str:
    """Compare by third powers: the bounds are the cube roots of products, and no float is needed."""
    if price is None:
        return NO_PRICE
    if most < 2 * least or price**3 <= least**2 * most:
        return CHEAP
    return MIDDLE if price**3 <= least * most**2 or is_small(model[1]) else PREMIUM


def _blended(price: Price) -> int:
    card = price.cards[0]
    return 3 * card.input + card.output
