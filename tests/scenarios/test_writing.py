"""Rows become entries as real calls do: settled, refused for want of money, served from the cache."""

from pathlib import Path

import pytest

from farthing.domain.usage import Usage
from farthing.ledger.entries import AtShort, Claim, Outcome, Unit
from farthing.ledger.memory import MemoryStore
from farthing.ledger.sqlite import SqliteStore
from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_limits import g11
from farthing.scenarios.writing import AlreadyWritten, write
from tests.builders import NOON_US

CALL = Row(
    at_us=NOON_US,
    environment="development",
    key="alice",
    developer="alice",
    labels={"feature": "search"},
    model_asked="gpt-4o",
    model_served="gpt-4o",
    usage=Usage(input_tokens=1_200, output_tokens=500),
    cost_nanodollars=8_000_000,
)


def an_account(limit: int) -> Claim:
    return Claim(
        account="dev-month/2026-09",
        unit=Unit.NANODOLLARS,
        limit=limit,
        at_short=AtShort.REFUSE,
        budget="dev-month",
        window="2026-09",
    )


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_a_row_is_settled_and_booked_to_its_account(store: MemoryStore) -> None:
    account = an_account(10_000_000)
    assert write([CALL._replace(account=account)], store, name="one") == 1

    (entry,) = store.entries()
    assert entry.call_id == "one-00000000"
    assert (entry.outcome, entry.cost_nanodollars) == (Outcome.SETTLED, 8_000_000)
    assert (entry.model_served, entry.reason, entry.status) == ("gpt-4o", "as_asked", 200)
    assert entry.ended_at_us == NOON_US + 800_000
    assert entry.accounts == (account.account,)
    balance = store.balance(account.account)
    assert balance is not None
    assert (balance.settled, balance.held) == (8_000_000, 0)


def test_a_row_served_by_a_cheaper_model_says_so(store: MemoryStore) -> None:
    write([CALL._replace(model_served="gpt-4o-mini"), CALL._replace(decision="fallback")], store)
    assert sorted(entry.reason for entry in store.entries()) == ["downgraded", "fallback"]


def test_a_refused_row_names_the_account_that_was_short(store: MemoryStore) -> None:
    write([CALL._replace(refused="budget_exceeded", account=an_account(5))], store)

    (entry,) = store.entries()
    assert (entry.outcome, entry.reason, entry.cost_nanodollars) == (Outcome.REFUSED, "budget_exceeded", 0)
    assert entry.short is not None
    assert entry.short.balance.budget == "dev-month"


def test_a_row_refused_by_a_rule_names_no_account(store: MemoryStore) -> None:
    write([CALL._replace(refused="model_not_allowed", status=403)], store)
    (entry,) = store.entries()
    assert (entry.reason, entry.short, entry.status) == ("model_not_allowed", None, 403)


def test_a_row_from_the_cache_costs_nothing_and_says_what_it_avoided(store: MemoryStore) -> None:
    write([CALL._replace(cached=True, usage=None, cost_nanodollars=0, avoided_nanodollars=8)], store)
    (entry,) = store.entries()
    assert (entry.outcome, entry.cost_nanodollars, entry.avoided_nanodollars) == (Outcome.CACHED, 0, 8)


def test_a_clamped_row_was_sent_the_output_cap_it_names(store: MemoryStore) -> None:
    write([CALL._replace(call_limit_nanodollars=20_000_000, clamped_to=1_000), CALL], store)
    assert sorted(entry.clamped_to or 0 for entry in store.entries()) == [0, 1_000]
    assert all(entry.overrun_nanodollars == 0 for entry in store.entries())


def test_an_assumed_row_says_by_which_rule(store: MemoryStore) -> None:
    write([CALL._replace(usage=None, assumed_rule="timeout")], store)
    (entry,) = store.entries()
    assert (entry.assumed, entry.assumed_rule) == (True, "timeout")


def test_the_same_rows_are_not_booked_twice(store: MemoryStore) -> None:
    write([CALL], store)
    with pytest.raises(AlreadyWritten):
        write([CALL], store)
    write([CALL], store, name="another")
    assert len(store.entries()) == 2


def test_writing_goes_on_where_it_was_broken_off(store: MemoryStore) -> None:
    rows = list(g11(51, refused=11))
    write(rows[:400], store, name="caps")
    write(rows[400:], store, name="caps", first=400)

    whole = MemoryStore()
    write(rows, whole, name="caps")
    assert store.entries(limit=1_000) == whole.entries(limit=1_000)


def test_a_row_that_its_account_cannot_pay_is_no_silent_refusal(store: MemoryStore) -> None:
    with pytest.raises(ValueError, match="should be granted"):
        write([CALL._replace(account=an_account(1))], store)


def test_progress_is_told_after_each_batch(store: MemoryStore) -> None:
    told: list[int] = []
    write([CALL] * 2_500, store, progress=told.append)
    assert told == [1_000, 2_000, 2_500]


def test_a_ledger_in_a_file_has_the_same_and_agrees_with_itself(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db")
    memory = MemoryStore()
    write(g11(51, refused=11), store)
    write(g11(51, refused=11), memory)
    assert store.verify() == []
    assert store.spend(by=["environment"]) == memory.spend(by=["environment"])
    assert store.entries(limit=1_000) == memory.entries(limit=1_000)
    store.close()
