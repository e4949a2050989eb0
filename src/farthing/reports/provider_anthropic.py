"""Read what Anthropic exports: pages of its usage and cost reports, and the tables of its console."""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from farthing.ledger.grains import DAY_US
from farthing.reports.provider_rows import (
    ANTHROPIC,
    NANODOLLARS_PER_CENT,
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
)

_GROUPS = (
    "api_key_id", "workspace_id", "model", "service_tier", "context_window", "inference_geo", "speed",
    "account_id", "service_account_id", "description", "cost_type", "token_type", "product",
    "rbac_group_id", "slack_channel_id", "claude_tag_user_id", "claude_tag_category",
)  # fmt: skip
_HOUR_US = DAY_US // 24


class _CacheCreation(msgspec.Struct, kw_only=True):
    ephemeral_5m_input_tokens: int = 0
    ephemeral_1h_input_tokens: int = 0


class _ServerToolUse(msgspec.Struct, kw_only=True):
    web_search_requests: int = 0


class _Result(msgspec.Struct, kw_only=True):
    uncached_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: _CacheCreation | None = None
    output_tokens: int | None = None
    server_tool_use: _ServerToolUse | None = None
    requests: int | None = None
    amount: Decimal | None = None
    currency: str | None = None
    api_key_id: str | None = None
    workspace_id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    context_window: str | None = None
    inference_geo: str | None = None
    speed: str | None = None
    account_id: str | None = None
    service_account_id: str | None = None
    description: str | None = None
    cost_type: str | None = None
    token_type: str | None = None
    product: str | None = None
    rbac_group_id: str | None = None
    slack_channel_id: str | None = None
    claude_tag_user_id: str | None = None
    claude_tag_category: str | None = None


class _Bucket(msgspec.Struct, kw_only=True):
    starting_at: str
    ending_at: str
    results: list[_Result]


class _Page(msgspec.Struct, kw_only=True):
    data: list[_Bucket]
    has_more: bool = False


_PAGE = msgspec.json.Decoder(_Page)


def documents_of_page(raw: bytes, source: str) -> list[Document]:
    """The documents of one page: usage and costs apart.

    A page without rows is one document that does not say its table.
    Raises msgspec.ValidationError where the shape is another one, and BadExport.
    """
    page = _PAGE.decode(raw)
    spans: list[tuple[int, int]] = []
    rows: dict[Kind, list[ProviderRow]] = {}
    apart: Counter[str] = Counter()
    for bucket in page.data:
        span = check_span(
            moment_from(bucket.starting_at, source), moment_from(bucket.ending_at, source), source
        )
        spans.append(span)
        for result in bucket.results:
            kind, row = _row(result, span, source)
            rows.setdefault(kind, []).append(row)
            if result.server_tool_use is not None:
                searches = result.server_tool_use.web_search_requests
                apart["web searches"] += count_from(searches, "web_search_requests", source)
    return [
        Document(
            source=source,
            provider=ANTHROPIC,
            kind=kind,
            table=kind.value if found else "",
            spans=tuple(spans),
            rows=tuple(found),
            more=page.has_more,
            apart=+apart if kind is Kind.USAGE else {},
        )
        for kind, found in (rows or {Kind.USAGE: []}).items()
    ]


def _row(result: _Result, span: tuple[int, int], source: str) -> tuple[Kind, ProviderRow]:
    if result.rbac_group_id is not None:
        raise BadExport(
            f"{source}: the rows are broken down by group, and groups share what their members used",
            why="rows of rbac_group_id add up to more than there was",
            fix="fetch the report without group_by[]=rbac_group_id",
        )
    told = {name: value for name in _GROUPS if (value := getattr(result, name)) is not None}
    kind, quantities, amount, places = Kind.USAGE, None, None, 0
    if result.amount is not None:
        check_currency(result.currency, source)
        kind = Kind.COST
        amount, places = amount_from(result.amount, source, nanodollars_per_unit=NANODOLLARS_PER_CENT)
    else:
        quantities = _quantities(result, source)
    return kind, ProviderRow(
        starts_at_us=span[0],
        ends_at_us=span[1],
        model=result.model,
        key=result.api_key_id,
        tier=result.service_tier,
        item=result.description or result.cost_type or "",
        quantities=quantities,
        amount=amount,
        places=places,
        told=told,
    )


