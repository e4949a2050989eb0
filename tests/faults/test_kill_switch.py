"""One command stops two gateways and the guards of another process, all on one file, within a second."""

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from farthing.domain.period import MICROSECONDS, to_microseconds
from farthing.ledger.entries import Outcome
from farthing.ledger.sqlite import SqliteStore
from tests.faults.conftest import Measured
from tests.faults.processes import Gateway, Simulator, a_gateway, eventually

POLICY = """
environments: {development: {at_limit: observe}}
budgets:
  - {name: month, match: {environment: development}, limit: $1000, period: monthly}
providers:
  targets:
    - {id: openai, provider: openai, base_url: SIMULATOR/v1}
"""

# Two guards of one process, one of them asynchronous, ask until each is refused; then each tells when.
GUARDS = """
import asyncio, sys, threading, time
import openai
from farthing import CallRefused, guard

URL, LEDGER = sys.argv[1:]
ASKED = dict(model="gpt-4o-mini", messages=[{"role": "user", "content": "hello"}], max_tokens=50)

def guarded(kind, on_limit):
    client = kind(base_url=URL, api_key="any")
    return guard(
        client, budget=100, workflow_id=kind.__name__, ledger=LEDGER, environment="development",
        on_limit=on_limit,
    )

def say(line):
    sys.stdout.write(line + "\\n")
    sys.stdout.flush()

def tell(name, refused):
    at_us, in_kind = time.time_ns() // 1000, isinstance(refused, openai.PermissionDeniedError)
    say(f"{name} {at_us} {refused.reason.value} {in_kind}")

def ask():
    client = guarded(openai.OpenAI, "warn")
    client.chat.completions.create(**ASKED)
    say("asking")
    try:
        while True:
            client.chat.completions.create(**ASKED)
    except CallRefused as refused:
        tell("sync", refused)

async def ask_async():
    async with guarded(openai.AsyncOpenAI, "stop") as client:
        await client.chat.completions.create(**ASKED)
        say("asking")
        try:
            while True:
                await client.chat.completions.create(**ASKED)
        except CallRefused as refused:
            tell("async", refused)

thread = threading.Thread(target=ask)
thread.start()
asyncio.run(ask_async())
thread.join()
"""


class Caller(threading.Thread):
    """Asks a gateway until it is refused, and remembers when that was."""

    def __init__(self, gateway: Gateway, key: str) -> None:
        super().__init__()
        self.answered = 0
        self.refused_at_us = 0
        self.status = 0
        self._gateway = gateway
        self._key = key

    def run(self) -> None:
        """One call after the other on one connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self._gateway.port, timeout=30)
        body = {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": "hello"}],
            "max_tokens": 50,
        }
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        while not self.refused_at_us:
            connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
            response = connection.getresponse()
            response.read()
            self.status = response.status
            if response.status == http.HTTPStatus.OK:
                self.answered += 1
            else:
                self.refused_at_us = now_us()
        connection.close()


def now_us() -> int:
    return time.time_ns() // 1_000


def farthing(*arguments: str) -> str:
    command = [sys.executable, "-m", "farthing", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@contextmanager
def guards(simulator: Simulator, ledger: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", GUARDS, f"{simulator.url}/v1", f"sqlite:///{ledger}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for _ in range(2):
            assert process.stdout.readline() == "asking\n"
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_one_command_stops_every_process_on_the_ledger(
    simulator: Simulator, ledger: Path, tmp_path: Path, measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    policy = tmp_path / "farthing.yaml"
    policy.write_text(POLICY.replace("SIMULATOR", simulator.url), "utf-8")
    where = ("--policy", str(policy), "--ledger", f"sqlite:///{ledger}")
    key = farthing("key", "create", "--environment", "development", "--label", "al", *where).strip()
    with (
        a_gateway(policy, ledger) as first,
        a_gateway(policy, ledger) as second,
        guards(simulator, ledger) as process,
    ):
        callers = [Caller(first, key), Caller(second, key)]
        for caller in callers:
            caller.start()
        eventually(lambda: all(caller.answered for caller in callers), 30, "both gateways answer")

        began_us = now_us()
        stop = json.loads(farthing("stop", "--all", "--reason", "bill explodes", "--json", *where))
        ended_us = now_us()

        told, errors = process.communicate(timeout=30)
        for caller in callers:
            caller.join(30)
    assert process.returncode == 0, errors
    assert [caller.status for caller in callers] == [403, 403]
    of_guards = [line.split() for line in told.splitlines()]
    assert sorted(line[0] for line in of_guards) == ["async", "sync"]
    assert {(line[2], line[3]) for line in of_guards} == {("stopped", "True")}

    stopped_us = at_us(stop["at"])
    refused_us = [*(caller.refused_at_us for caller in callers), *(int(line[1]) for line in of_guards)]
    waits_us = [one - stopped_us for one in refused_us]
    measured(
        f"refused {', '.join(f'{wait / 1000:.0f} ms' for wait in waits_us)} after the stop "
        f"(two gateways, two guards); from the start of the command to the last of them "
        f"{(max(refused_us) - began_us) / 1000:.0f} ms, to its own end {(ended_us - began_us) / 1000:.0f} ms"
    )
    assert max(waits_us) < MICROSECONDS
    store = SqliteStore(ledger)
    entries = store.entries(limit=10_000)
    assert max(row.at_us for row in entries if row.outcome is Outcome.SETTLED) < ended_us
    refused = [row for row in entries if row.outcome is Outcome.REFUSED]
    assert {(row.reason, row.rules) for row in refused} == {("stopped", (stop["stop_id"],))}
    assert len(refused) == 4
    assert store.open_holds() == []
    assert store.verify() == []
    store.close()


def at_us(text: str) -> int:
    return to_microseconds(datetime.fromisoformat(text))
