"""Four months of calls of every kind, and all that a ledger answers about them."""

from collections.abc import Callable, Iterator
from typing import Any

from farthing.ledger.archiving import month_bounds
from farthing.ledger.entries import Entry, Hold, Operation, Outcome
from farthing.ledger.store import Store
from tests.ledger.sentences import CENT, DOLLAR, assume, claim, facts, hold, offer, refuse, settle, void

CALLS = 400
FIRST, LAST = "2026-08", "2026-11"
BEGINS_US, ENDS_US = month_bounds(FIRST)[0], month_bounds(LAST)[1]
EVERY_US = (ENDS_US - BEGINS_US) // CALLS
NOW_US = month_bounds("2026-12")[0] + 86_400_000_000


def fill(store: Store) -> None:
    """Put the calls on a ledger, oldest first."""
    for number in range(CALLS):
        store.apply(list(_call(number)))


def archive_all(store: Store, folder: Any, until: str = LAST) -> None:
    """Archive every month up to one, that one too."""
    store.archive(folder, until_us=month_bounds(until)[1], at_us=NOW_US, by="ana")


def new_call(call_id: str, at_us: int) -> Hold:
    """Ask for one call more, which the budgets have room for."""
    return hold(call_id, _offer(), at_us=at_us)


def at_us(number: int) -> int:
    """When a call was made; every seventh at the moment of the one before it."""
    return BEGINS_US + (number - (number % 7 == 6)) * EVERY_US


def _call(number: int) -> Iterator[Operation]:
    call_id = f"call-{number}"
    about = _about(number)
    begun_us = at_us(number)
    if number % 10 == 0:
        yield refuse(call_id, at_us=begun_us, facts=facts(**about), count=3)
        return
    if number % 10 == 1:
        avoided = {"outcome": Outcome.CACHED, "offer": _offer(), "avoided_nanodollars": 7 * CENT}
        yield refuse(call_id, "cached", at_us=begun_us, facts=facts(**about), **avoided)
        return
    short = claim("tight", limit=1, budget="tight")
    yield hold(call_id, _offer(short) if number % 10 == 2 else _offer(), at_us=begun_us, about=about)
    if number % 10 == 3:
        yield void(call_id)
    elif number % 10 in (4, 5):
        yield assume(call_id)
        if number % 10 == 5:
            yield settle(call_id, number * 1_000, at_us=begun_us + 5)
    elif number % 10 != 2:
        yield settle(call_id, number * number * 1_001, at_us=begun_us + 5)


def _offer(*more: Any) -> Any:
    month = claim("month", limit=10**6 * DOLLAR, budget="month", value="äöü/%\n\"'")
    return offer(10 * CENT, claim("team", limit=10**6 * DOLLAR), month, *more)


def _about(number: int) -> dict[str, Any]:
    labels = {
        "feature": ("search", "chat", 'odd "one"\n\\ \u2028')[number % 3],
        "user_id": f"user-{number % 5}",
        "tier": "free" if number % 2 else "paid",
    }
    return {
        "request_id": f"request-{number // 2}",
        "environment": "production" if number % 4 else "development",
        "developer": ("alice", "bob", None)[number % 3],
        "key": f"key-{number % 4}",
        "group": "research" if number % 6 else None,
        "prompt_hash": f"prompt-{number % 11}" if number % 2 else None,
        "run": f"run-{number // 40}" if number % 3 else None,
        "labels": labels if number % 8 else {},
    }


# ── what a ledger answers ───────────────────────────────────────────────────────────────────────


def all_calls(store: Store, *, page: int = 90, **wanted: Any) -> list[Entry]:
    """Page through calls, newest first, to the last of them."""
    found: list[Entry] = []
    before: tuple[int, str] | None = None
    while True:
        rows = store.entries(limit=page, before=before, **wanted)
        found += rows
        if len(rows) < page:
            return found
        before = (rows[-1].at_us, rows[-1].call_id)


_MIDDLE: dict[str, Any] = {"since_us": at_us(55), "until_us": at_us(333)}

QUESTIONS: dict[str, Callable[[Store], object]] = {
    "every call": all_calls,
    "calls of a span": lambda store: all_calls(store, **_MIDDLE),
    "calls of a label": lambda store: all_calls(store, labels={"feature": 'odd "one"\n\\ \u2028'}),
    "calls of two labels": lambda store: all_calls(store, labels={"user_id": "user-3", "tier": "free"}),
    "calls of a label nobody has": lambda store: all_calls(store, labels={"feature": "nothing"}),
    "calls of an environment": lambda store: all_calls(store, environment="development", **_MIDDLE),
    "calls of a key": lambda store: all_calls(store, key="key-2"),
    "refused calls": lambda store: all_calls(store, outcome="refused"),
    "settled calls": lambda store: all_calls(store, outcome="settled"),
    "attempts of a request": lambda store: all_calls(store, request_id="request-77"),
    "a few calls": lambda store: store.entries(limit=7),
    "single calls": lambda store: [store.entry(f"call-{number}") for number in range(0, CALLS, 23)],
    "a call that never was": lambda store: store.entry("call-never"),
    "balances": lambda store: store.balances(),
    "spend by hour": lambda store: store.spend(by=["hour", "key"]),
    "spend by month": lambda store: store.spend(by=["month", "environment"]),
    "spend by run": lambda store: store.spend(by=["run"]),
    "costs of calls": lambda store: store.cost_counts(of="calls", by=["environment", "label:feature"]),
    "costs of calls of a span": lambda store: store.cost_counts(of="calls", **_MIDDLE),
    "costs of calls of a feature": lambda store: store.cost_counts(
        of="calls", by=["environment"], where={"label:feature": "search"}
    ),
    "costs of runs": lambda store: store.cost_counts(of="runs", by=["environment"]),
    "reasons": lambda store: store.reasons(by=["month", "reason", "account"]),
    "activity": lambda store: store.activity(since_us=BEGINS_US, until_us=ENDS_US),
}


def answers(store: Store) -> dict[str, object]:
    """All that a ledger answers."""
    return {name: ask(store) for name, ask in QUESTIONS.items()}
