"""The report sessions: calls of a developer without half an hour between them."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.reports.asking import BadQuestion
from farthing.reports.sessions import GAP_US, report, sessions_of
from farthing.reports.spans import Span
from farthing.scenarios.moments import DAY_US, WEEK_STARTS_AT_US
from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_people import g3
from tests.reports.ledgers import WEEK, a_call_of, a_ledger, asking, rows_of, total_of

MINUTE_US = 60_000_000


def at_minutes(*minutes: int, developer: str = "alice", environment: str = "development") -> Iterator[Row]:
    """Calls of ten cents at these minutes of the week."""
    for minute in minutes:
        yield a_call_of(
            "0.10",
            at_us=WEEK_STARTS_AT_US + minute * MINUTE_US,
            developer=developer,
            environment=environment,
        )


def test_a_gap_of_more_than_half_an_hour_parts_two_sessions() -> None:
    sheet = report(asking(a_ledger(at_minutes(0, 30, 60, 91, 100))))
    first, second = sorted(rows_of(sheet, "sessions"), key=lambda row: int(str(row["began_at"])))
    assert (first["calls"], first["lasted_seconds"]) == (3, 60 * MINUTE_US)
    assert (second["calls"], second["lasted_seconds"]) == (2, 9 * MINUTE_US)
    assert first["began_at"] == WEEK_STARTS_AT_US
    assert second["ended_at"] == WEEK_STARTS_AT_US + 100 * MINUTE_US
    assert first["cost_nanodollars"] == 300_000_000


@given(st.lists(st.integers(0, 300), min_size=1, max_size=30, unique=True))
def test_sessions_are_as_if_every_call_had_been_looked_at(minutes: list[int]) -> None:
    moments = sorted(minutes)
    gaps = sum(after - before > 30 for before, after in pairwise(moments))
    sessions = sessions_of(asking(a_ledger(at_minutes(*moments))))
    assert len(sessions) == 1 + gaps
    assert sum(one.calls for one in sessions) == len(moments)
    assert GAP_US == 30 * MINUTE_US


def test_two_developers_never_share_a_session_and_two_environments_may() -> None:
    rows = [
        *at_minutes(0, 10, developer="alice"),
        *at_minutes(20, developer="alice", environment="staging"),
        *at_minutes(5, 15, developer="bob"),
    ]
    sheet = report(asking(a_ledger(rows)))
    told = [(row["developer"], row["environments"], row["calls"]) for row in rows_of(sheet, "sessions")]
    assert told == [("alice", "development, staging", 3), ("bob", "development", 2)]
    alone = report(asking(a_ledger(rows), environment="staging"))
    assert [row["calls"] for row in rows_of(alone, "sessions")] == [1]


def test_a_week_of_work_is_five_sessions_for_each_engineer() -> None:
    sheet = report(asking(a_ledger(g3())))
    people = {row["developer"]: row for row in rows_of(sheet, "developers")}
    assert {name: row["sessions"] for name, row in people.items()} == dict.fromkeys(people, 5)
    assert len(people) == 5
    b = people["engineer-b"]
    assert (b["calls"], b["cost_nanodollars"]) == (2_394, 19_152_000_000)
    assert b["cost_per_session_nanodollars"] == 19_152_000_000 // 5
    assert next(iter(people)) == "engineer-b"
    dearest = rows_of(sheet, "sessions")[0]
    assert dearest["developer"] == "engineer-b"
    assert total_of(sheet, "sessions")["developer"] == "25 sessions"
    assert total_of(sheet, "sessions")["calls"] == 3_594


def test_sessions_beyond_the_top_are_one_row() -> None:
    rows = [row for day in range(6) for row in at_minutes(day * 1_440, day * 1_440 + 5)]
    sheet = report(asking(a_ledger(rows), top=2))
    told = rows_of(sheet, "sessions")
    assert [row["developer"] for row in told] == ["alice", "alice", "(others)"]
    assert (told[-1]["began_at"], told[-1]["calls"]) == (None, 8)
    assert told[-1]["lasted_seconds"] == 4 * 5 * MINUTE_US


def test_a_year_of_sessions_is_too_much_to_tell() -> None:
    span = Span(WEEK.since_us, WEEK.since_us + 93 * DAY_US)
    with pytest.raises(BadQuestion, match="92 days at most, and 93 were asked for"):
        report(asking(a_ledger(), span))


def test_without_developers_the_report_says_how_to_name_them() -> None:
    for rows in ([], [a_call_of()]):
        sheet = report(asking(a_ledger(rows)))
        assert sheet.tables == ()
        assert "farthing key create --environment development --label alice" in sheet.notes[0]
