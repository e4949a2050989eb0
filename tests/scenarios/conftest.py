"""Ledgers in memory that hold one scenario; the large ones are written once for all tests."""

from collections.abc import Callable, Iterator

import pytest

from farthing.ledger.memory import MemoryStore
from farthing.ledger.store import Store
from farthing.scenarios.rows import Row
from farthing.scenarios.writing import write

Written = Callable[[str, Callable[[], Iterator[Row]]], Store]


@pytest.fixture(scope="session")
def written() -> Iterator[Written]:
    """A ledger with a scenario, by a name; the second time it is the same one."""
    stores: dict[str, Store] = {}

    def find(name: str, rows: Callable[[], Iterator[Row]]) -> Store:
        if name not in stores:
            stores[name] = MemoryStore()
            write(rows(), stores[name])
        return stores[name]

    yield find
    for store in stores.values():
        store.close()
