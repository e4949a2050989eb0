"""Raises of limits, asked of every store: what they add, until when, who did it; and nothing else changes."""

import sqlite3
from pathlib import Path

import pytest

from farthing.ledger.entries import AtShort, Claim, Held, Need, Unit, account_name
from farthing.ledger.memory import MemoryStore
from farthing.ledger.raising import RaiseRow
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import BatchPoisoned, Store
from tests.ledger.sentences import (
    CENT,
    DOLLAR,
    HOUR_US,
    NOON_US,
    ask,
    booked,
    claim,
    held,
    hold,
    money,
    offer,
    raised,
    raising,
    settle,
    short,
    undo_migrations_after,
)


def branch(value: str) -> Claim:
    account = account_name("per-branch", value, "total")
    return claim(account, budget="per-branch", value=value, values_max=1)


# ── what a raise does ───────────────────────────────────────────────────────────────────────────


def test_a_raised_limit_pays_for_what_the_policy_alone_would_not(store: Store) -> None:
    big = offer(150 * CENT)
    short(store, hold("A", big))

    raised(store, raising(DOLLAR))

    answer = held(store, hold("B", big))
    assert answer.balances[0].limit == 2 * DOLLAR
    assert answer.balances[0].remaining == 50 * CENT


def test_raises_add_up_and_the_edited_limit_of_the_policy_counts_beneath_them(store: Store) -> None:
    raised(store, raising(DOLLAR))
    raised(store, raising(2 * DOLLAR, "raise-2"))
    assert held(store, hold("A")).balances[0].limit == 4 * DOLLAR

    edited = held(store, hold("B", offer(10 * CENT, claim(limit=5 * DOLLAR))))

    assert edited.balances[0].limit == 8 * DOLLAR


def test_a_raise_counts_until_its_end_and_not_at_it(store: Store) -> None:
    until_us = NOON_US + HOUR_US
    raised(store, raising(DOLLAR, until_us=until_us))
    big = offer(150 * CENT)

    answer = held(store, hold("A", big, at_us=until_us - 1))
    booked(store, settle("A", 0))
    refusal = short(store, hold("B", big, at_us=until_us))

    assert answer.balances[0].limit == 2 * DOLLAR
    assert refusal.balance.limit == DOLLAR
    assert refusal.final


def test_a_refusal_tells_the_raised_limit(store: Store) -> None:
    raised(store, raising(DOLLAR))

    assert short(store, hold("A", offer(3 * DOLLAR))).balance.limit == 2 * DOLLAR


def test_a_limit_can_be_lowered_below_what_is_spent_and_then_nothing_fits(store: Store) -> None:
    held(store, hold("A", offer(90 * CENT)))
    booked(store, settle("A", 90 * CENT))

    lowered = raised(store, raising(-50 * CENT))

    assert lowered.balance.limit == 50 * CENT
    assert lowered.balance.remaining == -40 * CENT
    assert short(store, hold("B", offer(0))).final


def test_a_raise_opens_an_account_that_nothing_was_held_against_yet(store: Store) -> None:
    raised(store, raising(DOLLAR))

    balance = store.balance("team")
    assert balance is not None
    assert (balance.limit, balance.settled, balance.held) == (2 * DOLLAR, 0, 0)


def test_a_clamped_call_gets_what_the_raise_leaves(store: Store) -> None:
    raised(store, raising(DOLLAR))
    clamping = offer(
        0,
        claim(at_short=AtShort.CLAMP),
        needs={Unit.NANODOLLARS: Need(0, 1_000_000 * CENT)},
        output_full=300,
        output_floor=10,
    )

    assert held(store, hold("A", clamping)).output_cap == 200


def test_the_share_from_which_a_cheaper_model_takes_over_is_that_of_the_raised_limit(store: Store) -> None:
    raised(store, raising(DOLLAR))
    offers = (offer(CENT, claim(fallback_from=80 * CENT)), offer(CENT, target="small"))
    held(store, hold("A", offer(159 * CENT)))
    assert held(store, hold("B", *offers)).offer == 0

    assert held(store, hold("C", *offers)).offer == 1


