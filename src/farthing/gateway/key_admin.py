"""Create, list and show keys: what the API and the command line both do."""

import os
import re

from farthing.domain.period import iso_utc
from farthing.gateway.keys import make_key, sha256_of
from farthing.ledger.people import KeyRow
from farthing.ledger.store import Store
from farthing.policy.rules import Policy


class UnknownEnvironment(ValueError):
    """The policy has no such environment or group."""


class KeyTaken(ValueError):
    """A key with this label lives in the environment."""


class BadLabel(ValueError):
    """The text cannot be the label of a key."""


# What reports, paths and terminals show without quoting.
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def create_key(
    store: Store,
    policy: Policy,
    *,
    environment: str,
    label: str,
    by: str,
    at_us: int,
    group: str | None = None,
    developer: str | None = None,
    expires_at_us: int | None = None,
) -> tuple[str, KeyRow]:
    """Make a key and remember its hash. Returns the secret, shown once, and the row.

    Raises BadLabel, UnknownEnvironment and KeyTaken.
    """
    if _LABEL.fullmatch(label) is None:
        raise BadLabel(
            f"{label!r} cannot be the label of a key: use at most 64 letters, digits and . _ @ -, "
            "beginning with a letter or digit"
        )
    if environment not in policy.environments:
        raise UnknownEnvironment(
            f"the policy has no environment {environment!r}; it has: {', '.join(sorted(policy.environments))}"
        )
    if group is not None:
        member = next((row for row in policy.groups if row.name == group), None)
        if member is None or member.environment != environment:
            raise UnknownEnvironment(f"the policy has no group {group!r} in environment {environment!r}")
    secret = make_key(environment)
    row = KeyRow(
        key_id=f"key_{os.urandom(8).hex()}",
        sha256=sha256_of(secret),
        environment=environment,
        label=label,
        created_at_us=at_us,
        group=group,
        developer=developer,
        expires_at_us=expires_at_us,
    )
    try:
        store.add_key(row, by=by)
    except ValueError as error:
        raise KeyTaken(f"environment {environment!r} already has a key labelled {label!r}") from error
    return secret, row


class BadRotation(ValueError):
    """The key cannot be given another secret like that."""


def rotate_key(
    store: Store,
    row: KeyRow,
    *,
    by: str,
    at_us: int,
    overlap_us: int,
    expires_at_us: int | None = None,
) -> tuple[str, KeyRow]:
    """Give a key another secret: it stays the same key, with its label, its limits and its history.

    overlap_us: how long the old secret works on. expires_at_us: None leaves it as it was.
    Raises BadRotation.
    """
    if expires_at_us is None:
        expires_at_us = row.expires_at_us
        if expires_at_us is not None and expires_at_us <= at_us:
            raise BadRotation(
                f"{row.label} expired at {iso_utc(expires_at_us)}; say how long it is to work now"
            )
    old_until_us = min([end for end in (at_us + overlap_us, row.expires_at_us) if end is not None])
    secret = make_key(row.environment)
    rotated = store.rotate_key(
        row.key_id,
        sha256_of(secret),
        at_us=at_us,
        old_until_us=old_until_us,
        expires_at_us=expires_at_us,
        by=by,
    )
    if rotated is None:
        raise BadRotation(f"{row.label} of {row.environment} was revoked")
    return secret, rotated


def last_used(store: Store, row: KeyRow) -> str | None:
    """When a key called last."""
    calls = store.entries(
        limit=1,
        environment=row.environment,
        key=row.label,
        since_us=row.created_at_us,
        until_us=row.revoked_at_us,
    )
    return iso_utc(calls[0].at_us) if calls else None


def key_json(row: KeyRow) -> dict[str, object]:
    """Show a key without its secret."""
    return {
        "key_id": row.key_id,
        "environment": row.environment,
        "label": row.label,
        "group": row.group,
        "developer": row.developer,
        "created_at": iso_utc(row.created_at_us),
        "expires_at": iso_utc(row.expires_at_us) if row.expires_at_us is not None else None,
        "revoked_at": iso_utc(row.revoked_at_us) if row.revoked_at_us is not None else None,
    }
