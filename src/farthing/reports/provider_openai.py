"""Read what OpenAI exports: pages of its usage and cost endpoints, and the tables of its console."""

from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec

from farthing.domain.money import NANODOLLARS_PER_DOLLAR
from farthing.reports.provider_rows import (
    BATCH,
    OPENAI,
    BadExport,
    Document,
    Kind,
    ProviderRow,
    Quantities,
    amount_from,
    amount_from_text,
    check_currency,
    check_span,
    count_from,
    count_from_text,
    moment_from,
    seconds_from,
)

_USAGE = "organization.usage."
_COSTS = "organization.costs.result"
# Endpoints whose rows count tokens of models.
_TOKENS = frozenset({"completions", "embeddings", "moderations"})
# Endpoints whose rows count calls of models, but nothing that our books count too.
_CALLS = frozenset({"images", "audio_speeches", "audio_transcriptions"})
# Endpoints of what is used beside or inside model calls, and the member that counts it.
_APART = {
    "web_searches": ("num_requests", "web searches"),
    "file_searches": ("num_requests", "file searches"),
    "code_interpreter_sessions": ("num_sessions", "code interpreter sessions"),
    "vector_stores": ("usage_bytes", "bytes in vector stores"),
}
# What an export may be broken down by.
_GROUPS = (
    "project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source", "line_item",
    "size", "source", "vector_store_id", "context_level",
)  # fmt: skip
# The words after the comma of a line item: "gpt-4o-2024-08-06, cached input".
_TIER_WORDS = (BATCH, "flex", "priority", "scale")
_TOKEN_WORDS = ("input", "output", "cache", "token", "audio", "image")
_SECONDS_DIGITS_MAX = 12


class _Amount(msgspec.Struct):
    value: Decimal | None = None
    currency: str | None = None


class _Result(msgspec.Struct, kw_only=True):
    object: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    num_model_requests: int | None = None
    input_cached_tokens: int | None = None
    input_cache_write_tokens: int | None = None
    num_requests: int | None = None
    num_sessions: int | None = None
    usage_bytes: int | None = None
    amount: _Amount | None = None
    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None
    model: str | None = None
    batch: bool | None = None
    service_tier: str | None = None
    api_source: str | None = None
    line_item: str | None = None
    size: str | None = None
    source: str | None = None
    vector_store_id: str | None = None
    context_level: str | None = None


class _Bucket(msgspec.Struct, kw_only=True):
    start_time: int
    end_time: int
    results: list[_Result]


class _Page(msgspec.Struct, kw_only=True):
    data: list[_Bucket]
    has_more: bool = False


_PAGE = msgspec.json.Decoder(_Page)


def documents_of_page(raw: bytes, source: str) -> list[Document]:
    """The documents of one page: one for each endpoint, which is one unless pages were put together.

    A page without rows is one document that does not say its table.
    Raises msgspec.ValidationError where the shape is another one, and BadExport.
    """
    page = _PAGE.decode(raw)
    spans: list[tuple[int, int]] = []
    rows: dict[str, list[ProviderRow]] = {}
    apart: dict[str, Counter[str]] = {}
    for bucket in page.data:
        span = check_span(
            seconds_from(bucket.start_time, source), seconds_from(bucket.end_time, source), source
        )
        spans.append(span)
        for result in bucket.results:
            table = _table_of(result, source)
            rows.setdefault(table, []).extend(_rows_of(result, table, span, source))
            if table in _APART:
                member, name = _APART[table]
                count = count_from(getattr(result, member), member, source)
                apart.setdefault(table, Counter())[name] += count
    return [
        Document(
            source=source,
            provider=OPENAI,
            kind=Kind.COST if table == "costs" else Kind.USAGE,
            table=table,
            spans=tuple(spans),
            rows=tuple(found),
            more=page.has_more,
            apart=apart.get(table, {}),
        )
        for table, found in (rows or {"": []}).items()
    ]


def _table_of(result: _Result, source: str) -> str:
    if result.object == _COSTS:
        return "costs"
    table = result.object.removeprefix(_USAGE).removesuffix(".result")
    if table not in _TOKENS | _CALLS | _APART.keys():
        known = ", ".join(sorted(_TOKENS | _CALLS | _APART.keys()))
        raise BadExport(
            f"{source}: the rows are of the kind {result.object[:60]!r}, which is not known",
            why=f"known are organization.costs.result and organization.usage.….result of {known}",
            fix="fetch /v1/organization/costs and /v1/organization/usage/completions",
        )
    return table


def _rows_of(result: _Result, table: str, span: tuple[int, int], source: str) -> Iterator[ProviderRow]:
    told = {name: str(value) for name in _GROUPS if (value := getattr(result, name)) is not None}
    if table == "costs":
        yield from _cost_row(result, told, span, source)
    elif table not in _APART:
        yield ProviderRow(
            starts_at_us=span[0],
            ends_at_us=span[1],
            model=result.model,
            key=result.api_key_id,
            tier=BATCH if result.batch else result.service_tier,
            item=table,
            quantities=_quantities(result, table, source),
            told=told,
        )


