"""When the ledger cannot answer: closed by default, open where the policy says so, and nothing is lost."""

import http.client
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from farthing.domain.errors import LedgerUnavailable
from farthing.ledger.entries import Answer, Operation
from farthing.simulator.server import SimulatorServer
from tests.running import CallKey, Heard, RunningGateway, hear, wait_until

POLICY = """
environments:
  closed: {}
  open: {on_ledger_failure: open}
budgets:
  - {name: closed-month, match: {environment: closed}, limit: $100, period: monthly}
  - {name: open-month, match: {environment: open}, limit: $100, period: monthly}
providers: {targets: [{id: sim, provider: simulator}]}
"""
PATHS = {
    "/v1/chat/completions": "gpt-4o-mini",
    "/v1/messages": "claude-haiku-4-5",
    "/v1beta/models/gemini-2.5-flash:generateContent": "",
}


@pytest.fixture(scope="module")
def _own_gateway(
    tmp_path_factory: pytest.TempPathFactory, simulator_of_session: SimulatorServer
) -> Iterator[RunningGateway]:
    with RunningGateway(POLICY, tmp_path_factory.mktemp("failing"), simulator_of_session) as gateway:
        yield gateway


@pytest.fixture
def failing(_own_gateway: RunningGateway, simulator: SimulatorServer) -> RunningGateway:
    """A gateway whose ledger can be broken."""
    return _own_gateway


@pytest.fixture
def ledger(failing: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> "BrokenLedger":
    return BrokenLedger(failing, monkeypatch)


@contextmanager
def caller(
    gateway: RunningGateway, key: CallKey, text: str, *, stream: bool
) -> Iterator[Callable[[], Heard]]:
    """Ask, and hand out a function that waits for the answer."""
    message = [{"role": "user", "content": text}]
    body = {"model": "gpt-4o-mini", "stream": stream, "messages": message}
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=30)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body).encode(), key.bearer)
        yield lambda: hear(connection)
    finally:
        connection.close()


class BrokenLedger:
    """Breaks the writing side of a ledger, as a full disk does, and mends it."""

    def __init__(self, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
        self._store = gateway.running.store
        self._works: Callable[[Sequence[Operation]], list[Answer]] = self._store.apply
        self._monkeypatch = monkeypatch

    def breaks(self) -> None:
        def apply(operations: Sequence[Operation]) -> list[Answer]:
            raise LedgerUnavailable("the disk is full")

        self._monkeypatch.setattr(self._store, "apply", apply)

    def is_mended(self) -> None:
        self._monkeypatch.setattr(self._store, "apply", self._works)


@pytest.mark.parametrize("path", PATHS)
def test_no_money_can_be_held_so_no_call_is_made(
    failing: RunningGateway, simulator: SimulatorServer, ledger: BrokenLedger, path: str
) -> None:
    key = failing.key("closed")
    message = [{"role": "user", "content": "hi"}]
    body = {"model": PATHS[path], "max_tokens": 100, "messages": message}
    if not PATHS[path]:
        body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    ledger.breaks()
    heard = failing.post(path, body, key)

    assert (heard.status, heard.header("x-farthing-refusal")) == (503, "ledger_unavailable")
    assert heard.header("retry-after") == "1"
    assert "the disk is full" in heard.json()["error"]["message"]
    assert simulator.record.received == 0
    ledger.is_mended()
    assert failing.post(path, body, key).status == 200


def test_a_gateway_whose_ledger_cannot_be_written_is_alive_but_not_ready(
    failing: RunningGateway, ledger: BrokenLedger
) -> None:
    ready = failing.request("GET", "/readyz").status
    ledger.breaks()
    full = failing.request("GET", "/readyz").status, failing.request("GET", "/healthz").status
    ledger.is_mended()

    assert (ready, full, failing.request("GET", "/readyz").status) == (200, (503, 200), 200)


@pytest.mark.parametrize("stream", [False, True])
def test_an_open_environment_is_served_counted_and_booked_later(
    failing: RunningGateway, ledger: BrokenLedger, *, stream: bool
) -> None:
    key, before = failing.key("open"), failing.metric("farthing_opened_without_ledger_total")
    ledger.breaks()
    heard = failing.chat(key, "hi [[sim input=100 output=50]]", stream=stream)

    assert heard.status == 200
    assert any(text.startswith("ledger_unavailable") for text in heard.all("x-farthing-warning"))
    assert failing.metric("farthing_opened_without_ledger_total") == before + 1
    assert failing.metric("farthing_settlements_waiting") == 1
    assert failing.entries(key) == []
    ledger.is_mended()
    entry = failing.entry(key)
    assert (entry["outcome"], entry["cost_nanodollars"]) == ("settled", 100 * 150 + 50 * 600)
    assert entry["accounts"][0].startswith("open-month/")
    wait_until(lambda: failing.metric("farthing_settlements_waiting") == 0)


@pytest.mark.parametrize("environment", ["open", "closed"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_was_under_way_is_settled_when_the_ledger_is_back(
    failing: RunningGateway,
    simulator: SimulatorServer,
    ledger: BrokenLedger,
    environment: str,
    *,
    stream: bool,
) -> None:
    key = failing.key(environment)
    with caller(failing, key, "hi [[sim input=100 output=50 latency_ms=200]]", stream=stream) as answer:
        wait_until(lambda: simulator.record.received == 1)
        ledger.breaks()
        heard = answer()

    assert heard.status == 200
    if not stream:
        assert "settlement_delayed" in " ".join(heard.all("x-farthing-warning"))
        assert heard.header("x-farthing-cost-usd") is None
    assert failing.entries(key) == []
    ledger.is_mended()
    assert failing.entry(key)["cost_nanodollars"] == 100 * 150 + 50 * 600
    assert failing.holds() == []


def test_the_ledgers_own_reading_side_stays(failing: RunningGateway, ledger: BrokenLedger) -> None:
    ledger.breaks()

    assert failing.request("GET", "/healthz").status == 200
    assert failing.admin("/api/budgets").status == 200
    assert failing.request("GET", "/metrics").status == 200


def test_the_governance_api_says_how_to_go_on_where_that_is_known(
    failing: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def entries(**_: object) -> None:
        raise LedgerUnavailable("the archive cannot be read", fix="put the file back")

    monkeypatch.setattr(failing.running.store, "entries", entries)

    answer = failing.admin("/api/calls")

    assert answer.status == 503
    assert "the ledger cannot answer: the archive cannot be read; put the file back" in answer.body.decode()
