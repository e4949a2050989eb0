"""Under /api stand our own paths and nothing else; what callers of others ask for there is unmetered."""

import pytest

from farthing.simulator.server import SimulatorServer
from tests.running import RunningGateway


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate", "/api/v1/rerank"])
def test_a_path_under_api_that_is_not_ours_cannot_be_metered(
    gateway: RunningGateway, simulator: SimulatorServer, path: str
) -> None:
    heard = gateway.post(path, {"model": "llama3", "messages": []}, gateway.key())

    assert (heard.status, heard.header("x-farthing-refusal")) == (404, "unmetered_path")
    assert simulator.record.received == 0


def test_a_path_under_api_answers_nobody_without_a_key(gateway: RunningGateway) -> None:
    assert gateway.post("/api/chat", {"model": "llama3"}, None).status == 401
