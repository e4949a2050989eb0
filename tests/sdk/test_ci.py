"""Which run a process belongs to, what it may spend there, and which environment it is in."""

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import openai
import pytest

from farthing import BudgetExceeded, CallRefused, Fence, GuardError, guard
from farthing.sdk.ci import LABEL_MAX, as_label, is_joined, named_run, run_cap, run_labels
from farthing.sdk.runtime import ENVIRONMENTS, runtime_for
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import entries_of, messages


def ask(client: openai.OpenAI, **more: Any) -> None:
    client.chat.completions.create(
        model="gpt-4o", messages=messages("[[sim input=0 output=1000]] hello"), max_tokens=1_000, **more
    )


def guarded(simulator: SimulatorServer, **more: Any) -> openai.OpenAI:
    return guard(
        openai.OpenAI(base_url=simulator.openai_url, api_key="any", max_retries=0), **{"budget": 5, **more}
    )


# ── which run ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ({"GITHUB_RUN_ID": "7", "GITHUB_RUN_ATTEMPT": "1"}, {"GITHUB_RUN_ATTEMPT": "2"}),
        ({"CI_PIPELINE_ID": "7", "CI_JOB_ID": "70"}, {"CI_JOB_ID": "71"}),
        ({"BUILDKITE_BUILD_ID": "7", "BUILDKITE_RETRY_COUNT": "0"}, {"BUILDKITE_RETRY_COUNT": "1"}),
        ({"CIRCLE_WORKFLOW_ID": "7"}, {"CIRCLE_WORKFLOW_ID": "8"}),
        ({"BITBUCKET_PIPELINE_UUID": "7"}, {"BITBUCKET_STEP_RUN_NUMBER": "2"}),
        ({"BUILD_TAG": "jenkins-job-7"}, {"BUILD_TAG": "jenkins-job-8"}),
        ({"BUILD_BUILDID": "7", "SYSTEM_JOBATTEMPT": "1"}, {"SYSTEM_JOBATTEMPT": "2"}),
        ({"FARTHING_RUN": "mine", "GITHUB_RUN_ID": "7"}, {"FARTHING_RUN": "other"}),
    ],
    ids=lambda variables: next(iter(variables)),
)  # fmt: skip
def test_a_run_that_is_started_again_is_a_new_one(
    monkeypatch: pytest.MonkeyPatch, first: dict[str, str], again: dict[str, str]
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_TESTRUNUID", raising=False)
    assert named_run() is None
    seen = []
    for variables in (first, again):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert run_cap()[0] == named_run()
        seen.append(named_run())
    assert len({*seen, None}) == 3


def test_workers_of_xdist_are_one_run_also_without_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_TESTRUNUID", "abc")
    assert run_cap()[0] == "abc"


def test_what_one_terminal_starts_is_a_run_where_nobody_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_TESTRUNUID", raising=False)
    program = "from farthing.sdk.ci import run_cap; print(run_cap()[0])"
    command = [sys.executable, "-c", program]
    told = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert told[0] == told[1] == f"{run_cap()[0]}\n"


# ── what it may spend ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given", "nanodollars"),
    [(None, 3_000_000_000), ("", 3_000_000_000), ("  ", 3_000_000_000), ("1.50", 1_500_000_000), ("$0", 0)],
)
def test_the_cap_is_three_dollars_unless_told(
    monkeypatch: pytest.MonkeyPatch, given: str | None, nanodollars: int
) -> None:
    if given is not None:
        monkeypatch.setenv("CI_AI_BUDGET", given)
    assert run_cap()[1] == nanodollars


@pytest.mark.parametrize("junk", ["lots", "-1", "nan", "3,5", "1e3"])
def test_a_cap_that_is_no_amount_is_a_clear_error_and_no_call_is_made(
    simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch, junk: str
) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("CI_AI_BUDGET", junk)
    with pytest.raises(GuardError, match=f"CI_AI_BUDGET: '{junk}' is not an amount"):
        run_cap()
    with pytest.raises(CallRefused, match="CI_AI_BUDGET"):
        ask(guarded(simulator))
    assert not simulator.record.calls


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_named_run_caps_guards_and_fences_of_every_environment(
    simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch, environment: str
) -> None:
    assert is_joined(environment) == (environment == "ci")
    monkeypatch.setenv("FARTHING_RUN", f"named-{environment}")
    monkeypatch.setenv("CI_AI_BUDGET", "0.0201")
    client = guarded(simulator, environment=environment)
    ask(client)
    with Fence(1, environment=environment):
        ask(openai.OpenAI(base_url=simulator.openai_url, api_key="any", max_retries=0))
    with pytest.raises(BudgetExceeded) as caught:
        ask(client, n=2)
    assert caught.value.budget == "ci-run"
    assert "set CI_AI_BUDGET to more" in str(caught.value)
    newest = entries_of(client)[-1]
    assert (newest.facts.environment, newest.facts.run) == (environment, f"named-{environment}")


