"""One simulator for all tests of this folder; each guard has a budget of its own."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from farthing.simulator.server import SimulatorServer

# What a machine that runs these tests may say, and must not decide.
SURROUNDINGS = (
    "FARTHING_ENV", "APP_ENV", "FARTHING_LEDGER", "CI", "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE",
    "CIRCLECI", "JENKINS_URL", "TF_BUILD", "CI_AI_BUDGET", "GITHUB_RUN_ID", "CI_PIPELINE_ID",
    "FARTHING_RUN", "FARTHING_GROUP", "GITHUB_RUN_ATTEMPT", "CI_JOB_ID", "BUILDKITE_BUILD_ID",
    "CIRCLE_WORKFLOW_ID", "BITBUCKET_PIPELINE_UUID", "TRAVIS_BUILD_ID", "BUILD_TAG", "BUILD_BUILDID",
)  # fmt: skip


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


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in SURROUNDINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
