"""Which cheaper model the same calls could go to: by the policy, else by the family of the model."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import msgspec

from farthing.domain.money import nearest_whole
from farthing.domain.names import is_pattern, names_model
from farthing.domain.usage import Usage
from farthing.ledger.slices import SpendRow
from farthing.policy.kinds import may_offer, writes_text
from farthing.policy.rules import Environment, Policy
from farthing.prices.book import PriceBook, load_book
from farthing.prices.cost import cost_nanodollars
from farthing.prices.names import undated
from farthing.prices.price import Price, dearness
from farthing.reports.asking import Question

# A model is premium where a cheaper one costs at most this part of it; a rule of the policy needs no more
# than that the other model is cheaper.
PREMIUM_TIMES = 2

# What names the cheaper model: the policy's own map, the cheapest it allows, or the price book.
DOWNGRADE_MAP = "downgrade map"
ALLOWLIST = "allowlist"
FAMILY = "model family"

# How providers call the small ones of a family: behind the name, or in the place of another word.
_SMALL_WORDS = ("nano", "mini", "lite", "small")
_SMALL_INSTEAD = (
    ("opus", "haiku"),
    ("sonnet", "haiku"),
    ("pro", "flash-lite"),
    ("pro", "flash"),
    ("large", "small"),
    ("medium", "small"),
)
_SMALL = frozenset({*_SMALL_WORDS, "haiku", "flash", "instant", "8b", "3b"})
# For models whose own name leads to none: the small one that their maker offers in their place.
_SMALL_OF_MAKERS = (
    ("*claude-*", "claude-haiku-4-5"),
    ("gemini-*", "gemini-2.5-flash-lite"),
    ("gpt-4*", "gpt-4o-mini"),
    ("gpt-5*", "gpt-5-mini"),
    ("chatgpt-*", "gpt-4o-mini"),
    ("o1*", "gpt-4o-mini"),
    ("o3*", "gpt-4o-mini"),
    ("mistral-*", "mistral-small-latest"),
)


class Cheaper(msgspec.Struct, frozen=True, kw_only=True):
    """A cheaper model, its price, and what names it."""

    model: str
    price: Price
    rule: str


class CheaperModels:
    """Cheaper models for those that were used, at the prices of one moment.

    Asked in this order: the environment's map of downgrades; the cheapest model of the same provider on
    its allowlist; the cheapest small model of the same family in the price book.
    """

    def __init__(self, policy: Policy | None, prices: PriceBook, at_us: int) -> None:
        self._environments = policy.environments if policy is not None else {}
        self._prices = prices
        self._at_us = at_us
        self._known: dict[tuple[str | None, str, str], Cheaper | None] = {}

    def of(self, environment: str | None, provider: str | None, model: str | None) -> Cheaper | None:
        """The cheaper model; None where the model is not premium, or has no price."""
        if provider is None or model is None:
            return None
        provider = self._prices.seller(provider, model)
        key = (environment, provider, model)
        if key not in self._known:
            self._known[key] = self._find(self._environments.get(environment or ""), provider, model)
        return self._known[key]

    def cost_there(self, row: SpendRow, provider: str, model: str, cheaper: Cheaper) -> int:
        """What the tokens of a slice cost on the cheaper model.

        Costs that had to be assumed say nothing about tokens; such a slice is scaled, as far as its
        own tokens, or at least its rates, tell.
        """
        there = _cost(row, cheaper.price)
        if not row.assumed:
            return there
        own = self._prices.find(provider, model, self._at_us)
        if own is None:
            return there
        whole = _cost(row, own)
        if not (there and whole):
            there, whole = dearness(cheaper.price.cards), dearness(own.cards)
        return nearest_whole(Fraction(row.cost_nanodollars * there, whole)) if whole else there

    def _find(self, rules: Environment | None, provider: str, model: str) -> Cheaper | None:
        own = self._prices.find(provider, model, self._at_us)
        if own is None or own.free or not writes_text(model):
            return None
        if rules is not None and (found := self._by_policy(rules, provider, model, own)):
            return found
        return self._by_family(provider, model, own)

    def _by_policy(self, rules: Environment, provider: str, model: str, own: Price) -> Cheaper | None:
        for pattern, named in rules.downgrade:
            if names_model(pattern, model) and (price := self._price(provider, named)):
                if dearness(price.cards) < dearness(own.cards):
                    return Cheaper(model=named, price=price, rule=DOWNGRADE_MAP)
                break
        if rules.allow is None:
            return None
        listed = any(names_model(entry, model) for entry in rules.allow)
        if listed and is_small(model):
            return None
        cheapest = self._cheapest(provider, (name for name in rules.allow if not is_pattern(name)))
        if cheapest is None or not _is_cheaper(cheapest[1], own, PREMIUM_TIMES if listed else 1):
            return None
        return Cheaper(model=cheapest[0], price=cheapest[1], rule=ALLOWLIST)

    def _by_family(self, provider: str, model: str, own: Price) -> Cheaper | None:
        if is_small(model):
            return None
        for names in (_by_its_name(model), _by_its_maker(model)):
            cheapest = self._cheapest(provider, names)
            if cheapest is not None and _is_cheaper(cheapest[1], own, PREMIUM_TIMES):
                return Cheaper(model=cheapest[0], price=cheapest[1], rule=FAMILY)
        return None

    def _cheapest(self, provider: str, names: Iterator[str]) -> tuple[str, Price] | None:
        priced = [(name, price) for name in names if (price := self._price(provider, name))]
        return min(priced, key=lambda found: dearness(found[1].cards), default=None)

    def _price(self, provider: str, model: str) -> Price | None:
        if not may_offer(provider, model) or not writes_text(model):
            return None
        price = self._prices.find(provider, model, self._at_us)
        return None if price is None or price.free else price


def cheaper_models(asked: Question) -> CheaperModels:
    """Cheaper models by the policy in force, at the prices of the end of the span, or of now."""
    at_us = min(asked.now_us, asked.span.until_us - 1)
    return CheaperModels(asked.policy, asked.prices or load_book(), at_us)


def _is_cheaper(price: Price, own: Price, times: int) -> bool:
    ours, theirs = dearness(own.cards), dearness(price.cards)
    return theirs < ours and theirs * times <= ours


def is_small(model: str) -> bool:
    """Whether its name says that it is the small one of its family."""
    return not _SMALL.isdisjoint(_words(model))


def _words(model: str) -> list[str]:
    return model.lower().replace("/", "-").replace(":", "-").split("-")


def _by_its_name(model: str) -> Iterator[str]:
    """Names that a small one of the same line would have."""
    name = undated(model.lower())
    for word in _SMALL_WORDS:
        yield f"{name}-{word}"
    parts = name.split("-")
    for (word, small), place in product(_SMALL_INSTEAD, range(len(parts))):
        if parts[place] == word:
            yield "-".join([*parts[:place], small, *parts[place + 1 :]])


def _by_its_maker(model: str) -> Iterator[str]:
    return (small for pattern, small in _SMALL_OF_MAKERS if names_model(pattern, model))


def _cost(row: SpendRow, price: Price) -> int:
    """What the tokens of a slice cost; calls of a slice are priced as if they were of equal size."""
    calls = max(row.paid, 1)
    input_tokens = row.input_tokens // calls
    card = [price.cards[0], *[one for one in price.cards if 0 < one.above_input_tokens < input_tokens]][-1]
    usage = Usage(
        input_tokens=row.input_tokens,
        cached_read=row.cached_read,
        cached_write_5m=row.cached_write,
        output_tokens=row.output_tokens,
    )
    flat = msgspec.structs.replace(
        price, cards=(msgspec.structs.replace(card, above_input_tokens=0),), fees={}
    )
    return cost_nanodollars(usage, flat).nanodollars + calls * price.fees.get("request", 0)
