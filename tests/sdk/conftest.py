"""One simulator for all tests of this folder; each guard has a budget of its own."""

import gc
from collections.abc import Iterator

import pytest

from farthing.simulator.server import SimulatorServer


@pytest.fixture(scope="session")
def simulator_of_session() -> Iterator[SimulatorServer]:
    with SimulatorServer() as simulator:
        yield simulator


@pytest.fixture
def simulator(simulator_of_session: SimulatorServer) -> SimulatorServer:
    """A simulator that has not been called yet."""
    simulator_of_session.record.reset()
    return simulator_of_session


@pytest.fixture(scope="module", autouse=True)
def _leave_nothing() -> Iterator[None]:
    """Clients that a test leaves open are collected here, and not in the middle of somebody else's test."""
    yield
    gc.collect()
