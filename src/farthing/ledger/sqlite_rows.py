"""How a page is read from and written to SQLite: each row once a batch."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from farthing.ledger.booking import accounts_of, calls_of, dead_owners_of, new_values, raises_of
from farthing.ledger.entries import Operation, Outcome, Unit
from farthing.ledger.page import Account, Details, Draft, EntryRow, Page
from farthing.ledger.rollups import Measures
from farthing.ledger.sqlite_alerts import note_alerts
from farthing.ledger.sqlite_raises import known_raises, raises_from, write_raises
from farthing.ledger.sqlite_rollups import write_rollups

SqlRow = tuple[Any, ...]
# Lines about calls that are not in the file any more, besides those that were found there.
Elsewhere = Callable[[sqlite3.Connection, Sequence[str], Iterable[EntryRow]], list[EntryRow]]

_encode = msgspec.json.Encoder().encode
_decode_draft = msgspec.json.Decoder(Draft).decode
_decode_details = msgspec.json.Decoder(Details).decode
_decode_booked = msgspec.json.Decoder(dict[str, int]).decode

ACCOUNT_COLUMNS = (
    "account, unit, limit_seen, budget, settled, held, value, window, starts_at_us, ends_at_us, account_id, "
    "raises"
)

ENTRY_COLUMNS = (
    "call_id, correction, at_us, written_at_us, outcome, provider, model, ceiling_nanodollars, "
    "calls, refused, voided, cached, assumed, cost_nanodollars, cost_asked_nanodollars, "
    "input_tokens, cached_read, cached_write, output_tokens, reasoning, avoided_nanodollars, "
    "clamped, uncapped, booked, details"
)

_DRAFTS = "SELECT draft FROM hold WHERE call_id IN (SELECT value FROM json_each(?))"
_DRAFTS_OF_OWNERS = "SELECT draft FROM hold WHERE owner IN (SELECT value FROM json_each(?))"
_ACCOUNTS = " ".join(
    ("SELECT", ACCOUNT_COLUMNS, "FROM account WHERE account IN (SELECT value FROM json_each(?))")
)
_ACCOUNT_NAMES = (
    "SELECT account_id, account FROM account WHERE account_id IN (SELECT value FROM json_each(?))"
)
_VALUES = "SELECT count(*) FROM account WHERE budget = ? AND window = ? AND value IS NOT NULL"
_ENTRIES = " ".join(("SELECT", ENTRY_COLUMNS, "FROM entry WHERE call_id IN (SELECT value FROM json_each(?))"))

_WRITE_ACCOUNT = "UPDATE account SET settled = ?, held = ?, limit_seen = ? WHERE account_id = ?"
_OPEN_ACCOUNT = """
    INSERT INTO account (
        account, unit, budget, value, window, starts_at_us, ends_at_us, settled, held, limit_seen
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING account_id
"""
_OPEN_HOLD = "INSERT INTO hold (call_id, owner, draft) VALUES (?, ?, ?)"
_CLOSE_HOLD = "DELETE FROM hold WHERE call_id = ?"
_WRITE_ENTRY = """
    INSERT INTO entry (
        call_id, correction, at_us, written_at_us, outcome, environment, "group", key, developer, provider,
        model, model_asked, run, request_id, ceiling_nanodollars, calls, refused, voided, cached, assumed,
        cost_nanodollars, cost_asked_nanodollars, input_tokens, cached_read, cached_write, output_tokens,
        reasoning, avoided_nanodollars, clamped, uncapped, booked, details
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_RENEW = """
    INSERT INTO owner VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (owner) DO UPDATE SET renewed_at_us = excluded.renewed_at_us, until_us = excluded.until_us
"""
_FORGET = "DELETE FROM owner WHERE owner = ?"


# ── reading ─────────────────────────────────────────────────────────────────────────────────────


def read_page(connection: sqlite3.Connection, operations: Sequence[Operation], elsewhere: Elsewhere) -> Page:
    """Read every row that a batch of operations can touch."""
    calls = calls_of(operations)
    owners = dead_owners_of(operations)
    rows = connection.execute(_DRAFTS, (as_json(calls),)).fetchall() if calls else []
    if owners:
        rows += connection.execute(_DRAFTS_OF_OWNERS, (as_json(owners),)).fetchall()
    drafts = {draft.call_id: draft for (text,) in rows for draft in (_decode_draft(text),)}
    ended = [call_id for call_id in calls if call_id not in drafts]
    entries = read_entries(connection, connection.execute(_ENTRIES, (as_json(ended),))) if ended else []
    entries += elsewhere(connection, ended, entries) if ended else []
    page = Page(drafts=drafts.values(), entries=entries)
    raises = raises_of(operations)
    if raises:
        page.raises = {row.raise_id: row for row in known_raises(connection, raises)}
    names = accounts_of(operations, page)
    if names:
        found = connection.execute(_ACCOUNTS, (as_json(list(names)),))
        page.accounts = {row[0]: account_from(row) for row in found}
        for of_budget in new_values(operations, page):
            ((page.values[of_budget],),) = connection.execute(_VALUES, of_budget).fetchall()
    return page


def read_entries(connection: sqlite3.Connection, rows: Iterable[SqlRow]) -> list[EntryRow]:
    """Turn rows of ENTRY_COLUMNS into lines of the ledger; accounts get their names back."""
    parsed = [(row, _decode_booked(row[23])) for row in rows]
    numbers = {number for _, booked in parsed for number in booked}
    found = connection.execute(_ACCOUNT_NAMES, (as_json([int(number) for number in numbers]),))
    names = {str(number): name for number, name in found} if numbers else {}
    return [_entry_from(row, booked, names) for row, booked in parsed]


def read_archived(rows: Iterable[SqlRow]) -> list[EntryRow]:
    """Turn archived rows of ENTRY_COLUMNS, where accounts have their names, into lines of the ledger."""
    parsed = [(row, _decode_booked(row[-2])) for row in rows]
    return [_entry_from(row, booked, {name: name for name in booked}) for row, booked in parsed]


def account_from(row: SqlRow) -> Account:
    """Turn a row of ACCOUNT_COLUMNS into an account."""
    account, unit, limit, budget, settled, held, value, window, starts_at_us, ends_at_us, number, rides = row
    return Account(
        account=account,
        unit=Unit(unit),
        limit=limit,
        budget=budget,
        settled=settled,
        held=held,
        value=value,
        window=window,
        starts_at_us=starts_at_us,
        ends_at_us=ends_at_us,
        number=number,
        raises=raises_from(rides),
    )


def draft_from(text: str) -> Draft:
    """Read the draft of an open call."""
    return _decode_draft(text)


def as_json(values: Sequence[str] | Sequence[int]) -> str:
    """Pass a list as one parameter, for json_each."""
    return _encode(values).decode()


def _entry_from(row: SqlRow, booked: Mapping[str, int], names: Mapping[str, str]) -> EntryRow:
    call_id, correction, at_us, written_at_us, outcome, provider, model, ceiling_nanodollars = row[:8]
    return EntryRow(
        call_id=call_id,
        correction=bool(correction),
        at_us=at_us,
        written_at_us=written_at_us,
        outcome=Outcome(outcome),
        provider=provider or None,
        model_served=model or None,
        ceiling_nanodollars=ceiling_nanodollars,
        measures=Measures(*row[8:23]),
        booked=tuple([(names[number], amount) for number, amount in booked.items()]),
        details=_decode_details(row[24]),
    )


# ── writing ─────────────────────────────────────────────────────────────────────────────────────


def write_page(connection: sqlite3.Connection, page: Page) -> None:
    """Write what a batch changed, each row once."""
    numbers = _write_accounts(connection, page.used_accounts())
    if page.raised:
        write_raises(connection, page.raised, page.accounts, numbers)
    if page.noted:
        note_alerts(connection, page.noted)
    if page.opened:
        rows = [(draft.call_id, draft.owner, _encode(draft).decode()) for draft in page.opened.values()]
        connection.executemany(_OPEN_HOLD, rows)
    if page.closed:
        connection.executemany(_CLOSE_HOLD, [(call_id,) for call_id in page.closed])
    if page.written:
        connection.executemany(_WRITE_ENTRY, [_entry_values(entry, numbers) for entry in page.written])
        write_rollups(connection, page.rollups)
    if page.forgotten:
        connection.executemany(_FORGET, [(owner,) for owner in page.forgotten])
    if page.renewed:
        connection.executemany(
            _RENEW,
            [
                (renew.owner, renew.host, renew.process, renew.at_us, renew.until_us)
                for renew in page.renewed.values()
            ],
        )


def _write_accounts(connection: sqlite3.Connection, accounts: Iterable[Account]) -> dict[str, int]:
    """Write balances; answer the number of each account."""
    known = []
    numbers = {}
    for account in accounts:
        number = account.number
        if number is None:
            ((number,),) = connection.execute(_OPEN_ACCOUNT, _account_values(account)).fetchall()
        else:
            known.append((account.settled, account.held, account.limit, number))
        numbers[account.account] = number
    if known:
        connection.executemany(_WRITE_ACCOUNT, known)
    return numbers


def _account_values(account: Account) -> tuple[object, ...]:
    return (
        account.account,
        account.unit.value,
        account.budget,
        account.value,
        account.window,
        account.starts_at_us,
        account.ends_at_us,
        account.settled,
        account.held,
        account.limit,
    )


def _entry_values(entry: EntryRow, numbers: Mapping[str, int]) -> tuple[object, ...]:
    facts = entry.details.facts
    booked = {numbers[account]: amount for account, amount in entry.booked}
    return (
        entry.call_id,
        entry.correction,
        entry.at_us,
        entry.written_at_us,
        entry.outcome.value,
        facts.environment,
        facts.group or "",
        facts.key or "",
        facts.developer or "",
        entry.provider or "",
        entry.model_served or "",
        facts.model_asked,
        facts.run or "",
        facts.request_id,
        entry.ceiling_nanodollars,
        *entry.measures,
        _encode(booked).decode(),
        _encode(entry.details).decode(),
    )
