"""Exports: every entry of a window once, in order, summing to the ledger; and what is not let pass."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from farthing.domain.money import nanodollars_from
from farthing.domain.usage import Usage
from farthing.ledger.memory import MemoryStore
from farthing.ledger.slices import SpendRow
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import Store
from farthing.reports.calls import call_json
from farthing.reports.export import FIGURES, Export, ExportDiffers, UnknownEnvironment, check_environment
from farthing.reports.export_columns import ENTRY_COLUMNS, Kind, flattened
from farthing.reports.export_window import file_name, window_asked
from farthing.reports.focus import focus_columns
from farthing.reports.history import calls_in_order
from farthing.reports.spans import BadMoment, Span
from farthing.reports.totals import total_of
from tests.reports.exporting import (
    AUGUST,
    CALLS_OF_AUGUST,
    NOW_US,
    SECOND_US,
    a_call,
    a_hold,
    a_settle,
    an_export,
    every_kind,
    fill,
    named,
    rows_of,
)

HOUR_US = 3_600 * SECOND_US


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "ledger.db")
    fill(opened, every_kind())
    yield opened
    assert opened.verify() == []
    opened.close()


# ── the rows ────────────────────────────────────────────────────────────────────────────────────


def test_every_entry_of_the_window_is_there_once_in_order_of_time_and_id(store: Store) -> None:
    rows = [named(row) for row in rows_of(an_export(store))]

    assert [row["call_id"] for row in rows] == CALLS_OF_AUGUST
    assert [(row["at"], row["call_id"]) for row in rows] == sorted(
        (row["at"], row["call_id"]) for row in rows
    )


def test_the_sums_are_those_of_the_ledger(store: Store) -> None:
    for environment in (None, "production", "development"):
        export = an_export(store, environment=environment)
        rows = [named(row) for row in rows_of(export)]
        exported = export.ended()

        where = {} if environment is None else {"environment": environment}
        spent = total_of(
            store.spend(by=["key"], since_us=AUGUST.since_us, until_us=AUGUST.until_us, where=where)
        )
        assert exported.sums == {name: getattr(spent, name) for name in FIGURES}
        costs = [row["cost_nanodollars"] for row in rows]
        assert sum(cost for cost in costs if isinstance(cost, int)) == spent.cost_nanodollars
        assert exported.entries == len(rows)
        assert not exported.provisional


def test_every_member_of_an_entry_is_a_column(store: Store) -> None:
    columns = {column.name for column in ENTRY_COLUMNS}
    usage = {f"usage_{name}" for name in Usage.__struct_fields__}
    for entry in calls_in_order(store, AUGUST.since_us, AUGUST.until_us):
        assert set(flattened(call_json(entry))) <= columns
    assert usage <= columns
    assert len(columns) == len(ENTRY_COLUMNS)


def test_dollars_are_the_nanodollars_exactly(store: Store) -> None:
    for row in map(named, rows_of(an_export(store))):
        for column in ENTRY_COLUMNS:
            if column.kind is not Kind.DOLLARS:
                continue
            dollars, amount = row[column.name], row[column.name.replace("_dollars", "_nanodollars")]
            assert (dollars is None) == (amount is None)
            assert dollars is None or nanodollars_from(str(dollars)) == amount


def test_what_a_row_tells(store: Store) -> None:
    rows = {row["call_id"]: row for row in map(named, rows_of(an_export(store)))}

    odd = rows["odd-usage"]
    assert (odd["usage_input_tokens"], odd["usage_cached_write_5m"], odd["usage_reasoning"]) == (10, 3, 1)
    assert odd["usage_audio_in"] is None  # absent is not zero
    assert odd["usage_requests"] == '{"web_search":2}'
    assert odd["by_model"] == '[{"model":"gpt-4o","usage":{"input_tokens":5,"output_tokens":6}}]'
    assert odd["cost_dollars"] == "2.500000001"
    assert odd["anomalies"] == '["usage was told twice"]'
    first = rows["first"]
    assert (first["label_feature"], first["label_user_id"], first["label_experiment"]) == (
        "search",
        "u,1",
        "exp\n7",
    )
    assert first["label_tier"] is None
    assert rows["same-moment-a"]["prompt_hash"] == "9f2a"
    assert rows["corrected"]["cost_nanodollars"] == 123_456
    assert (rows["corrected"]["corrected"], rows["corrected"]["assumed"]) == (True, False)
    assert rows["refused"]["count"] == 3
    assert rows["cached"]["avoided_nanodollars"] == 480_000
    assert rows["untracked"]["cost_nanodollars"] is None
    assert (first["decision_reason"], first["decision_rules"]) == (
        "downgraded",
        '["environments.production.downgrade"]',
    )


def test_every_column_is_described() -> None:
    described = (Path(__file__).parents[2] / "docs" / "reports.md").read_text("utf-8")
    columns = {column.name for column in (*ENTRY_COLUMNS, *focus_columns("1.3"))}
    assert sorted(name for name in columns if f"`{name}`" not in described) == []


# ── what may still change, and what does not add up ─────────────────────────────────────────────


def test_a_window_that_has_not_ended_or_has_open_calls_is_provisional(store: Store) -> None:
    inside = AUGUST.since_us + 5
    assert an_export(store, now_us=AUGUST.until_us).provisional is False
    assert an_export(store, now_us=AUGUST.until_us - 1).provisional is True

    fill(store, [a_hold("open", inside, "development")])
    assert an_export(store).provisional is True
    assert an_export(store, environment="production").provisional is False
    fill(store, [a_settle("open", inside)])
    assert an_export(store).provisional is False


class Lying:
    """A store whose sums are not those of its entries, from a moment on."""

    def __init__(self, store: Store, *, after: int) -> None:
        self._store = store
        self._left = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def spend(self, *, by: Sequence[str], **more: Any) -> list[SpendRow]:
        rows = self._store.spend(by=by, **more)
        self._left -= by == ["environment"]
        if self._left >= 0:
            return rows
        return [
            msgspec.structs.replace(row, cost_nanodollars=row.cost_nanodollars + 1) for row in rows[:1]
        ] + rows[1:]


def test_rows_that_do_not_sum_to_the_ledger_are_an_error_that_says_where(store: Store) -> None:
    export = an_export(Lying(store, after=0))
    list(export.entries())

    with pytest.raises(ExportDiffers, match=r"cost_nanodollars: the rows have \d+, the ledger \d+"):
        export.ended()


def test_a_closed_window_that_changed_meanwhile_is_to_be_exported_again(store: Store) -> None:
    export = an_export(Lying(store, after=1))
    list(export.entries())

    with pytest.raises(ExportDiffers, match="export it again"):
        export.ended()


def test_a_provisional_window_may_change_while_it_is_read(store: Store) -> None:
    export = Export(Lying(store, after=1), AUGUST, environment=None, now_us=AUGUST.since_us)
    list(export.entries())

    assert export.ended().provisional


def test_an_environment_that_nobody_knows_is_refused(store: Store) -> None:
    check_environment(None, store, ())
    check_environment("production", store, ())
    check_environment("staging", store, {"staging": 1})
    with pytest.raises(UnknownEnvironment, match="calls are of: development, production"):
        check_environment("staging", store, ())
    with pytest.raises(UnknownEnvironment, match="no call is on this ledger"):
        check_environment("staging", MemoryStore(), ())


# ── reading in order ────────────────────────────────────────────────────────────────────────────


def test_a_busy_hour_is_read_in_parts_and_nothing_is_lost_or_read_twice(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db")
    begins = AUGUST.since_us
    times = [begins + number * number % (HOUR_US - 7) for number in range(0, 5_000_000, 2_000)]
    store.apply([each for number, at in enumerate(times) for each in a_call(f"call-{number:05}", at)])
    pages: list[int] = []
    entries = store.entries

    def counted(**asked: Any) -> Any:
        found = entries(**asked)
        pages.append(len(found))
        return found

    store.entries = counted  # type: ignore[method-assign]
    read = [(entry.at_us, entry.call_id) for entry in calls_in_order(store, begins, begins + HOUR_US)]

    assert read == sorted((at, f"call-{number:05}") for number, at in enumerate(times))
    assert len(pages) > 2
    assert max(pages) < 1_000
    store.close()


# ── windows and names ───────────────────────────────────────────────────────────────────────────


def a_window(**given: str) -> Span:
    asked: Mapping[str, str | None] = {"month": None, "week": None, "since": None, "until": None, **given}
    return window_asked(asked["month"], asked["week"], asked["since"], asked["until"], now_us=NOW_US)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "farthing-2026-08.csv"),
        ({"month": "last"}, "farthing-2026-08.csv"),
        ({"month": "2026-02"}, "farthing-2026-02.csv"),
        ({"week": "last"}, "farthing-2026-W38.csv"),
        ({"week": "2026-W01"}, "farthing-2026-W01.csv"),
        ({"since": "2026-08-01", "until": "2026-09-01"}, "farthing-2026-08.csv"),
        (
            {"since": "2026-08-01T06:00", "until": "2026-08-02T07:00+01:00"},
            "farthing-2026-08-01T06Z-2026-08-02T06Z.csv",
        ),
        ({"since": "2h"}, "farthing-2026-09-21T12Z-2026-09-21T15Z.csv"),
    ],
)
def test_a_window_names_its_file(given: dict[str, str], name: str) -> None:
    assert file_name(a_window(**given), None, "csv", provisional=False, now_us=NOW_US) == name


def test_the_name_of_a_file_tells_environment_and_that_it_may_change() -> None:
    named = file_name(AUGUST, "../prod x", "jsonl", provisional=True, now_us=NOW_US)
    assert named == "farthing-..-prod-x-2026-08.provisional.jsonl"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"since": "2026-08-01T06:30"}, "does not begin an hour"),
        ({"since": "2026-08-01T00:00+05:30"}, "write 2026-07-31T18:00"),
        ({"since": "2026-08-01", "until": "2026-08-01T00:00:01"}, "does not begin an hour"),
        ({"since": "2026-08-02", "until": "2026-08-01"}, "before it begins"),
        ({"since": "soon"}, "is no moment"),
        ({"until": "2026-08-02"}, "since a moment"),
        ({"month": "2026-08", "week": "2026-W34"}, "one month, or one week"),
        ({"month": "2026-08", "until": "2026-08-02"}, "one month, or one week"),
        ({"month": "August"}, "is not a month"),
        ({"month": "0001-01"}, "no calls before 1970"),
        ({"week": "1969-W50"}, "no calls before 1970"),
        ({"since": "1969-12-31"}, "no calls before 1970"),
        ({"since": "9999-12-01"}, "further away"),
        ({"since": "2026-08-01", "until": "9999-12-31T23:00"}, "further away"),
    ],
)
def test_a_window_that_is_none_is_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(BadMoment, match=said):
        a_window(**given)