def _cost_row(
    result: _Result, told: Mapping[str, str], span: tuple[int, int], source: str
) -> Iterator[ProviderRow]:
    if result.amount is None or result.amount.value is None:
        return
    check_currency(result.amount.currency, source)
    amount, places = amount_from(result.amount.value, source, nanodollars_per_unit=NANODOLLARS_PER_DOLLAR)
    yield ProviderRow(
        starts_at_us=span[0],
        ends_at_us=span[1],
        model=model_of_line_item(result.line_item),
        key=result.api_key_id,
        tier=_tier_of_line_item(result.line_item),
        item=result.line_item or "",
        amount=amount,
        places=places,
        told=told,
    )


def _quantities(result: _Result, table: str, source: str) -> Quantities:
    requests = count_from(result.num_model_requests, "num_model_requests", source)
    if table in _CALLS:
        return Quantities(requests, None, None, None, None)
    total = count_from(result.input_tokens, "input_tokens", source)
    if table != "completions":
        return Quantities(requests, total, 0, 0, 0)
    return _of_totals(
        requests,
        total,
        count_from(result.input_cached_tokens or 0, "input_cached_tokens", source),
        result.input_cache_write_tokens,
        count_from(result.output_tokens, "output_tokens", source),
        source,
    )


def _of_totals(
    requests: int, total: int, cached: int, written: int | None, output_tokens: int, source: str
) -> Quantities:
    """Classes that do not overlap, from an input that includes what was cached and written."""
    if written is not None:
        count_from(written, "input_cache_write_tokens", source)
    fresh = total - cached - (written or 0)
    if fresh < 0:
        raise BadExport(
            f"{source}: a row has {total:,} input tokens, fewer than the cached ones among them",
            fix="export again",
        )
    return Quantities(requests, fresh, cached, written, output_tokens)


def model_of_line_item(item: str | None) -> str | None:
    """The model that a line item is about: "gpt-4o-2024-08-06, cached input"; None where it names none."""
    name, _, kind = (item or "").partition(",")
    return name.strip() or None if any(word in kind.lower() for word in _TOKEN_WORDS) else None


def _tier_of_line_item(item: str | None) -> str | None:
    words = (item or "").lower().replace(",", " ").split()
    return next((tier for tier in _TIER_WORDS if tier in words), None)


# ── tables of the console ───────────────────────────────────────────────────────────────────────

USAGE_HEADINGS = ("start_time", "end_time", "num_model_requests", "input_tokens", "output_tokens")
COST_HEADINGS = ("start_time", "end_time", "amount_value", "amount_currency")


def usage_row(cells: Mapping[str, str], source: str) -> ProviderRow | None:
    """One line of the table of usage; None for a span in which nothing was used."""
    if not any(cells.get(name, "").strip() for name in USAGE_HEADINGS[2:]):
        return None
    starts_at_us, ends_at_us = span_of(cells, source)
    written = cells.get("input_cache_write_tokens")
    return ProviderRow(
        starts_at_us=starts_at_us,
        ends_at_us=ends_at_us,
        model=cells.get("model") or None,
        key=cells.get("api_key_id") or None,
        tier=BATCH if cells.get("batch", "").lower() == "true" else cells.get("service_tier") or None,
        item="completions",
        quantities=_of_totals(
            count_from_text(cells["num_model_requests"], "num_model_requests", source),
            count_from_text(cells["input_tokens"], "input_tokens", source),
            count_from_text(cells.get("input_cached_tokens", ""), "input_cached_tokens", source),
            count_from_text(written, "input_cache_write_tokens", source) if written else None,
            count_from_text(cells["output_tokens"], "output_tokens", source),
            source,
        ),
        told=_told(cells),
    )


def cost_row(cells: Mapping[str, str], source: str) -> ProviderRow | None:
    """One line of the table of costs; None for a span in which nothing was owed."""
    if not cells["amount_value"].strip():
        return None
    check_currency(cells["amount_currency"], source)
    amount, places = amount_from_text(cells["amount_value"], source)
    starts_at_us, ends_at_us = span_of(cells, source)
    item = cells.get("line_item") or ""
    return ProviderRow(
        starts_at_us=starts_at_us,
        ends_at_us=ends_at_us,
        model=model_of_line_item(item),
        key=cells.get("api_key_id") or None,
        tier=_tier_of_line_item(item),
        item=item,
        amount=amount,
        places=places,
        told=_told(cells),
    )


def span_of(cells: Mapping[str, str], source: str) -> tuple[int, int]:
    """The bucket of a line: Unix seconds, or dates and times."""
    return check_span(_moment(cells["start_time"], source), _moment(cells["end_time"], source), source)


def _moment(text: str, source: str) -> int:
    whole = text.strip().removesuffix(".0")
    return (
        seconds_from(int(whole), source)
        if whole.isdecimal() and len(whole) < 20
        else moment_from(text, source)
    )


def _told(cells: Mapping[str, str]) -> dict[str, str]:
    return {name: cells[name] for name in _GROUPS if cells.get(name)}
