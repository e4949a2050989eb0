"""The response cache through the guard: a policy that keeps answers keeps them at either door."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

from farthing import BudgetExceeded, Fence, guard
from farthing.ledger.entries import Entry
from farthing.ledger.sqlite import SqliteStore
from farthing.simulator.server import SimulatorServer
from tests.running import RunningGateway
from tests.sdk.asking import entries_of, messages, report_of

POLICY = """
environments:
  development: {cache: {enabled: true, ttl_seconds: 7200, max_entries: 5000}}
  production: {cache: {enabled: true, ttl_seconds: 900, max_entries: 20000}}
  staging: {}
  rated: {cache: {enabled: true}, rate_limit: 2/hour}
providers:
  targets:
    - {id: openai, provider: openai, base_url: SIMULATOR/v1}
    - {id: anthropic, provider: anthropic, base_url: SIMULATOR}
    - {id: google, provider: google, base_url: SIMULATOR}
"""


@pytest.fixture
def policy(simulator: SimulatorServer, tmp_path: Path) -> Path:
    file = tmp_path / "farthing.yaml"
    file.write_text(POLICY.replace("SIMULATOR", simulator.url), "utf-8")
    return file


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'guard.db'}"


class Client:
    """A guarded OpenAI client of an environment."""

    def __init__(self, simulator: SimulatorServer, **guarding: Any) -> None:
        plain = openai.OpenAI(base_url=simulator.openai_url, api_key="any")
        self.client = guard(plain, **{"budget": "$5", **guarding})

    def ask(self, text: str = "hello", **more: Any) -> str | None:
        raw = self.client.chat.completions.with_raw_response.create(
            model="gpt-4o-mini", messages=messages(text), **more
        )
        told = raw.headers.get("x-farthing-cache")
        return None if told is None else str(told)

    def entries(self) -> list[Entry]:
        return entries_of(self.client)


@pytest.fixture
def client(simulator: SimulatorServer, policy: Path, ledger: str) -> Iterator[Client]:
    made = Client(simulator, policy=policy, ledger=ledger)
    yield made
    made.client.close()


def test_an_identical_request_is_answered_for_nothing(client: Client, simulator: SimulatorServer) -> None:
    assert [client.ask() for _ in range(3)] == ["miss", "hit", "hit"]

    assert simulator.record.received == 1
    assert report_of(client.client).calls == 1
    hit, _, miss = client.entries()
    assert (hit.outcome.value, hit.cost_nanodollars, hit.cache) == ("cached", 0, "hit")
    assert hit.avoided_nanodollars == miss.cost_nanodollars > 0


def test_a_stream_is_kept_and_read_as_a_stream(client: Client, simulator: SimulatorServer) -> None:
    def ask() -> str:
        stream = client.client.chat.completions.create(
            model="gpt-4o-mini", messages=messages("hello [[sim chunks=5]]"), stream=True
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    assert ask() == ask() != ""
    assert [entry.outcome.value for entry in client.entries()] == ["cached", "settled"]


def test_a_stream_that_its_reader_left_is_not_kept(client: Client, simulator: SimulatorServer) -> None:
    for _ in range(2):
        with client.client.chat.completions.create(
            model="gpt-4o-mini", messages=messages("hello [[sim chunks=9]]"), stream=True
        ) as stream:
            next(iter(stream))

    assert simulator.record.received == 2
    assert [entry.outcome.value for entry in client.entries()] == ["settled", "settled"]


def test_without_a_policy_nothing_is_kept(simulator: SimulatorServer) -> None:
    client = Client(simulator)

    assert [client.ask() for _ in range(2)] == [None, None]
    assert simulator.record.received == 2


def test_environments_keep_their_own(simulator: SimulatorServer, policy: Path, ledger: str) -> None:
    clients = [
        Client(simulator, policy=policy, ledger=ledger, environment=environment)
        for environment in ("development", "production", "staging")
    ]

    assert [one.ask() for one in clients] == ["miss", "miss", None]
    assert [one.ask() for one in clients] == ["hit", "hit", None]


def test_rules_hold_here_too(client: Client) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}

    assert client.ask(tools=[tool]) == "off; tools"
    assert client.ask(temperature=1.5) == "off; temperature"
    assert client.ask(extra_headers={"Cache-Control": "no-store"}) == "off; no-store"
    assert client.ask() == "miss"
    assert client.ask(extra_headers={"Cache-Control": "no-cache"}) == "miss"
    assert client.ask() == "hit"


def test_a_hit_needs_no_money_and_uses_a_request(
    simulator: SimulatorServer, policy: Path, ledger: str
) -> None:
    client = Client(simulator, policy=policy, ledger=ledger, environment="rated", budget="$0.001")
    assert client.ask("hello [[sim output=1600]]", max_tokens=1_600) == "miss"

    assert client.ask("hello [[sim output=1600]]", max_tokens=1_600) == "hit"
    with pytest.raises(openai.RateLimitError):
        client.ask("hello [[sim output=1600]]", max_tokens=1_600)
    assert [entry.outcome.value for entry in client.entries()] == ["refused", "cached", "settled"]


def test_a_fence_that_is_spent_stays_shut_for_hits_too(
    simulator: SimulatorServer, policy: Path, ledger: str
) -> None:
    client = Client(simulator, policy=policy, ledger=ledger)
    client.ask("kept")
    with pytest.raises(BudgetExceeded), Fence(budget="$0.000001", ledger=ledger):
        assert client.ask("kept") == "hit"
        client.ask("more [[sim output=100]]", max_tokens=5_000)


def test_another_server_is_another_answer(simulator: SimulatorServer, policy: Path, ledger: str) -> None:
    client = Client(simulator, policy=policy, ledger=ledger)
    client.ask()
    elsewhere = client.client.with_options(base_url=simulator.openai_url.replace("127.0.0.1", "localhost"))

    raw = elsewhere.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=messages("hello"))

    assert raw.headers["x-farthing-cache"] == "miss"


def test_asynchronous_and_other_clients_read_what_is_kept(
    simulator: SimulatorServer, policy: Path, ledger: str
) -> None:
    async def ask_openai() -> list[str]:
        plain = openai.AsyncOpenAI(base_url=simulator.openai_url, api_key="any")
        async with guard(plain, budget="$5", policy=policy, ledger=ledger) as client:
            said = []
            for _ in range(2):
                stream = await client.responses.create(model="gpt-4o-mini", input="hello", stream=True)
                said.append("".join([str(getattr(event, "delta", "")) async for event in stream]))
            return said

    one, other = asyncio.run(ask_openai())
    assert one == other != ""

    claude = guard(
        anthropic.Anthropic(base_url=simulator.url, api_key="any"), budget="$5", policy=policy, ledger=ledger
    )
    answers = [
        claude.messages.create(model="claude-haiku-4-5", max_tokens=50, messages=messages("hello"))
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    claude.close()
    gemini = guard(
        genai.Client(api_key="any", http_options=types.HttpOptions(base_url=simulator.url)),
        budget="$5", policy=policy, ledger=ledger,
    )  # fmt: skip
    for _ in range(2):
        gemini.models.generate_content(model="gemini-2.5-flash-lite", contents="hello")
    gemini.close()

    assert simulator.record.received == 3
    store = SqliteStore(ledger.removeprefix("sqlite:///"))
    outcomes = [entry.outcome.value for entry in store.entries()]
    assert store.verify() == []
    store.close()
    assert sorted(outcomes) == ["cached"] * 3 + ["settled"] * 3


def test_a_ledger_in_memory_keeps_answers_in_memory(
    simulator: SimulatorServer, policy: Path, tmp_path: Path
) -> None:
    client = Client(simulator, policy=policy, ledger="memory://")

    assert [client.ask("in memory") for _ in range(2)] == ["miss", "hit"]
    assert [file.name for file in tmp_path.iterdir()] == [policy.name]


IN_ANOTHER_PROCESS = """
import sys, openai
from farthing import guard

