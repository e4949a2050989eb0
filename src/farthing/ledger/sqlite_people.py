"""Keys, tokens, requests, passes and the audit in a SQLite ledger."""

import sqlite3
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any

from farthing.domain.premium_pass import PremiumPass
from farthing.domain.role import Role
from farthing.ledger import sqlite_keys, sqlite_passes, sqlite_requests
from farthing.ledger.auditing import (
    Act,
    WantedActs,
    key_act,
    request_act,
    rotation_act,
    ruling_act,
    token_act,
)
from farthing.ledger.people import KeyRow, Token
from farthing.ledger.raising import Raise
from farthing.ledger.requests import BudgetRequest, Ruling
from farthing.ledger.sqlite_apply import apply_in
from farthing.ledger.sqlite_audit import acts, add_act

_TOKEN = "token_id, sha256, name, role, created_at_us, created_by, expires_at_us, revoked_at_us"  # noqa: S105
_TOKENS = " ".join(("SELECT", _TOKEN, "FROM token ORDER BY name, created_at_us"))
_TOKEN_BY_HASH = " ".join(("SELECT", _TOKEN, "FROM token WHERE sha256 = ?"))
_REVOKE = " ".join(
    (
        "UPDATE token SET revoked_at_us = ? WHERE token_id = ? AND revoked_at_us IS NULL RETURNING",
        _TOKEN,
    )
)


class PeopleInFile(ABC):
    """What a SQLite store remembers of who calls and who governs."""

    @abstractmethod
    def _writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that writes."""

    @abstractmethod
    def _asking(self) -> AbstractContextManager[sqlite3.Connection]:
        """A connection that reads."""

    def add_key(self, row: KeyRow, *, by: str) -> None:
        """Remember a key; raises ValueError where the label is taken in its environment."""
        with self._writing() as connection:
            sqlite_keys.add_key(connection, row)
            add_act(connection, key_act("create", row, at_us=row.created_at_us, by=by))

    def key_by_hash(self, sha256: bytes) -> KeyRow | None:
        """The key with this hash, revoked or not."""
        with self._asking() as connection:
            return sqlite_keys.key_by_hash(connection, sha256)

    def keys(self) -> list[KeyRow]:
        """All keys, by environment and label."""
        with self._asking() as connection:
            return sqlite_keys.keys(connection)

    def rotate_key(
        self, key_id: str, sha256: bytes, *, at_us: int, old_until_us: int, expires_at_us: int | None, by: str
    ) -> KeyRow | None:
        """Give a living key another secret; the old one opens it until its time is over.

        None where there is no such key, or it was revoked.
        """
        with self._writing() as connection:
            row = sqlite_keys.rotate_key(
                connection, key_id, sha256, old_until_us=old_until_us, expires_at_us=expires_at_us
            )
            if row is not None:
                add_act(connection, rotation_act(row, at_us=at_us, by=by, old_until_us=old_until_us))
        return row

    def revoke_key(self, key_id: str, at_us: int, *, by: str) -> bool:
        """Revoke a key; False where there is none or it was revoked before."""
        with self._writing() as connection:
            row = sqlite_keys.revoke_key(connection, key_id, at_us)
            if row is not None:
                add_act(connection, key_act("revoke", row, at_us=at_us, by=by))
        return row is not None

    def add_token(self, row: Token) -> None:
        """Remember a token; raises ValueError where a living one has the name."""
        values = (row.token_id, row.sha256, row.name, row.role.value, row.created_at_us, row.created_by)
        with self._writing() as connection:
            try:
                connection.execute(
                    "INSERT INTO token VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (*values, row.expires_at_us, row.revoked_at_us),
                )
            except sqlite3.IntegrityError as error:
                raise ValueError(f"there is a token {row.name!r} already") from error
            add_act(connection, token_act("create", row, at_us=row.created_at_us, by=row.created_by))

    def token_by_hash(self, sha256: bytes) -> Token | None:
        """The token with this hash, revoked or not."""
        with self._asking() as connection:
            row = connection.execute(_TOKEN_BY_HASH, (sha256,)).fetchone()
        return None if row is None else _token_from(row)

    def tokens(self) -> list[Token]:
        """All tokens, by name."""
        with self._asking() as connection:
            return [_token_from(row) for row in connection.execute(_TOKENS)]

    def revoke_token(self, token_id: str, *, at_us: int, by: str) -> bool:
        """Revoke a token; False where there is none or it was revoked before."""
        with self._writing() as connection:
            row = connection.execute(_REVOKE, (at_us, token_id)).fetchone()
            if row is not None:
                add_act(connection, token_act("revoke", _token_from(row), at_us=at_us, by=by))
        return row is not None

    def add_request(self, row: BudgetRequest) -> None:
        """Remember a request for more of a budget."""
        with self._writing() as connection:
            sqlite_requests.add_request(connection, row)
            add_act(connection, request_act(row))

    def request(self, request_id: str) -> BudgetRequest | None:
        """One request."""
        with self._asking() as connection:
            return sqlite_requests.request(connection, request_id)

    def requests(
        self, *, only_open: bool = False, by: str | None = None, limit: int = 100
    ) -> list[BudgetRequest]:
        """Requests, newest first; only those that nobody answered, or of one who asks."""
        with self._asking() as connection:
            return sqlite_requests.requests(connection, limit, only_open=only_open, by=by)

    def answer_request(self, ruling: Ruling, raised: Raise | None) -> BudgetRequest | None:
        """Answer an open request, and raise the limit in the same step; None where none is open."""
        with self._writing() as connection:
            row = sqlite_requests.answer(connection, ruling)
            if row is None:
                return None
            if raised is not None:
                apply_in(connection, [raised])
            add_act(connection, ruling_act(row, ruling))
            return row

    def add_pass(self, row: PremiumPass) -> None:
        """Remember a premium pass; it counts from now on."""
        with self._writing() as connection:
            sqlite_passes.add_pass(connection, row)

    def end_pass(self, pass_id: str, *, at_us: int, by: str, reason: str) -> bool:
        """End a pass; False where there is none or it was over before."""
        with self._writing() as connection:
            return sqlite_passes.end_pass(connection, pass_id, at_us, by, reason)

    def note_lapses(self, at_us: int) -> None:
        """Note, once and in the audit, of every pass whose time is over that it lapsed."""
        with self._writing() as connection:
            sqlite_passes.note_lapses(connection, at_us)

    def passes(self, *, only_open: bool = False) -> list[PremiumPass]:
        """Every pass there ever was, or those whose end was not noted yet; newest first."""
        with self._asking() as connection:
            if only_open:
                return sqlite_passes.open_passes(connection)[::-1]
            return sqlite_passes.all_passes(connection)

    def add_act(self, act: Act) -> bool:
        """Keep an act, unless the last one of its kind about the same left everything as it does now."""
        with self._writing() as connection:
            last = acts(connection, WantedActs(action=act.action, about=act.about), 1)
            if last and last[0].after == act.after:
                return False
            add_act(connection, act)
            return True

    def acts(self, wanted: WantedActs, *, limit: int = 100) -> list[Act]:
        """What people did, newest first."""
        with self._asking() as connection:
            return acts(connection, wanted, limit)


def _token_from(row: tuple[Any, ...]) -> Token:
    named = dict(zip(Token.__struct_fields__, row, strict=True))
    return Token(**{**named, "role": Role(named["role"])})
