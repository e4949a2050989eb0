"""A ledger of one month with every kind of entry, and what its rows must sum to."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from farthing.domain.usage import Usage
from farthing.ledger.entries import (
    AtShort,
    Claim,
    EntryFacts,
    Hold,
    Need,
    Offer,
    Operation,
    Outcome,
    Record,
    Settle,
    Unit,
    Void,
)
from farthing.ledger.store import Store
from farthing.reports.export import Export
from farthing.reports.export_columns import ENTRY_COLUMNS, Cell, entry_cells
from farthing.reports.spans import Span, month_of

NOW_US = 1_790_000_000_000_000  # 2026-09-21T13:33:20Z
AUGUST = month_of("2026-08", NOW_US)
DAY_US = 86_400_000_000
SECOND_US = 1_000_000


def facts(call_id: str, environment: str = "production", **more: Any) -> EntryFacts:
    """Alice asks for gpt-4o."""
    given = {"key": "alice", "developer": "alice", "dialect": "openai.chat", "model_asked": "gpt-4o"} | more
    return EntryFacts(request_id=call_id, environment=environment, **given)


def a_hold(call_id: str, at_us: int, environment: str = "production", **more: Any) -> Hold:
    """Money held for gpt-4o-mini."""
    claim = Claim(
        account=f"{environment}-month/2026-08",
        unit=Unit.NANODOLLARS,
        limit=10**15,
        at_short=AtShort.REFUSE,
        budget=f"{environment}-month",
        window="2026-08",
    )
    offer = Offer(
        target="openai-mini",
        provider="openai",
        model="gpt-4o-mini",
        needs={Unit.NANODOLLARS: Need(5_000_000)},
        claims=(claim,),
        price_version="openai/2026-01-01",
        reason="downgraded",
        rules=("environments.production.downgrade",),
    )
    return Hold(
        call_id=call_id,
        at_us=at_us,
        owner="gateway",
        facts=facts(call_id, environment, **more),
        offers=(offer,),
    )


def a_settle(call_id: str, at_us: int, cost: int = 480_000, **more: Any) -> Settle:
    """It cost that much."""
    given: dict[str, Any] = {
        "usage": Usage(input_tokens=1_200, cached_read=200, output_tokens=500),
        "status": 200,
    } | more
    return Settle(call_id=call_id, at_us=at_us, cost_nanodollars=cost, **given)


def a_call(
    call_id: str, at_us: int, environment: str = "production", cost: int = 480_000, **more: Any
) -> list[Operation]:
    """A call that was served."""
    return [a_hold(call_id, at_us, environment, **more), a_settle(call_id, at_us, cost)]


def every_kind() -> Iterator[Operation]:
    """A call of each kind, over three days of August and on both its borders."""
    first, last = AUGUST.since_us, AUGUST.until_us - 1
    yield from a_call("before", first - 1, cost=7)
    yield from a_call("first", first, labels={"feature": "search", "user_id": "u,1", "experiment": "exp\n7"})
    yield from a_call("same-moment-b", first + 5 * SECOND_US, labels={"feature": "Suche – 検索"})
    yield from a_call("same-moment-a", first + 5 * SECOND_US, prompt_hash="9f2a", run="run-1")
    yield from a_call(
        "formula", first + DAY_US, labels={"feature": '=HYPERLINK("x")', "tier": "-2", "other": "@x"}
    )
    yield a_hold("odd-usage", first + DAY_US + 1)
    yield a_settle(
        "odd-usage",
        first + DAY_US + 9,
        cost=2_500_000_001,
        usage=Usage(
            input_tokens=10,
            cached_write_5m=3,
            cached_write_1h=2,
            output_tokens=4,
            reasoning=1,
            requests={"web_search": 2},
        ),
        by_model=(("gpt-4o", Usage(input_tokens=5, output_tokens=6)),),
        cost_asked_nanodollars=3_000_000_000,
        anomalies=("usage was told twice",),
        service_tier="priority",
    )
    yield a_hold("assumed", first + DAY_US + 2)
    yield a_settle(
        "assumed", first + DAY_US + 3, cost=5_000_000, usage=None, assumed=True, assumed_rule="stream_broke"
    )
    yield a_hold("corrected", first + DAY_US + 3)
    yield a_settle(
        "corrected", first + DAY_US + 4, cost=5_000_000, usage=None, assumed=True, assumed_rule="stream_broke"
    )
    yield a_settle("corrected", first + DAY_US + 5, cost=123_456)
    yield a_hold("void", first + 2 * DAY_US)
    yield Void(call_id="void", at_us=first + 2 * DAY_US, rule="never_connected", error="refused")
    yield Record(
        call_id="refused", at_us=first + 2 * DAY_US + 1, facts=facts("refused", "development"),
        outcome=Outcome.REFUSED, reason="rate_limited", status=429, count=3,
    )  # fmt: skip
    yield Record(
        call_id="cached", at_us=first + 2 * DAY_US + 2, facts=facts("cached"), outcome=Outcome.CACHED,
        reason="cached", status=200, avoided_nanodollars=480_000,
    )  # fmt: skip
    yield from a_call("untracked", first + 2 * DAY_US + 3, "development", cost_tracked=False)
    yield from a_call(
        "development", first + 2 * DAY_US + 4, "development", cost=99, key="bob", group="team", wallet="w"
    )
    yield from a_call("last", last)
    yield from a_call("after", AUGUST.until_us, cost=7)


CALLS_OF_AUGUST = [
    "first", "same-moment-a", "same-moment-b", "formula", "odd-usage", "assumed", "corrected", "void",
    "refused", "cached", "untracked", "development", "last",
]  # fmt: skip


def fill(store: Store, operations: Iterable[Operation]) -> None:
    """Put operations on a ledger, one by one, in an order that is not that of time."""
    for operation in operations:
        store.apply([operation])


def an_export(
    store: Store, window: Span = AUGUST, environment: str | None = None, now_us: int = NOW_US
) -> Export:
    """One pass over a window."""
    return Export(store, window, environment=environment, now_us=now_us)


def rows_of(export: Export) -> Iterator[list[Cell]]:
    """The rows of an export of entries."""
    return (entry_cells(entry) for entry in export.entries())


def named(row: Sequence[Cell]) -> dict[str, Cell]:
    """A row by the names of its columns."""
    return dict(zip([column.name for column in ENTRY_COLUMNS], row, strict=True))
