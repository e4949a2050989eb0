"""Outcomes, asked of every store: kept once, found by every filter, summed to the last digit."""

import tempfile
import threading
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.domain.outcome import RecordedOutcome
from farthing.ledger.memory import MemoryStore
from farthing.ledger.outcome_sums import WantedOutcomes
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import Store
from tests.ledger.sentences import CENT, HOUR_US, NOON_US, held, hold, money, undo_migrations_after

ALL = WantedOutcomes()


def an_outcome(
    outcome_id: str = "o1", value: Decimal | bool | None = None, **changes: object
) -> RecordedOutcome:
    known: dict[str, object] = {"at_us": NOON_US, "environment": "production", "name": "resolved"}
    return RecordedOutcome(outcome_id=outcome_id, value=value, **(known | changes))  # type: ignore[arg-type]


def ids(store: Store, **wanted: object) -> list[str]:
    return [row.outcome_id for row in store.outcomes(WantedOutcomes(**wanted))]  # type: ignore[arg-type]


def some_outcomes(store: Store) -> None:
    search = {"feature": "search", "lang": "en"}
    store.add_outcome(an_outcome("a", True, labels=search, key="alice", run="r1"))
    store.add_outcome(an_outcome("b", False, labels=search, key="bob"))
    store.add_outcome(an_outcome("c", Decimal("0.1"), labels={"feature": "chat"}, name="score"))
    store.add_outcome(
        an_outcome("d", Decimal("0.2"), at_us=NOON_US + HOUR_US, name="score", environment="ci")
    )
    store.add_outcome(an_outcome("e", at_us=NOON_US + 2 * HOUR_US, group="g", developer="dev"))


# ── keeping ─────────────────────────────────────────────────────────────────────────────────────


def test_an_outcome_is_kept_with_all_it_says(store: Store) -> None:
    given = an_outcome(
        value=Decimal("12.50"), labels={"feature": "search"}, run="r", group="g", key="k", developer="d"
    )

    kept, is_first = store.add_outcome(given)

    assert is_first
    assert kept == msgspec.structs.replace(given, number=kept.number)
    assert store.outcomes(ALL) == [kept]


@pytest.mark.parametrize(
    "value", [None, True, False, Decimal(3), Decimal("1.50"), Decimal("1E+20"), Decimal("-0.01")]
)
def test_a_value_comes_back_exactly(store: Store, value: Decimal | bool | None) -> None:
    store.add_outcome(an_outcome(value=value))

    (kept,) = store.outcomes(ALL)

    assert kept.value == value
    assert type(kept.value) is type(value)


def test_the_same_outcome_is_kept_once_and_the_first_stands(store: Store) -> None:
    first, _ = store.add_outcome(an_outcome(value=True))

    again, is_first = store.add_outcome(an_outcome(value=False, at_us=NOON_US + 5))

    assert (again, is_first) == (first, False)
    assert len(store.outcomes(ALL)) == 1


def test_others_may_use_the_same_id(store: Store) -> None:
    for changes in ({}, {"environment": "ci"}, {"key": "alice"}):
        assert store.add_outcome(an_outcome(**changes))[1]  # type: ignore[arg-type]


def test_of_many_threads_one_keeps_it(store: Store) -> None:
    firsts: list[bool] = []
    start = threading.Barrier(8)

    def add() -> None:
        start.wait()
        firsts.append(store.add_outcome(an_outcome())[1])

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(firsts) == [False] * 7 + [True]


# ── finding ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, "edcba"),
        ({"name": "resolved"}, "eba"),
        ({"name": "score", "environment": "production"}, "c"),
        ({"environment": "ci"}, "d"),
        ({"key": "alice"}, "a"),
        ({"run": "r1"}, "a"),
        ({"labels": {"feature": "search"}}, "ba"),
        ({"labels": {"feature": "search", "lang": "de"}}, ""),
        ({"since_us": NOON_US + 1}, "ed"),
        ({"until_us": NOON_US + HOUR_US}, "cba"),
        ({"name": "resolved", "since_us": NOON_US + 1}, "e"),
    ],
)
def test_outcomes_are_found_by_every_filter(store: Store, filters: dict[str, object], found: str) -> None:
    some_outcomes(store)

    assert ids(store, **filters) == list(found)


def test_pages_miss_none_and_repeat_none(store: Store) -> None:
    for number in range(23):
        store.add_outcome(an_outcome(f"o{number:02}"))

    seen: list[str] = []
    page = store.outcomes(ALL, limit=5)
    while page:
        seen += [row.outcome_id for row in page]
        page = store.outcomes(WantedOutcomes(before=page[-1].number), limit=5)

    assert seen == [f"o{number:02}" for number in range(22, -1, -1)]


