"""Create, list and show keys: what the API and the command line both do."""

import os
import re

from farthing.domain.period import iso_utc
from farthing.gateway.keys import make_key, sha256_of
from farthing.ledger.entries import KeyRow
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
    )
    try:
        store.add_key(row, by=by)
    except ValueError as error:
        raise KeyTaken(f"environment {environment!r} already has a key labelled {label!r}") from error
    return secret, row


def key_json(row: KeyRow) -> dict[str, object]:
    """Show a key without its secret."""
    return {
        "key_id": row.key_id,
        "environment": row.environment,
        "label": row.label,
        "group": row.group,
        "developer": row.developer,
        "created_at": iso_utc(row.created_at_us),
        "revoked_at": iso_utc(row.revoked_at_us) if row.revoked_at_us is not None else None,
    }
