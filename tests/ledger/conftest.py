"""Every store in turn, so that each promise is asked of each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from farthing.ledger.memory import MemoryStore
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import Store


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """One store of each kind, empty; what a test did to it must add up when it ends."""
    opened: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "ledger.db")
    yield opened
    assert opened.verify() == []
    opened.close()


@pytest.fixture
def ledger_file(tmp_path: Path) -> Path:
    """Where a SQLite ledger may be made."""
    return tmp_path / "ledger.db"
