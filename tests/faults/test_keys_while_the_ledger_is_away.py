"""Keys while the ledger cannot be asked: who is known stays known, and revoking works again afterwards."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from farthing.domain.errors import LedgerUnavailable
from farthing.gateway import identities as under_test
from farthing.gateway.identities import Identities
from farthing.gateway.key_admin import create_key
from farthing.ledger.people import KeyRow
from farthing.ledger.sqlite import SqliteStore
from tests.builders import Clock, a_policy


class _SometimesAway(SqliteStore):
    away = False
    asked_while_away = 0

    def key_by_hash(self, sha256: bytes) -> KeyRow | None:
        if self.away:
            self.asked_while_away += 1
            raise LedgerUnavailable("the disk is gone")
        return super().key_by_hash(sha256)


async def _until(fact: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not fact():
            await asyncio.sleep(0.01)


def test_a_key_in_use_stays_known_while_the_ledger_is_away_and_can_be_revoked_afterwards(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "REFRESH_SECONDS", 0.01)
    store, policy, clock = _SometimesAway(ledger), a_policy(), Clock()
    used, row = create_key(store, policy, environment="development", label="alice", by="ana", at_us=clock())
    unused, _ = create_key(store, policy, environment="development", label="bob", by="ana", at_us=clock())

    async def run() -> None:
        known = Identities(store, policy, clock)
        refreshing = asyncio.ensure_future(known.keep_fresh())
        assert await known.find(used) is not None
        store.away = True
        await _until(lambda: store.asked_while_away > 1)
        assert await known.find(used) is not None
        with pytest.raises(LedgerUnavailable):
            await known.find(unused)
        store.away = False
        store.revoke_key(row.key_id, clock(), by="ana")
        async with asyncio.timeout(10):
            while await known.find(used) is not None:
                await asyncio.sleep(0.01)
        assert await known.find(unused) is not None
        refreshing.cancel()
        await asyncio.gather(refreshing, return_exceptions=True)

    asyncio.run(run())
    store.close()
