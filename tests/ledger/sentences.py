"""Words for ledger tests: calls, offers and claims that name only the facts a test is about."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farthing.domain.usage import Usage
from farthing.ledger.entries import (
    Answer,
    AtShort,
    Booked,
    Claim,
    EntryFacts,
    Held,
    Hold,
    Need,
    Offer,
    Operation,
    Outcome,
    Record,
    Settle,
    SettleDead,
    Short,
    Unit,
    Void,
)
from farthing.ledger.migrate import scripts
from farthing.ledger.raising import Raise, Raised
from farthing.ledger.store import Store

CENT = 10_000_000
DOLLAR = 100 * CENT
HOUR_US = 3_600_000_000
NOON_US = 1_796_904_000_000_000  # 2026-12-10T12:00:00Z
US = "owner-of-this-test"


def facts(**changes: Any) -> EntryFacts:
    """What an entry says about a call."""
    known: dict[str, Any] = {
        "request_id": "request-1",
        "environment": "development",
        "dialect": "openai.chat",
        "model_asked": "big",
        "key": "alice",
    }
    return EntryFacts(**(known | changes))


def claim(account: str = "team", limit: int = DOLLAR, **changes: Any) -> Claim:
    """An account that must pay, a dollar of it unless told."""
    known: dict[str, Any] = {
        "account": account,
        "unit": Unit.NANODOLLARS,
        "limit": limit,
        "at_short": AtShort.REFUSE,
        "budget": account,
    }
    return Claim(**(known | changes))


def offer(ceiling: int = 10 * CENT, *claims: Claim, target: str = "big", **changes: Any) -> Offer:
    """A target with a fixed ceiling, paid by one account of a dollar unless told."""
    known: dict[str, Any] = {
        "target": target,
        "provider": "openai",
        "model": target,
        "needs": {Unit.NANODOLLARS: Need(ceiling)},
        "claims": claims or (claim(),),
    }
    return Offer(**(known | changes))


def hold(
    call_id: str = "A",
    *offers: Offer,
    at_us: int = NOON_US,
    owner: str = US,
    about: Mapping[str, Any] | None = None,
) -> Hold:
    """Ask for one call."""
    return Hold(
        call_id=call_id, at_us=at_us, owner=owner, facts=facts(**(about or {})), offers=offers or (offer(),)
    )


def settle(call_id: str = "A", cost: int = 5 * CENT, **changes: Any) -> Settle:
    """Book what a call cost."""
    known: dict[str, Any] = {
        "at_us": NOON_US + 1,
        "usage": Usage(input_tokens=100, output_tokens=20),
    }
    return Settle(call_id=call_id, cost_nanodollars=cost, **(known | changes))


def assume(call_id: str = "A", cost: int = 10 * CENT, rule: str = "stream_broke") -> Settle:
    """Book the ceiling because nothing better is known."""
    return settle(call_id, cost, usage=None, assumed=True, assumed_rule=rule)


def void(call_id: str = "A") -> Void:
    """Say that the provider was never reached."""
    return Void(call_id=call_id, at_us=NOON_US + 1, rule="never_connected")


def refuse(call_id: str = "R", reason: str = "model_not_allowed", **changes: Any) -> Record:
    """Record a refusal by rule."""
    known: dict[str, Any] = {"at_us": NOON_US, "facts": facts(), "outcome": Outcome.REFUSED}
    return Record(call_id=call_id, reason=reason, **(known | changes))


def bury(owner: str = US) -> SettleDead:
    """Settle what a dead owner left behind."""
    return SettleDead(owner=owner, at_us=NOON_US + 2)


def raising(amount: int = DOLLAR, raise_id: str = "raise-1", **changes: Any) -> Raise:
    """Raise the limit of the team's account, by a dollar unless told."""
    known: dict[str, Any] = {"claim": claim(), "at_us": NOON_US, "by": "ana", "reason": "launch week"}
    return Raise(raise_id=raise_id, amount=amount, **(known | changes))


def ask(store: Store, operation: Operation) -> Answer:
    """Apply one operation alone."""
    (answer,) = store.apply([operation])
    return answer


def held(store: Store, operation: Hold) -> Held:
    """Ask for a hold that must be granted."""
    answer = ask(store, operation)
    assert isinstance(answer, Held), answer
    return answer


def short(store: Store, operation: Hold) -> Short:
    """Ask for a hold that must not be granted."""
    answer = ask(store, operation)
    assert isinstance(answer, Short), answer
    return answer


def booked(store: Store, operation: Settle | Void | Record) -> Booked:
    """Book what must be bookable."""
    answer = ask(store, operation)
    assert isinstance(answer, Booked), answer
    return answer


def raised(store: Store, operation: Raise) -> Raised:
    """Raise what can always be raised."""
    answer = ask(store, operation)
    assert isinstance(answer, Raised), answer
    return answer


def money(store: Store, account: str = "team") -> tuple[int, int]:
    """What an account has settled and what it holds."""
    balance = store.balance(account)
    assert balance is not None
    return balance.settled, balance.held


# Rows of earlier tables that later ones hold in another shape.
_EARLIER_ROWS = {
    "spend_hour": "(SELECT period AS hour, * FROM now.spend_sum WHERE grain = 0)",
    "spend_label": "(SELECT period AS hour, * FROM now.label_sum WHERE grain = 0 AND second = '')",
}


def undo_migrations_after(version: int, path: Path) -> None:
    """Make a ledger look as an earlier farthing left it, by its schema and with what that could hold."""
    later = path.with_name("later.db")
    path.rename(later)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    for script in scripts()[:version]:
        connection.executescript(script)
    connection.execute("ATTACH ? AS now", (str(later),))
    held = {name for (name,) in connection.execute("SELECT name FROM now.sqlite_schema")}
    earlier = connection.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'").fetchall()
    for (table,) in earlier:
        rows = _EARLIER_ROWS.get(table, f"now.{table}" if table in held else None)
        if rows is None:
            continue
        wanted = [column[1] for column in connection.execute(f"PRAGMA main.table_info({table})")]
        found = [column[0] for column in connection.execute(f"SELECT * FROM {rows} LIMIT 0").description]
        both = ", ".join(f'"{column}"' for column in wanted if column in found)
        connection.execute(f"INSERT INTO main.{table} ({both}) SELECT {both} FROM {rows}")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    later.unlink()
