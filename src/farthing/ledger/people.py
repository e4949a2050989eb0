"""Who may call and who may govern, as the ledger keeps it."""

import msgspec

from farthing.domain.role import Role


class KeyRow(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """An API key as the ledger keeps it: never the secret, only its SHA-256."""

    key_id: str
    sha256: bytes
    environment: str
    label: str
    created_at_us: int
    group: str | None = None
    developer: str | None = None
    revoked_at_us: int | None = None
    expires_at_us: int | None = None

    def is_good(self, at_us: int) -> bool:
        """Whether it opens anything at a moment."""
        return self.revoked_at_us is None and (self.expires_at_us is None or at_us < self.expires_at_us)

    def with_secret(self, sha256: bytes, *, until_us: int) -> "KeyRow":
        """The key as a secret opens it that another one has replaced."""
        return msgspec.structs.replace(self, sha256=sha256, expires_at_us=until_us)


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
