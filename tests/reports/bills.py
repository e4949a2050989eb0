"""A ledger, the provider's own books of the same calls, and the exports that it makes of them."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from farthing.domain.money import TOKENS_PER_MILLION
from farthing.domain.usage import Usage
from farthing.ledger.entries import EntryFacts, Hold, Need, Offer, Outcome, Record, Settle, Unit, Void
from farthing.ledger.memory import MemoryStore
from farthing.ledger.store import Store
from farthing.prices.book import load_book
from farthing.prices.cost import cost_nanodollars
from farthing.reports.provider_files import read_files
from farthing.reports.reconcile import Compared, Wanted, reconcile
from farthing.reports.reconcile_line import Line

SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
DAY_US = 24 * HOUR_US
MONDAY = 20_759  # 2026-11-02, counted from 1970
MONDAY_US = MONDAY * DAY_US
NOW_US = MONDAY_US + 20 * DAY_US
BOOK = load_book()


@dataclass(frozen=True, kw_only=True)
class Billed:
    """One call in the provider's books."""

    at_us: int
    provider: str
    model: str
    key: str
    fresh: int
    read: int = 0
    written: int = 0
    output: int = 0
    tier: str = "default"
    requests: int = 1
    cost_times: Fraction = Fraction(1)

    @property
    def amounts(self) -> dict[str, Fraction]:
        """What each class of tokens costs, in nanodollars, by the names of line items."""
        price = BOOK.find(self.provider, self.model, self.at_us)
        assert price is not None
        card = price.cards[0]
        tokens = {
            "input": self.fresh * card.input,
            "cached input": self.read * card.cache_read,
            "cache write": self.written * card.cache_write_5m,
            "output": self.output * card.output,
        }
        return {
            name: self.cost_times * amount / TOKENS_PER_MILLION for name, amount in tokens.items() if amount
        }


class Bills:
    """Calls of a few days: in a ledger of ours and in the books of the providers."""

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or MemoryStore()
        self.billed: list[Billed] = []
        self._count = 0

    def call(
        self,
        at_us: int,
        model: str = "gpt-4o-2024-08-06",
        *,
        provider: str = "openai",
        key: str = "alice",
        served: str | None = None,
        fresh: int = 1_000,
        read: int = 0,
        written: int = 0,
        output: int = 500,
        seconds: int = 2,
        assumed: bool = False,
        tier: str | None = None,
    ) -> str:
        """One call that both sides have; here under the name that was asked for, there as a snapshot."""
        one = Billed(
            at_us=at_us, provider=provider, model=model, key=f"key_{key}", fresh=fresh, read=read,
            written=written, output=output,
        )  # fmt: skip
        self.billed.append(one)
        return self.ours(one, served=served or model, key=key, seconds=seconds, assumed=assumed, tier=tier)

    def ours(
        self,
        one: Billed,
        *,
        served: str,
        key: str,
        seconds: int = 2,
        assumed: bool = False,
        status: int = 200,
        used: bool = True,
        tier: str | None = None,
        cost_percent: int = 100,
    ) -> str:
        """Book a call in the ledger only."""
        usage = Usage(
            input_tokens=one.fresh + one.read + one.written,
            cached_read=one.read,
            cached_write_5m=one.written,
            output_tokens=one.output,
        )
        price = BOOK.find(one.provider, one.model, one.at_us)
        assert price is not None
        cost = cost_nanodollars(usage, price).nanodollars if used or assumed else 0
        hold = self._hold(one, served, key, cost)
        settle = Settle(
            call_id=hold.call_id,
            at_us=one.at_us + seconds * SECOND_US,
            cost_nanodollars=cost * cost_percent // 100,
            usage=usage if used else None,
            assumed=assumed,
            assumed_rule="cut_short" if assumed else None,
            status=status,
            service_tier=tier,
        )
        self.store.apply([hold, settle])
        return hold.call_id

    def never_connected(self, one: Billed, *, key: str = "alice") -> None:
        """Drop a call in the ledger, as if the provider had not been reached."""
        hold = self._hold(one, one.model, key, 1)
        self.store.apply([hold, Void(call_id=hold.call_id, at_us=one.at_us, rule="never_connected")])

    def from_the_cache(self, at_us: int) -> None:
        """An answer from our own cache, which no provider sees."""
        self._count += 1
        call_id = f"call_{self._count:04}"
        facts = EntryFacts(request_id=call_id, environment="production", dialect="x", model_asked="gpt-4o")
        self.store.apply(
            [Record(call_id=call_id, at_us=at_us, facts=facts, outcome=Outcome.CACHED, reason="hit")]
        )

    def still_open(self, at_us: int) -> None:
        """A call that has not ended."""
        one = Billed(at_us=at_us, provider="openai", model="gpt-4o", key="key_alice", fresh=1)
        self.store.apply([self._hold(one, "gpt-4o", "alice", 1)])

    def _hold(self, one: Billed, served: str, key: str, cost: int) -> Hold:
        self._count += 1
        call_id = f"call_{self._count:04}"
        facts = EntryFacts(
            request_id=call_id,
            environment="production",
            dialect="x",
            model_asked=served,
            key=key,
            developer=key,
        )
        offer = Offer(
            target=one.provider, provider=one.provider, model=served,
            needs={Unit.NANODOLLARS: Need(max(cost, 1))}, claims=(),
        )  # fmt: skip
        return Hold(call_id=call_id, at_us=one.at_us, owner="test", facts=facts, offers=(offer,))

    def week(self) -> "Bills":
        """Three days, two providers, several models and keys, cached and written tokens."""
        for day in range(3):
            for number in range(6):
                at_us = MONDAY_US + day * DAY_US + number * 3 * HOUR_US + HOUR_US // 2
                more = 10 * day + number
                self.call(
                    at_us, served="gpt-4o", fresh=1_000 + more, read=128 * number, output=300 + 7 * number
                )
                self.call(at_us, "gpt-4o-mini-2024-07-18", key="bob", fresh=400 + 3 * more, output=77 + more)
                self.call(
                    at_us, "claude-haiku-4-5-20251001", provider="anthropic", served="claude-haiku-4-5",
                    fresh=900 + more, read=50 * number, written=2_000 + number, output=111 + number,
                )  # fmt: skip
        return self