url, policy, ledger = sys.argv[1:]
client = guard(openai.OpenAI(base_url=url, api_key="any"), budget="$5", policy=policy, ledger=ledger)
raw = client.chat.completions.with_raw_response.create(
    model="gpt-4o-mini", messages=[{"role": "user", "content": "hello"}]
)
print(raw.headers["x-farthing-cache"])
"""


def test_processes_on_one_ledger_file_share_answers(
    client: Client, simulator: SimulatorServer, policy: Path, ledger: str
) -> None:
    assert client.ask() == "miss"
    asked = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, simulator.openai_url, str(policy), ledger],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip

    assert (asked.stdout.strip(), asked.stderr) == ("hit", "")


def test_a_forked_child_finds_what_its_parent_keeps(client: Client) -> None:
    assert client.ask() == "miss"
    child = os.fork()
    if child == 0:
        os._exit(0 if client.ask() == "hit" else 1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert client.ask() == "hit"


def test_both_doors_serve_the_same_calls_from_the_cache(
    simulator: SimulatorServer, policy: Path, ledger: str, tmp_path: Path
) -> None:
    warm, hot, twice, short, streamed = (
        {"temperature": 0.5}, {"temperature": 1.5}, {"n": 2}, {"max_tokens": 5}, {"stream": True},
    )  # fmt: skip
    askings: list[dict[str, Any]] = [
        {}, {}, warm, hot, hot, warm, twice, twice, short, streamed, streamed, short, {"store": True}, {},
    ]  # fmt: skip
    text = "hello [[sim input=30 output=20]]"
    folder = tmp_path / "gateway"
    folder.mkdir()
    with RunningGateway(POLICY, folder, simulator) as gateway:
        key = gateway.key("development")
        for more in askings:
            assert gateway.chat(key, text, **more).status == 200
        rows = [
            (row["outcome"], row["cost_nanodollars"], row["avoided_nanodollars"])
            for row in gateway.entries(key)
        ]

    client = Client(simulator, policy=policy, ledger=ledger)
    completions = client.client.chat.completions
    for more in askings:
        answer = completions.create(model="gpt-4o-mini", messages=messages(text), **more)
        if more.get("stream"):
            list(answer)

    mine = [
        (entry.outcome.value, entry.cost_nanodollars, entry.avoided_nanodollars) for entry in client.entries()
    ]
    assert mine == rows
    assert [outcome for outcome, _, _ in rows].count("cached") == 6