# ── summing ─────────────────────────────────────────────────────────────────────────────────────


def test_outcomes_are_summed_by_name_with_truths_and_numbers_apart(store: Store) -> None:
    some_outcomes(store)

    resolved, score = store.outcome_sums(["name"], ALL)

    assert (resolved.by, resolved.outcomes, resolved.true, resolved.false, resolved.numbers) == (
        {"name": "resolved"}, 3, 1, 1, 0,
    )  # fmt: skip
    assert (score.outcomes, score.numbers, score.total) == (2, 2, Decimal("0.3"))


def test_outcomes_are_summed_by_a_label_and_those_without_it_apart(store: Store) -> None:
    some_outcomes(store)

    rows = store.outcome_sums(["environment", "label:feature"], WantedOutcomes(environment="production"))

    assert [(row.by["label:feature"], row.outcomes) for row in rows] == [
        (None, 1),
        ("chat", 1),
        ("search", 2),
    ]


def test_nothing_was_recorded_where_there_is_nothing(store: Store) -> None:
    assert store.outcome_sums(["name"], ALL) == []
    assert store.outcomes(ALL) == []


@pytest.mark.parametrize("by", [["colour"], ["label:"], ["label:a", "label:b"], ["model"]])
def test_a_sum_that_is_not_kept_is_an_error(store: Store, by: Sequence[str]) -> None:
    with pytest.raises(ValueError, match="outcomes are summed by"):
        store.outcome_sums(by, ALL)


names = st.sampled_from(["resolved", "score"])
values = st.none() | st.booleans() | st.decimals(-(10**6), 10**6, places=6)
label_sets: st.SearchStrategy[Mapping[str, str]] = st.dictionaries(
    st.sampled_from(["feature", "branch"]), st.sampled_from(["a", "b", ""])
)
rows = st.builds(
    an_outcome,
    st.sampled_from([f"o{number}" for number in range(12)]),
    values,
    name=names,
    labels=label_sets,
    environment=st.sampled_from(["ci", "production"]),
    key=st.sampled_from([None, "alice"]),
    run=st.sampled_from([None, "r"]),
    at_us=st.integers(0, 3).map(lambda hour: NOON_US + hour * HOUR_US),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(rows, max_size=30))
def test_every_store_keeps_and_sums_alike(given_rows: list[RecordedOutcome]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        memory, sqlite = MemoryStore(), SqliteStore(Path(folder) / "ledger.db")
        for row in given_rows:
            ours, theirs = memory.add_outcome(row), sqlite.add_outcome(row)
            assert (ours[1], ours[0].outcome_id) == (theirs[1], theirs[0].outcome_id)
        plain = [
            [msgspec.structs.replace(row, number=0) for row in store.outcomes(ALL, limit=99)]
            for store in (memory, sqlite)
        ]
        assert plain[0] == plain[1]
        wanted = WantedOutcomes(since_us=NOON_US + HOUR_US)
        for by in (["name"], ["environment", "key"], ["run"], ["name", "label:feature"], []):
            assert in_any_order(memory.outcome_sums(by, wanted)) == in_any_order(
                sqlite.outcome_sums(by, wanted)
            )
        sqlite.close()


def in_any_order(sums: Sequence[object]) -> set[str]:
    return {repr(row) for row in sums}


# ── memory and files ────────────────────────────────────────────────────────────────────────────


def test_a_memory_ledger_keeps_the_latest(tmp_path: Path) -> None:
    store = MemoryStore(entries_kept=3)
    for number in range(5):
        store.add_outcome(an_outcome(f"o{number}"))

    assert ids(store) == ["o4", "o3", "o2"]


def test_a_file_that_knew_no_outcomes_takes_them(ledger_file: Path) -> None:
    before = SqliteStore(ledger_file)
    held(before, hold("A"))
    before.close()
    undo_migrations_after(4, ledger_file)

    after = SqliteStore(ledger_file)

    after.add_outcome(an_outcome())
    assert money(after) == (0, 10 * CENT)
    assert after.verify() == []
    after.close()


def test_questions_do_not_wait_for_a_writer(ledger_file: Path) -> None:
    store, other = SqliteStore(ledger_file), SqliteStore(ledger_file)
    store.add_outcome(an_outcome())
    with store.turn():
        assert ids(other) == ["o1"]
        assert len(other.outcome_sums(["name"], ALL)) == 1
    store.close()
    other.close()
