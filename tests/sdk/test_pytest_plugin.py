"""The plugin in a real pytest: what it meters, how a test fails at its budget, what the table says."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import pytest

from farthing.simulator.server import SimulatorServer
from tests.sdk.pytest_runs import run_pytest

CENT = Decimal("0.01")

METERED = """
import anthropic
from google import genai


def test_without_models():
    pass


def test_a_client_that_is_made(farthing_client):
    client = farthing_client()
    assert type(client) is openai.OpenAI
    ask(client)
    assert client.farthing.limit == 3 and client.farthing.calls == 1


def test_clients_of_ones_choice(farthing_client, farthing_fence):
    claude = farthing_client(anthropic.Anthropic(api_key="any", base_url=os.environ["SIMULATOR"]), budget=1)
    claude.messages.create(
        model="claude-haiku-4-5", max_tokens=300, messages=[{"role": "user", "content": "hello"}]
    )
    ask(farthing_client(openai.OpenAI(), downgrade_model="gpt-4o-mini"))
    assert claude.farthing.limit == 1
    assert farthing_fence.calls == 2


@pytest.mark.ai_budget("$0.25")
def test_clients_that_nobody_wrapped(farthing_fence):
    ask()
    gemini = genai.Client(api_key="any", http_options={"base_url": os.environ["SIMULATOR"]})
    gemini.models.generate_content(model="gemini-2.5-flash-lite", contents="hello")
    assert farthing_fence.calls == 2
    assert 0 < farthing_fence.spent < farthing_fence.limit == 0.25


@pytest.fixture
def agent():
    ask()


@pytest.mark.ai_budget(0.05)
class TestOfAClass:
    def test_what_its_fixtures_ask(self, agent, farthing_fence):
        assert farthing_fence.calls == 1

    @pytest.mark.ai_budget(0.04)
    def test_the_closest_marker(self, farthing_fence):
        assert float(farthing_fence.limit) == 0.04
        ask(model="gpt-4o-mini")


@pytest.mark.ai_budget(0.05, model_fallback="gpt-4o-mini")
def test_a_cheaper_model():
    assert ask().model.startswith("gpt-4o-mini")


def test_a_guard_of_its_own():
    ask(guard(openai.OpenAI(), budget=1))


def test_a_subprocess():
    import subprocess, sys
    asked = "from test_it import *; ask(guard(openai.OpenAI(), budget=1))"
    subprocess.run([sys.executable, "-c", asked], check=True)


def test_nobodys_business():
    ask()
"""


@pytest.mark.parametrize("options", [["-p", "no:xdist"], ["-n", "2"]], ids=["alone", "in two workers"])
def test_the_table_tells_what_each_test_spent_and_adds_up_to_the_ledger(
    simulator: SimulatorServer, tmp_path: Path, options: list[str]
) -> None:
    told = run_pytest(
        simulator, tmp_path, METERED, "-q", "--junitxml", "told.xml", *options, SIMULATOR=simulator.url
    )

    assert told.status == 0, told.text
    rows = told.rows
    *tests, (calls, refused, spent, cap) = rows.values()
    named = {test.rpartition("::")[2]: row for test, row in rows.items()}
    assert named["test_a_client_that_is_made"][:3] == (1, 0, CENT)
    assert named["test_clients_that_nobody_wrapped"][0] == 2
    assert named["test_clients_that_nobody_wrapped"][3] == "$0.25"
    assert named["test_what_its_fixtures_ask"][3] == "$0.05"
    assert named["test_the_closest_marker"][3] == "$0.04"
    assert named["test_a_cheaper_model"][2] < CENT / 10
    assert named["test_a_guard_of_its_own"][:3] == (1, 0, CENT)
    assert named["test_a_subprocess"][:3] == (1, 0, CENT)
    assert not {"test_without_models", "test_nobodys_business"} & set(named)
    assert len(simulator.record.calls) == calls + 1  # nobody's business is nobody's money
    assert refused == 0 and cap.startswith("$3.00  run pytest-")
    assert (calls, spent) == (sum(row[0] for row in tests), sum(row[2] for row in tests))
    (account,), entries = told.books()
    assert account.settled == spent * 1_000_000_000 and account.held == 0
    assert {entry.facts.environment for entry in entries} == {"ci"}
    assert {entry.facts.run for entry in entries} == {cap.rpartition(" ")[2]}
    assert {entry.facts.labels["test"] for entry in entries} == set(rows) - {"total"}
    xml = ElementTree.parse(tmp_path / "told.xml")
    budgets = {one.get("value") for one in xml.iter("property") if one.get("name") == "ai_budget"}
    assert budgets == {"0.25", "0.05", "0.04"}


AT_THE_LIMIT = """
@pytest.mark.ai_budget(0.025)
def test_that_runs_away():
    for _ in range(10_000):
        ask()


@pytest.mark.ai_budget(0.025)
def test_that_swallows():
    try:
        ask(output=2_500)
        ask()
    except openai.RateLimitError:
        pass


