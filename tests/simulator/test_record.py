"""Every call that arrives is written down before it is answered."""

import http.client
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from farthing.simulator.behaviour import Behaviour
from farthing.simulator.server import SimulatorServer
from tests.simulator.callers import CHAT, Caller, a_request


def test_a_call_is_remembered_with_all_that_came(caller: Caller) -> None:
    body = json.dumps(a_request(CHAT, "hello [[sim input=9 output=4]]")).encode()
    caller.post(f"{CHAT}?a=b", body, {"X-Label": "search"})

    (call,) = caller.simulator.record.calls
    assert (call.method, call.path, call.query, call.body) == ("POST", CHAT, "a=b", body.decode())
    assert call.header("x-label") == "search"
    assert (call.status, call.outcome, call.model) == (200, "answered", "gpt-4o-mini-2024-07-18")
    assert call.billed is not None
    assert (call.billed.input_tokens, call.billed.output_tokens) == (9, 4)


def test_calls_and_counters_are_served(caller: Caller) -> None:
    caller.say("hello")
    caller.say("[[sim status=500]]")
    caller.say("[[sim cut]]", stream=True)

    told = caller.get("/_simulator/calls").json()

    assert [call["number"] for call in told["calls"]] == [1, 2, 3]
    assert told["counters"] == {
        "received": 3,
        "outcomes": {"answered": 2, "cut": 1},
        "paths": {CHAT: 3},
        "statuses": {"200": 2, "500": 1},
    }
    caller.post("/_simulator/reset", b"")
    assert caller.get("/_simulator/calls").json()["calls"] == []


def test_what_is_billed_is_known_even_where_the_answer_does_not_tell(caller: Caller) -> None:
    caller.say("[[sim output=70 no_usage]]")
    caller.say("[[sim status=503]]")

    hidden, failed = caller.simulator.record.calls
    assert hidden.billed is not None
    assert hidden.billed.output_tokens == 70
    assert failed.billed is None


def test_only_the_newest_calls_are_kept() -> None:
    with SimulatorServer(kept_calls=2) as simulator:
        for text in ("one", "two", "three"):
            Caller(simulator).say(text)

        assert [call.number for call in simulator.record.calls] == [2, 3]
        assert simulator.record.received == 3


def test_the_log_has_a_call_before_its_answer_begins(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    with SimulatorServer(Behaviour(latency_ms=60_000), log=log) as simulator:
        with pytest.raises(TimeoutError):
            _impatient(simulator)

        (line,) = log.read_text().splitlines()
    told = json.loads(line)
    assert (told["path"], told["outcome"]) == (CHAT, "open")
    assert json.loads(told["body"])["model"] == "gpt-4o-mini"


def _impatient(simulator: SimulatorServer) -> None:
    connection = http.client.HTTPConnection(simulator.host, simulator.port, timeout=0.1)
    try:
        connection.request("POST", CHAT, json.dumps(a_request(CHAT, "hello")))
        connection.getresponse()
    finally:
        connection.close()


@pytest.fixture
def command(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str, Path]]:
    log = tmp_path / "calls.jsonl"
    command = [sys.executable, "-m", "farthing.simulator", "--port", "0", "--log", str(log)]
    with subprocess.Popen(
        [*command, "--behaviour", "output=5"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip(), log
        process.kill()


def test_the_command_prints_its_address_serves_and_ends_in_order(
    command: tuple[subprocess.Popen[str], str, Path],
) -> None:
    process, url, log = command

    request = urllib.request.Request(url + CHAT, json.dumps(a_request(CHAT, "hello")).encode())
    with urllib.request.urlopen(request, timeout=5) as response:
        answer = json.load(response)
    process.send_signal(signal.SIGTERM)

    assert answer["usage"]["completion_tokens"] == 5
    assert process.wait(5) == 0
    assert len(log.read_text().splitlines()) == 1


def test_the_command_refuses_settings_it_does_not_know() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "farthing.simulator", "--behaviour", "outptu=5"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.returncode == 2
    assert "outptu" in told.stderr
