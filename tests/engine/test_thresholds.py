"""Shares of a budget: each is noted once, and takes the next cheaper model or blocks from there on."""

import asyncio
from collections.abc import Callable, Iterator

import msgspec
import pytest

from farthing.domain.call import Call
from farthing.domain.errors import Reason, Refusal, Refused
from farthing.domain.money import nanodollars_from
from farthing.engine.governor import Governor, Grant
from farthing.engine.outcomes import Ending, Exchange
from farthing.ledger.store import Store
from farthing.policy.rules import Action, AtLimit, Budget, Environment, Group, Target, Threshold
from tests.builders import NOON_US, Clock, a_book, a_budget, a_call, a_governor, a_policy, metered

Make = Callable[..., Governor]
MONTH_US = 31 * 86_400_000_000
# A dollar for each thousand tokens of output, a tenth of that for the cheap model.
PLAIN = a_book(plain=("0", "1000"), cheap=("0", "100"))
TARGETS = tuple(
    Target(id=model, provider="own", model=model, base_url="http://127.0.0.1:1/v1")
    for model in ("plain", "cheap")
)
NOTIFY_AND_BLOCK = (
    Threshold(percent=50),
    Threshold(percent=90),
    Threshold(percent=100, action=Action.BLOCK),
)


def call(*, cap: int = 1_000, at_us: int = NOON_US, group: str | None = None, key: str = "alice") -> Call:
    """A call that costs a dollar at most unless told otherwise."""
    made = a_call("plain", output_cap=cap, at_us=at_us, key=key)
    return msgspec.structs.replace(made, identity=msgspec.structs.replace(made.identity, group=group))


def spend(governor: Governor, made: Call) -> Grant:
    """Make a call that costs all it may."""
    grant = governor.authorize(made)
    cap = grant.output_cap or made.facts.output_cap or 0
    exchange = Exchange(ending=Ending.ANSWERED, status=200)
    governor.book(grant, governor.end_of(grant, exchange, metered(0, cap)))
    return grant


def no(governor: Governor, made: Call) -> Refusal:
    with pytest.raises(Refused) as refused:
        governor.authorize(made)
    return refused.value.refusal


def noted(store: Store) -> list[tuple[str, int, str]]:
    """Alerts in the order they were noted."""
    return [
        (alert.account, alert.threshold_percent, alert.action)
        for alert in sorted(store.alerts(), key=lambda alert: (alert.at_us, alert.threshold_percent))
    ]


@pytest.fixture
def make(store: Store) -> Iterator[Make]:
    made: list[Governor] = []

    def governor(
        *budgets: Budget,
        thresholds: tuple[Threshold, ...] = (),
        groups: tuple[Group, ...] = (),
        at_limit: AtLimit = AtLimit.REFUSE,
    ) -> Governor:
        environment = Environment(name="development", at_limit=at_limit, thresholds=thresholds)
        policy = a_policy(*budgets, environment=environment, targets=TARGETS)
        policy = msgspec.structs.replace(policy, groups=groups)
        made.append(a_governor(store, policy, prices=PLAIN, clock=Clock()))
        return made[-1]

    yield governor
    for one in made:
        one.committer.stop()


def test_half_and_ninety_percent_notify_once_and_a_hundred_blocks_the_next_call(
    make: Make, store: Store
) -> None:
    governor = make(a_budget("$10"), thresholds=NOTIFY_AND_BLOCK)

    seen = []
    for _ in range(10):
        spend(governor, call())
        governor.committer.start()  # what was put on the ledger before is there after this
        seen.append(len(store.alerts()))
    refusal = no(governor, call())

    assert seen == [0, 0, 0, 0, 1, 1, 1, 1, 2, 3]
    assert refusal.reason is Reason.BUDGET_EXCEEDED
    assert noted(store) == [
        ("dev-month/2026-09", 50, "notify"),
        ("dev-month/2026-09", 90, "notify"),
        ("dev-month/2026-09", 100, "block"),
    ]
    newest = store.alerts(limit=1)[0]
    assert (newest.limit_nanodollars, newest.spent_nanodollars) == (10_000_000_000, 10_000_000_000)
    assert (newest.environment, newest.refused) == ("development", False)


def test_the_next_window_notifies_anew(make: Make, store: Store) -> None:
    governor = make(a_budget("$1"), thresholds=(Threshold(percent=50),))
    spend(governor, call())
    spend(governor, call(at_us=NOON_US + MONTH_US))
    governor.committer.start()

    assert noted(store) == [("dev-month/2026-09", 50, "notify"), ("dev-month/2026-10", 50, "notify")]


