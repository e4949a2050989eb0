"""Price the quantities of a line again, to tell a changed price from a discount."""

from fractions import Fraction

from farthing.domain.money import TOKENS_PER_MILLION
from farthing.prices.book import PriceBook
from farthing.reports.reconcile_line import Line


def priced_now(prices: PriceBook, provider: str, line: Line, at_us: int) -> int | None:
    """What the quantities of a line cost by the price book as it is now; None where that is unknown.

    The whole is priced at the rates of an ordinary call: short context, the standard tier, writes kept
    for five minutes.
    """
    if line.model is None or line.quantities is None:
        return None
    price = prices.find(provider, line.model, at_us)
    _, ours = line.quantities
    if price is None or ours.fresh_input is None or ours.output_tokens is None:
        return None
    card = price.cards[0]
    tokens = (
        (ours.fresh_input, card.input),
        (ours.cached_read or 0, card.cache_read),
        (ours.cached_write or 0, card.cache_write_5m),
        (ours.output_tokens, card.output),
    )
    return round(Fraction(sum(count * rate for count, rate in tokens), TOKENS_PER_MILLION))
