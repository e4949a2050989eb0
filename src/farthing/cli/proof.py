"""Prove a real gateway on a free port: a call accrues exactly, a stream settles, a limit holds."""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from farthing.cli.examination import Check, bad, equal, good
from farthing.domain.money import decimal_text, dollars

POLICY = """\
environments:
  proof: {models: {allow: [gpt-4o-mini]}, at_limit: refuse}
budgets:
  - {name: proof, match: {environment: proof}, limit: $0.005, period: total}
providers:
  targets:
    - id: proof
      provider: openai
      model: gpt-4o-mini
      base_url: "%s"
      secret_key_ref: {env: FARTHING_PROOF_KEY}
prices:
  gpt-4o-mini: {input: 1.00, output: 4.00}
"""
LIMIT_NANODOLLARS = 5_000_000
# 100 input tokens at $1.00 and 500 output tokens at $4.00 per million.
COST_NANODOLLARS = 100 * 1_000 + 500 * 4_000
MESSAGE = "Say something of five hundred tokens, please. [[sim input=100 output=500]]"
START_SECONDS_MAX = 30
ANSWER_SECONDS_MAX = 30
STOP_SECONDS_MAX = 10


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP answer, whole."""

    status: int
    headers: dict[str, str]
    body: bytes


class Patient(msgspec.Struct, frozen=True, kw_only=True):
    """The temporary gateway that is examined."""

    port: int
    key: str
    admin_token: str
    ledger: Path
    start_ms: int

    def call(self, *, stream: bool = False) -> Reply:
        """Make one chat call whose cost is known beforehand."""
        body = {"model": "gpt-4o-mini", "max_tokens": 500, "messages": [{"role": "user", "content": MESSAGE}]}
        return self._ask("POST", "/v1/chat/completions", self.key, {**body, "stream": stream})

    def look_up(self, path: str) -> dict[str, object]:
        """Ask the governance API."""
        answer: dict[str, object] = json.loads(self._ask("GET", path, self.admin_token).body)
        return answer

    def _ask(self, method: str, path: str, credential: str, body: object = None) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS_MAX)
        try:
            headers = {"authorization": f"Bearer {credential}", "content-type": "application/json"}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(status=answer.status, headers=told, body=answer.read())
        finally:
            connection.close()


def prove() -> Iterator[Check]:
    """Run the proof; each check is yielded as soon as it is known."""
    try:
        from farthing.simulator.server import start_in_thread
    except ModuleNotFoundError as error:
        yield bad(
            "the gateway is installed", f"{error.name} is missing", fix="pip install 'farthing[gateway]'"
        )
        return
    with tempfile.TemporaryDirectory(prefix="farthing-doctor-") as folder:
        simulator = start_in_thread()
        try:
            with _gateway(Path(folder), simulator.openai_url) as patient:
                yield good("a gateway starts", f"ready in {patient.start_ms:,} ms")
                yield from _accrues(patient)
                yield from _streams(patient)
                yield from _stops_at_the_limit(patient)
                received = len(simulator.record.calls)
                yield equal(
                    "nothing went upstream after the limit", 2, received, f"{received} calls received"
                )
            yield _verifies(Path(folder))
        except (OSError, http.client.HTTPException, json.JSONDecodeError, KeyError) as error:
            yield bad(
                "the gateway could be examined", f"{type(error).__name__}: {error}", fix="run farthing serve"
            )
        finally:
            simulator.close()


def _accrues(patient: Patient) -> Iterator[Check]:
    reply = patient.call()
    yield equal("a call passes", 200, reply.status, "HTTP 200")
    told = reply.headers.get("x-farthing-cost-usd")
    yield equal("its answer tells the cost", decimal_text(COST_NANODOLLARS), told, f"${told}")
    entry = patient.look_up(f"/api/calls/{reply.headers.get('x-farthing-call-id')}")
    yield equal("its cost is on the ledger, exactly", COST_NANODOLLARS, entry.get("cost_nanodollars"),
                dollars(COST_NANODOLLARS))  # fmt: skip


def _streams(patient: Patient) -> Iterator[Check]:
    reply = patient.call(stream=True)
    whole = reply.body.rstrip().endswith(b"data: [DONE]")
    yield equal("a stream passes to its end", True, whole, f"{reply.body.count(b'data: ')} events")
    entry = patient.look_up(f"/api/calls/{reply.headers.get('x-farthing-call-id')}")
    found = (entry.get("outcome"), entry.get("assumed"), entry.get("cost_nanodollars"))
    yield equal("it is settled with the usage it reported", ("settled", False, COST_NANODOLLARS), found,
                dollars(COST_NANODOLLARS))  # fmt: skip


def _stops_at_the_limit(patient: Patient) -> Iterator[Check]:
    reply = patient.call()
    refusal = reply.headers.get("x-farthing-refusal")
    yield equal("a call that does not fit is refused", (429, "budget_exceeded"), (reply.status, refusal),
                f"HTTP 429, budget_exceeded, limit {dollars(LIMIT_NANODOLLARS)}")  # fmt: skip
    accounts = patient.look_up("/api/budgets").get("budgets")
    assert isinstance(accounts, list)
    found = [
        (row["spent_nanodollars"], row["held_nanodollars"]) for row in accounts if row["budget"] == "proof"
    ]
    spent = 2 * COST_NANODOLLARS
    yield equal("the refusal took nothing", [(spent, 0)], found, f"{dollars(spent)} spent, $0.00 held")


def _verifies(folder: Path) -> Check:
    from farthing.config.stores import open_store

    store = open_store(str(folder / "farthing.db"))
    try:
        differences = store.verify()
    finally:
        store.close()
    return equal("every balance is the sum of its entries", 0, len(differences), "0 differences")


@contextmanager
def _gateway(folder: Path, provider_url: str) -> Iterator[Patient]:
    """Start farthing serve as its users do, in a folder of its own."""
    from farthing.cli.opening import open_ledger, read_policy
    from farthing.gateway.key_admin import create_key

    policy, ledger = folder / "farthing.yaml", folder / "farthing.db"
    policy.write_text(POLICY % provider_url, encoding="utf-8")
    with open_ledger(str(ledger), [policy], make=True) as store:
        rules = read_policy([policy]).policy
        key, _ = create_key(
            store, rules, environment="proof", label="doctor", by="doctor", at_us=time.time_ns() // 1_000
        )
    began = time.monotonic_ns()
    arguments = ["serve", "--policy", str(policy), "--ledger", str(ledger), "--port", "0", "--json"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FARTHING_")}
    serving = subprocess.Popen(  # noqa: S603 - our own interpreter, our own module
        [sys.executable, "-m", "farthing.cli", *arguments],
        env={**environ, "FARTHING_PROOF_KEY": "not-a-secret"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # Who hangs instead of starting is ended, and what it printed so far is all there is.
    watchdog = threading.Timer(START_SECONDS_MAX, serving.kill)
    watchdog.start()
    try:
        told = _first_document(serving)
        watchdog.cancel()
        port = int(str(told["url"]).rpartition(":")[2])
        start_ms = (time.monotonic_ns() - began) // 1_000_000
        yield Patient(
            port=port, key=key, admin_token=str(told["admin_token"]), ledger=ledger, start_ms=start_ms
        )
    finally:
        watchdog.cancel()
        serving.terminate()
        _wait(serving)


def _wait(serving: "subprocess.Popen[str]") -> None:
    try:
        serving.communicate(timeout=STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        serving.kill()
        serving.communicate()


def _first_document(serving: "subprocess.Popen[str]") -> dict[str, object]:
    """Read the JSON document that serve prints once it answers."""
    assert serving.stdout is not None
    lines: list[str] = []
    for line in serving.stdout:
        lines.append(line)
        if line == "}\n":
            document: dict[str, object] = json.loads("".join(lines))
            return document
    assert serving.stderr is not None
    raise OSError(f"farthing serve ended: {serving.stderr.read().strip()[-500:]}")
