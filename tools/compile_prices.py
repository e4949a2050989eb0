"""Compile the genai-prices package and our corrections into the bundled price book.

Run: python tools/compile_prices.py [--check]

The book holds whole nanodollars per million tokens, sorted and one model a line, so that a new
version of the source is a diff that a person can review.
"""

import datetime
import json
import re
import sys
from collections.abc import Iterable, Iterator
from decimal import ROUND_CEILING, Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices import types
from genai_prices.data import providers as source_providers

# When somebody last compared the source with the providers' own pages; set it with each new version.
SOURCE_VERSION = "0.2.3"
CHECKED = "2026-11-22"

DATA = Path(__file__).parents[1] / "src" / "farthing" / "prices" / "data"
BOOK = DATA / "price_book.json"
CORRECTIONS = DATA / "corrections.json"

Rate = int | list[int]
Record = dict[str, Any]

RATES = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "cache_audio_read_mtok": "cache_read_audio",
    "input_image_mtok": "input_image",
    "input_video_mtok": "input_video",
    "output_audio_mtok": "output_audio",
    "output_image_mtok": "output_image",
    "output_reasoning_mtok": "reasoning",
}
FEES = {
    "web_searches_kcount": "web_search",
    "storage_searches_kcount": "file_search",
    "requests_kcount": "request",
}
# Usage does not tell generated video or citations apart, so their rates cannot be used as they are.
WITHOUT_USAGE = {"cache_image_read_mtok", "output_video_mtok", "output_citation_mtok"}
# A model that is billed by these is not billed by tokens, and has no place in the book.
OTHER_UNITS = {
    "audio_hours",
    "input_audio_hours",
    "input_mchars",
    "input_document_kpages",
    "input_annotated_document_kpages",
    "input_text_messages_kcount",
}
# What a price depends on besides time and size; other dimensions of the source are not reported by answers.
TIER_DIMENSIONS = ("service_tier", "processing", "speed")

# Fine-tuned models end in a name that their owner chose, so these prefixes may be followed by anything.
OPEN_PREFIXES = ("ft:", "gpt-4o-mini-2024-07-18.ft-")

PROVIDER_ALIASES = {
    "amazon": "aws",
    "amazon-bedrock": "aws",
    "azure-openai": "azure",
    "azure_openai": "azure",
    "bedrock": "aws",
    "gemini": "google",
    "google-vertex": "google",
    "grok": "x-ai",
    "mistralai": "mistral",
    "moonshot": "moonshotai",
    "together-ai": "together",
    "together_ai": "together",
    "vertex": "google",
    "vertex-ai": "google",
    "vertex_ai": "google",
    "vertexai": "google",
    "xai": "x-ai",
}


def main() -> int:
    """Write the book, or with --check say whether the one on disk is what the source gives."""
    if version("genai-prices") != SOURCE_VERSION:
        sys.exit(f"genai-prices {SOURCE_VERSION} is wanted, {version('genai-prices')} is installed")
    text = book_text()
    if "--check" in sys.argv[1:]:
        return 0 if BOOK.read_text(encoding="utf-8") == text else 1
    BOOK.write_text(text, encoding="utf-8")
    print(f"{BOOK.name}: {text.count(chr(10))} lines, {len(text.encode())} bytes")
    return 0


def book_text() -> str:
    """The whole book as text, one model a line."""
    corrections = json.loads(CORRECTIONS.read_text(encoding="utf-8"))["corrections"]
    provider_texts = [
        provider_text(provider, [item for item in corrections if item["provider"] == provider.id])
        for provider in sorted(source_providers, key=lambda provider: provider.id)
    ]
    head = {
        "source": "genai-prices",
        "source_version": SOURCE_VERSION,
        "source_url": "https://github.com/pydantic/genai-prices",
        "source_license": "MIT",
        "checked": CHECKED,
        "unit": "nanodollars per million tokens; fees: nanodollars apiece",
        "provider_aliases": PROVIDER_ALIASES,
    }
    lines = [f"  {json.dumps(key)}: {compact(value)}," for key, value in head.items()]
    return "{\n" + "\n".join(lines) + '\n  "providers": {\n' + ",\n".join(provider_texts) + "\n  }\n}\n"


