"""Price what a call used, and the most that a call can use, by the same rates."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import msgspec

from farthing.domain.money import TOKENS_PER_MILLION, divide_up
from farthing.domain.usage import NO_REQUESTS, Usage
from farthing.prices.price import Price, RateCard, RateCards
from farthing.prices.shares import Shares, input_shares, output_shares

# The fee that is owed once for each call, whatever is reported.
_ONCE = "request"

# Providers count the same searches under several names.
_FEE_NAMES: Mapping[str, str] = MappingProxyType({"web_search_queries": "web_search"})

# Reported, and free of charge: what is found by them is billed as input.
_FREE_REQUESTS = frozenset({"messages", "web_fetch", "web_search_find", "web_search_open_page"})


class Line(msgspec.Struct, frozen=True):
    """One class of what was used: how many, and the rate in nanodollars per million."""

    kind: str
    count: int
    rate: int


class Cost(msgspec.Struct, frozen=True):
    """What a call costs, what was odd about it, and the lines that sum to it before rounding up."""

    nanodollars: int
    anomalies: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()


class Ceiling(msgspec.Struct, frozen=True):
    """The most a call can cost: a fixed part, and a rate per million tokens of output cap."""

    fixed_nanodollars: int
    rate_nanodollars_per_million: int

    def at(self, output_cap: int) -> int:
        """The most it can cost with this output cap."""
        return self.fixed_nanodollars + divide_up(
            self.rate_nanodollars_per_million * output_cap, TOKENS_PER_MILLION
        )


def cost_nanodollars(usage: Usage, price: Price, *, service_tier: str | None = None) -> Cost:
    """Price one call, rounding up once, at the end.

    usage: totals and shares as the provider reported them.
    service_tier: the tier that the answer says was used; None is the standard one.

    Returns whole nanodollars, never negative. What contradicts itself is priced at the dearest
    reading that keeps to the totals, and named in ``anomalies``.
    """
    cards, tier_priced = price.cards_of(service_tier)
    total = usage.input_tokens
    if total is None:
        total = _input_from_shares(usage)
    card = _card_for(cards, total)
    anomalies: tuple[str, ...] = () if tier_priced else (f"no rates for service tier {service_tier}",)
    if usage.input_tokens is None:
        anomalies += ("input tokens were not reported",)
    inputs, input_anomalies = input_shares(usage, total, card)
    outputs, output_anomalies = output_shares(usage, card)
    anomalies += input_anomalies + output_anomalies
    lines = _lines(inputs, outputs, card)
    if card.assumed:
        anomalies += tuple(
            f"no rate for {line.kind}, priced as the dearest class it can be"
            for line in lines
            if line.kind in card.assumed
        )
    if price.fees or usage.requests:
        fees, fee_anomalies = _fee_lines(usage.requests or NO_REQUESTS, price)
        lines += fees
        anomalies += fee_anomalies
    numerator = 0
    for line in lines:
        numerator += line.count * line.rate
    return Cost(divide_up(numerator, TOKENS_PER_MILLION), anomalies, lines)


def ceiling(
    price: Price,
    *,
    input_tokens: int,
    choices: int = 1,
    cache_writes: str | None = None,
    fees: Mapping[str, int] = NO_REQUESTS,
    media: bool = True,
) -> Ceiling:
    """The most a call can cost, as a function of its output cap; the same rates as its cost.

    input_tokens: no more than this many are billed as input.
    choices: how many answers may each use the whole output cap.
    cache_writes: "5m" or "1h" where the caller asked for prompt caching; None where not.
    fees: how many extras may be billed apiece, by the name in ``Usage.requests``.
    media: False only where the input holds no audio, images or video.
    """
    writes = cache_writes or ("5m" if price.cache_writes_unasked else None)
    cards = [
        card
        for reachable in price.reachable_cards()
        for card in reachable
        if card.above_input_tokens < max(input_tokens, 1)
    ]
    input_rate = max(_dearest_input(card, writes, media=media) for card in cards)
    output_rate = max(_dearest_output(card) for card in cards)
    apiece = price.fees.get(_ONCE, 0)
    for name, count in fees.items():
        apiece += count * price.fees.get(_FEE_NAMES.get(name, name), 0)
    return Ceiling(divide_up(input_rate * input_tokens, TOKENS_PER_MILLION) + apiece, output_rate * choices)


def _dearest_input(card: RateCard, writes: str | None, *, media: bool) -> int:
    rates = [card.input, card.cache_read]
    if writes is not None:
        rates.append(card.cache_write_5m)
    if writes == "1h":
        rates.append(card.cache_write_1h)
    if media:
        rates += [card.input_audio, card.cache_read_audio, card.input_image, card.input_video]
    return max(rates)


def _dearest_output(card: RateCard) -> int:
    return max(card.output, card.reasoning, card.output_audio, card.output_image)


def _card_for(cards: RateCards, input_tokens: int) -> RateCard:
    """The card of the last threshold that the whole input is above."""
    card = cards[0]
    for dearer in cards[1:]:
        if input_tokens > dearer.above_input_tokens:
            card = dearer
    return card


def _input_from_shares(usage: Usage) -> int:
    """The least that the input can have been, where only shares of it were reported."""
    cached = (
        (usage.cached_read or 0)
        + (usage.cached_write_5m or 0)
        + (usage.cached_write_1h or 0)
        + (usage.cached_write_other or 0)
    )
    media = (usage.audio_in or 0) + (usage.image_in or 0) + (usage.video_in or 0) + (usage.document_in or 0)
    return max(cached, media)


def _lines(inputs: Shares, outputs: Shares, card: RateCard) -> tuple[Line, ...]:
    return tuple(Line(kind, count, getattr(card, kind)) for kind, count in (*inputs, *outputs) if count)


def _fee_lines(requests: Mapping[str, int], price: Price) -> tuple[tuple[Line, ...], tuple[str, ...]]:
    lines = list(_once(price))
    anomalies: list[str] = []
    for name, count in requests.items():
        fee = price.fees.get(_FEE_NAMES.get(name, name))
        if fee is not None:
            lines.append(Line(name, count, fee * TOKENS_PER_MILLION))
        elif count and name not in _FREE_REQUESTS and not price.free:
            anomalies.append(f"no price for {name}")
    return tuple(lines), tuple(anomalies)


def _once(price: Price) -> Iterator[Line]:
    if fee := price.fees.get(_ONCE):
        yield Line(_ONCE, 1, fee * TOKENS_PER_MILLION)
