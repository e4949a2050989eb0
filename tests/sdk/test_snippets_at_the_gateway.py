"""Snippets around a request run as they stand: its tags, the models it may ask for, what it may cost."""

import http.client
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from typer.testing import CliRunner

from farthing import CallRefused, guard
from farthing.cli.main import app
from farthing.config.load import load_policy
from farthing.domain.errors import PolicyError
from farthing.simulator.server import SimulatorServer
from tests.running import CallKey, Json, RunningGateway, hear
from tests.sdk.asking import entries_of, messages
from tests.sdk.snippets import run

POLICY = """
environments: {development: {}, production: {}}
budgets:
  - {name: month, match: {environment: development}, limit: $10, period: monthly}
providers:
  targets:
    - {id: openai, provider: openai, base_url: SIMULATOR/v1}
"""


@pytest.fixture(scope="module")
def gateway(
    simulator_of_session: SimulatorServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    with RunningGateway(POLICY, tmp_path_factory.mktemp("gateway"), simulator_of_session) as running:
        yield running


# ── S6: a request ───────────────────────────────────────────────────────────────────────────────

REQUEST = """\
POST /proxy/openai/chat/completions
Authorization: Bearer mk_your_key_here
X-Metering-Tags: {"env":"development","team":"backend","feature":"search"}
"""
BODY = b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}'


def test_the_request_as_written_is_answered_and_its_tags_are_kept(gateway: RunningGateway) -> None:
    key = gateway.key("development")
    lines = REQUEST.replace("mk_your_key_here", key.secret).splitlines()
    needed = [f"Host: {gateway.host}", "Content-Type: application/json", f"Content-Length: {len(BODY)}"]
    head = "\r\n".join([f"{lines[0]} HTTP/1.1", *lines[1:], *needed, "", ""])
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=15)
    connection.sock = socket.create_connection((gateway.host, gateway.port), timeout=15)
    try:
        connection.sock.sendall(head.encode() + BODY)
        response = http.client.HTTPResponse(connection.sock, method="POST")
        response.begin()
        assert response.status == 200 and json.loads(response.read())["choices"]
    finally:
        connection.close()
    entry = gateway.entry(key)
    assert entry["labels"] == {"team": "backend", "feature": "search"}
    assert (entry["environment"], entry["claimed_environment"]) == ("development", "development")
    (received,) = list(gateway.simulator.record.calls)[-1:]
    assert received.header("x-metering-tags") is None and key.secret not in str(received.headers)


def test_curl_makes_the_same_request(gateway: RunningGateway) -> None:
    curl = shutil.which("curl")
    if curl is None:  # then the bytes above have to do
        return
    key = gateway.key("development")
    first, *headers = REQUEST.replace("mk_your_key_here", key.secret).splitlines()
    method, path = first.split()
    command = [curl, "-sS", "--noproxy", "*", "-X", method, f"{gateway.url}{path}", "-d", BODY.decode()]
    for header in (*headers, "Content-Type: application/json"):
        command += ["-H", header]
    ended = subprocess.run(command, capture_output=True, check=True, timeout=30)
    assert json.loads(ended.stdout)["object"] == "chat.completion"
    assert gateway.entry(key)["labels"]["feature"] == "search"


def asked_with(gateway: RunningGateway, key: CallKey, *tags: bytes) -> Json:
    """Send the request with such tags; return the entry."""
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=15)
    try:
        connection.putrequest("POST", "/proxy/openai/chat/completions")
        connection.putheader("Authorization", f"Bearer {key.secret}")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(BODY)))
        for value in tags:
            connection.putheader("X-Metering-Tags", value)
        connection.endheaders(BODY)
        assert hear(connection).status == 200  # whatever the tags say, the call is served
    finally:
        connection.close()
    return gateway.entry(key)


