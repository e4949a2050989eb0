"""What must come of a recording: the bytes for the caller, the usage and the cost in the ledger."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from conformance.policy import RESOLD, has_bundled_price
from conformance.recordings import Json, Recording
from conformance.replay import Received
from farthing.domain.period import to_microseconds
from farthing.domain.usage import Usage
from farthing.prices.book import PriceBook
from farthing.prices.cost import Cost, cost_nanodollars
from farthing.prices.price import Price

# Shares that a recording always names, with zero where the provider reports none.
_ALWAYS_NAMED = ("cached_read", "cached_write_5m", "cached_write_1h", "cached_write_other")
_EVENT = re.compile(rb".*?(?:\r\n\r\n|\n\n|\Z)", re.DOTALL)
_ROUNDED_TO = Decimal(10_000)  # nanodollars: Perplexity rounds each part of a cost to 1e-5 USD

# ── for the caller ──────────────────────────────────────────────────────────────────────────────────


def answer_for_the_caller(recording: Recording, received: Received) -> bytes:
    """The recorded body; without the chunk of usage where the gateway asked for it and the caller had not."""
    asked = ((recording.body or {}).get("stream_options") or {}).get("include_usage", False)
    asked_upstream = (received.body.get("stream_options") or {}).get("include_usage", False)
    if asked or not asked_upstream:
        return recording.answer
    events: list[bytes] = _EVENT.findall(recording.answer)
    return b"".join(event for event in events if not _only_carries_usage(event))


def _only_carries_usage(event: bytes) -> bool:
    data = event.strip().removeprefix(b"data:").strip()
    if not data.startswith(b"{"):
        return False
    chunk = json.loads(data)
    return chunk.get("choices") == [] and chunk.get("usage") is not None


def request_for_the_provider(recording: Recording, received: Received) -> Json:
    """The recorded request, and the two members that the gateway may add: usage asked for, and a cap."""
    sent: Json = dict(recording.body or {})
    if "stream_options" in received.body and "stream_options" not in sent:
        sent["stream_options"] = {"include_usage": True}
    for cap in ("max_completion_tokens", "max_tokens", "max_output_tokens"):
        if cap in received.body and cap not in sent:
            sent[cap] = received.body[cap]
    return sent | ({"model": recording.model} if "model" in sent else {})


# ── in the ledger ───────────────────────────────────────────────────────────────────────────────────


def usage_in(entry: Json) -> Json | None:
    """The usage of an entry, with the shares that recordings always name."""
    return _fully_named(entry["usage"])


def usages_beside(entry: Json) -> Json:
    """The usage of further models inside the same answer."""
    return {one["model"]: _fully_named(one["usage"]) for one in entry["by_model"]}


def _fully_named(usage: Json | None) -> Json | None:
    return None if usage is None else dict.fromkeys(_ALWAYS_NAMED, 0) | usage


def cost_by_its_own_usage(recording: Recording, entry: Json, book: PriceBook) -> Cost:
    """What the usage of an entry costs at the moment of its call, with that of further models."""
    at_us = to_microseconds(datetime.fromisoformat(entry["at"]))
    price = _price(recording, book, at_us)
    total = cost_nanodollars(_usage(entry["usage"]), price, service_tier=entry["service_tier"])
    for beside in entry["by_model"]:
        other = book.find(price.provider, beside["model"], at_us) or price
        cost = cost_nanodollars(_usage(beside["usage"]), other, service_tier=entry["service_tier"])
        total = Cost(total.nanodollars + cost.nanodollars, total.anomalies + cost.anomalies)
    return total


def _price(recording: Recording, book: PriceBook, at_us: int) -> Price:
    asked = (recording.body or {}).get("service_tier")
    price = book.find(recording.provider, recording.model, at_us, service_tier=asked)
    assert price is not None, f"{recording.model} of {recording.provider} has no price"
    return price


def _usage(told: Json) -> Usage:
    return msgspec.convert(told, Usage)


# ── and as the provider reported it ─────────────────────────────────────────────────────────────────


def agreement_of_costs(recording: Recording, entry: Json, book: PriceBook) -> str:
    """Compare the cost that the provider reported with ours at the prices of that day; say how they agree.

    Raises AssertionError where they do not.
    """
    theirs = _nanodollars(recording.told["expected_cost_usd"])
    day = datetime.fromisoformat(recording.told["recorded_on"]).replace(tzinfo=UTC)
    price = _price(recording, book, to_microseconds(day))
    usage, tier = _usage(entry["usage"]), entry["service_tier"]
    reported = json.loads(recording.answer)["usage"] if not recording.streamed else {}
    if recording.provider == "perplexity" and "search_context_size" in reported:
        return _agreement_with_perplexity(price, usage, reported["cost"])
    ours = cost_nanodollars(usage, price, service_tier=tier)
    if ours.anomalies == ("no price for web_search",):
        parts = reported["cost_details"]
        tokens = parts["upstream_inference_prompt_cost"] + parts["upstream_inference_completions_cost"]
        assert _same(ours.nanodollars, _nanodollars(round(tokens, 12)))
        assert "no price for web_search" in entry["anomalies"]
        return "exact for tokens; no fee for a search of this reseller in the book, marked on the entry"
    assert _same(ours.nanodollars, theirs), f"ours {ours.nanodollars}, theirs {theirs}"
    if has_bundled_price(recording):
        return "exact"
    assert recording.model in RESOLD
    return "exact, price ours: what this reseller charges stands in the policy of the run"


def _agreement_with_perplexity(price: Price, usage: Usage, reported: Json) -> str:
    fee = price.fees["request"]
    tokens = cost_nanodollars(usage, price).nanodollars - fee
    parts = (reported["input_tokens_cost"], reported["output_tokens_cost"])
    theirs = sum((_nanodollars(part) for part in parts), Decimal(0))
    assert abs(tokens - theirs) <= len(parts) * _ROUNDED_TO / 2
    assert fee >= _nanodollars(reported["request_cost"])
    return "tokens exact to its rounding of 1e-5 USD; its fee depends on the search, ours is the largest"


def _nanodollars(dollars: float) -> Decimal:
    """Read a reported amount by the digits that the provider wrote."""
    return Decimal(repr(dollars)).scaleb(9)


def _same(ours: int, theirs: Decimal) -> bool:
    """Ours is theirs, rounded up to a whole nanodollar."""
    return 0 <= ours - theirs < 1
