"""farthing reconcile: a provider's bill beside the ledger, as people and programs read it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from farthing.config.stores import open_store
from farthing.simulator.server import SimulatorServer
from tests.cli.conftest import CommandLine, complaint, told
from tests.reports.bills import (
    Billed,
    Bills,
    anthropic_costs,
    anthropic_usage,
    changed,
    openai_costs,
    openai_usage,
)
from tests.running import RunningGateway

LEDGER = ("--ledger", "sqlite:///farthing.db")


@pytest.fixture
def bills(folder: Path) -> Iterator[Bills]:
    """A ledger in a file, and its calls in the providers' books too."""
    store = open_store(str(folder / "farthing.db"))
    yield Bills(store).week()
    store.close()


@pytest.fixture
def exports(folder: Path, bills: Bills) -> list[str]:
    """The four files of both providers."""
    return written(folder, bills.billed)


def written(folder: Path, billed: list[Billed]) -> list[str]:
    """Write the files that the providers export."""
    documents = {
        "usage.json": openai_usage(billed),
        "costs.json": openai_costs(billed),
        "claude-usage.json": anthropic_usage(billed),
        "claude-costs.json": anthropic_costs(billed),
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document), "utf-8")
    return list(documents)


def test_files_that_agree_say_so_in_a_sentence(farthing: CommandLine, exports: list[str]) -> None:
    result = farthing("reconcile", *exports, *LEDGER)

    assert result.exit_code == 0
    assert "OpenAI and the ledger both say $0.112; all 6 lines agree." in result.stdout
    assert "Anthropic and the ledger both say $0.0719; all 3 lines agree." in result.stdout
    assert "2026-11-02 to 2026-11-04 (UTC)" in result.stdout
    assert "that differ" not in result.stdout


def test_a_line_that_differs_is_shown_with_its_cause_and_the_exit_code_says_no(
    farthing: CommandLine, folder: Path, bills: Bills
) -> None:
    files = written(folder, [*bills.billed[:9], *bills.billed[10:]])

    result = farthing("reconcile", *files, *LEDGER)

    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert any(
        line.split() == ["2026-11-02", "openai", "gpt-4o", "(all)", "requests", "5", "6", "-1", "lacking"]
        for line in lines
    )
    assert any("call_0010 (2026-11-02T09:30:00Z)" in line for line in lines)
    assert any(
        "less there; 1 of 6 lines differ, all of them accounted for in full." in line for line in lines
    )


def test_json_has_every_line_in_whole_numbers(farthing: CommandLine, folder: Path, bills: Bills) -> None:
    files = written(folder, [*bills.billed[:9], *bills.billed[10:]])

    result = farthing("reconcile", *files, *LEDGER, "--json")

    assert result.exit_code == 1
    answer = told(result)
    rows = answer["tables"]["quantities"]["rows"]
    assert len(rows) == 6 * 5 + 3 * 4
    wrong = [row for row in rows if row["difference"]]
    assert {(row["day"], row["model"], row["cause"]) for row in wrong} == {
        ("2026-11-02", "gpt-4o", "lacking")
    }
    cost = next(row for row in answer["tables"]["total_cost"]["rows"] if row["provider"] == "openai")
    assert cost["difference_nanodollars"] == cost["theirs_nanodollars"] - cost["ours_nanodollars"]
    assert answer["flags"][0]["name"] == "lacking"


def test_totals_are_those_of_farthing_spend(farthing: CommandLine, exports: list[str]) -> None:
    totals = told(farthing("reconcile", *exports, *LEDGER, "--json"))["tables"]["total_cost"]["rows"]
    spent = told(farthing("spend", "--by", "provider", *LEDGER, "--json"))["spend"]

    assert {row["provider"]: row["ours_nanodollars"] for row in totals} == {
        row["provider"]: row["cost_nanodollars"] for row in spent
    }


def test_keys_are_paired_by_option_or_by_file(
    farthing: CommandLine, folder: Path, exports: list[str]
) -> None:
    (folder / "keys.txt").write_text("# theirs = ours\nkey_alice = alice\n\nkey_bob=bob # Bob\n", "utf-8")
    usage = exports[0]
    ways = (["--key", "key_alice=alice", "--key", "key_bob=bob"], ["--key-map", "keys.txt"])

    for pairs in ways:
        answer = told(farthing("reconcile", usage, *pairs, *LEDGER, "--json"))
        assert {row["key"] for row in answer["tables"]["quantities"]["rows"]} == {"alice", "bob"}


def test_a_report_for_finance_is_written_as_a_document(
    farthing: CommandLine, folder: Path, exports: list[str]
) -> None:
    result = farthing("reconcile", *exports, *LEDGER, "--all", "--format", "markdown", "--output", "bill.md")

    assert result.exit_code == 0
    assert "both say $0.112; all 6 lines agree." in (folder / "bill.md").read_text("utf-8")