# ── the documents of the providers ──────────────────────────────────────────────────────────────

Json = dict[str, Any]


def _grouped(billed: Iterable[Billed], *names: str) -> dict[tuple[Any, ...], list[Billed]]:
    rows: dict[tuple[Any, ...], list[Billed]] = defaultdict(list)
    for one in billed:
        rows[tuple(getattr(one, name) for name in names)].append(one)
    return rows


def _days(billed: Sequence[Billed], provider: str) -> list[tuple[int, list[Billed]]]:
    days: dict[int, list[Billed]] = {MONDAY + number: [] for number in range(3)}
    for one in billed:
        if one.provider == provider:
            days.setdefault(one.at_us // DAY_US, []).append(one)
    return sorted(days.items())


def openai_page(days: Sequence[tuple[int, list[Json]]], *, has_more: bool = False) -> Json:
    """One page of buckets of a day."""
    data = [
        {"object": "bucket", "start_time": day * 86_400, "end_time": (day + 1) * 86_400, "results": results}
        for day, results in days
    ]
    return {"object": "page", "data": data, "has_more": has_more, "next_page": "page_2" if has_more else None}


def openai_usage(billed: Sequence[Billed], **page: Any) -> Json:
    """The page of /v1/organization/usage/completions, grouped by model, key, batch and tier."""
    return openai_page([(day, _openai_usage(calls)) for day, calls in _days(billed, "openai")], **page)


def _openai_usage(calls: Iterable[Billed]) -> list[Json]:
    return [
        {
            "object": "organization.usage.completions.result",
            "input_tokens": sum(one.fresh + one.read + one.written for one in group),
            "output_tokens": sum(one.output for one in group),
            "input_cached_tokens": sum(one.read for one in group),
            "input_cache_write_tokens": sum(one.written for one in group),
            "num_model_requests": sum(one.requests for one in group),
            "project_id": None,
            "api_key_id": key,
            "model": model,
            "batch": tier == "batch",
            "service_tier": None if tier == "batch" else tier,
        }
        for (model, key, tier), group in _grouped(calls, "model", "key", "tier").items()
    ]


def openai_costs(billed: Sequence[Billed], *, extra: Sequence[tuple[int, str, str]] = ()) -> Json:
    """The page of /v1/organization/costs by line item and key; extra: (day, item, dollars)."""
    return openai_page(
        [
            (
                day,
                [
                    {
                        "object": "organization.costs.result",
                        "amount": {"value": float(Decimal(text)), "currency": "usd"},
                        "line_item": item, "api_key_id": key, "project_id": "proj_1",
                    }
                    for item, key, text in (
                        *_items(calls), *((item, None, text) for on, item, text in extra if on == day)
                    )
                ],
            )
            for day, calls in _days(billed, "openai")
        ]
    )  # fmt: skip


def _items(calls: Iterable[Billed]) -> list[tuple[str, str, str]]:
    sums: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for one in calls:
        for name, amount in one.amounts.items():
            sums[(f"{one.model}, {name}", one.key)] += amount
    return [(item, key, in_dollars(amount)) for (item, key), amount in sums.items()]


def anthropic_page(days: Sequence[tuple[int, list[Json]]]) -> Json:
    data = [
        {
            "starting_at": datetime.fromtimestamp(day * 86_400, UTC).isoformat().replace("+00:00", "Z"),
            "ending_at": datetime.fromtimestamp((day + 1) * 86_400, UTC).isoformat().replace("+00:00", "Z"),
            "results": results,
        }
        for day, results in days
    ]
    return {"data": data, "has_more": False, "next_page": None}


def anthropic_usage(billed: Sequence[Billed]) -> Json:
    """The page of /v1/organizations/usage_report/messages, grouped by model, key and tier."""
    return anthropic_page([(day, _anthropic_usage(calls)) for day, calls in _days(billed, "anthropic")])


def _anthropic_usage(calls: Iterable[Billed]) -> list[Json]:
    return [
        {
            "uncached_input_tokens": sum(one.fresh for one in group),
            "cache_creation": {
                "ephemeral_5m_input_tokens": sum(one.written for one in group),
                "ephemeral_1h_input_tokens": 0,
            },
            "cache_read_input_tokens": sum(one.read for one in group),
            "output_tokens": sum(one.output for one in group),
            "server_tool_use": {"web_search_requests": 0},
            "api_key_id": key, "workspace_id": None, "model": model, "context_window": "0-200k",
            "service_tier": "standard" if tier == "default" else tier,
        }
        for (model, key, tier), group in _grouped(calls, "model", "key", "tier").items()
    ]  # fmt: skip


def anthropic_costs(billed: Sequence[Billed]) -> Json:
    """The page of /v1/organizations/cost_report, grouped by description: models, but no keys."""
    days = []
    for day, calls in _days(billed, "anthropic"):
        sums: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
        for one in calls:
            for name, amount in one.amounts.items():
                sums[(one.model, name)] += amount
        results: list[Json] = [
            {
                "amount": in_dollars(amount * 100), "currency": "USD", "cost_type": "tokens", "model": model,
                "description": f"{model} Usage - {name}", "token_type": name, "workspace_id": None,
                "service_tier": "standard", "context_window": "0-200k",
            }
            for (model, name), amount in sums.items()
        ]  # fmt: skip
        days.append((day, results))
    return anthropic_page(days)


def in_dollars(nanodollars: Fraction) -> str:
    """An amount as decimal text, exact."""
    return format(Decimal(nanodollars.numerator) / Decimal(nanodollars.denominator) / 10**9, "f")


# ── compared ────────────────────────────────────────────────────────────────────────────────────


class Desk:
    """Writes documents into a folder and compares them with the ledger."""

    def __init__(self, folder: Path, bills: Bills) -> None:
        self.folder = folder
        self.bills = bills
        self._count = 0

    def file(self, document: Json | str | bytes) -> Path:
        """A file with this in it."""
        self._count += 1
        text = document if isinstance(document, (str, bytes)) else json.dumps(document)
        path = self.folder / f"export-{self._count}.txt"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def compare(self, *documents: Json | str, now_us: int = NOW_US, **wanted: Any) -> list[Compared]:
        """What comes out of these documents."""
        read = read_files([self.file(document) for document in documents])
        return reconcile(read, self.bills.store, BOOK, Wanted(now_us=now_us, **wanted))

    def differing(self, *documents: Json | str, **wanted: Any) -> list[Line]:
        """The lines that differ."""
        compared = self.compare(*documents, **wanted)
        return [line for one in compared for line in one.lines if not line.agrees]

    def everything(
        self, change: Callable[[list[Billed]], list[Billed]] = lambda billed: billed
    ) -> list[Json]:
        """All four exports of the provider's books, one thing in them changed."""
        billed = change(list(self.bills.billed))
        return [openai_usage(billed), openai_costs(billed), anthropic_usage(billed), anthropic_costs(billed)]


def changed(one: Billed, **facts: Any) -> Billed:
    """The same call with other facts."""
    return replace(one, **facts)