def test_all_of_a_budget_counts_as_spent_when_a_call_is_refused_for_good(make: Make, store: Store) -> None:
    governor = make(a_budget("$1.50"), thresholds=NOTIFY_AND_BLOCK)
    spend(governor, call())

    no(governor, call())
    governor.committer.start()

    assert [percent for _, percent, _ in noted(store)] == [50, 100]
    assert store.alerts(limit=1)[0].refused


def test_money_that_is_only_held_is_not_spent(make: Make, store: Store) -> None:
    governor = make(a_budget("$1"), thresholds=NOTIFY_AND_BLOCK)
    governor.authorize(call())

    assert no(governor, call()).reason is Reason.BUDGET_HELD
    governor.committer.start()
    assert store.alerts() == []


def test_the_list_of_a_group_takes_the_place_of_the_general_one(make: Make, store: Store) -> None:
    early = Group(name="early", environment="development", thresholds=(Threshold(percent=25),))
    silent = Group(name="silent", environment="development", thresholds=())
    governor = make(
        a_budget("$4", per="group", name="each"), thresholds=NOTIFY_AND_BLOCK, groups=(early, silent)
    )
    for group in ("early", "silent", None):
        spend(governor, call(group=group))
        spend(governor, call(group=group))
    governor.committer.start()

    assert {(account.split("/")[1], percent) for account, percent, _ in noted(store)} == {
        ("early", 25),
        ("(none)", 50),
    }


def test_a_budgets_own_alerts_come_on_top(make: Make, store: Store) -> None:
    own = tuple(Threshold(percent=percent) for percent in (25, 50, 75, 90))
    budget = msgspec.structs.replace(a_budget("$4"), thresholds=own)
    governor = make(budget, thresholds=NOTIFY_AND_BLOCK)
    for _ in range(4):
        spend(governor, call())
    governor.committer.start()

    assert [percent for _, percent, _ in noted(store)] == [25, 50, 75, 90, 100]


@pytest.mark.parametrize(("percent", "calls"), [(50, 5), (80, 8), (110, 11)])
def test_block_ends_a_budget_at_its_share(make: Make, store: Store, percent: int, calls: int) -> None:
    governor = make(a_budget("$10"), thresholds=(Threshold(percent=percent, action=Action.BLOCK),))
    for _ in range(calls):
        spend(governor, call())

    refusal = no(governor, call())
    governor.committer.start()

    assert refusal.limit == nanodollars_from(f"${calls}")
    assert noted(store) == [("dev-month/2026-09", percent, "block")]
    assert store.alerts()[0].limit_nanodollars == nanodollars_from("$10")


def test_a_budget_that_lets_pass_is_not_blocked_by_a_general_list(make: Make, store: Store) -> None:
    governor = make(a_budget("$1", at_limit=AtLimit.OVERRUN), thresholds=NOTIFY_AND_BLOCK)
    spend(governor, call())

    assert spend(governor, call()).would_refuse == ("dev-month/2026-09",)
    governor.committer.start()
    assert [percent for _, percent, _ in noted(store)] == [50, 90, 100]


@pytest.mark.parametrize("at_limit", [AtLimit.CLAMP, AtLimit.REFUSE, AtLimit.OVERRUN])
def test_from_a_share_on_calls_go_to_the_next_cheaper_model(
    make: Make, store: Store, at_limit: AtLimit
) -> None:
    governor = make(
        a_budget("$10"), thresholds=(Threshold(percent=80, action=Action.DOWNGRADE),), at_limit=at_limit
    )

    served = [spend(governor, call()).model for _ in range(12)]
    governor.committer.start()

    assert served == ["plain"] * 8 + ["cheap"] * 4
    assert noted(store) == [("dev-month/2026-09", 80, "downgrade")]


def test_observing_downgrades_and_blocks_nothing(make: Make) -> None:
    governor = make(
        a_budget("$1"),
        thresholds=(
            Threshold(percent=50, action=Action.DOWNGRADE),
            Threshold(percent=80, action=Action.BLOCK),
        ),
        at_limit=AtLimit.OBSERVE,
    )
    spend(governor, call())

    grant = spend(governor, call())

    assert (grant.model, grant.would_refuse) == ("plain", ("dev-month/2026-09",))


def test_an_event_loop_notes_too(make: Make, store: Store) -> None:
    governor = make(a_budget("$1"), thresholds=NOTIFY_AND_BLOCK)

    async def one_call_and_a_refusal() -> None:
        grant = await governor.authorize_async(call())
        exchange = Exchange(ending=Ending.ANSWERED, status=200)
        await governor.book_async(grant, governor.end_of(grant, exchange, metered(0, 500)))
        with pytest.raises(Refused):
            await governor.authorize_async(call())

    asyncio.run(one_call_and_a_refusal())
    governor.committer.start()

    assert [percent for _, percent, _ in noted(store)] == [50, 100]