@pytest.mark.parametrize(
    ("tags", "labels"),
    [
        ([b'{ "team" : "backend" , "feature": "search" }'], {"team": "backend", "feature": "search"}),
        (['{"team": "größe 日本"}'.encode()], {"team": "größe 日本"}),
        ([b'{"team": {"name": "backend"}}'], None),
        ([b'{"team": "backend"'], None),
        ([b'["backend"]'], None),
        ([json.dumps({"team": "x" * 8_192}).encode()], None),
        ([b'{"team": "backend"}', b'{"team": "other"}'], None),
        ([], {}),
    ],
)
def test_tags_are_kept_where_they_are_labels_and_marked_where_not(
    gateway: RunningGateway, tags: list[bytes], labels: dict[str, str] | None
) -> None:
    entry = asked_with(gateway, gateway.key("development"), *tags)
    assert entry["labels"] == (labels or {})
    assert bool(entry["tags_invalid"]) == (labels is None)


def test_a_tag_cannot_move_a_call_into_another_environment(gateway: RunningGateway) -> None:
    entry = asked_with(gateway, gateway.key("development"), b'{"env": "production"}')
    assert (entry["environment"], entry["claimed_environment"]) == ("development", "production")
    assert entry["accounts"][0].startswith("month/")


# ── S7: tags by the environment of a process ────────────────────────────────────────────────────

HEADERS = """
import os

env_tag = os.getenv("APP_ENV", "development")
headers = {
    "X-Metering-Tags": json.dumps({
        "env": env_tag,
        "team": os.getenv("TEAM", "unknown"),
        "feature": "search"
    })
}
"""


@pytest.mark.parametrize("way", ["default_headers", "extra_headers"])
@pytest.mark.parametrize(("team", "kept"), [(None, "unknown"), ("backend", "backend")])
def test_headers_made_from_the_environment_are_sent_by_a_real_client(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch, way: str, team: str | None, kept: str
) -> None:
    if team is not None:
        monkeypatch.setenv("TEAM", team)
    headers, key = run(HEADERS, json=json)["headers"], gateway.key("development")
    always = headers if way == "default_headers" else None
    asked: dict[str, Any] = {} if always else {"extra_headers": headers}
    base = f"{gateway.url}/proxy/openai"
    with openai.OpenAI(base_url=base, api_key=key.secret, default_headers=always) as client:
        client.chat.completions.create(model="gpt-4o-mini", messages=messages("hello"), **asked)
    entry = gateway.entry(key)
    assert entry["labels"] == {"team": kept, "feature": "search"}
    assert entry["claimed_environment"] == "development"


