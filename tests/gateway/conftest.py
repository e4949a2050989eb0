"""One gateway for all tests of this folder; environments and keys keep them apart."""

import logging
from collections.abc import Iterator

import pytest

from farthing.gateway.calls import Limits
from farthing.simulator.server import SimulatorServer
from tests.running import Log, RunningGateway

POLICY = """
organization: acme
timezone: UTC
environments:
  production: {}
  development:
    models: {allow: [gpt-4o-mini, claude-haiku-4-5, deepseek-chat], otherwise: downgrade}
    downgrade: {gpt-4o: gpt-4o-mini, "claude-*": claude-haiku-4-5}
  strict:
    models: {allow: [gpt-4o-mini, claude-haiku-4-5, gemini-2.5-flash-lite], otherwise: refuse}
  bounded: {unbounded: refuse}
  rated: {rate_limit: 1/hour}
  cancelling: {on_disconnect: cancel}
  purse: {at_limit: refuse}
  clamping: {}
  dry: {at_limit: refuse}
budgets:
  - {name: production-month, match: {environment: production}, limit: "$1,000,000", period: monthly}
  - {name: development-month, match: {environment: development}, limit: "$100,000", period: monthly}
  - {name: purse-month, match: {environment: purse}, per: developer, limit: $0.01, period: monthly}
  - {name: clamping-month, match: {environment: clamping}, per: developer, limit: $0.01, period: monthly}
  - {name: dry-month, match: {environment: dry}, limit: $0.00, period: monthly}
providers:
  targets:
    - {id: openai, provider: openai, base_url: SIMULATOR/v1}
    - {id: anthropic, provider: anthropic, base_url: SIMULATOR}
    - {id: google, provider: google, base_url: SIMULATOR}
    - {id: unreachable, provider: vllm, model: nobody-listens, base_url: "http://127.0.0.1:1/v1",
       pricing: {input: 1.00, output: 2.00}}
"""
ANSWER_SECONDS = 1.0


@pytest.fixture(scope="session")
def simulator_of_session() -> Iterator[SimulatorServer]:
    with SimulatorServer() as simulator:
        yield simulator


@pytest.fixture(scope="session")
def gateway_of_session(
    simulator_of_session: SimulatorServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("gateway")
    limits = Limits(body_bytes=4 * 1024 * 1024, drain_seconds=5.0)
    with RunningGateway(
        POLICY, folder, simulator_of_session, limits=limits, answer_seconds=ANSWER_SECONDS
    ) as gateway:
        yield gateway


@pytest.fixture
def simulator(simulator_of_session: SimulatorServer) -> SimulatorServer:
    """A simulator that has not been called yet."""
    simulator_of_session.record.reset()
    return simulator_of_session


@pytest.fixture
def log() -> Iterator[Log]:
    """What is logged during a test."""
    handler = Log()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def gateway(
    gateway_of_session: RunningGateway, simulator: SimulatorServer, log: Log
) -> Iterator[RunningGateway]:
    """The gateway, which must not meet an error of its own in any test."""
    before = gateway_of_session.metric("farthing_internal_errors_total")
    yield gateway_of_session
    assert log.errors == []
    assert gateway_of_session.metric("farthing_internal_errors_total") == before