def test_money_that_waits_for_a_raise_is_asked_for_again_and_found(store: Store) -> None:
    """Within one batch, what an operation raised counts for those after it and not before."""
    big = offer(150 * CENT)

    before, _, after = store.apply([hold("A", big), raising(DOLLAR), hold("B", big)])

    assert not isinstance(before, Held)
    assert isinstance(after, Held)


def test_a_limit_on_requests_is_raised_alike(store: Store) -> None:
    rate = claim("rate", 1, unit=Unit.REQUESTS)
    held(store, hold("A", offer(0, rate)))
    short(store, hold("B", offer(0, rate)))

    raised(store, raising(1, claim=rate))

    held(store, hold("C", offer(0, rate)))
    assert short(store, hold("D", offer(0, rate))).balance.limit == 2


def test_a_value_that_came_too_late_for_an_account_of_its_own_raises_the_shared_one(store: Store) -> None:
    held(store, hold("A", offer(CENT, branch("main"))))

    answer = raised(store, raising(DOLLAR, claim=branch("late")))

    assert answer.row.account == account_name("per-branch", "(other)", "total")
    assert held(store, hold("B", offer(CENT, branch("later")))).balances[0].limit == 2 * DOLLAR


def test_an_account_that_a_raise_opened_counts_among_the_values_of_its_budget(store: Store) -> None:
    raised(store, raising(DOLLAR, claim=branch("main")))

    answer = held(store, hold("A", offer(CENT, branch("other"))))

    assert answer.balances[0].value == "(other)"


# ── once, and kept ──────────────────────────────────────────────────────────────────────────────


def test_the_same_raise_twice_counts_once_and_is_answered_alike(store: Store) -> None:
    first = raised(store, raising(DOLLAR))
    again = raised(store, raising(DOLLAR))

    assert (first.already, again.already) == (False, True)
    assert again.row == first.row
    assert again.balance.limit == 2 * DOLLAR
    assert len(store.raises()) == 1


def test_the_same_raise_twice_in_one_batch_counts_once(store: Store) -> None:
    store.apply([raising(DOLLAR), raising(DOLLAR)])

    balance = store.balance("team")
    assert balance is not None
    assert balance.limit == 2 * DOLLAR


def test_the_history_tells_who_raised_what_when_from_to_until_when_and_why(store: Store) -> None:
    raised(store, raising(DOLLAR))
    raised(
        store,
        raising(
            -25 * CENT, "raise-2", at_us=NOON_US + 1, until_us=NOON_US + HOUR_US, by="ben", reason="over"
        ),
    )
    raised(store, raising(DOLLAR, "raise-3", claim=claim("others"), at_us=NOON_US + 2))

    assert [row.raise_id for row in store.raises()] == ["raise-3", "raise-2", "raise-1"]
    assert [row.raise_id for row in store.raises(limit=1)] == ["raise-3"]
    assert [row.raise_id for row in store.raises(budget="others")] == ["raise-3"]
    assert store.raises(account="team") == [
        RaiseRow(
            raise_id="raise-2",
            account="team",
            at_us=NOON_US + 1,
            amount=-25 * CENT,
            limit_before=2 * DOLLAR,
            limit_after=175 * CENT,
            until_us=NOON_US + HOUR_US,
            by="ben",
            reason="over",
        ),
        RaiseRow(
            raise_id="raise-1",
            account="team",
            at_us=NOON_US,
            amount=DOLLAR,
            limit_before=DOLLAR,
            limit_after=2 * DOLLAR,
            until_us=None,
            by="ana",
            reason="launch week",
        ),
    ]