def provider_text(provider: types.Provider, corrections: list[Record]) -> str:
    """One provider, with its models in the order of their names."""
    records = {record["model"]: record for model in provider.models if (record := model_record(model))}
    keep_first_names(records.values())
    for correction in corrections:
        correct(records, correction)
    head = f'    {json.dumps(provider.id)}: {{\n      "urls": {compact(provider.pricing_urls or [])},\n'
    head += f'      "fallback": {compact(provider.fallback_model_providers or [])},\n      "models": [\n'
    models = ",\n".join(f"        {compact(records[name])}" for name in sorted(records))
    return head + models + "\n      ]\n    }"


def model_record(model: types.ModelInfo) -> Record | None:
    """One model, or None where it is not priced by tokens or not priced at all."""
    spans = list(spans_of(model))
    if not spans or any(span is None for span in spans):
        return None
    record: Record = {"model": model.id.lower(), **names_of(model), "spans": spans}
    if variants := list(variants_of(model)):
        record["variants"] = variants
    if model.context_window:
        record["context_window"] = model.context_window
    if "claude" in model.id.lower():
        record["cache_writes_asked"] = True
    return record


# ── prices ──────────────────────────────────────────────────────────────────────────────────────


def spans_of(model: types.ModelInfo) -> Iterator[Record | None]:
    """Prices with the time they hold; None for a price that is not by tokens."""
    if isinstance(model.prices, types.ModelPrice):
        yield span_of(model, model.prices, None)
        return
    for price in model.prices:
        yield span_of(model, price.prices, price.constraint)


def span_of(model: types.ModelInfo, price: types.ModelPrice, constraint: object) -> Record | None:
    """One price and its time: from a day on, or between two times of every day, UTC."""
    rates, fees = rates_of(price)
    if not rates and model.id.lower().endswith(":free"):
        rates = {"input": 0, "output": 0}
    if "input" not in rates:
        return None
    span: Record = {**time_of(constraint), "rates": rates}
    if fees:
        span["fees"] = fees
    return span


def time_of(constraint: object) -> Record:
    """Write a constraint of the source as keys of a span."""
    if constraint is None:
        return {}
    if isinstance(constraint, types.StartDateConstraint):
        return {"from": constraint.start_date.isoformat()}
    if isinstance(constraint, types.TimeOfDateConstraint):
        return {"daily": [time_text(constraint.start_time), time_text(constraint.end_time)]}
    raise TypeError(f"unknown constraint {constraint!r}")


def time_text(at: datetime.time) -> str:
    """Write a time of day in UTC."""
    if at.utcoffset() not in (None, datetime.timedelta()):
        raise ValueError(f"{at} is not UTC")
    return at.replace(tzinfo=None).isoformat()


def rates_of(price: types.ModelPrice) -> tuple[dict[str, Rate], dict[str, int]]:
    """Rates in nanodollars per million tokens, and fees in nanodollars apiece."""
    values = {key: value for key, value in price.__dict__.items() if value is not None}
    unknown = values.keys() - RATES.keys() - FEES.keys() - WITHOUT_USAGE - OTHER_UNITS
    if unknown:
        raise ValueError(f"the source has units that this tool does not know: {sorted(unknown)}")
    rates = {name: rate_of(values[key]) for key, name in RATES.items() if key in values}
    fees = {name: whole(values[key], 10**6) for key, name in FEES.items() if key in values}
    if "output_video_mtok" in values:
        # Generated video is inside the output and not told apart: all of it is priced as video.
        rates["output"] = rate_of(values["output_video_mtok"])
    return rates, fees


def rate_of(price: Decimal | types.TieredPrices) -> Rate:
    """A rate, or [rate, threshold, rate above it, ...] where it depends on the size of the input."""
    if isinstance(price, Decimal):
        return whole(price, 10**9)
    steps = [whole(price.base, 10**9)]
    for tier in price.tiers:
        steps += [tier.start, whole(tier.price, 10**9)]
    return steps


def whole(dollars: Decimal, factor: int) -> int:
    """Whole nanodollars, rounded up where the source has more decimals than money has."""
    return int((dollars * factor).to_integral_value(rounding=ROUND_CEILING))


def variants_of(model: types.ModelInfo) -> Iterator[Record]:
    """Rates of other service tiers: only what differs from the standard rates."""
    for variant in model.price_variants or ():
        tiers = [value for key, value in variant.when.items() if key in TIER_DIMENSIONS]
        rates, _ = rates_of(variant.prices)
        if len(variant.when) == 1 and tiers and rates:
            yield {"tier": tiers[0], **time_of(variant.constraint), "rates": rates}


# ── names ───────────────────────────────────────────────────────────────────────────────────────


