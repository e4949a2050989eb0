"""record_outcome(): beside the calls that led to it, with the labels of the fences around, once."""

import asyncio
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import openai
import pytest

from farthing import Fence, GuardError, record_outcome
from farthing.domain.outcome import RecordedOutcome
from farthing.ledger.outcome_sums import WantedOutcomes
from farthing.ledger.sqlite import SqliteStore
from farthing.reports.outcomes import outcome_costs
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import messages


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ledger of the process."""
    monkeypatch.setenv("FARTHING_LEDGER", f"sqlite:///{tmp_path / 'ledger.db'}")
    return tmp_path / "ledger.db"


def outcomes(file: Path) -> list[RecordedOutcome]:
    store = SqliteStore(file)
    try:
        return store.outcomes(WantedOutcomes())
    finally:
        store.close()


def test_an_outcome_is_on_the_ledger_when_the_call_returns(file: Path) -> None:
    outcome_id = record_outcome("resolved", True, {"feature": "search", "tries": 2})

    (row,) = outcomes(file)
    assert row.outcome_id == outcome_id
    assert (row.name, row.value, row.environment) == ("resolved", True, "development")
    assert row.labels == {"feature": "search", "tries": "2"}
    assert (row.run, row.key) == (None, None)


@pytest.mark.parametrize(
    ("value", "kept"),
    [(None, None), (False, False), (3, Decimal(3)), (0.1, Decimal("0.1")), ("12.50", Decimal("12.50")),
     (Decimal("1E-9"), Decimal("1E-9"))],
)  # fmt: skip
def test_a_value_is_kept_exactly(
    file: Path, value: bool | float | str | Decimal | None, kept: Decimal | bool | None
) -> None:
    record_outcome("score", value)

    assert outcomes(file)[0].value == kept


@pytest.mark.parametrize("value", ["many", float("nan"), "inf", [1]])
def test_a_value_that_is_none_is_an_error_and_keeps_nothing(file: Path, value: object) -> None:
    with pytest.raises(GuardError):
        record_outcome("score", value)  # type: ignore[arg-type]
    assert outcomes(file) == []


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"name": "x", "labels": {"a": []}}, {"name": "x", "outcome_id": ""}]
)
def test_texts_that_cannot_be_kept_are_an_error(file: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(GuardError):
        record_outcome(**wrong)  # type: ignore[arg-type]


def test_the_same_id_is_kept_once(file: Path) -> None:
    assert record_outcome("resolved", 1, outcome_id="ticket-7") == "ticket-7"
    assert record_outcome("resolved", 2, outcome_id="ticket-7") == "ticket-7"

    (row,) = outcomes(file)
    assert row.value == 1


def test_the_labels_and_the_run_of_the_fences_around_are_on_it(
    simulator: SimulatorServer, file: Path
) -> None:
    client = openai.OpenAI(base_url=simulator.openai_url, api_key="any")
    with Fence(1, labels={"feature": "search", "user": "a"}) as outer, Fence(1, labels={"user": "b"}):
        for _ in range(2):
            client.chat.completions.create(model="gpt-4o-mini", messages=messages("hello"), max_tokens=50)
        record_outcome("resolved", True, {"step": "last"})
    client.close()

    (row,) = outcomes(file)
    store = SqliteStore(file)
    calls = store.entries()
    (cost,) = outcome_costs(store, ["label:feature"])
    (of_run,) = outcome_costs(store, ["run"])
    store.close()
    assert row.labels == {"feature": "search", "user": "b", "step": "last"}
    assert row.run == outer.budget.name == calls[0].facts.run
    spent = sum(call.cost_nanodollars for call in calls)
    assert spent > 0
    assert cost.cost_nanodollars == of_run.cost_nanodollars == cost.per_true_nanodollars == spent
    assert (cost.sums.outcomes, cost.sums.by["label:feature"]) == (1, "search")


def test_tasks_record_with_their_own_fences(file: Path) -> None:
    async def one(name: str) -> None:
        async with Fence(1, labels={"task": name}):
            await asyncio.sleep(0)
            record_outcome("done")

    async def both() -> None:
        await asyncio.gather(one("a"), one("b"))

    asyncio.run(both())

    assert sorted(row.labels["task"] for row in outcomes(file)) == ["a", "b"]


def test_in_ci_it_belongs_to_the_run(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("GITHUB_RUN_ID", "77")

    record_outcome("tests_passed", 12)

    (row,) = outcomes(file)
    assert (row.environment, row.run) == ("ci", "77")


def test_processes_record_on_one_ledger(file: Path) -> None:
    program = (
        "import sys; from farthing import record_outcome; record_outcome('done', outcome_id=sys.argv[1])"
    )
    for name in ("a", "b", "a"):
        subprocess.run([sys.executable, "-c", program, name], check=True, timeout=60)

    assert sorted(row.outcome_id for row in outcomes(file)) == ["a", "b"]


def test_without_a_ledger_it_ends_with_the_process(tmp_path: Path) -> None:
    record_outcome("resolved")

    assert list(tmp_path.rglob("*.db")) == []
