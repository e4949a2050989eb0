"""Answers that do not come as planned: each is booked right, and none that was paid for is kept back."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from farthing import BudgetExceeded
from farthing.domain.errors import LedgerUnavailable
from farthing.ledger.entries import Settle
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import Store
from farthing.simulator.server import SimulatorServer
from tests.running import wait_until
from tests.sdk.answers import clients, entries_of, guarded, store_in_memory, stream_of, whole_of
from tests.sdk.asking import messages, report_of

# ── usage ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("asks", [False, True])
def test_the_chunk_with_usage_is_shown_to_whoever_asked_for_it_and_to_nobody_else(
    simulator: SimulatorServer, asks: bool
) -> None:
    client = guarded(simulator, "chat")
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if asks else {}
    text = "hello [[sim input=30 output=500]]"
    chunks = list(
        client.chat.completions.create(model="gpt-4o-mini", messages=messages(text), stream=True, **options)
    )
    assert [bool(chunk.usage) for chunk in chunks] == [False] * (len(chunks) - 1) + [asks]
    (entry,) = entries_of(client)
    assert (entry.cost_nanodollars, entry.assumed) == (304_500, False)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("which", ["chat", "claude", "gemini"])
def test_an_answer_without_usage_is_assumed_at_its_ceiling_and_delivered(
    simulator: SimulatorServer, which: str, stream: bool
) -> None:
    client, text = guarded(simulator, which), "hello [[sim no_usage output=20 text=paid]]"
    if stream:
        assert list(stream_of(client, which, text))
    else:
        assert whole_of(client, which, text)
    (entry,) = entries_of(client)
    assert (entry.assumed, entry.assumed_rule) == (True, "no_usage")
    assert entry.cost_nanodollars == entry.ceiling_nanodollars > 0


@pytest.mark.parametrize(
    ("which", "model", "told", "nanodollars"),
    [
        ("chat", "gpt-4o", "input=100000 cached=100000 output=1", 125_000_000 + 10_000),
        ("chat", "gpt-4o", "input=100000 cached=60000 output=1", 40_000 * 2_500 + 60_000 * 1_250 + 10_000),
        ("claude", "claude-sonnet-4-6", "input=101000 cache_write=100000 output=1", 378_000_000 + 15_000),
        ("claude", "claude-sonnet-4-6", "input=101000 cache_write_1h=100000 output=1", 603_000_000 + 15_000),
        ("claude", "claude-sonnet-4-6", "input=101000 cached=100000 output=1", 33_000_000 + 15_000),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_cached_prompt_costs_what_the_provider_charges(
    simulator: SimulatorServer, which: str, model: str, told: str, nanodollars: int, stream: bool
) -> None:
    client = guarded(simulator, which, budget=5)
    # As many words as tokens that are billed, so that the ceiling is one.
    answer = whole_of(client, which, f"[[sim {told}]] " + "word " * 101_000, model=model, stream=stream)
    if stream:
        list(answer)
    (entry,) = entries_of(client)
    assert (entry.cost_nanodollars, entry.overrun_nanodollars) == (nanodollars, 0)


# ── what goes wrong ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("which", ["chat", "claude", "async chat", "async claude"])
def test_a_call_that_times_out_three_times_in_the_sdk_is_three_assumed_rows(
    simulator: SimulatorServer, which: str
) -> None:
    client = guarded(simulator, which)
    impatient = client.with_options(max_retries=2, timeout=0.3)
    text = "hello [[sim hang]]"

    async def ask_async() -> None:
        kind = which.removeprefix("async ")
        await whole_of(impatient, kind, text)

    with pytest.raises((openai.APITimeoutError, anthropic.APITimeoutError)):
        if which.startswith("async"):
            asyncio.run(ask_async())
        else:
            whole_of(impatient, which, text)
    rows = entries_of(client)
    assert [(row.assumed, row.assumed_rule) for row in rows] == [(True, "timed_out")] * 3
    assert sorted(row.facts.attempt for row in rows) == [1, 2, 3]
    assert len({row.facts.request_id for row in rows}) == 1
    assert report_of(client).calls == 3 and report_of(client).held == 0


def test_four_good_calls_two_failures_and_one_refusal_leave_nothing_held(
    simulator: SimulatorServer,
) -> None:
    client = guarded(simulator, "chat", at_limit="refuse")
    hasty = client.with_options(max_retries=0)
    for _ in range(4):
        whole_of(hasty, "chat", "hello [[sim input=30 output=500]]")
    with pytest.raises(openai.InternalServerError):
        whole_of(hasty, "chat", "hello [[sim status=500]]")
    with pytest.raises(openai.APIConnectionError):
        whole_of(hasty, "chat", "hello [[sim reset]]")
    with pytest.raises(BudgetExceeded):
        hasty.chat.completions.create(model="gpt-4o", messages=messages("hello"), n=9, max_tokens=16_000)
    rows = entries_of(client)
    assert sorted(row.outcome for row in rows) == ["refused", *["settled"] * 6]
    assert report_of(client).held == 0
    assert sum(row.cost_nanodollars for row in rows) == report_of(client).spent * 1_000_000_000


def _miss_settlements(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    """Make the ledger fail whenever a call is to be settled."""
    apply = store.apply

    def failing(operations: list[Any]) -> Any:
        if any(isinstance(operation, Settle) for operation in operations):
            raise LedgerUnavailable("the disk is full")
        return apply(operations)

    monkeypatch.setattr(store, "apply", failing)


def test_what_the_ledger_misses_is_delivered_all_the_same_and_booked_with_the_next_call(
    simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, text = guarded(simulator, "chat"), "hello [[sim input=30 output=500]]"
    with monkeypatch.context() as away:
        _miss_settlements(away, store_in_memory())
        assert whole_of(client, "chat", text).choices[0].message.content
        assert report_of(client).held > 0 and entries_of(client) == []
    assert whole_of(client, "chat", text).choices
    assert [entry.cost_nanodollars for entry in entries_of(client)] == [304_500] * 2
    assert report_of(client).held == 0


def test_what_the_ledger_misses_of_a_task_is_booked_with_the_next_call(
    simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, text = guarded(simulator, "async chat"), "hello [[sim input=30 output=500]]"

    async def twice() -> None:
        async with client:
            with monkeypatch.context() as away:
                _miss_settlements(away, store_in_memory())
                assert (await whole_of(client, "chat", text)).choices
            assert entries_of(client) == []
            assert (await whole_of(client, "chat", text)).choices

    asyncio.run(twice())
    assert [entry.cost_nanodollars for entry in entries_of(client)] == [304_500] * 2


EXITS_WITH_THE_LEDGER_BACK = """
import sys
import openai
from farthing import guard
from farthing.domain.errors import LedgerUnavailable
from farthing.ledger.entries import Settle
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import Store

