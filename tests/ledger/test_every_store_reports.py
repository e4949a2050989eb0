"""Ask every store what reports ask: spend over time, pairs of labels, costs, reasons, activity, prompts."""

import pytest

from farthing.domain.money import TOKENS_PER_MILLION
from farthing.ledger import memory_reports, sqlite_sums
from farthing.ledger.auditing import WantedActs
from farthing.ledger.entries import AtShort, Need, Outcome, Record, Unit
from farthing.ledger.memory import MemoryStore
from farthing.ledger.report_store import Annotation, CostCounts
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
    facts,
    held,
    hold,
    offer,
    refuse,
    settle,
    short,
    void,
)

DAY_US = 24 * HOUR_US
MINUTE_US = HOUR_US // 60
NEVER_US = 2 * NOON_US


def spent(store: Store, call_id: str, *, at_us: int = NOON_US, cost: int = CENT, **about: object) -> None:
    """One call from its hold to its settlement."""
    held(store, hold(call_id, offer(cost, claim("team", 100 * DOLLAR)), at_us=at_us, about=about))
    booked(store, settle(call_id, cost))


def costs(found: CostCounts) -> list[tuple[int, int]]:
    """What was counted: cost and how often; only where it is exact."""
    assert all(row.least_nanodollars == row.most_nanodollars for row in found.rows)
    return [(row.least_nanodollars, row.count) for row in found.rows]


# ── spend ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("by", "sums"),
    [
        ("hour", [("2026-12-10T12:00Z", 1), ("2026-12-10T23:00Z", 2), ("2027-01-01T00:00Z", 12)]),
        ("day", [("2026-12-10", 3), ("2027-01-01", 12)]),
        ("month", [("2026-12", 3), ("2027-01", 12)]),
    ],
)
def test_spend_is_told_by_hour_day_and_month_in_utc(
    store: Store, by: str, sums: list[tuple[str, int]]
) -> None:
    spent(store, "A", cost=1)
    spent(store, "B", at_us=NOON_US + 12 * HOUR_US - 1, cost=2)
    spent(store, "C", at_us=NOON_US + 21 * DAY_US + 12 * HOUR_US, cost=4)
    spent(store, "D", at_us=NOON_US + 21 * DAY_US + 12 * HOUR_US, cost=8)

    assert [(row.by[by], row.cost_nanodollars) for row in store.spend(by=[by])] == sums


def test_a_span_counts_the_hours_that_it_touches(store: Store) -> None:
    for hour in range(100):
        spent(store, f"call-{hour}", at_us=NOON_US + hour * HOUR_US, cost=1)

    def calls(since_us: int, until_us: int) -> int:
        return sum(row.calls for row in store.spend(by=["month"], since_us=since_us, until_us=until_us))

    assert calls(NOON_US, NOON_US + 100 * HOUR_US) == 100
    assert calls(NOON_US + 3 * HOUR_US, NOON_US + 80 * HOUR_US) == 77
    assert calls(NOON_US + 1, NOON_US + HOUR_US + 1) == 2
    assert calls(NOON_US, NOON_US) == 0


def test_users_are_told_with_their_tier(store: Store) -> None:
    spent(store, "A", cost=1, labels={"user_id": "u1", "tier": "free"})
    spent(store, "B", cost=2, labels={"user_id": "u1", "tier": "free"})
    spent(store, "C", cost=4, labels={"user_id": "u1", "tier": "pro"})
    spent(store, "D", cost=8, labels={"user_id": "u2"})
    spent(store, "E", cost=16, labels={"user_id+tier": "u1"})

    both = store.spend(by=["label:tier", "label:user_id"])
    free = store.spend(by=["label:user_id"], where={"label:tier": "free"})

    assert [(row.by["label:user_id"], row.by["label:tier"], row.cost_nanodollars) for row in both] == [
        ("u1", "free", 3),
        ("u1", "pro", 4),
    ]
    assert [(row.by, row.calls) for row in free] == [({"label:user_id": "u1"}, 2)]
    assert [row.cost_nanodollars for row in store.spend(by=["label:user_id"])] == [7, 8]
    assert [row.cost_nanodollars for row in store.spend(by=["label:user_id+tier"])] == [16]
    assert [row.calls for row in store.spend(by=["day"], where={"label:user_id": "u1"})] == [3]


