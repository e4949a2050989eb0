"""Ask every store the questions of reports: entries by every filter and page, spend by every slice."""

from collections.abc import Mapping, Sequence

import pytest

from farthing.domain.usage import Usage
from farthing.ledger.entries import Outcome
from farthing.ledger.slices import SpendRow
from farthing.ledger.store import Store
from tests.ledger.sentences import (
    CENT,
    DOLLAR,
    HOUR_US,
    NOON_US,
    ask,
    assume,
    booked,
    claim,
    held,
    hold,
    offer,
    refuse,
    settle,
    short,
    void,
)


def spent(
    store: Store,
    call_id: str,
    *,
    at_us: int = NOON_US,
    cost: int = CENT,
    target: str = "big",
    **about: object,
) -> None:
    """One call from its hold to its settlement."""
    held(
        store,
        hold(call_id, offer(cost, claim("team", 100 * DOLLAR), target=target), at_us=at_us, about=about),
    )
    booked(store, settle(call_id, cost))


def ids(store: Store, **filters: object) -> list[str]:
    return [entry.call_id for entry in store.entries(**filters)]  # type: ignore[arg-type]


def costs(rows: Sequence[SpendRow]) -> list[tuple[Mapping[str, str | None], int]]:
    return [(row.by, row.cost_nanodollars) for row in rows]


def some_calls(store: Store) -> None:
    """Five calls in three hours: A to D cost money, E is refused."""
    search = {"feature": "search", "branch": "main"}
    spent(store, "A", at_us=NOON_US, cost=1 * CENT, labels=search, run="r1")
    spent(store, "B", at_us=NOON_US + 1, cost=2 * CENT, labels={"feature": "chat"}, run="r1", key="bob")
    spent(
        store, "C", at_us=NOON_US + HOUR_US, cost=4 * CENT, environment="production", request_id="request-2"
    )
    spent(store, "D", at_us=NOON_US + 2 * HOUR_US, cost=8 * CENT, labels=search, target="small", run="r2")
    short(
        store, hold("E", offer(DOLLAR, claim("tiny", 1)), at_us=NOON_US + 2 * HOUR_US, about={"key": "bob"})
    )


# ── entries ─────────────────────────────────────────────────────────────────────────────────────


def test_entries_come_newest_first(store: Store) -> None:
    some_calls(store)

    assert ids(store) == ["E", "D", "C", "B", "A"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"outcome": "refused"}, "E"),
        ({"outcome": "settled"}, "DCBA"),
        ({"environment": "production"}, "C"),
        ({"environment": "development"}, "EDBA"),
        ({"environment": "nowhere"}, ""),
        ({"key": "bob"}, "EB"),
        ({"key": "bob", "outcome": "settled"}, "B"),
        ({"key": "bob", "environment": "production"}, ""),
        ({"labels": {"feature": "search"}}, "DA"),
        ({"labels": {"feature": "search", "branch": "main"}}, "DA"),
        ({"labels": {"feature": "search", "branch": "other"}}, ""),
        ({"labels": {"feature": "chat"}, "key": "bob"}, "B"),
        ({"labels": {"feature": "chat"}, "outcome": "refused"}, ""),
        ({"request_id": "request-2"}, "C"),
        ({"request_id": "request-2", "labels": {"feature": "search"}}, ""),
        ({"since_us": NOON_US + 1}, "EDCB"),
        ({"until_us": NOON_US + 1}, "A"),
        ({"since_us": NOON_US + 1, "until_us": NOON_US + 2 * HOUR_US}, "CB"),
        ({"since_us": NOON_US + 1, "labels": {"feature": "search"}}, "D"),
        ({"until_us": NOON_US + 2 * HOUR_US, "labels": {"feature": "search"}}, "A"),
        ({"limit": 2}, "ED"),
        ({"before": (NOON_US + HOUR_US, "C")}, "BA"),
        ({"before": (NOON_US + 2 * HOUR_US, "E"), "labels": {"feature": "search"}}, "DA"),
        ({"limit": 1, "environment": "development", "before": (NOON_US + 1, "B")}, "A"),
    ],
)
def test_entries_are_found_by_every_filter(store: Store, filters: dict[str, object], found: str) -> None:
    some_calls(store)

    assert ids(store, **filters) == list(found)