apply = SqliteStore.apply

def failing(self, operations):
    if any(isinstance(operation, Settle) for operation in operations):
        raise LedgerUnavailable("the disk is full")
    return apply(self, operations)

SqliteStore.apply = failing
client = guard(
    openai.OpenAI(base_url=sys.argv[1], api_key="any"),
    budget=1, workflow_id="late", ledger=sys.argv[2], environment="development",
)
words = [{"role": "user", "content": sys.argv[3]}]
assert client.chat.completions.create(model="gpt-4o-mini", messages=words).choices
SqliteStore.apply = apply
"""


def test_what_the_ledger_missed_is_booked_at_the_latest_when_the_process_ends(
    simulator: SimulatorServer, tmp_path: Path
) -> None:
    ledger, text = tmp_path / "late.db", "hello [[sim input=30 output=500]]"
    command = [sys.executable, "-c", EXITS_WITH_THE_LEDGER_BACK, simulator.openai_url]
    ended = subprocess.run(
        [*command, f"sqlite:///{ledger}", text], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    store = SqliteStore(ledger)
    try:
        (entry,) = store.entries()
    finally:
        store.close()
    assert (entry.assumed, entry.cost_nanodollars) == (False, 304_500)


# How the simulator answers when it is told to.
ODDITIES = (
    "garbage", "html", "empty", "huge=100000", "gzip", "deflate", "zero_usage", "no_usage",
    "usage_contradictory", "status=402", "status=404", "status=500", "status=502", "redirect", "cut", "reset",
    "ignore_cap output=5000", "model=somebody-else", "split=1", "crlf", "pings", "no_done", "error_mid=2",
    "usage_first", "usage_every", "tool=2",
)  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("which", ["chat", "claude", "gemini"])
def test_whatever_the_provider_answers_the_caller_gets_what_a_bare_client_gets(
    simulator: SimulatorServer, which: str, stream: bool
) -> None:
    bare = clients(simulator)[which]
    ours = guarded(simulator, which, budget=100)
    differ = {
        told: (theirs, got)
        for told in ODDITIES
        if (theirs := _heard(bare, which, told, stream=stream))
        != (got := _heard(ours, which, told, stream=stream))
    }
    assert not differ
    wait_until(lambda: report_of(ours).held == 0)  # what the SDK dropped is settled by another thread
    assert all(row.outcome != "refused" for row in entries_of(ours))


def _heard(client: Any, which: str, told: str, *, stream: bool) -> object:
    """What a caller gets: the answer as data, or the kind and status of the error."""
    if which != "gemini":
        client = client.with_options(max_retries=0)
    text = f"hello [[sim output=20 text=paid-for {told}]]"
    shown: list[object] = []
    try:
        if stream:
            for event in stream_of(client, which, text):
                shown.append(_shown(event))
        else:
            shown.append(_shown(whole_of(client, which, text)))
    except Exception as error:  # noqa: BLE001 - any error of an SDK is the answer here
        status = getattr(error, "status_code", getattr(error, "code", None))
        return [*shown, type(error).__name__, status]
    return shown


def _shown(answer: Any) -> object:
    if isinstance(answer, str):
        return answer
    # The simulator draws ids from the body, which says more where usage is asked for or a cap is sent.
    drawn = {"sdk_http_response", "id", "system_fingerprint", "response_id"}
    return answer.model_dump(mode="json", exclude=drawn, warnings=False)