def test_questions_show_the_limit_of_the_moment_that_is_asked_about(store: Store) -> None:
    raised(store, raising(DOLLAR))
    raised(store, raising(3 * DOLLAR, "raise-2", until_us=NOON_US + HOUR_US))

    def limits(at_us: int | None) -> tuple[int, int]:
        (listed,), one = store.balances(at_us=at_us), store.balance("team", at_us=at_us)
        assert one is not None
        return listed.limit, one.limit

    assert limits(NOON_US) == (5 * DOLLAR, 5 * DOLLAR)
    assert limits(NOON_US + HOUR_US) == (2 * DOLLAR, 2 * DOLLAR)
    assert limits(None) == (5 * DOLLAR, 5 * DOLLAR)
    (current,) = store.balances(current_at_us=NOON_US + HOUR_US)
    assert current.limit == 2 * DOLLAR


def test_a_settlement_shows_the_raised_limit_too(store: Store) -> None:
    raised(store, raising(DOLLAR))
    held(store, hold("A"))

    answer = booked(store, settle("A"))

    assert answer.balances[0].limit == 2 * DOLLAR
    assert money(store) == (5 * CENT, 0)


def test_a_raise_takes_no_part_in_what_calls_cost(store: Store) -> None:
    raised(store, raising(DOLLAR))

    assert store.entries() == []
    assert store.spend(by=[]) == []
    assert store.verify() == []


# ── in memory, and in a file ────────────────────────────────────────────────────────────────────


def test_memory_forgets_a_raise_with_the_window_it_was_for() -> None:
    store = MemoryStore(entries_kept=1)
    minute = claim("minute", starts_at_us=NOON_US, ends_at_us=NOON_US + 1)
    raised(store, raising(DOLLAR, claim=minute))

    for number in range(3):
        late = NOON_US + (2 + number) * HOUR_US
        held(store, hold(f"late-{number}", at_us=late))
        booked(store, settle(f"late-{number}", at_us=late))

    assert store.balance("minute") is None
    assert store.raises() == []
    assert store.verify() == []


def test_a_raise_reaches_whoever_has_the_file_open_at_its_next_hold(ledger_file: Path) -> None:
    ours, theirs = SqliteStore(ledger_file), SqliteStore(ledger_file)
    big = offer(150 * CENT)
    short(theirs, hold("A", big))

    raised(ours, raising(DOLLAR))

    held(theirs, hold("B", big))
    ours.close()
    theirs.close()


@pytest.mark.parametrize("statement", ["DELETE FROM limit_raise", "UPDATE limit_raise SET amount = 0"])
def test_the_history_of_raises_cannot_be_rewritten(ledger_file: Path, statement: str) -> None:
    store = SqliteStore(ledger_file)
    raised(store, raising())
    connection = sqlite3.connect(ledger_file, isolation_level=None)
    with pytest.raises(sqlite3.IntegrityError, match="never"):
        connection.execute(statement)
    connection.close()
    store.close()


def test_verify_finds_a_limit_that_nobody_raised(ledger_file: Path) -> None:
    store = SqliteStore(ledger_file)
    raised(store, raising(DOLLAR))
    connection = sqlite3.connect(ledger_file, isolation_level=None)
    connection.execute("UPDATE account SET raises = '[[null,7000000000]]'")
    connection.close()

    (difference,) = store.verify()

    assert difference.what == "raised of team without end"
    assert (difference.expected, difference.found) == (DOLLAR, 7 * DOLLAR)
    store.close()


def test_a_file_that_knew_no_raises_can_be_raised(ledger_file: Path) -> None:
    before = SqliteStore(ledger_file)
    held(before, hold("A"))
    before.close()
    undo_migrations_after(5, ledger_file)

    after = SqliteStore(ledger_file)

    raised(after, raising())
    held(after, hold("B", offer(150 * CENT)))
    assert after.verify() == []
    after.close()


def test_a_raise_beyond_what_a_file_can_hold_is_refused_alone(ledger_file: Path) -> None:
    store = SqliteStore(ledger_file)
    with pytest.raises(BatchPoisoned):
        ask(store, raising(2**63))
    assert store.raises() == []
    store.close()