def test_pages_of_entries_miss_none_and_repeat_none(store: Store) -> None:
    names = [f"call-{number:02}" for number in range(23)]
    for number, name in enumerate(names):
        booked(store, refuse(name, at_us=NOON_US + number // 5))  # five share each moment

    seen: list[str] = []
    page = store.entries(limit=4, environment="development")
    while page:
        seen += [entry.call_id for entry in page]
        page = store.entries(limit=4, environment="development", before=(page[-1].at_us, page[-1].call_id))

    assert seen == names[::-1]


def test_a_corrected_call_is_listed_once_with_its_true_cost(store: Store) -> None:
    held(store, hold("A"))
    booked(store, assume("A", 10 * CENT))
    booked(store, settle("A", 3 * CENT))

    (entry,) = store.entries()

    assert (entry.cost_nanodollars, entry.corrected) == (3 * CENT, True)


def test_a_call_that_was_never_made_has_no_entry(store: Store) -> None:
    assert store.entry("A") is None


def test_label_values_with_signs_of_every_kind_are_found(store: Store) -> None:
    odd = 'it\'s "50%" of $.x — ✓'
    spent(store, "A", labels={"a.b": odd, "feature": odd})

    assert ids(store, labels={"a.b": odd}) == ["A"]
    assert ids(store, labels={"a.b": odd + "!"}) == []


# ── spend ───────────────────────────────────────────────────────────────────────────────────────


def test_spend_is_summed_by_environment(store: Store) -> None:
    some_calls(store)

    assert costs(store.spend(by=["environment"])) == [
        ({"environment": "development"}, 11 * CENT),
        ({"environment": "production"}, 4 * CENT),
    ]


def test_a_sum_without_dimensions_is_one_row(store: Store) -> None:
    some_calls(store)

    (row,) = store.spend(by=[])

    assert (row.calls, row.refused, row.cost_nanodollars) == (4, 1, 15 * CENT)
    assert (row.input_tokens, row.output_tokens) == (400, 80)


def test_nothing_was_spent_where_there_are_no_calls(store: Store) -> None:
    assert store.spend(by=[]) == []
    assert store.spend(by=["key"]) == []


def test_what_no_call_names_is_none(store: Store) -> None:
    some_calls(store)

    assert costs(store.spend(by=["model"])) == [
        ({"model": None}, 0),
        ({"model": "big"}, 7 * CENT),
        ({"model": "small"}, 8 * CENT),
    ]


def test_spend_is_summed_by_hour(store: Store) -> None:
    some_calls(store)

    assert costs(store.spend(by=["hour"])) == [
        ({"hour": "2026-12-10T12:00Z"}, 3 * CENT),
        ({"hour": "2026-12-10T13:00Z"}, 4 * CENT),
        ({"hour": "2026-12-10T14:00Z"}, 8 * CENT),
    ]


def test_spend_is_summed_by_label_and_by_run(store: Store) -> None:
    some_calls(store)

    assert costs(store.spend(by=["label:feature"])) == [
        ({"label:feature": "chat"}, 2 * CENT),
        ({"label:feature": "search"}, 9 * CENT),
    ]
    assert costs(store.spend(by=["run"])) == [({"run": "r1"}, 3 * CENT), ({"run": "r2"}, 8 * CENT)]


def test_spend_is_narrowed_by_what_must_hold(store: Store) -> None:
    some_calls(store)

    assert costs(store.spend(by=["key"], where={"environment": "development", "model": "big"})) == [
        ({"key": "alice"}, 1 * CENT),
        ({"key": "bob"}, 2 * CENT),
    ]
    assert costs(store.spend(by=["hour"], where={"label:feature": "search"})) == [
        ({"hour": "2026-12-10T12:00Z"}, 1 * CENT),
        ({"hour": "2026-12-10T14:00Z"}, 8 * CENT),
    ]
    assert costs(store.spend(by=["environment"], where={"run": "r1"})) == [
        ({"environment": "development"}, 3 * CENT)
    ]


@pytest.mark.parametrize("by", [["hour"], ["label:feature"]])
def test_spend_is_narrowed_to_whole_hours(store: Store, by: list[str]) -> None:
    some_calls(store)

    late = store.spend(by=by, since_us=NOON_US + HOUR_US + HOUR_US // 2)
    early = store.spend(by=by, until_us=NOON_US + HOUR_US)

    assert sum(row.cost_nanodollars for row in early) == 3 * CENT
    assert sum(row.cost_nanodollars for row in late) == (12 * CENT if by == ["hour"] else 8 * CENT)


def test_a_run_counts_where_it_began(store: Store) -> None:
    spent(store, "A", at_us=NOON_US, run="r")
    spent(store, "B", at_us=NOON_US + 9 * HOUR_US, run="r")

    assert len(store.spend(by=["run"], until_us=NOON_US + 1)) == 1
    assert store.spend(by=["run"], since_us=NOON_US + 1) == []


@pytest.mark.parametrize(
    "by", [["colour"], ["run", "model"], ["run", "label:feature"], ["label:a", "label:b"], ["value"]]
)
def test_a_slice_that_no_rollup_knows_is_an_error(store: Store, by: list[str]) -> None:
    with pytest.raises(ValueError, match="sliced"):
        store.spend(by=by)


def test_every_kind_of_token_is_summed(store: Store) -> None:
    usage = Usage(
        input_tokens=1_000,
        cached_read=200,
        cached_write_5m=30,
        cached_write_1h=4,
        cached_write_other=5,
        output_tokens=50,
        reasoning=7,
    )
    held(store, hold("A"))
    booked(store, settle("A", CENT, usage=usage, by_model=(("other", Usage(input_tokens=9)),)))

    (row,) = store.spend(by=[])

    assert (row.input_tokens, row.cached_read, row.cached_write) == (1_009, 200, 39)
    assert (row.output_tokens, row.reasoning) == (50, 7)


def test_what_would_have_been_paid_is_the_cost_itself_where_nobody_knows(store: Store) -> None:
    for call_id, asked in (("A", 9 * CENT), ("B", None)):
        held(store, hold(call_id))
        booked(store, settle(call_id, 2 * CENT, cost_asked_nanodollars=asked))

    (row,) = store.spend(by=[])

    assert row.cost_asked_nanodollars == 11 * CENT


def test_a_correction_is_booked_into_the_hour_of_its_call(store: Store) -> None:
    held(store, hold("A", about={"labels": {"feature": "search"}}))
    booked(store, assume("A", 10 * CENT))
    booked(store, settle("A", 3 * CENT, at_us=NOON_US + 5 * HOUR_US))

    (row,) = store.spend(by=["hour"])

    assert row.by == {"hour": "2026-12-10T12:00Z"}
    assert (row.calls, row.assumed, row.cost_nanodollars) == (1, 0, 3 * CENT)


def test_void_calls_are_counted_apart(store: Store) -> None:
    held(store, hold("A"))
    booked(store, void("A"))

    (row,) = store.spend(by=[])

    assert (row.calls, row.voided, row.cost_nanodollars) == (1, 1, 0)


# ── balances ────────────────────────────────────────────────────────────────────────────────────


def test_balances_are_found_by_budget_and_by_moment(store: Store) -> None:
    november = claim("month/11", budget="month", ends_at_us=NOON_US)
    december = claim("month/12", budget="month", starts_at_us=NOON_US, ends_at_us=NOON_US + HOUR_US)
    total = claim("total", budget="other")
    held(store, hold("A", offer(CENT, november, december, total)))

    def names(**filters: object) -> list[str]:
        return [balance.account for balance in store.balances(**filters)]  # type: ignore[arg-type]

    assert names() == ["month/11", "month/12", "total"]
    assert names(budget="month") == ["month/11", "month/12"]
    assert names(current_at_us=NOON_US) == ["month/12", "total"]
    assert names(current_at_us=NOON_US - 1) == ["month/11", "total"]
    assert names(budget="month", current_at_us=NOON_US + HOUR_US) == []


def test_outcomes_are_told_by_name(store: Store) -> None:
    ask(store, hold("A"))
    booked(store, void("A"))

    (entry,) = store.entries(outcome="void")

    assert entry.outcome is Outcome.VOID