def test_calls_of_a_run_say_their_test_and_their_branch_unless_their_guard_does(
    simulator: SimulatorServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/feature/search\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    told, silent = guarded(simulator), guarded(simulator)
    ask(silent)
    monkeypatch.setenv("FARTHING_RUN", "with-labels")
    ask(told)
    own = guarded(simulator, labels={"branch": "mine", "test": "also mine"})
    ask(own)
    assert dict(entries_of(silent)[0].facts.labels) == {}
    assert dict(entries_of(told)[0].facts.labels) == {
        "branch": "feature/search", "test": request.node.nodeid
    }  # fmt: skip
    assert dict(entries_of(own)[0].facts.labels) == {"branch": "mine", "test": "also mine"}


def test_labels_of_a_run_are_printable_and_short_and_stay_apart() -> None:
    long = "tests/test_it.py::test[" + "x" * 300
    assert as_label("tests/größe.py::test") == "tests/größe.py::test"
    assert len(as_label(long + "1]")) == LABEL_MAX
    assert as_label(long + "1]") != as_label(long + "2]")
    assert as_label("a\nb").startswith("a?b~") and as_label("a\nb") != as_label("a\tb")
    assert "branch" not in run_labels(None)


# ── which environment ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("argument", "variables", "expected"),
    [
        ("staging", {"FARTHING_ENV": "production", "APP_ENV": "ci", "CI": "true"}, "staging"),
        (None, {"FARTHING_ENV": "production", "APP_ENV": "staging", "CI": "true"}, "production"),
        (None, {"APP_ENV": "staging", "CI": "true"}, "staging"),
        (None, {"APP_ENV": "", "CI": "true"}, "ci"),
        (None, {"GITHUB_ACTIONS": "true"}, "ci"),
        (None, {"FARTHING_RUN": "mine"}, "ci"),
        (None, {"CI": "false"}, "development"),
        (None, {"CI": "0"}, "development"),
        (None, {}, "development"),
        (None, {"APP_ENV": "prod"}, "production"),
        ("dev", {"APP_ENV": "prod"}, "development"),
    ],
)
def test_the_environment_is_the_argument_else_the_variables_else_ci_else_development(
    monkeypatch: pytest.MonkeyPatch, argument: str | None, variables: dict[str, str], expected: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    runtime = runtime_for(environment=argument, ledger="memory://", policy=(), shared=False)
    assert runtime.environment == expected


@pytest.mark.parametrize("named", ["argument", "FARTHING_ENV", "APP_ENV"])
def test_an_unknown_environment_has_the_budget_of_development_and_a_warning_names_it(
    simulator: SimulatorServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    named: str,
) -> None:
    policy = tmp_path / "farthing.yaml"
    policy.write_text(
        "environments: {development: {}, production: {}}\n"
        "budgets:\n"
        "  - {name: dev-day, match: {environment: development}, limit: $0.015, period: daily}\n"
        "  - {name: prod-day, match: {environment: production}, limit: $100, period: daily}\n",
        "utf-8",
    )
    argument = None
    if named == "argument":
        argument = "prrod-argument"
    else:
        monkeypatch.setenv(named, f"prrod-{named}")
    client = guarded(simulator, environment=argument, policy=policy, ledger=f"sqlite:///{tmp_path / 'x.db'}")
    with caplog.at_level(logging.WARNING, "farthing"):
        ask(client)
        with pytest.raises(BudgetExceeded) as caught:
            ask(client, n=2)
    assert caught.value.budget == "dev-day"
    warnings = [record.getMessage() for record in caplog.records if "prrod" in record.getMessage()]
    assert len(warnings) == 1 and f"'prrod-{named}' is not an environment of the policy" in warnings[0]
