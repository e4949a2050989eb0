"""A process that makes fences and guards for months, with the ledger in memory, does not grow."""

import gc
import json
import logging
import tracemalloc
from collections.abc import Callable, Iterator

import httpx2
import openai
import pytest

from farthing import Fence, guard
from farthing.ledger.forgetting import Folded
from farthing.ledger.memory import MemoryStore
from farthing.sdk.context import Scope
from tests.sdk.asking import desk_of, messages

ANSWER = json.dumps({
    "id": "x", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 100, "total_tokens": 110},
}).encode()  # fmt: skip


def bare() -> openai.OpenAI:
    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "application/json"}, content=ANSWER)

    return openai.OpenAI(
        api_key="any",
        base_url="https://provider.invalid/v1",
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )


def ask(client: openai.OpenAI) -> None:
    client.chat.completions.create(model="gpt-4o-mini", messages=messages("hello"), max_tokens=200)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[MemoryStore]:
    """The ledger of this process, made to forget soon, as are what speeds up its claims and our own log."""
    monkeypatch.setattr("farthing.engine.offers._CLAIMS_REMEMBERED", 10)
    monkeypatch.setattr("farthing.policy.payers._REMEMBERED_MAX", 10)
    caplog.set_level(logging.ERROR, "farthing")
    client = guard(bare(), budget=1)
    ask(client)
    store = desk_of(client).runtime.store
    assert isinstance(store, MemoryStore)
    kept, folded = store._entries_kept, store._folded
    store._entries_kept, store._folded = 20, Folded(rows_kept=20)
    store._folded.settled, store._folded.page = folded.settled, folded.page
    yield store
    store._entries_kept, store._folded._rows_kept = kept, folded._rows_kept


def grown_by(work: Callable[[], None], *, warm: int, runs: int) -> int:
    """Bytes that many runs add after some others."""
    tracemalloc.start()
    try:
        for _ in range(warm):
            work()
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(runs):
            work()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before


def test_fences_that_ended_leave_nothing_behind(store: MemoryStore) -> None:
    fenced = Fence(budget="$0.50", alert_at=0.0001, labels={"feature": "x"}).guard(ask)
    with bare() as client:
        fenced(client)
        assert grown_by(lambda: fenced(client), warm=100, runs=400) < 300_000  # kept, they would be 800 KB
    assert len(store.balances()) < 60
    assert store.verify() == []


def test_guards_that_ended_leave_nothing_behind(store: MemoryStore) -> None:
    with bare() as client:
        assert (
            grown_by(lambda: ask(guard(client, budget="$0.50")), warm=100, runs=400) < 300_000
        )  # kept, they would be 800 KB
    assert len(store.balances()) < 60
    assert store.verify() == []


def test_what_a_client_tells_outlives_its_entries(store: MemoryStore) -> None:
    client = guard(bare(), budget=1)
    for _ in range(60):
        ask(client)
    assert client.farthing.calls == 60  # type: ignore[attr-defined]
    spent = client.farthing.spent  # type: ignore[attr-defined]
    fenced = Fence(budget="$0.50").guard(ask)
    with bare() as other:
        for _ in range(60):
            fenced(other)
    assert client.farthing.spent == spent > 0  # type: ignore[attr-defined]


def test_a_call_that_ends_after_its_fence_is_booked_all_the_same(store: MemoryStore) -> None:
    def chunks() -> Iterator[bytes]:
        chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini"}
        said = {**chunk, "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": None}]}
        used = {**chunk, "choices": [], "usage": json.loads(ANSWER)["usage"]}
        for one in (said, used):
            yield b"data: " + json.dumps(one).encode() + b"\n\n"
        yield b"data: [DONE]\n\n"

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=chunks())

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = openai.OpenAI(api_key="any", base_url="https://provider.invalid/v1", http_client=http)
    scopes: list[Scope] = []
    with Fence(budget="$0.50") as scope:
        scopes.append(scope)
        stream = client.chat.completions.create(
            model="gpt-4o-mini", messages=messages("hello"), max_tokens=200, stream=True
        )
    assert scope.held > 0 and scope.spent == 0
    fenced = Fence(budget="$0.50").guard(ask)
    with bare() as other:
        for _ in range(60):
            fenced(other)
    assert len(list(stream)) == 1
    assert scope.held == 0 < scope.spent
    assert store.verify() == []
