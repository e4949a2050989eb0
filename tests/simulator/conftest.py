from collections.abc import Iterator

import pytest

from farthing.simulator.server import SimulatorServer
from tests.simulator.callers import Caller
from tests.simulator.traffic import TRAFFIC

collect_ignore = [] if TRAFFIC.is_dir() else ["test_recorded_requests.py"]


@pytest.fixture(scope="session")
def _running() -> Iterator[SimulatorServer]:
    with SimulatorServer() as simulator:
        yield simulator


@pytest.fixture
def simulator(_running: SimulatorServer) -> SimulatorServer:
    """A simulator that has not been called yet."""
    _running.record.reset()
    return _running


@pytest.fixture
def caller(simulator: SimulatorServer) -> Caller:
    return Caller(simulator)
