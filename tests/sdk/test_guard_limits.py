"""Budgets at their limit: races, waiting for held money, cheaper models, and how a budget is written."""

import asyncio
import logging
import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest

from farthing import BudgetExceeded, CallRefused, Fence, GuardError, guard
from farthing.config.rulings import ruling_of
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import desk_of, entries_of, messages, report_of

# gpt-4o: 40,000 tokens of input and 10,000 of output cost $0.20.
LONG = "word " * 39_980
TWENTY_CENTS = "[[sim input=40000 output=10000 latency_ms=50]]" + LONG
TEN_CENTS = "[[sim output=10000 latency_ms=20]] hello"


def ask(client: openai.OpenAI, text: str, model: str = "gpt-4o", **more: Any) -> bool:
    try:
        client.chat.completions.create(model=model, messages=messages(text), **more)
    except BudgetExceeded:
        return False
    return True


def guarded(simulator: SimulatorServer, budget: Any, **more: Any) -> openai.OpenAI:
    return guard(
        openai.OpenAI(base_url=simulator.openai_url, api_key="any", timeout=60), budget=budget, **more
    )


def at_once(count: int, work: Callable[[], bool]) -> int:
    with ThreadPoolExecutor(count) as pool:
        return sum(pool.map(lambda _: work(), range(count)))


def test_fifty_threads_on_fifty_cents_make_two_calls_of_twenty(simulator: SimulatorServer) -> None:
    client = guarded(simulator, "$0.50")
    made = at_once(50, lambda: ask(client, TWENTY_CENTS, max_tokens=10_000))
    assert made == 2
    assert report_of(client).spent == Decimal("0.40")
    assert len(simulator.record.calls) == 2


def test_fifty_tasks_on_fifty_cents_make_two_calls_of_twenty(simulator: SimulatorServer) -> None:
    client = guard(
        openai.AsyncOpenAI(base_url=simulator.openai_url, api_key="any", timeout=60), budget="$0.50"
    )

    async def one() -> bool:
        try:
            await client.chat.completions.create(
                model="gpt-4o", messages=messages(TWENTY_CENTS), max_tokens=10_000
            )
        except BudgetExceeded:
            return False
        return True

    async def fifty() -> list[bool]:
        async with client:
            return await asyncio.gather(*(one() for _ in range(50)))

    assert sum(asyncio.run(fifty())) == 2
    assert report_of(client).spent == Decimal("0.40")


def test_held_money_is_waited_for_so_that_the_budget_is_used(simulator: SimulatorServer) -> None:
    client = guarded(simulator, "$0.50")
    made = at_once(50, lambda: ask(client, TEN_CENTS))
    assert made >= 5
    assert Decimal("0.45") <= report_of(client).spent <= Decimal("0.50")
    clamped = [row for row in entries_of(client) if row.clamped_to is not None]
    assert len(clamped) <= 2  # only what the very last money pays for is shortened, and its entry says so


def spend_in_a_process(url: str, ledger: str, results: Any) -> None:
    client = guard(
        openai.OpenAI(base_url=url, api_key="any", timeout=60),
        budget="$0.50",
        workflow_id="race",
        ledger=ledger,
        environment="development",
    )
    results.put(at_once(16, lambda: ask(client, TWENTY_CENTS, max_tokens=10_000)))


def test_four_processes_of_sixteen_threads_share_fifty_cents(
    simulator: SimulatorServer, tmp_path: Path
) -> None:
    ledger = f"sqlite:///{tmp_path / 'shared.db'}"
    spawning = multiprocessing.get_context("spawn")
    results = spawning.Queue()
    processes = [
        spawning.Process(target=spend_in_a_process, args=(simulator.openai_url, ledger, results))
        for _ in range(4)
    ]
    for process in processes:
        process.start()
    made = sum(results.get(timeout=90) for _ in processes)
    for process in processes:
        process.join(30)
    assert made == 2
    client = guarded(simulator, "$0.50", workflow_id="race", ledger=ledger)
    assert report_of(client).spent == Decimal("0.40")


def test_a_plain_thread_without_context_is_on_the_same_budget(simulator: SimulatorServer) -> None:
    client = guarded(simulator, 1)
    thread = threading.Thread(target=lambda: ask(client, "hello [[sim output=100]]"))
    thread.start()
    thread.join()
    assert report_of(client).calls == 1 and report_of(client).spent > 0


# ── cheaper models ──────────────────────────────────────────────────────────────────────────────


