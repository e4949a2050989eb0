"""Read the bundled data files: prices and facts of models, as they are written on disk."""

import datetime
import hashlib
from importlib.resources import files

import msgspec

# A rate, or [rate, threshold, rate above it, ...] where it depends on the size of the input.
RateSteps = int | tuple[int, ...]


class SpanRecord(msgspec.Struct, frozen=True, rename={"starts_on": "from", "ends_on": "until"}):
    """Rates and the time they hold: whole days UTC, the end not included; some hours of some weekdays."""

    rates: dict[str, RateSteps]
    fees: dict[str, int] = {}
    starts_on: datetime.date | None = None
    ends_on: datetime.date | None = None
    daily: tuple[datetime.time, datetime.time] | None = None
    weekdays: tuple[int, ...] | None = None


class VariantRecord(SpanRecord, frozen=True, kw_only=True):
    """Rates of another service tier, where they differ from the standard ones."""

    tier: str


class ModelRecord(msgspec.Struct, frozen=True):
    """One model: its names, by how strictly they are compared, and its prices; the last that holds counts."""

    model: str
    spans: tuple[SpanRecord, ...]
    names: tuple[str, ...] = ()
    stems: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    variants: tuple[VariantRecord, ...] = ()
    context_window: int | None = None
    cache_writes_asked: bool = False
    corrected: str | None = None


class ProviderRecord(msgspec.Struct, frozen=True):
    """One provider, and the providers whose models it offers at their prices."""

    urls: tuple[str, ...]
    fallback: tuple[str, ...]
    models: tuple[ModelRecord, ...]


class BookRecord(msgspec.Struct, frozen=True):
    """The whole file; a provider stays raw until somebody asks for one of its models."""

    source: str
    source_version: str
    source_url: str
    checked: datetime.date
    provider_aliases: dict[str, str]
    providers: dict[str, msgspec.Raw]


class FactsRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """Limits of one model, or of all that share a family; None where the provider does not say."""

    output_tokens_max: int | None = None
    context_window: int | None = None
    reasoning: bool | None = None
    vocabulary: str | None = None
    output_floor: int | None = None


class FactsFile(msgspec.Struct, frozen=True):
    """Facts by provider and model; the entry "*" holds for every model of the provider."""

    checked: datetime.date
    sources: dict[str, tuple[str, ...]]
    providers: dict[str, dict[str, FactsRecord]]


# Made while the module is imported: msgspec works out a type once, and two threads that both do so crash.
_decode_book = msgspec.json.Decoder(BookRecord).decode
_decode_provider = msgspec.json.Decoder(ProviderRecord).decode
_decode_facts = msgspec.json.Decoder(FactsFile).decode


def read_book() -> tuple[BookRecord, str]:
    """Read the price book and the version that names exactly this content."""
    text = _data("price_book.json")
    book = _decode_book(text)
    digest = hashlib.sha256(text).hexdigest()[:8]
    return book, f"{book.source}-{book.source_version}+{digest}"


def read_provider(raw: msgspec.Raw) -> ProviderRecord:
    """Decode one provider."""
    return _decode_provider(raw)


def read_facts() -> FactsFile:
    """Read the facts about models."""
    return _decode_facts(_data("model_facts.json"))


def _data(name: str) -> bytes:
    return (files("farthing.prices") / "data" / name).read_bytes()