def test_a_line_break_in_the_environment_adds_no_header(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_ENV", "production\r\nX-Evil: 1")
    headers, key = run(HEADERS, json=json)["headers"], gateway.key("development")
    with openai.OpenAI(base_url=gateway.openai_url, api_key=key.secret, default_headers=headers) as client:
        client.chat.completions.create(model="gpt-4o-mini", messages=messages("hello"))
    entry = gateway.entry(key)
    assert entry["tags_invalid"] and entry["environment"] == "development"
    assert list(gateway.simulator.record.calls)[-1].header("x-evil") is None


# ── S8: the models of each environment ──────────────────────────────────────────────────────────

ALLOWED = """
{
  "production": ["gpt-4o", "gpt-4o-mini", "claude-haiku-4-5"],
  "staging": ["gpt-4o", "gpt-4o-mini", "claude-haiku-4-5"],
  "development": ["gpt-4o-mini", "claude-haiku-4-5", "deepseek-chat"]
}
"""
DOWNGRADED = """
environments:
  development:
    models: {allow: [ALLOWED], otherwise: downgrade}
"""


def allowed(folder: Path, text: str = ALLOWED) -> Path:
    file = folder / "models.json"
    file.write_text(text, "utf-8")
    return file


def guarded(simulator: SimulatorServer, *policy: Path, environment: str) -> openai.OpenAI:
    client = openai.OpenAI(base_url=simulator.openai_url, api_key="any", max_retries=0)
    return guard(client, budget=1, policy=policy, environment=environment, ledger="memory://")


def ask(client: openai.OpenAI, model: str) -> str:
    client.chat.completions.create(model=model, messages=messages("hello"))
    return str(entries_of(client)[0].model_served)


@pytest.mark.parametrize("environment", ["production", "staging"])
@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4o-mini", "gpt-4o-2024-08-06"])
def test_a_list_of_models_is_a_policy_for_each_environment(
    simulator: SimulatorServer, tmp_path: Path, environment: str, model: str
) -> None:
    client = guarded(simulator, allowed(tmp_path), environment=environment)
    assert ask(client, model) == model


def test_a_model_that_is_not_on_the_list_is_refused_with_the_list(
    simulator: SimulatorServer, tmp_path: Path
) -> None:
    client = guarded(simulator, allowed(tmp_path), environment="development")
    with pytest.raises(CallRefused, match="gpt-4o-mini") as caught:
        ask(client, "gpt-4o")
    assert caught.value.reason == "model_not_allowed"
    assert not simulator.record.calls
    assert ask(client, "gpt-4o-mini") == "gpt-4o-mini"


def test_a_policy_may_downgrade_instead_and_never_across_dialects(
    simulator: SimulatorServer, tmp_path: Path
) -> None:
    for models, served in (("claude-haiku-4-5, gpt-4o-mini", "gpt-4o-mini"), ("claude-haiku-4-5", None)):
        file = tmp_path / f"{served}.yaml"
        file.write_text(DOWNGRADED.replace("ALLOWED", models), "utf-8")
        client = guarded(simulator, file, environment="development")
        if served is not None:
            assert ask(client, "gpt-4o") == served
            continue
        with pytest.raises(CallRefused, match="claude-haiku-4-5"):
            ask(client, "gpt-4o")


def test_an_empty_list_allows_nothing(simulator: SimulatorServer, tmp_path: Path) -> None:
    client = guarded(simulator, allowed(tmp_path, '{"production": []}'), environment="production")
    with pytest.raises(CallRefused):
        ask(client, "gpt-4o-mini")
    assert not simulator.record.calls


def test_an_environment_may_be_of_anybodys_making(simulator: SimulatorServer, tmp_path: Path) -> None:
    file = allowed(tmp_path, '{"moon": ["gpt-4o-mini"], "development": []}')
    assert ask(guarded(simulator, file, environment="moon"), "gpt-4o-mini") == "gpt-4o-mini"
    with pytest.raises(CallRefused):  # an unknown one counts as development, never as anything richer
        ask(guarded(simulator, file, environment="mars"), "gpt-4o-mini")


def test_a_list_of_something_else_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"models\.json"):
        load_policy([allowed(tmp_path, '{"development": ["gpt-4o-mini", 7]}')], {})


# ── S9: what a conversation costs ───────────────────────────────────────────────────────────────

TESTED = """
messages = [{"role": "user", "content": "Summarize this report"}]
"""
IN_PRODUCTION = """
messages = [
    {"role": "system", "content": system_prompt},
    *conversation_history,
    *rag_context,
    {"role": "user", "content": user_message},
]
"""


def words(count: int) -> str:
    return "word " * count


def estimated(folder: Path, asked: list[Json], model: str, *options: str) -> Json:
    file = folder / "body.json"
    file.write_text(json.dumps({"model": model, "messages": asked}), "utf-8")
    ended = CliRunner().invoke(app, ["estimate", str(file), "--output-cap", "1", "--json", *options])
    assert ended.exit_code == 0, ended.output
    (row,) = json.loads(ended.stdout)["estimates"]
    assert isinstance(row, dict) and row["input_bound_by"] == "exact count"
    return row


def test_a_conversation_with_its_context_is_estimated_at_forty_times_its_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tested = [*run(TESTED)["messages"], {"role": "system", "content": words(440)}]
    grown = run(
        IN_PRODUCTION,
        system_prompt=words(2_000),
        conversation_history=[{"role": "user", "content": words(1_000)} for _ in range(8)],
        rag_context=[{"role": "user", "content": words(2_000)} for _ in range(6)],
        user_message=words(200),
    )["messages"]
    small, large = estimated(tmp_path, tested, "gpt-4o"), estimated(tmp_path, grown, "gpt-4o")
    assert 500 <= small["input_tokens"] < 520
    assert 22_200 <= large["input_tokens"] < 22_500
    assert 43 < large["input_tokens"] / small["input_tokens"] < 45
    assert 55_500_000 <= large["ceiling_nanodollars"] < 56_300_000  # $2.50 for a million tokens

    (tmp_path / "farthing.yaml").write_text("prices: {gpt-4o: {input: 20.00, output: 20.00}}\n", "utf-8")
    flat = estimated(tmp_path, grown, "gpt-4o")
    assert 444_000_000 <= flat["ceiling_nanodollars"] < 450_000_000
