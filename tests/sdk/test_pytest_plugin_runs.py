"""The cap of a whole run: over workers, guards of the tests' own, jobs that are started again."""

from decimal import Decimal
from pathlib import Path

import pytest

from farthing.simulator.server import SimulatorServer
from tests.sdk.pytest_runs import run_pytest

HUNDRED = """
@pytest.fixture
def ai_client():
    with guard(openai.OpenAI(), budget=float(os.getenv("CI_AI_BUDGET", "3.00"))) as client:
        yield client


@pytest.mark.parametrize("number", range(50))
def test_guarded(ai_client, number):
    ask(ai_client)


@pytest.mark.ai_budget(0.02)
@pytest.mark.parametrize("number", range(50))
def test_fenced(number):
    with openai.OpenAI() as client:
        ask(client)
"""


def test_a_hundred_tests_over_four_workers_stay_under_the_cap_and_the_table_adds_up(
    simulator: SimulatorServer, tmp_path: Path
) -> None:
    told = run_pytest(simulator, tmp_path, HUNDRED, "-q", "-n", "4", CI="true", CI_AI_BUDGET="0.505")

    *tests, total = told.rows.values()
    assert (len(tests), total[3].split()[0]) == (100, "$0.505"), told.text
    assert Decimal("0.5") <= total[2] <= Decimal("0.505")
    assert total[0] == sum(row[0] for row in tests)
    assert total[1] == sum(row[1] for row in tests)
    assert total[2] == sum(row[2] for row in tests)
    # Fifty tests have a cent each; the last half cent shortens answers until nothing fits.
    failed = [row for row in tests if row[3].endswith("cap of the run reached")]
    assert 40 <= len(failed) <= 50
    assert told.text.count("the AI budget of this run (ci-run) is reached: $0.50") >= len(failed)
    assert f"{len(failed)} failed, {100 - len(failed)} passed" in told.text
    assert len(simulator.record.calls) == total[0]
    (account,), entries = told.books()
    assert account.settled == total[2] * 1_000_000_000 and account.held == 0
    by_test: dict[str, int] = {}
    for entry in entries:
        test = entry.facts.labels["test"]
        by_test[test] = by_test.get(test, 0) + entry.cost_nanodollars
    assert by_test == {test: row[2] * 1_000_000_000 for test, row in told.rows.items() if test != "total"}


LOOPS = """
@pytest.fixture
def ai_client():
    return guard(openai.OpenAI(), budget=float(os.getenv("CI_AI_BUDGET", "3.00")))


def test_with_a_guard(ai_client):
    for _ in range(10_000):
        ask(ai_client, output=10_000)


def test_with_the_fixture(farthing_client):
    client = farthing_client()
    for _ in range(10_000):
        ask(client, output=10_000)

"""


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("test_with_a_guard", ["cannot pay for this call: $2.99", "of $3.00 in total", "a larger budget="]),
        ("test_with_the_fixture", ["the AI budget of this run (ci-run) is reached: $2.99", "of $3.00 spent"]),
    ],
)
def test_a_loop_of_ten_thousand_dies_at_three_dollars(
    simulator: SimulatorServer, tmp_path: Path, name: str, reasons: list[str]
) -> None:
    told = run_pytest(simulator, tmp_path, LOOPS, "-q", "-p", "no:xdist", "-k", name, CI="true")

    assert "1 failed" in told.text, told.text
    line = 1 + (tmp_path / "test_it.py").read_text("utf-8").splitlines().index(
        "        ask(ai_client, output=10_000)" if "guard" in name else "        ask(client, output=10_000)"
    )
    for reason in reasons:
        assert reason in told.text, told.text
    assert f"test_it.py:{line}" in told.text
    assert Decimal("2.99") <= told.rows["total"][2] <= 3
    (account,), _ = told.books()
    assert 2_990_000_000 <= account.settled <= 3_000_000_000
    assert 30 <= len(simulator.record.calls) < 60


POLICY = """
environments:
  development: {}
  ci:
    models: {allow: [gpt-4o-mini], otherwise: downgrade}
    downgrade: {"gpt-*": gpt-4o-mini}
"""
CHEAP = """
def test_with_a_policy(farthing_client):
    assert ask(farthing_client(policy="farthing.yaml")).model.startswith("gpt-4o-mini")


def test_with_a_policy_and_a_guard_of_its_own():
    assert ask(guard(openai.OpenAI(), policy="farthing.yaml")).model.startswith("gpt-4o-mini")


def test_without():
    assert ask(guard(openai.OpenAI(), budget=1)).model.startswith("gpt-4o-2")
"""


def test_an_allowlist_of_ci_takes_the_cheap_model(simulator: SimulatorServer, tmp_path: Path) -> None:
    (tmp_path / "farthing.yaml").write_text(POLICY, "utf-8")

    told = run_pytest(simulator, tmp_path, CHEAP, "-q", "-p", "no:xdist")

    assert "3 passed" in told.text, told.text
    _, entries = told.books()
    assert sorted(entry.model_served or "" for entry in entries) == ["gpt-4o", "gpt-4o-mini", "gpt-4o-mini"]


TWO = """
@pytest.mark.parametrize("number", range(2))
def test_of_a_cent(number):
    ask(guard(openai.OpenAI(), budget=1))
"""


def test_a_run_is_what_the_service_calls_one_and_started_again_it_is_a_new_one(
    simulator: SimulatorServer, tmp_path: Path
) -> None:
    service = {"CI": "true", "GITHUB_RUN_ID": "77", "CI_AI_BUDGET": "$0.0205", "GITHUB_RUN_ATTEMPT": "1"}

    def run(**changed: str) -> str:
        told = run_pytest(simulator, tmp_path, TWO, "-q", "-p", "no:xdist", **service | changed)
        return told.text

    first, job_of_the_same_run, again = run(), run(), run(GITHUB_RUN_ATTEMPT="2")

    assert "2 passed" in first and "run 77-1" in first, first
    assert "2 failed" in job_of_the_same_run, job_of_the_same_run
    assert "$0.02" in job_of_the_same_run and "(others in this run)" in job_of_the_same_run
    assert "2 passed" in again and "run 77-2" in again


def test_two_runs_at_a_desk_are_two_runs(simulator: SimulatorServer, tmp_path: Path) -> None:
    first, second = (
        run_pytest(simulator, tmp_path, TWO, "-q", "-p", "no:xdist", "--ai-budget", "0.0205")
        for _ in range(2)
    )
    assert "2 passed" in first.text and "2 passed" in second.text, first.text + second.text
    accounts, _ = second.books()
    assert len(accounts) == 2
