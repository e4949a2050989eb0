"""The FOCUS export: its rows sum to the ledger, and the validator of the specification finds no fault."""

import csv
import io
import os
import subprocess
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from farthing.domain.money import nanodollars_from
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import Store
from farthing.reports.export import Export
from farthing.reports.export_columns import Kind
from farthing.reports.export_writing import Encoding, Layout, Writing
from farthing.reports.focus import focus_columns
from farthing.reports.spans import Span, month_of
from farthing.scenarios.rows import Row
from farthing.scenarios.seeds import SETS
from farthing.scenarios.writing import write
from tests.reports.exporting import AUGUST, DAY_US, NOW_US, an_export, every_kind, fill

ROOT = Path(__file__).parents[2]
BESIDE = ROOT / ".venv" / "beside" / "focus"
# What is true of these rows, so that the rules about it are asked too.
APPLIES = (
    "ACCOUNT_NAMING_SUPPORTED", "MULTIPLE_PRICING_CATEGORIES_SUPPORTED",
    "MULTIPLE_SUB_ACCOUNT_TYPES_SUPPORTED", "SUB_ACCOUNT_SUPPORTED", "TAGGING_SUPPORTED",
    "USAGE_MEASUREMENT_SUPPORTED",
)  # fmt: skip
# "Not null where there is an invoice" is asked of every row, beside "null where there is none": one of the
# two fails in every file. Their parent, which asks for either, passes.
OF_NO_INVOICE = "InvoiceId-C-005-C"
SEPTEMBER = month_of("2026-09", NOW_US)


