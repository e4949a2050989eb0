"""The price book: which price a model has at a provider at a moment, and what else is known of it."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TypeVar

import msgspec

from farthing.domain.names import SIMULATOR
from farthing.prices.facts import FactsBook, ModelFacts
from farthing.prices.names import NameIndex, tails_of, undated
from farthing.prices.override import Override
from farthing.prices.price import Price, dearness, rate_cards
from farthing.prices.records import (
    BookRecord,
    ModelRecord,
    ProviderRecord,
    read_book,
    read_facts,
    read_provider,
)
from farthing.prices.spans import DAY_US, EVER_US, standard_span, stands_between, tier_rates

# Callers choose model names, so what is remembered about them is bounded.
_REMEMBERED_AT_MOST = 4096

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class _Found(msgspec.Struct, frozen=True):
    """An answer, and the span of time in which it stands."""

    from_us: int
    until_us: int
    price: Price | None


class _Provider:
    """One provider, decoded when it is first asked for."""

    def __init__(self, record: ProviderRecord) -> None:
        self.fallback = record.fallback
        self.models = record.models
        self.index = NameIndex(record.models)


class PriceBook:
    """What models cost. Names are matched exactly, and a model that is not in the book has no price."""

    def __init__(self, record: BookRecord, version: str, facts: FactsBook) -> None:
        self._record = record
        self._facts = facts
        self._overrides: dict[str, list[Override]] = {}
        self._providers: dict[str, _Provider] = {}
        self._found: dict[tuple[str, str, str | None], _Found] = {}
        self._dearest: dict[tuple[str, int], Price | None] = {}
        self._known_facts: dict[tuple[str, str], ModelFacts] = {}
        self._known: dict[str, tuple[str, ...]] = {}
        self.version = version

    def with_overrides(self, overrides: Mapping[str, Override]) -> "PriceBook":
        """A book in which these prices stand before the bundled ones; this one stays as it is."""
        if not overrides:
            return self
        # The bundled data is shared; only what depends on the overrides is new.
        book = PriceBook(self._record, _version(self.version, overrides), self._facts)
        book._providers = self._providers
        book._overrides = {name: list(declared) for name, declared in self._overrides.items()}
        for name, override in overrides.items():
            book._overrides.setdefault(name.lower(), []).insert(0, override)
        return book

    def find(self, provider: str, model: str, at_us: int, *, service_tier: str | None = None) -> Price | None:
        """The price of a model at a moment; None where the book has none.

        provider: what a simulator charges is found too, see seller.
        at_us: microseconds since 1970, UTC; prices have days and some have hours.
        service_tier: the tier that the call asks for, so that its ceiling reckons with it.
        """
        key = (provider, model, service_tier)
        found = self._found.get(key)
        if found is None or not found.from_us <= at_us < found.until_us:
            found = self._find(provider, model, at_us, service_tier)
            _remember(self._found, key, found)
        return found.price

    def dearest(self, provider: str, at_us: int) -> Price | None:
        """The dearest price of a provider at a moment: what an unknown model is assumed to cost at most.

        It is searched anew for each day; hours are those of the first question of the day.
        """
        home = self._provider(provider)
        if home is None:
            return None
        key = (provider, at_us // DAY_US)
        if key not in self._dearest:
            prices = (self._price(provider, model, at_us, None) for model in home.models)
            _remember(self._dearest, key, max(prices, key=lambda price: dearness(price.cards), default=None))
        return self._dearest[key]

    def facts(self, provider: str, model: str) -> ModelFacts:
        """What is known of a model besides its price.

        A provider that serves another one's model is taken to have the maker's limits, but not its
        way of counting tokens.
        """
        key = (provider, model)
        known = self._known_facts.get(key)
        if known is None:
            known = self._facts_of(provider, model)
            _remember(self._known_facts, key, known)
        return known

    def names(self, provider: str | None = None) -> tuple[str, ...]:
        """Every listed name, of one provider or of all, sorted."""
        providers = self._record.providers if provider is None else (provider,)
        names = set(self._overrides)
        for known in map(self._provider, providers):
            if known is not None:
                names.update(known.index.names())
        return tuple(sorted(names))

    def listed(self, provider: str, name: str) -> str | None:
        """The listed model that a name means at a provider, whatever its price; None where none is."""
        record = self._model(provider, name)[1]
        return record.model if record is not None else None

    def known(self, model: str) -> tuple[str, ...]:
        """The providers that have a price for a model, sorted."""
        providers = self._known.get(model)
        if providers is None:
            providers = tuple(name for name in sorted(self._record.providers) if self._model(name, model)[1])
            _remember(self._known, model, providers)
        return providers

    def seller(self, provider: str, model: str) -> str:
        """The provider whose prices hold: a simulator charges what the maker of the model does."""
        if provider != SIMULATOR:
            return provider
        known = self.known(model)
        makers = (maker for maker in self._facts.makers if maker in known)
        return next(makers, known[0] if known else provider)

    # ── inside ──────────────────────────────────────────────────────────────────────────────────

    def _find(self, provider: str, model: str, at_us: int, service_tier: str | None) -> _Found:
        provider = self.seller(provider, model)
        home, record = self._model(provider, model)
        override = self._override(provider, model, record)
        if override is not None:
            price = override.price(provider, model, self.version, tier_asked=service_tier)
            return _Found(-EVER_US, EVER_US, price)
        if record is None:
            return _Found(-EVER_US, EVER_US, None)
        return _Found(*stands_between(record, at_us), self._price(home, record, at_us, service_tier))

    def _price(self, provider: str, model: ModelRecord, at_us: int, service_tier: str | None) -> Price:
        span = standard_span(model, at_us)
        tiers = {tier: rate_cards(rates) for tier, rates in tier_rates(model, span, at_us).items()}
        return Price(
            provider=provider,
            model=model.model,
            version=self.version,
            cards=rate_cards(span.rates),
            tiers=tiers,
            tier_asked=service_tier,
            fees=span.fees,
            free=not any(span.rates.values()) and not any(span.fees.values()),
            cache_writes_unasked="cache_write_5m" in span.rates and not model.cache_writes_asked,
        )

    def _override(self, provider: str, model: str, record: ModelRecord | None) -> Override | None:
        """The declared price of a name, else of the model it means, else of the name without its date."""
        meant = record.model if record is not None else undated(model.lower())
        for name in (model.lower(), meant):
            for override in self._overrides.get(name, ()):
                if override.provider is None or self._same_provider(override.provider, provider):
                    return override
        return None

    def _model(self, provider: str, model: str) -> tuple[str, ModelRecord | None]:
        """The model a name means at a provider, and whose model it is."""
        for name in self._homes(provider):
            home = self._provider(name)
            record = home.index.find(model) if home is not None else None
            if record is not None:
                return name, record
        return provider, None

    def _facts_of(self, provider: str, model: str) -> ModelFacts:
        home, record = self._model(provider, model)
        if facts := self._facts.of(home, record, model):
            return facts
        for name in tails_of(model.lower()):
            for maker in self._facts.makers:
                _, made = self._model(maker, name)
                if made is not None and (facts := self._facts.of(maker, made, name)):
                    return msgspec.structs.replace(facts, vocabulary=None)
        return ModelFacts(context_window=record.context_window if record is not None else None)

    def _homes(self, provider: str) -> Iterator[str]:
        name = self._record.provider_aliases.get(provider.lower(), provider.lower())
        yield name
        home = self._provider(name)
        if home is not None:
            yield from home.fallback

    def _provider(self, provider: str) -> _Provider | None:
        name = self._record.provider_aliases.get(provider.lower(), provider.lower())
        known = self._providers.get(name)
        if known is None and (raw := self._record.providers.get(name)) is not None:
            known = self._providers[name] = _Provider(read_provider(raw))
        return known

    def _same_provider(self, one: str, other: str) -> bool:
        aliases = self._record.provider_aliases
        return aliases.get(one.lower(), one.lower()) == aliases.get(other.lower(), other.lower())


def _remember(memory: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    if len(memory) >= _REMEMBERED_AT_MOST:
        memory.clear()
    memory[key] = value


@lru_cache(maxsize=1)
def load_book() -> PriceBook:
    """The bundled price book; read once, and each provider when it is first asked for."""
    record, version = read_book()
    return PriceBook(record, version, FactsBook(read_facts()))


def _version(version: str, overrides: Mapping[str, Override]) -> str:
    text = msgspec.json.encode({name: _declared(overrides[name]) for name in sorted(overrides)})
    return f"{version}+prices-{hashlib.sha256(text).hexdigest()[:8]}"


def _declared(override: Override) -> tuple[dict[str, int], dict[str, int], str | None]:
    return dict(sorted(override.rates.items())), dict(sorted(override.fees.items())), override.provider
