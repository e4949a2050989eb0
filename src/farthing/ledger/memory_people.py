"""Keys, tokens, requests and the audit in a ledger that forgets at the end of the process."""

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from itertools import islice

import msgspec

from farthing.domain.premium_pass import PremiumPass
from farthing.ledger.auditing import (
    Act,
    WantedActs,
    grant_act,
    key_act,
    lapse_act,
    pass_end_act,
    request_act,
    rotation_act,
    ruling_act,
    token_act,
)
from farthing.ledger.entries import Answer, Operation
from farthing.ledger.people import KeyRow, Token
from farthing.ledger.raising import Raise
from farthing.ledger.requests import BudgetRequest, Ruling, answered


class PeopleInMemory(ABC):
    """What a store in memory remembers of who calls and who governs."""

    def __init__(self, acts_kept: int) -> None:
        self._lock = threading.RLock()
        self._keys: dict[str, KeyRow] = {}
        self._retired: dict[bytes, tuple[str, int]] = {}
        self._tokens: dict[str, Token] = {}
        self._requests: dict[str, BudgetRequest] = {}
        self._passes: dict[str, PremiumPass] = {}
        self._acts: deque[Act] = deque(maxlen=acts_kept)

    @abstractmethod
    def apply(self, operations: Sequence[Operation]) -> list[Answer]:
        """Apply a batch in order, as one step."""

    def add_key(self, row: KeyRow, *, by: str) -> None:
        """Remember a key; raises ValueError where the label is taken in its environment."""
        with self._lock:
            for other in self._keys.values():
                alive = other.revoked_at_us is None
                same_label = (row.environment, row.label) == (other.environment, other.label)
                if row.sha256 == other.sha256 or (alive and same_label):
                    raise ValueError(f"{row.environment} has a key {row.label!r} already, or this very key")
            self._keys[row.key_id] = row
            self._acts.append(key_act("create", row, at_us=row.created_at_us, by=by))

    def key_by_hash(self, sha256: bytes) -> KeyRow | None:
        """The key with this hash, revoked or not."""
        with self._lock:
            if sha256 in self._retired:
                key_id, until_us = self._retired[sha256]
                return self._keys[key_id].with_secret(sha256, until_us=until_us)
            return next((row for row in self._keys.values() if row.sha256 == sha256), None)

    def keys(self) -> list[KeyRow]:
        """All keys, by environment and label."""
        with self._lock:
            return sorted(self._keys.values(), key=lambda row: (row.environment, row.label))

    def rotate_key(
        self, key_id: str, sha256: bytes, *, at_us: int, old_until_us: int, expires_at_us: int | None, by: str
    ) -> KeyRow | None:
        """Give a living key another secret; the old one opens it until its time is over.

        None where there is no such key, or it was revoked.
        """
        with self._lock:
            row = self._keys.get(key_id)
            if row is None or row.revoked_at_us is not None:
                return None
            self._retired[row.sha256] = (key_id, old_until_us)
            row = msgspec.structs.replace(row, sha256=sha256, expires_at_us=expires_at_us)
            self._keys[key_id] = row
            self._acts.append(rotation_act(row, at_us=at_us, by=by, old_until_us=old_until_us))
            return row

    def revoke_key(self, key_id: str, at_us: int, *, by: str) -> bool:
        """Revoke a key; False where there is none or it was revoked before."""
        with self._lock:
            row = self._keys.get(key_id)
            if row is None or row.revoked_at_us is not None:
                return False
            self._keys[key_id] = msgspec.structs.replace(row, revoked_at_us=at_us)
            self._acts.append(key_act("revoke", row, at_us=at_us, by=by))
            return True

    def add_token(self, row: Token) -> None:
        """Remember a token; raises ValueError where a living one has the name."""
        with self._lock:
            if any(row.name == one.name and one.revoked_at_us is None for one in self._tokens.values()):
                raise ValueError(f"there is a token {row.name!r} already")
            self._tokens[row.token_id] = row
            self._acts.append(token_act("create", row, at_us=row.created_at_us, by=row.created_by))

    def token_by_hash(self, sha256: bytes) -> Token | None:
        """The token with this hash, revoked or not."""
        with self._lock:
            return next((row for row in self._tokens.values() if row.sha256 == sha256), None)

    def tokens(self) -> list[Token]:
        """All tokens, by name."""
        with self._lock:
            return sorted(self._tokens.values(), key=lambda row: (row.name, row.created_at_us))

    def revoke_token(self, token_id: str, *, at_us: int, by: str) -> bool:
        """Revoke a token; False where there is none or it was revoked before."""
        with self._lock:
            row = self._tokens.get(token_id)
            if row is None or row.revoked_at_us is not None:
                return False
            self._tokens[token_id] = msgspec.structs.replace(row, revoked_at_us=at_us)
            self._acts.append(token_act("revoke", row, at_us=at_us, by=by))
            return True

    def add_request(self, row: BudgetRequest) -> None:
        """Remember a request for more of a budget."""
        with self._lock:
            self._requests[row.request_id] = row
            self._acts.append(request_act(row))

    def request(self, request_id: str) -> BudgetRequest | None:
        """One request."""
        with self._lock:
            return self._requests.get(request_id)

    def requests(
        self, *, only_open: bool = False, by: str | None = None, limit: int = 100
    ) -> list[BudgetRequest]:
        """Requests, newest first; only those that nobody answered, or of one who asks."""
        with self._lock:
            rows = [
                row
                for row in self._requests.values()
                if by in (None, row.by) and (row.approved is None or not only_open)
            ]
        return sorted(rows, key=lambda row: (row.at_us, row.request_id), reverse=True)[:limit]

    def answer_request(self, ruling: Ruling, raised: Raise | None) -> BudgetRequest | None:
        """Answer an open request, and raise the limit in the same step; None where none is open."""
        with self._lock:
            row = self._requests.get(ruling.request_id)
            if row is None or row.approved is not None:
                return None
            if raised is not None:
                self.apply([raised])
            self._requests[row.request_id] = answered(row, ruling)
            self._acts.append(ruling_act(row, ruling))
            return self._requests[row.request_id]

    def add_pass(self, row: PremiumPass) -> None:
        """Remember a premium pass; it counts from now on."""
        with self._lock:
            self._passes[row.pass_id] = row
            self._acts.append(grant_act(row))

    def end_pass(self, pass_id: str, *, at_us: int, by: str, reason: str) -> bool:
        """End a pass; False where there is none or it was over before."""
        with self._lock:
            row = self._passes.get(pass_id)
            if row is None or row.ended_at_us is not None or row.until_us <= at_us:
                return False
            self._passes[pass_id] = msgspec.structs.replace(
                row, ended_at_us=at_us, ended_by=by, ended_reason=reason
            )
            self._acts.append(pass_end_act(row, at_us=at_us, by=by, reason=reason))
            return True

    def note_lapses(self, at_us: int) -> None:
        """Note, once and in the audit, of every pass whose time is over that it lapsed."""
        with self._lock:
            for row in list(self._passes.values()):
                if row.ended_at_us is None and row.until_us <= at_us:
                    self._passes[row.pass_id] = msgspec.structs.replace(
                        row, ended_at_us=row.until_us, ended_by="farthing", ended_reason="lapsed"
                    )
                    self._acts.append(lapse_act(row))

    def passes(self, *, only_open: bool = False) -> list[PremiumPass]:
        """Every pass there ever was, or those whose end was not noted yet; newest first."""
        with self._lock:
            rows = [row for row in self._passes.values() if row.ended_at_us is None or not only_open]
        return sorted(rows, key=lambda row: (row.at_us, row.pass_id), reverse=True)

    def add_act(self, act: Act) -> bool:
        """Keep an act, unless the last one of its kind about the same left everything as it does now."""
        with self._lock:
            last = self.acts(WantedActs(action=act.action, about=act.about), limit=1)
            if last and last[0].after == act.after:
                return False
            self._acts.append(act)
            return True

    def acts(self, wanted: WantedActs, *, limit: int = 100) -> list[Act]:
        """What people did, newest first."""
        with self._lock:
            return list(islice(filter(wanted.has, reversed(self._acts)), limit))
