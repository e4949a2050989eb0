"""The budgets of a policy pay for calls that never were, whatever that does to their limits."""

from farthing.ledger.memory import MemoryStore
from farthing.scenarios.paying import paid_by
from farthing.scenarios.seeds_limits import g7
from farthing.scenarios.seeds_people import g3
from farthing.scenarios.writing import write
from tests.builders import a_budget, a_policy


def test_every_budget_that_covers_a_call_pays_for_it() -> None:
    policy = a_policy(
        a_budget("$1,000"),
        a_budget("$10", name="per-developer", per="developer"),
        a_budget("$5", name="elsewhere", environment="production"),
    )
    store = MemoryStore()
    write(paid_by(g3(), policy), store)

    found = {(row.budget, row.value): row.settled for row in store.balances()}
    assert found.pop(("dev-month", None)) == 19_728_000_000 == sum(found.values())
    assert found[("per-developer", "engineer-b")] == 19_152_000_000  # beyond its ten dollars
    assert len(found) == 5


def test_what_was_refused_stays_refused_and_what_paid_goes_on_paying() -> None:
    store = MemoryStore()
    write(paid_by(g7(), a_policy(a_budget("$1,000", name="all", environment="production"))), store)

    assert {row.budget: row.settled for row in store.balances()} == {
        "all": 9_000_000_000,
        "per-run": 900_000_000,
    }
    assert store.spend(by=[])[0].refused == 1
