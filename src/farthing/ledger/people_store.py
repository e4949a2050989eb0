"""The part of the store interface that is about people: keys, tokens, requests, and who did what."""

from typing import Protocol

from farthing.domain.premium_pass import PremiumPass
from farthing.ledger.auditing import Act, WantedActs
from farthing.ledger.people import KeyRow, Token
from farthing.ledger.raising import Raise
from farthing.ledger.requests import BudgetRequest, Ruling


class PeopleStore(Protocol):
    """Who calls and who governs lives beside the money, so that every process sees one truth.

    Every change is in the audit with the transaction that makes it, or neither happened.
    """

    def add_key(self, row: KeyRow, *, by: str) -> None:
        """Remember a key; raises ValueError where a living key of its environment has the label."""
        ...

    def key_by_hash(self, sha256: bytes) -> KeyRow | None:
        """The key with this hash, good or not; a secret that was replaced expires with its own time."""
        ...

    def keys(self) -> list[KeyRow]:
        """All keys, by environment and label."""
        ...

    def rotate_key(
        self, key_id: str, sha256: bytes, *, at_us: int, old_until_us: int, expires_at_us: int | None, by: str
    ) -> KeyRow | None:
        """Give a living key another secret; the old one opens it until its time is over.

        None where there is no such key, or it was revoked.
        """
        ...

    def revoke_key(self, key_id: str, at_us: int, *, by: str) -> bool:
        """Revoke a key; False where there is none or it was revoked before."""
        ...

    def add_token(self, row: Token) -> None:
        """Remember a token; raises ValueError where a living one has the name."""
        ...

    def token_by_hash(self, sha256: bytes) -> Token | None:
        """The token with this hash, revoked or not."""
        ...

    def tokens(self) -> list[Token]:
        """All tokens, by name."""
        ...

    def revoke_token(self, token_id: str, *, at_us: int, by: str) -> bool:
        """Revoke a token; False where there is none or it was revoked before."""
        ...

    def add_request(self, row: BudgetRequest) -> None:
        """Remember a request for more of a budget."""
        ...

    def request(self, request_id: str) -> BudgetRequest | None:
        """One request."""
        ...

    def requests(
        self, *, only_open: bool = False, by: str | None = None, limit: int = 100
    ) -> list[BudgetRequest]:
        """Requests, newest first; only those that nobody answered, or of one who asks."""
        ...

    def answer_request(self, ruling: Ruling, raised: Raise | None) -> BudgetRequest | None:
        """Answer an open request, and raise the limit in the same step; None where none is open."""
        ...

    def add_pass(self, row: PremiumPass) -> None:
        """Remember a premium pass; it counts from now on."""
        ...

    def end_pass(self, pass_id: str, *, at_us: int, by: str, reason: str) -> bool:
        """End a pass; False where there is none or it was over before."""
        ...

    def note_lapses(self, at_us: int) -> None:
        """Note, once and in the audit, of every pass whose time is over that it lapsed."""
        ...

    def passes(self, *, only_open: bool = False) -> list[PremiumPass]:
        """Every pass there ever was, or those whose end was not noted yet; newest first."""
        ...

    def add_act(self, act: Act) -> bool:
        """Keep an act that no other change brings, such as a policy that came in force.

        False, and nothing is kept, where the last one of its kind about the same says the same after.
        """
        ...

    def acts(self, wanted: WantedActs, *, limit: int = 100) -> list[Act]:
        """What people did, newest first."""
        ...
