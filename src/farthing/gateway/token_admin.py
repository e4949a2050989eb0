"""Create and show tokens of the governance API: what the API and the command line both do."""

import os
import re
import secrets

from farthing.domain.period import iso_utc
from farthing.domain.role import Role
from farthing.gateway.keys import ADMIN_PREFIX, sha256_of
from farthing.ledger.people import Token
from farthing.ledger.store import Store

# The token that is made at the first start, and that FARTHING_ADMIN_TOKEN stands in for.
FIRST = "token_first"
ADMIN = "admin"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class BadToken(ValueError):
    """No token can be like that."""


class TokenTaken(ValueError):
    """A living token has this name."""


def create_token(
    store: Store,
    *,
    name: str,
    role: Role,
    by: str,
    at_us: int,
    expires_at_us: int | None = None,
    token_id: str | None = None,
) -> tuple[str, Token]:
    """Make a token and remember its hash. Returns the secret, shown once, and the row.

    Raises BadToken and TokenTaken.
    """
    if _NAME.fullmatch(name) is None:
        raise BadToken(
            f"{name!r} cannot be the name of a token: use at most 64 letters, digits and . _ @ -, "
            "beginning with a letter or digit"
        )
    if role is Role.DEVELOPER:
        raise BadToken("a developer needs no token: a call key reads its own spend and asks for more")
    if expires_at_us is not None and expires_at_us <= at_us:
        raise BadToken("it would expire before it begins")
    secret = f"{ADMIN_PREFIX}-{secrets.token_urlsafe(32)}"
    row = Token(
        token_id=token_id or f"token_{os.urandom(8).hex()}",
        sha256=sha256_of(secret),
        name=name,
        role=role,
        created_at_us=at_us,
        created_by=by,
        expires_at_us=expires_at_us,
    )
    try:
        store.add_token(row)
    except ValueError as error:
        raise TokenTaken(str(error)) from error
    return secret, row


def first_token(store: Store, *, at_us: int) -> str | None:
    """Make the admin's token where nobody ever governed here; None where somebody does or did."""
    if store.tokens():
        return None
    try:
        secret, _ = create_token(
            store, name=ADMIN, role=Role.ADMIN, by="the first start", at_us=at_us, token_id=FIRST
        )
    except TokenTaken:
        return None  # another process was first
    return secret


def token_json(row: Token) -> dict[str, object]:
    """Show a token without its secret."""
    return {
        "token_id": row.token_id,
        "name": row.name,
        "role": row.role.value,
        "created_at": iso_utc(row.created_at_us),
        "created_by": row.created_by,
        "expires_at": iso_utc(row.expires_at_us) if row.expires_at_us is not None else None,
        "revoked_at": iso_utc(row.revoked_at_us) if row.revoked_at_us is not None else None,
    }