@pytest.mark.parametrize(
    ("by", "where", "says"),
    [
        (["day", "month"], {}, "one of hour, day, month at a time"),
        (["environment"], {"month": "2026-12"}, "by since and until"),
        (["run", "day"], {}, "cannot be sliced by day here"),
        (["label:feature", "label:tier"], {}, "cannot be sliced by label:tier here"),
        (["label:feature", "second"], {}, "cannot be sliced by second here"),
        (["value"], {}, "cannot be sliced by value here"),
    ],
)
def test_what_is_not_summed_together_is_an_error(
    store: Store, by: list[str], where: dict[str, str], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        store.spend(by=by, where=where)


def test_calls_without_a_cap_of_their_own_or_of_their_run_are_told(store: Store) -> None:
    needs = {Unit.NANODOLLARS: Need(0, TOKENS_PER_MILLION)}
    month = claim("month", 10 * DOLLAR)
    one_call = claim("each", 50, at_short=AtShort.CLAMP, of_one_call=True, window="call")
    run = claim("run", 10 * DOLLAR, window="run:r1")
    held(store, hold("A", offer(1, month)))
    assert held(store, hold("B", offer(0, month, one_call, needs=needs, output_full=100))).clamped
    held(store, hold("C", offer(1, month, run)))
    held(store, hold("D", offer(1, month)))
    booked(store, settle("A", 1))
    booked(store, settle("B", 1))
    booked(store, assume("C", 1))
    booked(store, settle("C", 2))
    booked(store, void("D"))
    short(store, hold("E", offer(DOLLAR, claim("tiny", 1))))
    booked(store, refuse("R"))

    (row,) = store.spend(by=["environment"])

    assert (row.calls, row.clamped, row.uncapped) == (4, 1, 2)


# ── histograms of cost ──────────────────────────────────────────────────────────────────────────


def test_costs_of_calls_are_counted_one_by_one_while_they_are_few(store: Store) -> None:
    for number, cost in enumerate([5, 3, 3, 1_000_003]):
        spent(store, f"call-{number}", cost=cost, labels={"feature": "chat" if number else "search"})
    held(store, hold("assumed"))
    booked(store, assume("assumed", 9))
    booked(store, settle("assumed", 7))
    held(store, hold("gone"))
    booked(store, void("gone"))
    booked(store, refuse("R"))
    spent(store, "untracked", cost_tracked=False)
    spent(store, "later", at_us=NOON_US + 1, cost=11)

    found = store.cost_counts(of="calls")
    by_feature = store.cost_counts(of="calls", by=["label:feature"], where={"environment": "development"})
    search = store.cost_counts(of="calls", where={"label:feature": "search"})

    assert found.exact
    assert costs(found) == [(3, 2), (5, 1), (7, 1), (11, 1), (1_000_003, 1)]
    assert [(row.by["label:feature"], row.least_nanodollars) for row in by_feature.rows] == [
        ("chat", 3),
        ("search", 5),
        (None, 7),
        (None, 11),
        ("chat", 1_000_003),
    ]
    assert costs(search) == [(5, 1)]
    assert costs(store.cost_counts(of="calls", since_us=NOON_US + 1)) == [(11, 1)]
    assert costs(store.cost_counts(of="calls", until_us=NOON_US, since_us=0)) == []


def test_costs_of_runs_count_where_the_run_began(store: Store) -> None:
    spent(store, "A", cost=1, run="one")
    spent(store, "B", cost=2, run="one", at_us=NOON_US + 3 * DAY_US)
    spent(store, "C", cost=4, run="two", at_us=NOON_US + DAY_US)
    spent(store, "D", cost=8, at_us=NOON_US + DAY_US)
    booked(store, refuse("R", facts=facts(run="refused")))
    held(store, hold("V", about={"run": "void"}))
    booked(store, void("V"))

    assert costs(store.cost_counts(of="runs")) == [(3, 1), (4, 1)]
    assert costs(store.cost_counts(of="runs", by=["environment"], until_us=NOON_US + HOUR_US)) == [(3, 1)]


def test_a_run_that_turns_out_to_have_begun_earlier_moves_to_that_day(store: Store) -> None:
    spent(store, "B", cost=2, run="one", at_us=NOON_US + DAY_US)
    spent(store, "A", cost=1, run="one", at_us=NOON_US)

    assert costs(store.cost_counts(of="runs", until_us=NOON_US + HOUR_US)) == [(3, 1)]
    assert costs(store.cost_counts(of="runs", since_us=NOON_US + HOUR_US)) == []


def test_many_costs_are_counted_by_buckets_of_whole_days(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (memory_reports, sqlite_sums):
        monkeypatch.setattr(module, "EXACT_MAX", 4)
    for number in range(5):
        at_us = NOON_US + number % 2 * 30 * DAY_US
        spent(store, f"call-{number}", at_us=at_us, cost=10**6 + number, run=f"r{number}")

    for of in ("calls", "runs"):
        found = store.cost_counts(of=of, since_us=NOON_US + 1)  # of the whole day, for it is not exact
        assert not found.exact
        (row,) = found.rows
        assert row.count == 5
        assert row.least_nanodollars <= 10**6 <= 10**6 + 4 <= row.most_nanodollars
        assert store.cost_counts(of=of, since_us=NOON_US + DAY_US).exact


@pytest.mark.parametrize(
    ("of", "by", "says"),
    [
        ("calls", ["model"], "cannot be told by model"),
        ("runs", ["label:feature"], "cannot be told by label:feature"),
        ("tokens", [], "not counted; choose from calls, runs"),
    ],
)
def test_costs_that_are_not_counted_are_an_error(store: Store, of: str, by: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        store.cost_counts(of=of, by=by)


def test_a_store_that_forgot_calls_tells_their_costs_by_buckets() -> None:
    store = MemoryStore(entries_kept=3)
    for number in range(9):
        spent(store, f"call-{number}", cost=10**6)

    found = store.cost_counts(of="calls")

    assert not found.exact
    assert [row.count for row in found.rows] == [9]
    assert store.verify() == []


# ── reasons ─────────────────────────────────────────────────────────────────────────────────────


def some_reasons(store: Store) -> None:
    """Six calls that did not go as asked, in two months: two were short of money."""
    in_january = NOON_US + 30 * DAY_US
    booked(store, refuse("A", count=3, facts=facts(developer="alice", group="product")))
    for name, at_us in (("B", NOON_US), ("C", in_january)):
        one = offer(DOLLAR, claim(f"team/{name}", 1, budget="team"))
        short(store, hold(name, one, at_us=at_us, about={"developer": "alice"}))
    for name, reason in (("D", "downgraded"), ("E", "routed"), ("F", "as_asked")):
        held(store, hold(name, offer(1, claim("soft"), reason=reason), at_us=in_january))
        booked(store, settle(name, 1))


def test_reasons_are_counted_with_the_accounts_that_were_short(store: Store) -> None:
    some_reasons(store)

    rows = store.reasons(by=["reason", "budget"])

    assert [(row.by["reason"], row.by["budget"], row.calls, row.accounts) for row in rows] == [
        ("budget_exceeded", "team", 2, 2),
        ("downgraded", None, 1, 0),
        ("model_not_allowed", None, 3, 0),
    ]


def test_reasons_are_told_by_month_and_for_some(store: Store) -> None:
    some_reasons(store)

    by_month = store.reasons(by=["month"])
    of_alice = store.reasons(by=["day", "account"], where={"developer": "alice", "reason": "budget_exceeded"})
    later = store.reasons(by=[], since_us=NOON_US + DAY_US)

    assert [(row.by["month"], row.calls) for row in by_month] == [("2026-12", 4), ("2027-01", 2)]
    assert [(row.by["day"], row.by["account"]) for row in of_alice] == [
        ("2026-12-10", "team/B"),
        ("2027-01-09", "team/C"),
    ]
    assert [row.calls for row in later] == [2]


@pytest.mark.parametrize(
    ("by", "says"), [(["model"], "choose from day, month"), (["day", "month"], "not by both")]
)
def test_reasons_by_what_is_not_kept_are_an_error(store: Store, by: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        store.reasons(by=by)


# ── activity and prompts ────────────────────────────────────────────────────────────────────────


def test_activity_tells_each_half_hour_of_a_developer(store: Store) -> None:
    for minute in (0, 10, 29, 31):
        spent(store, f"alice-{minute}", at_us=NOON_US + minute * MINUTE_US, cost=2, developer="alice")
    spent(store, "bob", at_us=NOON_US, developer="bob", environment="production")
    spent(store, "nobody")
    booked(store, refuse("R", facts=facts(developer="alice")))

    rows = store.activity(since_us=NOON_US, until_us=NOON_US + HOUR_US, where={"developer": "alice"})

    assert [(row.first_at_us, row.last_at_us, row.calls, row.cost_nanodollars) for row in rows] == [
        (NOON_US, NOON_US + 29 * MINUTE_US, 3, 6),
        (NOON_US + 31 * MINUTE_US, NOON_US + 31 * MINUTE_US, 1, 2),
    ]
    everybody = store.activity(since_us=0, until_us=NEVER_US)
    assert [row.developer for row in everybody] == ["alice", "alice", "bob"]
    assert store.activity(since_us=NOON_US + HOUR_US, until_us=NEVER_US) == []
    with pytest.raises(ValueError, match="choose from environment, developer"):
        store.activity(since_us=0, until_us=1, where={"model": "big"})


def test_prompts_that_were_sent_often_in_a_day_are_told_the_dearest_first(store: Store) -> None:
    def send(prompt: str, times: int, cost: int, day: int) -> None:
        for number in range(times):
            call_id, at_us = f"{prompt}-{day}-{number}", NOON_US + day * DAY_US
            spent(store, call_id, at_us=at_us, cost=cost, developer="alice", prompt_hash=prompt)

    send("cheap", 15, 1, 0)
    send("dear", 3, 100, 0)
    send("dear", 4, 100, 1)
    send("dear", 2, 100, 2)
    send("seldom", 2, 1_000, 0)
    spent(store, "nobody", prompt_hash="dear")

    def told(least: int, until_us: int = NEVER_US) -> list[tuple[str, int, int, int]]:
        rows = store.prompts(least=least, since_us=NOON_US, until_us=until_us)
        return [(row.prompt_hash, row.calls, row.cost_nanodollars, row.days) for row in rows]

    assert told(1) == told(3) == [("dear", 7, 700, 2), ("cheap", 15, 15, 1)]
    assert told(4) == [("dear", 4, 400, 1), ("cheap", 15, 15, 1)]
    assert told(3, NOON_US + 1) == [("dear", 3, 300, 1), ("cheap", 15, 15, 1)]
    assert store.prompts(least=3, since_us=0, until_us=NEVER_US, where={"environment": "ci"}) == []


def test_what_a_cache_answered_is_activity_but_costs_nothing(store: Store) -> None:
    for number in range(3):
        ask(
            store,
            Record(
                call_id=f"hit-{number}",
                at_us=NOON_US,
                facts=facts(developer="alice", prompt_hash="p"),
                outcome=Outcome.CACHED,
                reason="as_asked",
                avoided_nanodollars=5,
            ),
        )

    (active,) = store.activity(since_us=0, until_us=NEVER_US)
    (prompt,) = store.prompts(least=3, since_us=0, until_us=NEVER_US)

    assert (active.calls, active.cost_nanodollars) == (prompt.calls, prompt.cost_nanodollars) == (3, 0)
    assert store.cost_counts(of="calls").rows == []


# ── annotations ─────────────────────────────────────────────────────────────────────────────────


def test_annotations_are_kept_newest_first_and_audited(store: Store) -> None:
    first = Annotation(
        feature="search",
        starts_at_us=NOON_US,
        ships_at_us=NOON_US + DAY_US,
        until_us=NOON_US + 2 * DAY_US,
        note="we build it",
        by="ana",
        at_us=NOON_US,
    )
    second = Annotation(
        feature="chat",
        starts_at_us=NOON_US,
        ships_at_us=NOON_US,
        until_us=NOON_US,
        note="",
        by="ben",
        at_us=NOON_US + 1,
    )
    store.annotate(first)
    store.annotate(second)

    assert store.annotations() == [second, first]
    (_, act) = store.acts(WantedActs(action="annotate"))
    assert (act.by, act.about, act.reason) == ("ana", "search", "we build it")


def test_a_call_that_reached_no_provider_is_neither_served_nor_paid_for(store: Store) -> None:
    spent(store, "paid")
    held(store, hold("voided", offer(CENT, claim("team", 100 * DOLLAR))))
    booked(store, void("voided"))
    (row,) = store.spend(by=[])
    assert (row.calls, row.served, row.paid) == (2, 1, 1)