def focus_csv(export: Export, version: str = "1.2") -> list[dict[str, str]]:
    """The rows of a FOCUS file."""
    writing = Writing(export, Layout(encoding=Encoding.CSV, focus=version, account="acme"))
    return list(csv.DictReader(io.StringIO(b"".join(writing.chunks()).decode(), newline="")))


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A month of three environments, five people, refusals, kept answers and a call on a border."""
    store = SqliteStore(tmp_path_factory.mktemp("focus") / "ledger.db")
    for name in ("G3", "G7", "G8", "G11", "G14"):
        write(SETS[name](), store)
    write(some(SETS["G1"]()), store, name="some-of-a-month")
    fill(store, every_kind())
    yield store
    store.close()


def some(rows: Iterator[Row]) -> Iterator[Row]:
    return islice(rows, 0, None, 97)


@pytest.mark.parametrize("window", [AUGUST, SEPTEMBER, month_of("2026-07", NOW_US)], ids=str)
def test_rows_sum_to_the_ledger_to_the_nanodollar(books: Store, window: Span) -> None:
    for environment in (None, "production", "development"):
        export = an_export(books, window, environment)
        rows = focus_csv(export)
        sums = export.ended().sums

        for column in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"):
            assert sum(nanodollars_from(row[column]) for row in rows) == sums["cost_nanodollars"]
        tokens = sums["input_tokens"] + sums["output_tokens"]
        assert sum(int(row["ConsumedQuantity"].removesuffix(".0")) for row in rows) == tokens
        assert sum(int(row["x_InputTokens"]) for row in rows) == sums["input_tokens"]
        assert sum(int(row["x_CachedWriteTokens"]) for row in rows) == sums["cached_write"]
        charged = sums["calls"] - sums["voided"] - sums["cached"]
        assert sum(int(row["x_Calls"]) for row in rows) == charged
        assert sum(int(row["x_AssumedCalls"]) for row in rows) == sums["assumed"]


def test_calls_of_a_day_that_are_alike_are_one_row(books: Store) -> None:
    rows = focus_csv(an_export(books, SEPTEMBER))

    shared = [
        name for name in rows[0] if name not in ("BilledCost",) and not name.endswith(("Cost", "Quantity"))
    ]
    of_calls = {"x_Calls", "x_AssumedCalls"} | {name for name in shared if name.endswith("Tokens")}
    alike = Counter(tuple(row[name] for name in shared if name not in of_calls) for row in rows)
    assert set(alike.values()) == {1}
    assert max(int(row["x_Calls"]) for row in rows) > 100
    order = [(row["ChargePeriodStart"], row["SubAccountId"]) for row in rows]
    assert order == sorted(order)


def test_a_row_tells_whose_cost_of_what_it_is(books: Store) -> None:
    rows = {row["Tags"]: row for row in focus_csv(an_export(books, AUGUST))}
    row = rows['{"experiment":"exp\\n7","feature":"search","user_id":"u,1"}']

    assert (row["SubAccountId"], row["SubAccountType"]) == ("production", "Environment")
    assert (row["BillingAccountId"], row["BillingCurrency"]) == ("acme", "USD")
    assert (row["ProviderName"], row["InvoiceIssuerName"]) == ("OpenAI", "OpenAI")
    assert (row["SkuId"], row["SkuPriceId"]) == ("openai/gpt-4o-mini", "openai/gpt-4o-mini@openai/2026-01-01")
    assert (row["BilledCost"], row["ConsumedQuantity"]) == ("0.000480000", "1700.0")
    assert (row["ChargePeriodStart"], row["ChargePeriodEnd"]) == (
        "2026-08-01T00:00:00Z",
        "2026-08-02T00:00:00Z",
    )
    assert (row["BillingPeriodStart"], row["BillingPeriodEnd"]) == (
        "2026-08-01T00:00:00Z",
        "2026-09-01T00:00:00Z",
    )
    assert (row["x_Key"], row["x_ModelAsked"], row["x_ModelServed"]) == ("alice", "gpt-4o", "gpt-4o-mini")
    assert (row["InvoiceId"], row["x_Provisional"]) == ("", "false")


def test_a_day_is_cut_to_the_window(books: Store) -> None:
    window = Span(AUGUST.since_us + DAY_US // 4, AUGUST.since_us + DAY_US + DAY_US // 4)
    rows = focus_csv(an_export(books, window))

    periods = {(row["ChargePeriodStart"], row["ChargePeriodEnd"]) for row in rows}
    assert periods == {("2026-08-02T00:00:00Z", "2026-08-02T06:00:00Z")}


def test_a_window_that_may_change_says_so_in_each_row(books: Store) -> None:
    rows = focus_csv(an_export(books, AUGUST, now_us=AUGUST.since_us))
    assert {row["x_Provisional"] for row in rows} == {"true"}


def test_the_newer_version_names_service_and_host_beside_the_older_names(books: Store) -> None:
    older, newer = ([column.name for column in focus_columns(version)] for version in ("1.2", "1.3"))
    assert set(newer) - set(older) == {"ServiceProviderName", "HostProviderName"}
    assert {"ProviderName", "PublisherName"} <= {*older}
    for names in (older, newer):
        own = [name.startswith("x_") for name in names]
        assert own == sorted(own)  # our own columns come last
    (row, *_) = focus_csv(an_export(books, AUGUST), "1.3")
    assert row["ServiceProviderName"] == row["HostProviderName"] == row["ProviderName"]


def test_columns_of_money_are_decimals() -> None:
    kinds = {column.name: column.kind for column in focus_columns("1.2")}
    assert {kinds[name] for name in kinds if name.endswith("Cost")} == {Kind.DOLLARS}


# ── the validator of the specification, with no network ─────────────────────────────────────────


def validated(file: Path) -> tuple[dict[str, str], int]:
    """The rules that a file fails with what was said, and how many it passes."""
    validator = BESIDE / "bin" / "focus-validator"
    assert validator.exists(), "run  make beside  first: the validator has an environment of its own"
    report = file.with_suffix(".xml")
    command = [
        str(validator), "--data-file", str(file), "--validate-version", "1.2", "--block-download",
        "--applicability-criteria", ",".join(APPLIES), "--output-type", "unittest",
        "--output-destination", str(report),
    ]  # fmt: skip
    # It looks for its list of currencies below the folder it is started in.
    (packages,) = BESIDE.glob("lib/python3*/site-packages")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    ended = subprocess.run(
        command, cwd=packages, env=environ, capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    failed = {
        case.attrib["name"].partition(" ")[0]: found.attrib["message"]
        for case in cases
        for found in case
        if found.tag in ("failure", "error")
    }
    return failed, sum(len(case) == 0 for case in cases)


@pytest.mark.parametrize("encoding", [Encoding.CSV, Encoding.PARQUET])
def test_the_validator_finds_no_fault(books: Store, encoding: Encoding, tmp_path: Path) -> None:
    file = tmp_path / f"september.{encoding.value}"
    Writing(an_export(books, SEPTEMBER), Layout(encoding=encoding, focus="1.2", account="acme")).into(file)

    failed, passed = validated(file)

    assert set(failed) == {OF_NO_INVOICE}, failed
    assert passed > 150