def names_of(model: types.ModelInfo) -> Record:
    """The names of a model, by how strictly they are compared.

    names: exactly these. stems: followed by nothing but a date or version. inner: the same, at the
    end of a path or region prefix. open: followed by anything.
    """
    kinds: dict[str, set[str]] = {"names": set(), "stems": set(), "inner": set(), "open": set()}
    for clause in clauses_of(model.match):
        kind, name = name_of(clause)
        if kind:
            kinds[kind].add(name.lower())
    if model.is_match(model.id):
        kinds["names"].add(model.id.lower())
    return {kind: sorted(names) for kind, names in kinds.items() if names}


def keep_first_names(records: Iterable[Record]) -> None:
    """Leave a name that several models claim with the first one, as the source does."""
    for kind in ("names", "stems", "inner", "open"):
        claimed: set[str] = set()
        for record in records:
            if kind in record:
                record[kind] = [name for name in record[kind] if name not in claimed]
                claimed.update(record[kind])


def clauses_of(clause: object) -> Iterable[object]:
    """Every single rule of a match."""
    if isinstance(clause, types.ClauseOr):
        return [single for part in clause.or_ for single in clauses_of(part)]
    if isinstance(clause, types.ClauseAnd):
        return [single for part in clause.and_ for single in clauses_of(part)]
    return [clause]


def name_of(clause: object) -> tuple[str, str]:
    """How a rule compares, and with what; an empty kind where the rule only narrows another one."""
    if isinstance(clause, types.ClauseEquals):
        return "names", clause.equals
    if isinstance(clause, types.ClauseStartsWith):
        if clause.starts_with.startswith(OPEN_PREFIXES):
            return "open", clause.starts_with
        return "stems", stem_of(clause.starts_with)
    if isinstance(clause, types.ClauseContains):
        return "inner", stem_of(clause.contains.lstrip("/"))
    if isinstance(clause, types.ClauseEndsWith):
        return "inner", clause.ends_with.lstrip("/")
    if isinstance(clause, types.ClauseRegex):
        return regex_name_of(clause.regex)
    raise TypeError(f"unknown rule {clause!r}")


def stem_of(prefix: str) -> str:
    """A prefix without the beginning of a date or version that it may end in."""
    return re.sub(r"[-@](?:20\d\d)?-?$", "", prefix)


def regex_name_of(regex: str) -> tuple[str, str]:
    """The stem of an expression that ends in a date, or the name of one that has no variable part."""
    if regex.startswith("^(?!"):
        return "", ""
    literal = r"(?P<stem>(?:[\w./:=-]|\\[.\[\]])+?)"
    dated = re.fullmatch(rf"\^{literal}\(?(?:\[-@\]|-)\\d.*", regex)
    if dated:
        return "stems", dated["stem"].replace("\\", "")
    exact = re.fullmatch(rf"\^{literal}\$", regex)
    if exact:
        return "names", exact["stem"].replace("\\", "")
    optional = re.fullmatch(r"\^\([\w/]+\)\?(?P<stem>[\w.\\-]+)\(-\\d\{8\}\)\?\$", regex)
    if optional:
        return "stems", optional["stem"].replace("\\", "")
    raise ValueError(f"an expression that this tool does not understand: {regex}")


# ── corrections ─────────────────────────────────────────────────────────────────────────────────


def correct(records: dict[str, Record], correction: Record) -> None:
    """Apply one correction: replace spans, add rates to every span, add names."""
    name = correction["model"]
    record = records.setdefault(name, {"model": name, "names": [name], "spans": []})
    if "spans" in correction:
        record["spans"] = [whole_span(span) for span in correction["spans"]]
    for key, dollars in correction.get("rates", {}).items():
        for span in record["spans"]:
            span["rates"][key] = whole(Decimal(dollars), 10**9)
    for kind in ("names", "stems", "inner"):
        if added := correction.get(kind):
            record[kind] = sorted({*record.get(kind, []), *added})
    record["corrected"] = correction["source"]


def whole_span(span: Record) -> Record:
    """A span of the corrections, which are written in dollars, in nanodollars."""
    rates = {key: whole(Decimal(dollars), 10**9) for key, dollars in span["rates"].items()}
    fees = {key: whole(Decimal(dollars), 10**9) for key, dollars in span.get("fees", {}).items()}
    times: Record = {key: span[key] for key in ("from", "until", "daily", "weekdays") if key in span}
    return {**times, "rates": rates, **({"fees": fees} if fees else {})}


def compact(value: object) -> str:
    """JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


if __name__ == "__main__":
    sys.exit(main())