def test_only_the_dimensions_asked_for_are_told_apart(farthing: CommandLine, exports: list[str]) -> None:
    answer = told(farthing("reconcile", *exports[:2], "--by", "model", *LEDGER, "--json"))

    rows = answer["tables"]["costs"]["rows"]
    assert {(row["day"], row["model"]) for row in rows} == {("(all)", "gpt-4o"), ("(all)", "gpt-4o-mini")}


def test_an_own_tolerance_counts(farthing: CommandLine, folder: Path, bills: Bills) -> None:
    written(folder, [changed(one, cost_times=one.cost_times * 2) for one in bills.billed])

    assert farthing("reconcile", "costs.json", *LEDGER).exit_code == 1
    assert farthing("reconcile", "costs.json", "--tolerance", "$1", *LEDGER).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.json"], "nowhere.json"),
        (["costs.json", "--provider", "anthropic"], "costs.json: not an export of anthropic"),
        (["costs.json", "--provider", "acme"], "exports of 'acme' cannot be read"),
        (["costs.json", "--by", "hour"], "lines cannot be told by 'hour'"),
        (["costs.json", "--by", "key"], "keys can be told apart only where theirs are paired with ours"),
        (["costs.json", "--key", "key_alice"], "--key key_alice is no pair of keys"),
        (["costs.json", "--key", "a=b", "--key", "a=c"], "is paired with b already"),
        (["costs.json", "--tolerance", "much"], "'much' is not an amount of dollars"),
        (["costs.json", "--format", "pdf"], "--format pdf"),
        (["bad.json"], "bad.json is not JSON"),
    ],
)
def test_wrong_questions_are_told_clearly(
    farthing: CommandLine, folder: Path, exports: list[str], arguments: list[str], said: str
) -> None:
    (folder / "bad.json").write_text("{", "utf-8")

    result = farthing("reconcile", *arguments, *LEDGER, "--json")

    assert exports
    assert result.exit_code == 2
    assert said in str(complaint(result)["message"])


POLICY = """
organization: acme
timezone: UTC
environments:
  production: {}
budgets:
  - {name: production-month, match: {environment: production}, limit: "$1,000", period: monthly}
providers:
  targets:
    - {id: openai, provider: openai, base_url: SIMULATOR/v1}
    - {id: anthropic, provider: anthropic, base_url: SIMULATOR}
"""


def test_what_a_provider_really_billed_is_what_the_gateway_booked(
    farthing: CommandLine, folder: Path
) -> None:
    """The simulated providers write down what each call was billed; their export is made of that."""
    with SimulatorServer() as simulator, RunningGateway(POLICY, folder, simulator) as gateway:
        key = gateway.key(label="alice")
        for number in range(4):
            text = f"hello {number} [[sim output={20 + number} input=1500 cached={128 * number}]]"
            assert gateway.chat(key, text, model="gpt-4o", stream=number % 2 == 0).status == 200
            body = {
                "model": "claude-haiku-4-5",
                "max_tokens": 90,
                "messages": [{"role": "user", "content": text}],
            }
            assert gateway.post("/v1/messages", body, key).status == 200
        gateway.chat(key, "no [[sim status=400]]", model="gpt-4o")
        billed = [
            Billed(
                at_us=call.at_us, provider="openai" if call.model.startswith("gpt") else "anthropic",
                model=call.model, key="key_1", fresh=used.input_tokens - used.cached - used.cache_write,
                read=used.cached, written=used.cache_write, output=used.output_tokens,
            )
            for call in simulator.record.calls if (used := call.billed) is not None and call.status == 200
        ]  # fmt: skip
    assert len(billed) == 8
    ledger = ("--ledger", f"sqlite:///{gateway.ledger_file}")
    (folder / "farthing.yaml").unlink()

    # By model, so that it does not matter if midnight passes meanwhile.
    result = farthing("reconcile", *_around(folder, billed), "--by", "model", *ledger, "--json")

    assert result.exit_code == 0, result.stdout
    answer = told(result)
    totals = {
        (row["provider"], row["figure"]): row["ours"] for row in answer["tables"]["total_quantities"]["rows"]
    }
    assert totals[("openai", "requests")] == 4
    assert totals[("openai", "cache read")] == 128 * (0 + 1 + 2 + 3)
    assert totals[("anthropic", "output")] == 20 + 21 + 22 + 23
    assert "OpenAI answered 1 call with an error, which are not counted here." in answer["notes"]

    result = farthing("reconcile", *_around(folder, billed[1:]), "--by", "model", *ledger)

    assert result.exit_code == 1
    assert "lacking" in result.stdout


def _around(folder: Path, billed: list[Billed]) -> list[str]:
    """The exports of the days on which something was billed."""
    files = written(folder, billed)
    for name in files:
        document = json.loads((folder / name).read_text("utf-8"))
        document["data"] = [bucket for bucket in document["data"] if bucket["results"]]
        (folder / name).write_text(json.dumps(document), "utf-8")
    return files
