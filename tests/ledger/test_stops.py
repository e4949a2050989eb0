"""Stops, asked of every store: what matches is refused at once, what was held settles, history is kept."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest

from farthing.domain.stop import BadStop, Stop, stop_match
from farthing.ledger.entries import Booked, Held, Hold, Outcome, Stopped
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import Store
from tests.ledger.sentences import (
    CENT,
    NOON_US,
    ask,
    booked,
    claim,
    held,
    hold,
    money,
    offer,
    settle,
    undo_migrations_after,
)


def a_stop(match: Mapping[str, str] | None = None, stop_id: str = "stop_1", at_us: int = NOON_US) -> Stop:
    return Stop(stop_id=stop_id, match=match or {}, reason="runaway agent", by="ana", at_us=at_us)


def stopped(store: Store, operation: Hold) -> Stop:
    answer = ask(store, operation)
    assert isinstance(answer, Stopped), answer
    return answer.stop


def lift(store: Store, stop_id: str = "stop_1") -> bool:
    return store.resume(stop_id, at_us=NOON_US + 9, by="ben", reason="mended")


# ── what a stop does ────────────────────────────────────────────────────────────────────────────


def test_a_stop_of_everything_refuses_every_call_and_takes_nothing(store: Store) -> None:
    held(store, hold("before"))
    store.add_stop(a_stop())

    stop = stopped(store, hold("A"))

    assert stop == a_stop()
    assert str(stop) == "everything was stopped by ana at 2026-12-10T12:00:00.000000Z: runaway agent"
    assert money(store) == (0, 10 * CENT)
    entry = store.entry("A")
    assert entry is not None
    assert (entry.outcome, entry.reason, entry.rules) == (Outcome.REFUSED, "stopped", ("stop_1",))
    assert entry.cost_nanodollars == 0


def test_calls_in_flight_settle_as_ever(store: Store) -> None:
    held(store, hold("A"))
    store.add_stop(a_stop())

    booked(store, settle("A", 5 * CENT))

    assert money(store) == (5 * CENT, 0)


def test_a_lifted_stop_lets_calls_pass_and_stays_in_the_history(store: Store) -> None:
    store.add_stop(a_stop())
    stopped(store, hold("A"))

    assert lift(store)
    assert not lift(store)

    held(store, hold("B"))
    (kept,) = store.stops()
    assert (kept.resumed_at_us, kept.resumed_by, kept.resumed_reason) == (NOON_US + 9, "ben", "mended")
    assert (kept.reason, kept.by, kept.at_us) == ("runaway agent", "ana", NOON_US)
    assert store.stops(live=True) == []


def test_a_refused_call_gets_its_first_answer_again_even_when_the_stop_is_lifted(store: Store) -> None:
    store.add_stop(a_stop())
    first = stopped(store, hold("A"))
    lift(store)

    assert stopped(store, hold("A")) == first
    assert len(store.entries()) == 1


def test_a_held_call_gets_its_first_answer_again_even_when_it_is_stopped_by_now(store: Store) -> None:
    first = held(store, hold("A"))
    store.add_stop(a_stop())

    assert held(store, hold("A")) == first


def test_of_two_stops_each_must_be_lifted(store: Store) -> None:
    store.add_stop(a_stop({"environment": "development"}, "stop_2", NOON_US + 1))
    store.add_stop(a_stop())
    assert [stop.stop_id for stop in store.stops()] == ["stop_2", "stop_1"]
    assert stopped(store, hold("A")).stop_id == "stop_1"  # the oldest is named

    lift(store, "stop_1")
    assert stopped(store, hold("B")).stop_id == "stop_2"
    lift(store, "stop_2")

    held(store, hold("C"))


def test_nothing_can_be_lifted_that_was_not_stopped(store: Store) -> None:
    assert not lift(store, "stop_9")


def test_a_call_that_went_out_while_the_ledger_was_away_is_booked_all_the_same(store: Store) -> None:
    store.add_stop(a_stop())
    operation = hold("A")
    late = Hold(
        call_id="A",
        at_us=operation.at_us,
        owner=operation.owner,
        facts=operation.facts,
        offers=operation.offers,
        made=True,
    )

    answers = store.apply([late, settle("A", 5 * CENT)])

    assert [type(answer) for answer in answers] == [Held, Booked]
    assert money(store) == (5 * CENT, 0)


@pytest.mark.parametrize("manner", ["tentative", "waits"])
def test_a_stop_is_told_at_once_whatever_the_asker_would_come_back_with(store: Store, manner: str) -> None:
    store.add_stop(a_stop())
    operation = hold("A")
    asked = Hold(
        call_id="A",
        at_us=operation.at_us,
        owner=operation.owner,
        facts=operation.facts,
        offers=operation.offers,
        tentative=manner == "tentative",
        waits=manner == "waits",
    )

    assert isinstance(ask(store, asked), Stopped)


# ── what a stop matches ─────────────────────────────────────────────────────────────────────────

ABOUT = {
    "environment": "ci",
    "group": "product-ci",
    "key": "alice",
    "key_id": "key_1",
    "developer": "al",
    "run": "build-7",
    "labels": {"feature": "search", "workflow": "nightly"},
}


@pytest.mark.parametrize(
    ("match", "is_meant"),
    [
        ({}, True),
        ({"environment": "ci"}, True),
        ({"environment": "production"}, False),
        ({"group": "product-ci"}, True),
        ({"group": "product-*"}, True),
        ({"group": "product"}, False),
        ({"key": "alice"}, True),
        ({"key": "key_1"}, True),
        ({"key": "bob"}, False),
        ({"developer": "al"}, True),
        ({"developer": "alice"}, False),
        ({"run": "build-7"}, True),
        ({"run": "build-8"}, False),
        ({"label:feature": "search"}, True),
        ({"label:feature": "chat"}, False),
        ({"label:branch": "search"}, False),
        ({"workflow": "team"}, True),  # a budget that pays
        ({"workflow": "idle"}, True),  # a budget that need not pay
        ({"workflow": "nightly"}, True),  # a label
        ({"workflow": "build-7"}, True),  # a run
        ({"workflow": "search"}, False),
        ({"provider": "openai"}, True),
        ({"provider": "anthropic"}, False),
        ({"model": "gpt-4o"}, True),
        ({"model": "GPT-4o"}, True),
        ({"model": "gpt-4o-2024-08-06"}, True),
        ({"model": "gpt-*"}, True),
        ({"model": "gpt-4"}, False),
        ({"model": "gpt-4o-mini"}, False),
        ({"environment": "ci", "model": "gpt-4o"}, True),
        ({"environment": "ci", "model": "gpt-4"}, False),
        ({"environment": "production", "model": "gpt-4o"}, False),
    ],
)
def test_a_stop_covers_the_calls_that_have_everything_it_names(
    store: Store, match: Mapping[str, str], is_meant: bool
) -> None:
    store.add_stop(a_stop(match))
    only = offer(CENT, claim("team"), target="gpt-4o-2024-08-06", unpaid=("idle",))

    answer = ask(store, hold("A", only, about=ABOUT))

    assert isinstance(answer, Stopped if is_meant else Held)


def test_a_call_goes_to_the_next_target_that_is_not_stopped(store: Store) -> None:
    store.add_stop(a_stop({"model": "big"}))

    answer = held(store, hold("A", offer(CENT, target="big"), offer(CENT, target="small")))

    assert answer.offer == 1
    booked(store, settle("A", CENT))
    entry = store.entry("A")
    assert entry is not None
    assert entry.model_served == "small"


def test_a_call_that_has_only_stopped_targets_is_refused(store: Store) -> None:
    store.add_stop(a_stop({"provider": "openai"}))

    assert stopped(store, hold("A", offer(target="big"), offer(target="small"))).match == {
        "provider": "openai"
    }


def test_a_free_call_without_any_account_is_stopped_too(store: Store) -> None:
    store.add_stop(a_stop())
    free = offer(0, claims=())
    assert free.claims == ()

    stopped(store, hold("A", free))


@pytest.mark.parametrize("match", [{"colour": "red"}, {"label:": "x"}, {"environment": " "}])
def test_a_stop_that_names_nothing_of_a_call_is_an_error(match: Mapping[str, str]) -> None:
    with pytest.raises(BadStop):
        stop_match(match)


def test_what_a_stop_names_stands_in_one_order() -> None:
    given = {"label:b": "2", "model": "m", "label:a": "1", "environment": "ci"}

    assert list(stop_match(given)) == ["environment", "model", "label:a", "label:b"]


# ── in a file ───────────────────────────────────────────────────────────────────────────────────


def test_a_stop_reaches_whoever_has_the_file_open_at_its_next_hold(ledger_file: Path) -> None:
    ours, theirs = SqliteStore(ledger_file), SqliteStore(ledger_file)
    held(theirs, hold("A"))

    ours.add_stop(a_stop())
    stopped(theirs, hold("B"))
    ours.resume("stop_1", at_us=NOON_US, by="ben", reason="")
    held(theirs, hold("C"))

    ours.close()
    theirs.close()


def test_a_stop_cannot_be_deleted(ledger_file: Path) -> None:
    store = SqliteStore(ledger_file)
    store.add_stop(a_stop())
    connection = sqlite3.connect(ledger_file, isolation_level=None)
    with pytest.raises(sqlite3.IntegrityError, match="never deleted"):
        connection.execute("DELETE FROM stop")
    connection.close()
    store.close()


def test_a_file_that_knew_no_stops_can_be_stopped(ledger_file: Path) -> None:
    before = SqliteStore(ledger_file)
    held(before, hold("A"))
    before.close()
    undo_migrations_after(3, ledger_file)

    after = SqliteStore(ledger_file)

    after.add_stop(a_stop())
    stopped(after, hold("B"))
    assert after.verify() == []
    after.close()


def test_questions_do_not_wait_while_somebody_writes(ledger_file: Path) -> None:
    store, other = SqliteStore(ledger_file), SqliteStore(ledger_file)
    store.add_stop(a_stop())
    with store.turn():
        assert [stop.stop_id for stop in other.stops()] == ["stop_1"]
        assert other.entries() == []
    store.close()
    other.close()