def _quantities(result: _Result, source: str) -> Quantities:
    written = result.cache_creation or _CacheCreation()
    return Quantities(
        requests=count_from(result.requests, "requests", source) if result.requests is not None else None,
        fresh_input=count_from(result.uncached_input_tokens, "uncached_input_tokens", source),
        cached_read=count_from(result.cache_read_input_tokens or 0, "cache_read_input_tokens", source),
        cached_write=count_from(written.ephemeral_5m_input_tokens, "ephemeral_5m_input_tokens", source)
        + count_from(written.ephemeral_1h_input_tokens, "ephemeral_1h_input_tokens", source),
        output_tokens=count_from(result.output_tokens, "output_tokens", source),
    )


# ── tables of the console ───────────────────────────────────────────────────────────────────────

USAGE_HEADINGS = (
    "usage_date_utc", "model_version", "usage_input_tokens_no_cache", "usage_input_tokens_cache_read",
    "usage_output_tokens",
)  # fmt: skip
COST_HEADINGS = ("usage_date_utc", "model", "cost_usd")
_TABLE_GROUPS = (
    "model", "model_version", "api_key", "workspace", "usage_type", "context_window", "token_type",
    "cost_type", "inference_geo", "speed",
)  # fmt: skip
_WRITES = tuple(f"usage_input_tokens_cache_write{kept_for}" for kept_for in ("", "_5m", "_1h"))


def usage_row(cells: Mapping[str, str], source: str) -> ProviderRow | None:
    """One line of the table of tokens."""
    starts_at_us, ends_at_us = span_of(cells, source)
    return ProviderRow(
        starts_at_us=starts_at_us,
        ends_at_us=ends_at_us,
        model=cells["model_version"] or None,
        key=cells.get("api_key") or None,
        tier=cells.get("usage_type") or None,
        quantities=Quantities(
            requests=None,
            fresh_input=count_from_text(cells[USAGE_HEADINGS[2]], USAGE_HEADINGS[2], source),
            cached_read=count_from_text(cells[USAGE_HEADINGS[3]], USAGE_HEADINGS[3], source),
            cached_write=sum(count_from_text(cells.get(name, ""), name, source) for name in _WRITES),
            output_tokens=count_from_text(cells[USAGE_HEADINGS[4]], USAGE_HEADINGS[4], source),
        ),
        told=_told(cells),
    )


def cost_row(cells: Mapping[str, str], source: str) -> ProviderRow | None:
    """One line of the table of costs, whose amounts are rounded to cents."""
    starts_at_us, ends_at_us = span_of(cells, source)
    amount, places = amount_from_text(cells["cost_usd"], source)
    return ProviderRow(
        starts_at_us=starts_at_us,
        ends_at_us=ends_at_us,
        model=cells["model"] or None,
        key=cells.get("api_key") or None,
        tier=None,
        item=cells.get("token_type") or cells.get("cost_type") or "",
        amount=amount,
        places=places,
        told=_told(cells),
    )


def span_of(cells: Mapping[str, str], source: str) -> tuple[int, int]:
    """The day or the hour of a line."""
    text = cells["usage_date_utc"]
    starts_at_us = moment_from(text, source)
    return check_span(starts_at_us, starts_at_us + (_HOUR_US if ":" in text else DAY_US), source)


def _told(cells: Mapping[str, str]) -> dict[str, str]:
    return {name: cells[name] for name in _TABLE_GROUPS if cells.get(name)}
