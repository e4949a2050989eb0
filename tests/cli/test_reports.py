"""Every report of the catalog on the command line: on nothing, on one day of data, on months of them."""

import shlex
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from typer.testing import Result

from farthing.config.stores import open_store
from farthing.domain.outcome import RecordedOutcome
from farthing.reports.catalog import REPORTS, Report
from farthing.reports.sheet import UNITS, Kind
from farthing.scenarios.rows import Row
from farthing.scenarios.writing import write
from farthing.scenarios.year import Year
from tests.cli.conftest import CommandLine, complaint, told

NOW_US = time.time_ns() // 1_000
LEDGERS = ("empty", "one day", "months")
_SPANS = ("--since", "--until", "--month", "--week")
_OUTPUTS = ("--format", "--output")


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Three ledgers: an empty one, one of the last day alone, and one of the last three months."""
    folder = tmp_path_factory.mktemp("ledgers")
    return {
        "empty": _ledger(folder / "empty.db", (), ()),
        "one day": _filled(folder / "day.db", Year(400, ends_at_us=NOW_US, days=1)),
        "months": _filled(folder / "months.db", Year(3_000, ends_at_us=NOW_US, days=92)),
    }


def _filled(file: Path, year: Year) -> str:
    rows = list(year.rows())
    outcomes = year.outcomes or [
        RecordedOutcome(
            outcome_id="o1", at_us=rows[-1].at_us, environment="production", name="conversion",
            labels=dict(rows[-1].labels),
        )
    ]  # fmt: skip
    return _ledger(file, rows, outcomes)


def _ledger(file: Path, rows: Iterable[Row], outcomes: Iterable[RecordedOutcome]) -> str:
    url = f"sqlite:///{file}"
    store = open_store(url)
    write(rows, store)
    for outcome in outcomes:
        store.add_outcome(outcome)
    store.close()
    return url


def options_of(report: Report, *without: str) -> list[str]:
    """The options of its example, but for some."""
    words = iter(shlex.split(report.example)[3:])
    return [text for name in words for text in (name, next(words)) if name not in without]


def about_now(report: Report, ledger: str, url: str, farthing: CommandLine, *more: str) -> Result:
    """The report over the last days, with what its example asks besides a span."""
    since = "2d" if ledger == "one day" else "60d"
    options = options_of(report, *_SPANS, *_OUTPUTS)
    result = farthing("report", report.name, *options, "--since", since, "--ledger", url, *more)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("ledger", LEDGERS)
@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_its_example_works_as_it_is_printed(
    company: Path, farthing: CommandLine, ledgers: dict[str, str], report: Report, ledger: str
) -> None:
    in_url = ("--ledger", ledgers[ledger])

    printed = farthing(*shlex.split(report.example)[1:], *in_url)
    sheet = told(farthing("report", report.name, *options_of(report, *_OUTPUTS), *in_url, "--json"))

    assert printed.exit_code == 0, printed.output
    if "--output" in report.example:
        page = (company / shlex.split(report.example)[-1]).read_text(encoding="utf-8")
        assert f"<h1>{sheet['title']}</h1>" in page
    else:
        assert printed.stdout.splitlines()[0] == sheet["title"]
    assert sheet["report"] == report.name
    assert sheet["since"] < sheet["until"]


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_an_empty_ledger_gets_an_answer_that_says_what_to_do(
    company: Path, farthing: CommandLine, ledgers: dict[str, str], report: Report
) -> None:
    sheet = told(about_now(report, "empty", ledgers["empty"], farthing, "--json"))

    assert sheet["tables"] == {} and sheet["flags"] == []
    assert sheet["notes"]


@pytest.mark.parametrize("ledger", LEDGERS[1:])
@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_a_day_of_data_is_enough_for_tables_in_every_form(
    company: Path, farthing: CommandLine, ledgers: dict[str, str], report: Report, ledger: str, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    url = ledgers[ledger]

    sheet = told(about_now(report, ledger, url, farthing, "--json"))
    text = about_now(report, ledger, url, farthing, "--format", "markdown").stdout
    wrote = about_now(report, ledger, url, farthing, "--output", str(page))

    assert sheet["provisional"] is True
    # Where a day says too little, the sheet says what more it takes.
    assert any(table["rows"] for table in sheet["tables"].values()) or sheet["notes"]
    assert text.startswith(f"# {sheet['title']}\n")
    assert text.count("\n## ") == len(sheet["tables"])
    assert wrote.exit_code == 0 and str(page) in " ".join(wrote.stderr.split())
    written = page.read_text(encoding="utf-8")
    assert written.count("<table>") == len(sheet["tables"])
    assert len(page.read_bytes()) < 500_000


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_sums_of_money_carry_their_unit_and_are_whole(
    company: Path, farthing: CommandLine, ledgers: dict[str, str], report: Report
) -> None:
    sheet = told(about_now(report, "months", ledgers["months"], farthing, "--json"))

    for table in sheet["tables"].values():
        for row in [*table["rows"], *([table["total"]] if table["total"] else [])]:
            for name, value in row.items():
                if name.endswith(UNITS[Kind.MONEY]):
                    assert value is None or isinstance(value, int), (name, value)
                if name.endswith(UNITS[Kind.MOMENT]) and value is not None:
                    assert str(value).endswith("Z"), (name, value)


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_no_line_of_a_table_is_wider_than_the_terminal(
    company: Path,
    farthing: CommandLine,
    ledgers: dict[str, str],
    report: Report,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "100")

    drawn = about_now(report, "months", ledgers["months"], farthing).stdout

    ruled = [line for line in drawn.splitlines() if "──" in line]
    assert all(len(line) <= 100 for line in ruled)


def test_a_report_can_be_asked_in_one_form_at_a_time(
    company: Path, farthing: CommandLine, ledgers: dict[str, str]
) -> None:
    for options in (("--format", "pdf"), ("--format", "html", "--json")):
        result = farthing("report", "environments", "--ledger", ledgers["empty"], *options)

        assert result.exit_code == 2


def test_a_bad_span_is_told_with_an_example(
    company: Path, farthing: CommandLine, ledgers: dict[str, str]
) -> None:
    result = farthing("report", "caps", "--month", "September", "--ledger", ledgers["empty"], "--json")

    assert result.exit_code == 2
    assert "is not a month" in (complaint(result)["message"] or "")
    assert complaint(result)["fix"] == "farthing report caps --month last"
