"""A guarded client that points at a farthing gateway: the gateway keeps the books, once."""

from pathlib import Path

import openai
import pytest

from farthing import guard
from farthing.simulator.server import SimulatorServer
from tests.running import RunningGateway
from tests.sdk.asking import desk_of, entries_of, messages, report_of

POLICY = """
environments: {development: {}}
budgets:
  - {name: month, match: {environment: development}, limit: $10, period: monthly}
providers:
  targets:
    - {id: openai, provider: openai, base_url: SIMULATOR/v1}
"""


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_through_a_gateway_is_booked_there_and_not_here(
    simulator: SimulatorServer, tmp_path: Path, stream: bool
) -> None:
    with RunningGateway(POLICY, tmp_path, simulator) as gateway:
        key = gateway.key("development")
        client = guard(
            openai.OpenAI(base_url=gateway.openai_url, api_key=key.secret),
            budget=1,
            labels={"feature": "search"},
        )
        for _ in range(2):
            answer = client.chat.completions.create(
                model="gpt-4o-mini", messages=messages("hello"), stream=stream
            )
            if stream:
                list(answer)
        newest, first = gateway.entries(key)
        assert newest["labels"] == {"feature": "search"}  # known as a gateway by its first answer
        assert first["outcome"] == newest["outcome"] == "settled"
        assert entries_of(client) == [] and desk_of(client).gateways
        assert report_of(client).spent + report_of(client).held == 0
        assert report_of(client).calls == 0
