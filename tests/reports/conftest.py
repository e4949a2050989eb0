"""The month of three environments, written once for all tests that read it, in every process of a run."""

import fcntl
from collections.abc import Callable, Iterator

import pytest

from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import Store
from farthing.scenarios.pricing import Profile
from farthing.scenarios.seeds_environments import g1
from farthing.scenarios.writing import write

Months = Callable[..., Store]


@pytest.fixture(scope="session")
def months(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Months]:
    """The ledger of G1 in a profile. It is for all: who writes into one takes a ledger of his own."""
    base = tmp_path_factory.getbasetemp()
    folder = base if worker_id == "master" else base.parent
    stores: dict[Profile, SqliteStore] = {}

    def of(profile: Profile = Profile.PUBLISHED) -> Store:
        if profile not in stores:
            file = folder / f"month-{profile.value}.db"
            whole = file.with_suffix(".whole")
            with file.with_suffix(".turn").open("w") as turn:
                fcntl.flock(turn, fcntl.LOCK_EX)
                stores[profile] = SqliteStore(file)
                if not whole.exists():
                    write(g1(profile), stores[profile])
                    whole.touch()
        return stores[profile]

    yield of
    for store in stores.values():
        store.close()
