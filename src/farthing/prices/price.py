"""What one model costs at one moment: whole rate cards, with every class filled in."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from farthing.prices.records import RateSteps

# Names under which providers report that nothing but the standard rates applies.
STANDARD_TIERS = frozenset({"", "default", "standard", "auto", "on_demand", "standard_only", "scale"})
# Google names the same tiers by the kind of traffic.
_TIER_NAMES = {"on_demand_priority": "priority", "on_demand_flex": "flex"}
# Tiers that exist to be cheaper: without a rate of their own they cost the standard one.
_DISCOUNTS = frozenset({"batch", "flex"})


class RateCard(msgspec.Struct, frozen=True, kw_only=True):
    """Rates of every class of token, in nanodollars per million, for inputs above a size.

    A provider that crosses a threshold reprices the whole request, so a card is used whole.
    assumed: the classes that the provider has no rate for, and that took the dearest sensible one.
    """

    above_input_tokens: int
    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    input_audio: int
    cache_read_audio: int
    input_image: int
    input_video: int
    output_audio: int
    output_image: int
    reasoning: int
    assumed: frozenset[str] = frozenset()


RATE_NAMES = frozenset(RateCard.__struct_fields__) - {"above_input_tokens", "assumed"}

RateCards = tuple[RateCard, ...]  # by rising threshold; the first one starts at zero


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """The rates of one model over a span of time; ``version`` names the book they are from.

    cards: the standard rates.
    tiers: rates of other service tiers, by the name that answers use.
    tier_asked: the service tier that the call asked for; its ceiling reckons with it.
    fees: nanodollars apiece, by the name in ``Usage.requests``; "request" is owed once a call.
    free: nothing is ever owed, by declaration.
    cache_writes_unasked: the provider may bill cache writes that the caller did not ask for.
    """

    provider: str
    model: str
    version: str
    cards: RateCards
    tiers: Mapping[str, RateCards] = MappingProxyType({})
    tier_asked: str | None = None
    fees: Mapping[str, int] = MappingProxyType({})
    free: bool = False
    cache_writes_unasked: bool = False

    def cards_of(self, service_tier: str | None) -> tuple[RateCards, bool]:
        """The rate cards of a service tier, and whether the book has them.

        A tier without rates costs the standard rates where it is a discount, else the dearest known.
        """
        if service_tier is None:
            return self.cards, True
        tier = service_tier.lower()
        tier = _TIER_NAMES.get(tier, tier)
        if tier in STANDARD_TIERS:
            return self.cards, True
        if found := self.tiers.get(tier):
            return found, True
        if tier in _DISCOUNTS:
            return self.cards, False
        return max((self.cards, *self.tiers.values()), key=dearness), False

    def reachable_cards(self) -> Iterable[RateCards]:
        """Every set of rate cards that the answer to a call may name.

        A provider that is asked for a tier may fall back to the standard one; "auto" may be any.
        """
        yield self.cards
        if self.tier_asked is None:
            return
        if self.tier_asked.lower() == "auto":
            yield from self.tiers.values()
        else:
            yield self.cards_of(self.tier_asked)[0]


def dearness(cards: RateCards) -> int:
    """How dear rate cards are at most: for comparing, not for pricing."""
    return max(card.input + card.output for card in cards)


def rate_cards(rates: Mapping[str, RateSteps]) -> RateCards:
    """Build the whole rate cards of a model, one for each threshold that any of its rates has."""
    thresholds = {0}
    for steps in rates.values():
        if not isinstance(steps, int):
            thresholds.update(steps[1::2])
    return tuple(
        _rate_card(threshold, {name: _rate_above(steps, threshold) for name, steps in rates.items()})
        for threshold in sorted(thresholds)
    )


def _rate_above(steps: RateSteps, threshold: int) -> int:
    if isinstance(steps, int):
        return steps
    rate = steps[0]
    for start, dearer in zip(steps[1::2], steps[2::2], strict=True):
        if threshold >= start:
            rate = dearer
    return rate


def _rate_card(threshold: int, rates: Mapping[str, int]) -> RateCard:
    """Fill in the classes that a provider has no own rate for: never free, and marked as assumed.

    Images, video and reasoning without an own rate are billed as text by every provider, so those
    are not assumptions. Anthropic's rule for one-hour cache writes is twice the input rate.
    """
    fresh = rates["input"]
    output = rates.get("output", fresh)
    write = rates.get("cache_write_5m", fresh)
    audio = rates.get("input_audio", fresh)
    wanted = {
        "input": fresh,
        "output": output,
        "cache_read": fresh,
        "cache_write_5m": write,
        "cache_write_1h": max(2 * fresh, write) if "cache_write_5m" in rates else fresh,
        "input_audio": audio,
        "cache_read_audio": audio if "input_audio" in rates else rates.get("cache_read", fresh),
        "input_image": fresh,
        "input_video": fresh,
        "output_audio": output,
        "output_image": output,
        "reasoning": output,
    }
    as_text = {"input_image", "input_video", "reasoning"}
    assumed = frozenset(wanted.keys() - rates.keys() - as_text)
    return RateCard(above_input_tokens=threshold, assumed=assumed, **{**wanted, **rates})
