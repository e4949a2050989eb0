"""From a credential to the identity behind it: remembered for a second, so that revoking works at once."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from farthing.domain.call import Identity
from farthing.domain.errors import LedgerUnavailable
from farthing.domain.premium_pass import PremiumPass
from farthing.engine.passes import passes_of
from farthing.gateway.keys import is_well_formed, sha256_of
from farthing.ledger.people import KeyRow
from farthing.ledger.store import Store
from farthing.policy.rules import Policy

REMEMBERED_MAX = 50_000
IDLE_SECONDS = 60
REFRESH_SECONDS = 1.0


class _Known(msgspec.Struct):
    identity: Identity | None
    sha256: bytes
    used_at_us: int


class Identities:
    """Finds who a key belongs to: keys of the policy file first, then keys of the ledger."""

    def __init__(self, store: Store, policy: Policy, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy
        self._groups = {group.key_sha256: group for group in policy.groups if group.key_sha256}
        self._known: dict[str, _Known] = {}

    async def find(self, credential: str) -> Identity | None:
        """The identity of a key, or None where it is unknown, mistyped, expired or revoked.

        Raises LedgerUnavailable for a key not in use yet, when the ledger cannot be asked.
        """
        known = self._known.get(credential)
        if known is not None:
            known.used_at_us = self._clock()
            return known.identity
        sha256 = sha256_of(credential)
        if sha256 not in self._groups and not is_well_formed(credential):
            return None
        identity = await asyncio.to_thread(self._look_up, sha256)
        if len(self._known) >= REMEMBERED_MAX:
            self._known.clear()
        self._known[credential] = _Known(identity, sha256, self._clock())
        return identity

    def _look_up(self, sha256: bytes) -> Identity | None:
        return self._with_passes(self._holder(sha256), self._store.passes(only_open=True))

    def _with_passes(self, identity: Identity | None, passes: Sequence[PremiumPass]) -> Identity | None:
        if identity is None or not passes:
            return identity
        return msgspec.structs.replace(identity, passes=passes_of(passes, identity))

    def _holder(self, sha256: bytes) -> Identity | None:
        group = self._groups.get(sha256)
        if group is not None:
            return Identity(
                environment=group.environment,
                key=group.name,
                key_id=f"group:{group.name}",
                group=group.name,
                wallet=group.wallet,
            )
        row = self._store.key_by_hash(sha256)
        known = row is not None and row.environment in self._policy.environments
        if row is None or not known or not row.is_good(self._clock()):
            return None
        return self._identity(row)

    def _identity(self, row: KeyRow) -> Identity:
        groups = {group.name: group for group in self._policy.groups}
        group = groups.get(row.group or "")
        return Identity(
            environment=row.environment,
            key=row.label,
            key_id=row.key_id,
            group=row.group,
            developer=row.developer or row.label,
            wallet=group.wallet if group else None,
        )

    async def keep_fresh(self) -> None:
        """Look again, once a second, at every key in use; runs until it is cancelled."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await asyncio.to_thread(self._refresh)
            except LedgerUnavailable:
                continue  # who is known stays known; whether money can be held is the next question

    def _refresh(self) -> None:
        passes = self._store.passes(only_open=True)
        if any(not held.is_live(self._clock()) for held in passes):
            self._store.note_lapses(self._clock())
        idle_before_us = self._clock() - IDLE_SECONDS * 1_000_000
        for credential, known in list(self._known.items()):
            if known.used_at_us < idle_before_us:
                self._known.pop(credential, None)
                continue
            known.identity = self._with_passes(self._holder(known.sha256), passes)