def test_downgrade_model_takes_the_place_of_every_dearer_model(simulator: SimulatorServer) -> None:
    client = guarded(simulator, 2, downgrade_model="gpt-4o-mini")
    ask(client, "hello [[sim input=10 output=100]]", model="gpt-4o")
    (entry,) = entries_of(client)
    assert (entry.facts.model_asked, entry.model_served) == ("gpt-4o", "gpt-4o-mini")
    assert entry.cost_asked_nanodollars is not None
    assert entry.cost_asked_nanodollars > 10 * entry.cost_nanodollars


@pytest.mark.parametrize("asked", ["gpt-4.1-nano", "gpt-4o-mini"])
def test_a_downgrade_never_picks_a_dearer_model(simulator: SimulatorServer, asked: str) -> None:
    client = guarded(simulator, 2, downgrade_model="gpt-4o")
    ask(client, "hello", model=asked)
    (entry,) = entries_of(client)
    assert entry.model_served == asked


def test_a_downgrade_never_picks_a_model_of_another_dialect(simulator: SimulatorServer) -> None:
    client = guarded(simulator, 2, downgrade_model="claude-haiku-4-5")
    ask(client, "hello", model="gpt-4o")
    assert entries_of(client)[0].model_served == "gpt-4o"


def test_a_fallback_acts_from_its_threshold(simulator: SimulatorServer) -> None:
    client = guarded(simulator, "$0.10", fallback="gpt-4o-mini", threshold=0.5)
    served = []
    for _ in range(8):
        ask(client, "[[sim output=1000]] hello", max_tokens=1_000)
        served.append(entries_of(client)[0].model_served)
    assert served == ["gpt-4o"] * 5 + ["gpt-4o-mini"] * 3


def test_a_fallback_acts_where_the_model_asked_for_does_not_fit(simulator: SimulatorServer) -> None:
    client = guarded(simulator, "$0.05", fallback="gpt-4o-mini")
    assert ask(client, "hello", max_tokens=10_000)
    assert entries_of(client)[0].model_served == "gpt-4o-mini"


# ── manners at the limit ────────────────────────────────────────────────────────────────────────


def test_warn_meters_on_and_says_so(simulator: SimulatorServer, caplog: pytest.LogCaptureFixture) -> None:
    client = guarded(simulator, 0, on_limit="warn")
    with caplog.at_level(logging.WARNING, "farthing"):
        assert ask(client, "hello") and ask(client, "hello")
    assert report_of(client).spent > 0 and len(caplog.records) == 2


def test_a_model_without_a_price_is_not_called(simulator: SimulatorServer) -> None:
    with pytest.raises(CallRefused, match="has no price"):
        ask(guarded(simulator, 1), "hello", model="nobody-knows-me")
    assert not simulator.record.calls


def test_a_policy_decides_as_it_does_at_the_gateway(simulator: SimulatorServer, tmp_path: Path) -> None:
    policy = tmp_path / "farthing.yaml"
    policy.write_text(
        """
environments:
  development:
    models: {allow: [gpt-4o-mini], otherwise: downgrade}
    downgrade: {gpt-4o: gpt-4o-mini}
  production: {}
budgets:
  - {name: dev-month, match: {environment: development}, limit: $5, period: monthly}
providers:
  targets:
    - {id: openai, provider: openai}
""",
        "utf-8",
    )
    client = guard(
        openai.OpenAI(base_url=simulator.openai_url, api_key="any"), policy=str(policy), ledger="memory://"
    )
    ask(client, "hello", model="gpt-4o")
    newest = max(entries_of(client), key=lambda entry: entry.at_us)
    assert (newest.model_served, newest.facts.environment) == ("gpt-4o-mini", "development")
    assert [account.partition("/")[0] for account in newest.accounts] == ["dev-month"]
    assert newest.rules == ("downgrade gpt-4o: gpt-4o-mini",)
    # The ledger leads from the digest of the entry back to the file that said these rules.
    ruling = ruling_of(newest.facts.policy_digest or "", desk_of(client).runtime.store)
    assert ruling is not None
    assert [file.name for file in ruling.files] == [str(policy)]


# ── how things are written ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("$1,000.00", "1000"),
        ("0.50 USD", "0.5"),
        (2, "2"),
        (0.1, "0.1"),
        (Decimal("0.000000001"), "0.000000001"),
    ],
)
def test_a_budget_is_read_exactly(simulator: SimulatorServer, written: Any, read: str) -> None:
    assert report_of(guarded(simulator, written)).limit == Decimal(read)


@pytest.mark.parametrize(
    "written", [float("nan"), float("inf"), True, -1, "-1", "$$1", "1.0000000001", "ten", "", None, [1]]
)
def test_a_budget_that_is_none_is_refused(simulator: SimulatorServer, written: Any) -> None:
    with pytest.raises(GuardError):
        guarded(simulator, written)


