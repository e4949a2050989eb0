"""The report prompts: what developers sent again and again, by hash."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from farthing.policy.rules import Caching, Environment
from farthing.reports.prompts import report
from farthing.reports.sheet_json import sheet_json
from farthing.scenarios.moments import DAY_US, WEEK_STARTS_AT_US
from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_limits import g14
from tests.builders import a_policy
from tests.reports.ledgers import MONTH, a_call_of, a_ledger, asking, rows_of, total_of


def sent(times: int, prompt: str = "p", *, developer: str | None = "alice", day: int = 0) -> Iterator[Row]:
    """One prompt so many times, a cent each."""
    for number in range(times):
        yield a_call_of(
            "0.01",
            developer=developer,
            prompt_hash=f"hash-of-{prompt}",
            at_us=WEEK_STARTS_AT_US + day * DAY_US + number,
        )


def test_the_same_prompt_fifteen_times_is_named_with_what_three_runs_cost() -> None:
    sheet = report(asking(a_ledger([*sent(15), *sent(2, "q")])))
    (row,) = rows_of(sheet, "prompts")
    assert row == {
        "developer": "alice",
        "environment": "development",
        "prompt_hash": "hash-of-p",
        "calls": 15,
        "days": 1,
        "cost_nanodollars": 150_000_000,
        "three_runs_nanodollars": 30_000_000,
        "avoidable_nanodollars": 120_000_000,
    }
    (flag,) = sheet.flags
    assert flag.text == (
        "alice sent one prompt 15 times in a day in development for $0.15; "
        "3 runs a day would have cost $0.03."
    )
    assert "cache: {enabled: true" in flag.fix


@pytest.mark.parametrize(("times", "told"), [(14, 0), (15, 1)])
def test_from_how_many_on_it_counts_can_be_said(times: int, told: int) -> None:
    sheet = report(asking(a_ledger(sent(times)), least=15))
    assert len(sheet.tables) == told
    if not told:
        assert "sent one prompt 15 times or more" in sheet.notes[0]


def test_days_count_apart_and_only_those_with_repeats() -> None:
    rows = [*sent(10), *sent(5, day=1), *sent(1, day=2)]
    (row,) = rows_of(report(asking(a_ledger(rows))), "prompts")
    assert (row["calls"], row["days"]) == (15, 2)
    assert row["three_runs_nanodollars"] == 60_000_000
    (flag,) = report(asking(a_ledger(rows))).flags
    assert "15 times in 2 days" in flag.text


def test_a_policy_that_keeps_answers_is_told_how_to_use_them() -> None:
    kept = Caching(
        ttl_seconds=7_200, entries_max=100, bytes_max=1_000, temperature_max=Decimal(1), tools=False
    )
    policy = a_policy(environment=Environment(name="development", caching=kept))
    sheet = report(asking(a_ledger(sent(15)), policy=policy))
    assert "the same request with temperature 0 costs nothing there" in sheet.flags[0].fix
    assert "ttl_seconds" in report(asking(a_ledger(sent(15)), policy=a_policy())).flags[0].fix


def test_the_ranking_keeps_its_sums() -> None:
    rows = [row for number in range(4, 10) for row in sent(number, str(number))]
    sheet = report(asking(a_ledger(rows), top=2))
    told = rows_of(sheet, "prompts")
    assert [row["developer"] for row in told] == ["alice", "alice", "(others)"]
    assert [row["calls"] for row in told] == [9, 8, 4 + 5 + 6 + 7]
    assert total_of(sheet, "prompts")["calls"] == 39
    assert len(sheet.flags) == 3


def test_answers_that_were_kept_cost_nothing_and_raise_no_flag() -> None:
    """200 bodies, five times each within the hour: one of five is paid for."""
    sheet = report(asking(a_ledger(g14()), MONTH))
    assert total_of(sheet, "prompts")["calls"] == 1_000
    assert total_of(sheet, "prompts")["cost_nanodollars"] == 200 * 8_000_000


def test_nothing_that_anybody_wrote_is_told() -> None:
    text = sheet_json(report(asking(a_ledger(sent(15))))).decode()
    assert "hash-of-p" in text
    assert '"prompt_hash"' in text
    assert '"prompt":' not in text


def test_an_empty_ledger_says_what_is_looked_for() -> None:
    for rows in ([], list(sent(20, developer=None))):
        sheet = report(asking(a_ledger(rows)))
        assert sheet.tables == ()
        assert "sent one prompt 3 times or more" in sheet.notes[0]
