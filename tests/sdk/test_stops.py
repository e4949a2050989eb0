"""A stop reaches the guards that keep their books in the same file, and no others."""

from pathlib import Path
from typing import Literal

import anthropic
import openai
import pytest

from farthing import BudgetExceeded, CallRefused, Fence, guard
from farthing.domain.errors import Reason
from farthing.domain.stop import new_stop
from farthing.ledger.sqlite import SqliteStore
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import messages


def stop(path: Path, **match: str) -> str:
    store = SqliteStore(path)
    made = new_stop(match, reason="runaway agent", by="ana", at_us=1)
    store.add_stop(made)
    store.close()
    return made.stop_id


def lift(path: Path, stop_id: str) -> None:
    store = SqliteStore(path)
    assert store.resume(stop_id, at_us=2, by="ben", reason="mended")
    store.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "shared.db"


def ask(client: openai.OpenAI) -> object:
    return client.chat.completions.create(model="gpt-4o-mini", messages=messages("hello"), max_tokens=50)


@pytest.mark.parametrize("on_limit", ["raise", "stop", "warn"])
def test_a_stopped_workflow_is_refused_whatever_the_guard_does_at_its_limit(
    simulator: SimulatorServer, file: Path, on_limit: Literal["raise", "stop", "warn"]
) -> None:
    with guard(
        openai.OpenAI(base_url=simulator.openai_url, api_key="any"),
        budget=1,
        workflow_id="nightly",
        ledger=f"sqlite:///{file}",
        on_limit=on_limit,
    ) as client:
        ask(client)
        stop_id = stop(file, workflow="nightly")
        with pytest.raises(
            CallRefused, match=r"workflow nightly was stopped by ana at .*: runaway agent"
        ) as refused:
            ask(client)
        assert refused.value.reason is Reason.STOPPED
        assert isinstance(refused.value, openai.PermissionDeniedError)
        assert not isinstance(refused.value, BudgetExceeded)
        assert simulator.record.received == 1
        lift(file, stop_id)
        ask(client)


def test_a_stopped_provider_is_refused_in_its_own_error_type(simulator: SimulatorServer, file: Path) -> None:
    stop(file, provider="anthropic")
    with (
        guard(
            anthropic.Anthropic(base_url=simulator.url, api_key="any"), budget=1, ledger=f"sqlite:///{file}"
        ) as client,
        pytest.raises(anthropic.PermissionDeniedError, match="provider anthropic was stopped"),
    ):
        client.messages.create(model="claude-haiku-4-5", messages=messages("hello"), max_tokens=50)
    assert simulator.record.received == 0


def test_a_fence_that_was_stopped_can_go_on_when_the_stop_is_lifted(
    simulator: SimulatorServer, file: Path
) -> None:
    client = openai.OpenAI(base_url=simulator.openai_url, api_key="any")
    with Fence(1, labels={"feature": "search"}, ledger=f"sqlite:///{file}"):
        ask(client)
        stop_id = stop(file, **{"label:feature": "search"})
        with pytest.raises(CallRefused, match="label feature search was stopped"):
            ask(client)
        lift(file, stop_id)
        ask(client)
    client.close()


def test_a_guard_that_keeps_its_books_in_memory_is_not_reached(
    simulator: SimulatorServer, file: Path
) -> None:
    stop(file)
    with guard(openai.OpenAI(base_url=simulator.openai_url, api_key="any"), budget=1) as client:
        ask(client)
    assert simulator.record.received == 1