@pytest.mark.ai_budget(0.025)
def test_that_swallows_everything_forever():
    while True:
        try:
            ask()
        except Exception:
            continue


@pytest.mark.ai_budget(0.025)
def test_that_fails_for_a_reason_of_its_own():
    try:
        ask(output=2_500)
        ask()
    except BudgetExceeded:
        raise ValueError("my own reason") from None


@pytest.mark.ai_budget(0.025)
def test_that_skips_itself():
    try:
        ask(output=2_500)
        ask()
    except BudgetExceeded:
        pytest.skip("no money")


@pytest.fixture
def greedy():
    ask(output=2_500)
    ask()


@pytest.mark.ai_budget(0.025)
def test_whose_fixture_is_greedy(greedy):
    pass


@pytest.fixture
def greedy_at_the_end():
    yield
    ask(output=2_000)
    ask()


@pytest.mark.ai_budget(0.025)
def test_whose_fixture_is_greedy_at_the_end(greedy_at_the_end):
    ask()


@pytest.mark.ai_budget(0.025)
def test_whose_budget_suffices():
    with pytest.raises(BudgetExceeded):  # a budget of the code itself may end
        ask(guard(openai.OpenAI(), budget="0"))
"""


def test_a_test_that_reaches_its_budget_fails_and_says_which_and_how_to_raise_it(
    simulator: SimulatorServer, tmp_path: Path
) -> None:
    told = run_pytest(simulator, tmp_path, AT_THE_LIMIT, "-rA", "-p", "no:xdist", "--tb=short")

    assert told.status == 1
    for name in (
        "that_runs_away", "that_swallows", "that_swallows_everything_forever",
        "that_fails_for_a_reason_of_its_own", "that_skips_itself",
    ):  # fmt: skip
        assert f"FAILED test_it.py::test_{name} " in told.text, told.text
        reason = f"the AI budget of test_{name} is reached: $0.02"
        assert told.text.count(reason) >= 1, name
    assert "of $0.025 spent; the next call needed up to $0.0" in told.text
    assert "@pytest.mark.ai_budget(DOLLARS) gives the test more" in told.text
    runs_away = 1 + next(
        number
        for number, line in enumerate((tmp_path / "test_it.py").read_text("utf-8").splitlines())
        if line == "        ask()"
    )
    assert f"asked at test_it.py:{runs_away}" in told.text
    assert "ValueError: my own reason" in told.text
    assert "ERROR test_it.py::test_whose_fixture_is_greedy " in told.text
    assert "PASSED test_it.py::test_whose_fixture_is_greedy_at_the_end" in told.text
    assert "ERROR test_it.py::test_whose_fixture_is_greedy_at_the_end" in told.text
    assert "PASSED test_it.py::test_whose_budget_suffices" in told.text
    assert "5 failed, 2 passed, 2 errors" in told.text
    reached = {test for test, row in told.rows.items() if row[3].endswith("budget reached")}
    assert len(reached) == 7
    assert all(row[2] <= Decimal("0.025") for test, row in told.rows.items() if test != "total")


IN_LOOPS_AND_THREADS = """
import asyncio

pytestmark = pytest.mark.ai_budget(0.025)


async def ask_async():
    async with openai.AsyncOpenAI(max_retries=0) as client:
        asked = [{"role": "user", "content": "hello [[sim input=0 output=1000]]"}]
        await client.chat.completions.create(model="gpt-4o", messages=asked, max_tokens=1_000)


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def shared_loop(anyio_backend):
    yield


@pytest.mark.anyio
async def test_in_a_loop_that_tests_share(shared_loop, farthing_fence):
    await asyncio.gather(ask_async(), ask_async())
    assert farthing_fence.calls == 2


@pytest.mark.anyio
async def test_that_swallows_everything_in_the_shared_loop(shared_loop):
    while True:
        try:
            await ask_async()
        except Exception:
            continue


@pytest.mark.anyio
async def test_in_the_shared_loop_later(shared_loop, farthing_fence):
    await ask_async()
    assert farthing_fence.calls == 1


def test_in_a_loop_of_its_own(farthing_fence):
    asyncio.run(ask_async())
    assert farthing_fence.calls == 1


def test_in_a_plain_thread(farthing_fence):
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert farthing_fence.calls == 1
"""


def test_calls_count_in_every_loop_and_thread_of_the_test_that_runs(
    simulator: SimulatorServer, tmp_path: Path
) -> None:
    told = run_pytest(simulator, tmp_path, IN_LOOPS_AND_THREADS, "-rA", "-p", "no:xdist")

    assert "FAILED test_it.py::test_that_swallows_everything_in_the_shared_loop" in told.text, told.text
    assert "1 failed, 4 passed" in told.text, told.text
    assert "is reached: $0.02" in told.text
    (account,), _ = told.books()
    assert account.settled == told.rows["total"][2] * 1_000_000_000


CAPPED = """
def test_first():
    ask()


def test_second():
    for _ in range(10_000):
        try:
            ask()
        except Exception:
            pass


def test_third():
    ask()


def test_without_models():
    pass