@pytest.mark.parametrize(
    "wrong",
    [
        {"on_limit": "explode"},
        {"period": "fortnightly"},
        {"threshold": 1.5},
        {"threshold": float("nan")},
        {"labels": {"user": object()}},
        {"labels": {"user": "a\nb"}},
        {"labels": {f"label {number}": "x" for number in range(21)}},
        {"workflow_id": ""},
        {"downgrade_model": "gpt-4o-mini", "fallback": "gpt-4.1-nano"},
    ],
)
def test_what_cannot_be_done_is_said_at_once(simulator: SimulatorServer, wrong: dict[str, Any]) -> None:
    with pytest.raises(GuardError):
        guarded(simulator, 1, **wrong)


def test_labels_and_environment_stand_on_every_entry(
    simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_ENV", "staging")
    client = guarded(simulator, 1, labels={"user_id": 42, "beta": True})
    ask(client, "hello")
    (entry,) = entries_of(client)
    assert entry.facts.environment == "staging"
    assert dict(entry.facts.labels) == {"user_id": "42", "beta": "true"}


def test_an_unknown_environment_is_development_with_a_warning(
    simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("APP_ENV", "moon")
    client = guarded(simulator, 1)
    ask(client, "hello")
    assert entries_of(client)[0].facts.environment == "development"
    assert "'moon'" in caplog.text


def test_every_guard_in_ci_joins_the_cap_of_the_run(
    simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("GITHUB_RUN_ID", "77")
    monkeypatch.setenv("CI_AI_BUDGET", "0.02")
    first, second = guarded(simulator, 5), guarded(simulator, 5)
    assert ask(first, "[[sim output=1900]] hello", max_tokens=1_900)
    assert not ask(second, "[[sim output=1900]] hello", max_tokens=1_900)
    assert "ci-run" in entries_of(first)[0].accounts[-1]


def test_a_cap_of_ci_that_is_no_amount_is_an_error(
    simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("CI_AI_BUDGET", "lots")
    with pytest.raises(CallRefused, match="CI_AI_BUDGET"):
        ask(guarded(simulator, 5), "hello")


# ── clamped or refused ──────────────────────────────────────────────────────────────────────────


def test_a_call_that_does_not_fit_in_full_is_clamped_unless_told_otherwise(
    simulator: SimulatorServer,
) -> None:
    client = guarded(simulator, "$0.05")
    assert ask(client, "hello", max_tokens=10_000)
    (entry,) = entries_of(client)
    assert entry.clamped_to is not None and 4_000 < entry.clamped_to < 5_000  # $0.05 of gpt-4o


def test_a_strict_budget_makes_no_call_that_does_not_fit_in_full(simulator: SimulatorServer) -> None:
    client = guarded(simulator, "$0.05", at_limit="refuse")
    assert not ask(client, "hello", max_tokens=10_000)
    assert not ask(client, "hello")  # it could cost as much as the model's longest answer
    assert not simulator.record.calls
    assert ask(client, "hello [[sim output=10]]", max_tokens=4_000)
    assert [row.clamped_to for row in entries_of(client) if row.outcome.value == "settled"] == [None]


def test_a_strict_budget_waits_for_held_money_all_the_same(simulator: SimulatorServer) -> None:
    client = guarded(simulator, "$0.50", at_limit="refuse")
    made = at_once(10, lambda: ask(client, TEN_CENTS, max_tokens=10_000))
    assert made == 4  # the fifth could cost a few tokens more than is left
    assert Decimal("0.40") < report_of(client).spent <= Decimal("0.50")


@pytest.mark.parametrize("wrong", [{"at_limit": "overrun"}, {"at_limit": "Clamp"}, {"at_limit": None}])
def test_at_limit_is_one_of_two_words_of_the_policy(
    simulator: SimulatorServer, wrong: dict[str, Any]
) -> None:
    with pytest.raises(GuardError, match="clamp, refuse"):
        guarded(simulator, 1, **wrong)
    with pytest.raises(GuardError, match="clamp, refuse"):
        Fence(budget=1, **wrong)


def test_a_strict_limit_cannot_merely_warn(simulator: SimulatorServer) -> None:
    with pytest.raises(GuardError, match="contradict"):
        guarded(simulator, 1, at_limit="refuse", on_limit="warn")


def test_a_strict_fence_refuses_what_does_not_fit_in_full(simulator: SimulatorServer) -> None:
    client = guarded(simulator, 5)
    with pytest.raises(BudgetExceeded), Fence(budget="$0.05", at_limit="refuse"):
        ask(client, "hello", max_tokens=10_000)
    assert not simulator.record.calls
