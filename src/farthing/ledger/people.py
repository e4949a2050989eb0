"""Who may govern, as the ledger keeps it."""

import msgspec

from farthing.domain.role import Role


class Token(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """A token of the governance API as the ledger keeps it: never the secret, only its SHA-256."""

    token_id: str
    sha256: bytes
    name: str
    role: Role
    created_at_us: int
    created_by: str
    expires_at_us: int | None = None
    revoked_at_us: int | None = None

    def is_good(self, at_us: int) -> bool:
        """Whether it opens anything at a moment."""
        return self.revoked_at_us is None and (self.expires_at_us is None or at_us < self.expires_at_us)
