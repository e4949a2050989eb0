"""Values that callers make up cannot open accounts without end: late ones share one, on every store."""

from pathlib import Path

from farthing.ledger.entries import OTHER_VALUES, AtShort, Claim, Held, Short, account_name
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import Store
from tests.ledger.sentences import CENT, ask, claim, held, hold, money, offer, settle, short, void

SHARED = f"per-branch/{OTHER_VALUES}/2026-12"


def of_branch(branch: str, limit: int = 20 * CENT, **changes: object) -> Claim:
    return claim(
        account_name("per-branch", branch, "2026-12"),
        limit,
        budget="per-branch",
        value=branch,
        window="2026-12",
        values_max=2,
        **changes,
    )


def test_values_beyond_the_most_share_one_account_and_its_limit(store: Store) -> None:
    for number, branch in enumerate(("main", "fix", "a", "b")):
        held(store, hold(f"call-{number}", offer(10 * CENT, of_branch(branch))))
    refused = short(store, hold("call-4", offer(10 * CENT, of_branch("c"))))
    assert refused.balance.value == OTHER_VALUES
    assert money(store, SHARED) == (0, 20 * CENT)
    assert store.balance(account_name("per-branch", "a", "2026-12")) is None


def test_a_value_that_has_an_account_keeps_it_when_others_must_share(store: Store) -> None:
    for branch in ("main", "fix", "late"):
        held(store, hold(f"first-{branch}", offer(10 * CENT, of_branch(branch))))
    granted = held(store, hold("second-main", offer(10 * CENT, of_branch("main"))))
    assert [balance.value for balance in granted.balances] == ["main"]


def test_a_call_settles_to_the_shared_account_that_its_hold_named(store: Store) -> None:
    for branch in ("main", "fix", "late", "later"):
        held(store, hold(branch, offer(10 * CENT, of_branch(branch))))
    ask(store, settle("late", 4 * CENT))
    ask(store, void("later"))
    assert money(store, SHARED) == (4 * CENT, 0)
    entry = store.entry("late")
    assert entry is not None
    assert entry.accounts == (SHARED,)


def test_the_next_window_has_room_for_new_values(store: Store) -> None:
    for branch in ("main", "fix", "late"):
        held(store, hold(branch, offer(10 * CENT, of_branch(branch))))
    name = account_name("per-branch", "late", "2027-01")
    january = claim(name, budget="per-branch", value="late", window="2027-01", values_max=2)
    held(store, hold("in-january", offer(10 * CENT, january)))
    assert money(store, name) == (0, 10 * CENT)


def test_a_value_that_was_only_refused_takes_no_place(store: Store) -> None:
    short(store, hold("refused", offer(30 * CENT, of_branch("dear"))))
    for branch in ("main", "fix"):
        held(store, hold(branch, offer(10 * CENT, of_branch(branch))))
    assert store.balance(SHARED) is None


def test_values_of_one_batch_are_counted_one_after_the_other(store: Store) -> None:
    branches = ("main", "fix", "a", "b", "c")
    answers = store.apply([hold(branch, offer(10 * CENT, of_branch(branch))) for branch in branches])
    assert [type(answer) for answer in answers] == [Held, Held, Held, Held, Short]
    assert money(store, SHARED) == (0, 20 * CENT)


def test_a_soft_budget_names_the_shared_account_that_is_over(store: Store) -> None:
    for branch in ("main", "fix", "a", "b"):
        held(store, hold(branch, offer(10 * CENT, of_branch(branch))))
    passed = held(store, hold("c", offer(10 * CENT, of_branch("c", at_short=AtShort.PASS))))
    assert passed.would_refuse == (SHARED,)


def test_values_without_a_most_never_share(store: Store) -> None:
    for number in range(5):
        name = account_name("per-developer", f"developer-{number}", "2026-12")
        own = claim(name, budget="per-developer", value=f"developer-{number}", window="2026-12")
        held(store, hold(name, offer(10 * CENT, own)))
    assert len(store.balances(budget="per-developer")) == 5


def test_two_stores_on_one_file_count_the_same_values(ledger_file: Path) -> None:
    one, other = SqliteStore(ledger_file), SqliteStore(ledger_file)
    for store, branch in ((one, "main"), (other, "fix"), (one, "a"), (other, "b")):
        held(store, hold(branch, offer(10 * CENT, of_branch(branch))))
    assert money(one, SHARED) == (0, 20 * CENT)
    assert other.verify() == []
    one.close()
    other.close()


def test_a_value_that_hides_a_nul_is_an_account_like_any_other(store: Store) -> None:
    odd = of_branch("main\0evil")
    for number in range(2):
        held(store, hold(f"call-{number}", offer(10 * CENT, odd)))
    ask(store, settle("call-0", 4 * CENT))
    assert money(store, odd.account) == (4 * CENT, 10 * CENT)
    assert store.balance(account_name("per-branch", "main", "2026-12")) is None