"""


@pytest.mark.parametrize(
    ("options", "variables", "ini"),
    [
        (["--ai-budget", "$0.02"], {"CI_AI_BUDGET": "5"}, "ai_budget = 7"),
        ([], {"CI_AI_BUDGET": "0.02"}, "ai_budget = 7"),
        ([], {"APP_ENV": "development"}, "ai_budget = 0.02"),
    ],
    ids=["option", "variable before ini", "ini"],
)
def test_a_budget_for_the_run_meters_every_test(
    simulator: SimulatorServer, tmp_path: Path, options: list[str], variables: dict[str, str], ini: str
) -> None:
    tmp_path.joinpath("pytest.ini").write_text(f"[pytest]\n{ini}\n", "utf-8")

    told = run_pytest(simulator, tmp_path, CAPPED, "-rA", *options, **variables)

    assert "2 failed, 2 passed" in told.text, told.text
    assert "the AI budget of this run (ci-run) is reached: $0.0" in told.text
    assert "of $0.02 spent" in told.text
    assert "--ai-budget DOLLARS or the variable CI_AI_BUDGET gives the run more" in told.text
    *tests, total = told.rows.values()
    assert total[2] == sum(row[2] for row in tests) <= Decimal("0.02")
    assert total[3].startswith("$0.02  run pytest-")
    assert told.rows["test_it.py::test_third"] == (0, 1, Decimal(0), "cap of the run reached")
    (account,), _ = told.books()
    assert account.settled == total[2] * 1_000_000_000


WRONG = """
@pytest.mark.ai_budget({})
def test_it():
    ask()


def test_other():
    pass
"""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("", "ai_budget() cannot be read; write it like ai_budget(0.10)"),
        ("0.1, 0.2", "ai_budget(0.1, 0.2) cannot be read"),
        ("0.1, color='red'", "ai_budget(0.1, color='red') cannot be read"),
        ("'lots'", "ai_budget: 'lots' is not an amount of dollars"),
        ("True", "ai_budget: True is not an amount"),
    ],
)
def test_a_marker_that_cannot_be_read_is_an_error_of_its_test(
    simulator: SimulatorServer, tmp_path: Path, arguments: str, reason: str
) -> None:
    told = run_pytest(simulator, tmp_path, WRONG.format(arguments), "-q", "--strict-markers")
    assert reason in told.text, told.text
    assert "1 passed, 1 error" in told.text
    assert not simulator.record.calls and not told.has_ledger


@pytest.mark.parametrize(
    ("options", "variables", "reason"),
    [
        (["--ai-budget", "lots"], {}, "--ai-budget: 'lots' is not an amount of dollars"),
        (["--ai-budget", ""], {}, "--ai-budget: '' is not an amount of dollars"),
        ([], {"CI_AI_BUDGET": "3,5"}, "CI_AI_BUDGET: '3,5' is not an amount of dollars"),
    ],
)
def test_a_cap_that_is_no_amount_ends_the_run_before_its_first_test(
    simulator: SimulatorServer, tmp_path: Path, options: list[str], variables: dict[str, str], reason: str
) -> None:
    told = run_pytest(simulator, tmp_path, CAPPED, *options, **variables)
    assert told.status == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: {reason}" in told.text
    assert "passed" not in told.text and not simulator.record.calls


def test_without_a_test_that_asks_models_nothing_is_printed_opened_or_loaded(
    simulator: SimulatorServer, tmp_path: Path
) -> None:
    loaded = """
import sys

def pytest_sessionfinish(session):
    with open("loaded.json", "w") as file:
        print(__import__("json").dumps(sorted(sys.modules)), file=file)
"""
    (tmp_path / "conftest.py").write_text(loaded, "utf-8")
    told = run_pytest(simulator, tmp_path, "def test_it(): pass", "-q", before="", CI_AI_BUDGET="")
    modules = set(json.loads((tmp_path / "loaded.json").read_text("utf-8")))

    assert told.status == 0 and told.text.startswith("."), told.text
    assert "AI" not in told.text and not told.has_ledger
    ours = {name for name in modules if name.startswith("farthing.")}
    assert ours == {"farthing.sdk", "farthing.sdk.ci", "farthing.sdk.pytest_plugin"}


def test_the_plugin_can_be_left_out(simulator: SimulatorServer, tmp_path: Path) -> None:
    source = "def test_guarded():\n    ask(guard(openai.OpenAI(), budget=1))\n"
    told = run_pytest(simulator, tmp_path, source, "-q", "-p", "no:farthing")
    assert told.status == 0, told.text
    assert not told.rows and not told.has_ledger
    asked = run_pytest(simulator, tmp_path, source, "-q", "-p", "no:farthing", "--ai-budget", "1")
    assert asked.status == pytest.ExitCode.USAGE_ERROR


def test_loading_the_plugin_takes_less_than_20_ms() -> None:
    program = (
        "import time, pytest; start = time.perf_counter(); import farthing.sdk.pytest_plugin;"
        "print(time.perf_counter() - start)"
    )
    times = [
        float(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(times) < 0.020
