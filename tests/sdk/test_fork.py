"""A guard in forked children: each opens the shared ledger for itself, and what the dead held is found."""

import subprocess
import sys
from pathlib import Path

from farthing.simulator.server import SimulatorServer

PROGRAM = """
import os, sys, time
import openai
from farthing import guard

def ask(client, **more):
    words = [{"role": "user", "content": "hello [[sim output=100]]"}]
    return client.chat.completions.create(model="gpt-4o-mini", messages=words, max_tokens=200, **more)

def fresh():
    return guard(
        openai.OpenAI(base_url=sys.argv[1], api_key="any"),
        budget=1, workflow_id="forked", ledger=sys.argv[2], environment="development",
    )

client = fresh()
ask(client)
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        client = fresh()  # open connections cannot be shared across a fork; the ledger can
        ask(client)
        stream = ask(client, stream=True)
        next(stream)
        os._exit(0)  # in the middle of a stream: nobody settles it here
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
deadline = time.monotonic() + 20
while client.farthing.held:
    assert time.monotonic() < deadline, client.farthing
    ask(client)
    time.sleep(0.2)
store = client._client._transport.desk.runtime.store
assert store.verify() == []
rules = [entry.assumed_rule for entry in store.entries()]
assert rules.count("owner_died") == 3, rules
"""


def test_children_share_the_budget_and_what_they_leave_is_settled(
    simulator: SimulatorServer, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", PROGRAM, simulator.openai_url, f"sqlite:///{tmp_path / 'forked.db'}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert ended.returncode == 0, ended.stderr
