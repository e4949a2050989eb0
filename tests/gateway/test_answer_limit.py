"""An answer that does not stream is kept in memory, so it may not be of any size."""

from collections.abc import Iterator

import pytest

from farthing.gateway.calls import Limits
from farthing.simulator.server import SimulatorServer
from tests.gateway.conftest import POLICY
from tests.running import RunningGateway

ANSWER_BYTES_MAX = 200


@pytest.fixture(scope="module")
def narrow(
    simulator_of_session: SimulatorServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    limits = Limits(answer_bytes=ANSWER_BYTES_MAX, drain_seconds=1.0)
    with RunningGateway(POLICY, tmp_path_factory.mktemp("narrow"), simulator_of_session, limits=limits) as it:
        yield it


def test_an_answer_beyond_the_limit_is_booked_at_its_ceiling_and_answered_502(narrow: RunningGateway) -> None:
    key = narrow.key()

    heard = narrow.chat(key, "say much", max_tokens=100)
    entry = narrow.entry(key)

    assert heard.status == 502
    assert "larger than 200 bytes" in heard.json()["error"]["message"]
    assert (entry["assumed"], entry["assumed_rule"]) == (True, "broken")
    assert entry["cost_nanodollars"] == entry["ceiling_nanodollars"] > 0
    assert narrow.holds() == []


def test_a_stream_is_not_kept_and_may_be_longer(narrow: RunningGateway) -> None:
    key = narrow.key()

    heard = narrow.chat(key, "say much", max_tokens=100, stream=True)

    assert heard.status == 200
    assert len(heard.body) > ANSWER_BYTES_MAX
    assert narrow.entry(key)["assumed"] is False
