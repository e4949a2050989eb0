"""Wallets: a group pays from exactly one, credits fill it, and where enforced an empty one refuses."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from farthing.domain.call import Call
from farthing.domain.errors import Reason, Refused
from farthing.domain.money import dollars, nanodollars_from
from farthing.domain.period import Period
from farthing.engine.governor import Governor
from farthing.engine.raises import BadRaise, OtherRaise, UnknownWallet, credit
from farthing.ledger.entries import Balance, Renew
from farthing.ledger.raising import Raised
from farthing.ledger.store import Store
from farthing.policy.decide import payers
from farthing.policy.rules import (
    Action,
    AtLimit,
    Budget,
    Candidate,
    Counted,
    Environment,
    Group,
    Limit,
    Threshold,
    Wallet,
)
from tests.builders import NOON_US, Clock, a_book, a_budget, a_call, a_governor, a_policy, metered
from tests.engine.test_governor import end

MONTH = "2026-09"
# A call to this model holds 1 cent at most: 1,000 tokens of output, and its input is free.
BOOK = a_book(tenth=("0", "10"))
CENT = 10_000_000


def product(**changes: Any) -> Group:
    return Group(**{"name": "product", "environment": "development", "wallet": "team", **changes})


def wallet(allocation: str | None = "$0.02", **changes: Any) -> Wallet:
    amount = None if allocation is None else nanodollars_from(allocation)
    known = {"team_id": "team", "allocation_nanodollars": amount, "period": Period.MONTHLY}
    return Wallet(**{**known, **changes})


def of_group(group: str | None = "product", **facts: Any) -> Call:
    """A call of 1 cent at most, with a key of a group."""
    call = a_call("tenth", **facts)
    team = {"product": "team", "other": "other-team"}.get(group or "")
    identity = msgspec.structs.replace(call.identity, group=group, wallet=team)
    return msgspec.structs.replace(call, identity=identity)


Govern = Callable[..., Governor]


@pytest.fixture
def govern(store: Store) -> Iterator[Govern]:
    """A governor over groups and wallets; wallets are enforced unless the test says otherwise."""
    opened: list[Governor] = []

    def build(
        *budgets: Budget,
        groups: tuple[Group, ...] = (product(),),
        wallets: tuple[Wallet, ...] = (wallet(),),
        cost_tracked: bool = True,
        **environment: Any,
    ) -> Governor:
        known = {"name": "development", "wallets_enforced": True}
        policy = a_policy(
            *budgets, environment=Environment(**{**known, **environment}), cost_tracked=cost_tracked
        )
        policy = msgspec.structs.replace(policy, groups=groups, wallets=wallets)
        opened.append(a_governor(store, policy, clock=Clock(), prices=BOOK))
        return opened[-1]

    yield build
    for governor in opened:
        governor.committer.stop()


def refusal(governor: Governor, call: Call) -> Refused:
    with pytest.raises(Refused) as refused:
        governor.authorize(call)
    return refused.value


def in_wallet(store: Store, account: str = f"wallet:team/{MONTH}") -> Balance:
    balance = store.balance(account)
    assert balance is not None
    return balance


def put_in(store: Store, governor: Governor, amount: str, team: str = "team", **changes: Any) -> Raised:
    known = {"by": "ana", "reason": "launch week", "at_us": NOON_US}
    return credit(
        store, governor.policy, team, amount_nanodollars=nanodollars_from(amount), **{**known, **changes}
    )


# ── who pays ────────────────────────────────────────────────────────────────────────────────────


def test_r75_calls_of_a_group_debit_its_wallet_and_no_other(govern: Govern, store: Store) -> None:
    groups = (product(), product(name="other", wallet="other-team"))
    governor = govern(groups=groups, wallets=(wallet(), wallet(team_id="other-team")))

    grant = governor.authorize(of_group("product"))
    end(governor, grant, metered(0, 500))
    governor.authorize(of_group("other"))

    assert (in_wallet(store).settled, in_wallet(store).held) == (CENT // 2, 0)
    other = in_wallet(store, f"wallet:other-team/{MONTH}")
    assert (other.settled, other.held) == (0, CENT)
    entry = store.entry(grant.call.call_id)
    assert entry is not None
    assert entry.facts.wallet == "team"
    assert entry.accounts == (f"wallet:team/{MONTH}",)


def test_a_call_without_a_group_or_of_a_group_without_a_wallet_debits_none(
    govern: Govern, store: Store
) -> None:
    governor = govern(groups=(product(), product(name="bare", wallet=None)))

    governor.authorize(of_group(None))
    governor.authorize(of_group("bare"))

    assert store.balances() == []


def test_a_wallet_pays_besides_the_budgets(govern: Govern, store: Store) -> None:
    governor = govern(a_budget("$1"))

    grant = governor.authorize(of_group())

    assert [balance.account for balance in grant.balances] == [f"dev-month/{MONTH}", f"wallet:team/{MONTH}"]


def test_r10_two_groups_may_share_a_wallet_and_then_share_what_is_in_it(govern: Govern) -> None:
    governor = govern(groups=(product(), product(name="other", wallet="team")), at_limit=AtLimit.REFUSE)
    other = msgspec.structs.replace(
        of_group("other"), identity=msgspec.structs.replace(of_group("other").identity, wallet="team")
    )

    governor.authorize(of_group("product"))
    governor.authorize(of_group("product"))

    assert refusal(governor, other).refusal.reason is Reason.BUDGET_HELD


# ── enforced ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("at_limit", [one for one in AtLimit if one is not AtLimit.OBSERVE])
def test_r77_an_empty_wallet_refuses_whatever_happens_at_other_limits(
    govern: Govern, store: Store, at_limit: AtLimit
) -> None:
    governor = govern(a_budget("$1"), wallets=(wallet("$0.01"),), at_limit=at_limit)
    end(governor, governor.authorize(of_group()), metered(0, 1_000))

    refused = refusal(governor, of_group())

    assert refused.refusal.reason is Reason.WALLET_EMPTY
    assert refused.refusal.retry_after_s is None
    assert refused.refusal.budget == "wallet:team"
    assert "wallet team cannot pay for this call: $0.01 spent" in refused.refusal.message
    assert 'farthing wallet credit team $50 --reason "..."' in refused.refusal.fix
    entry = store.entry(refused.call_id or "")
    assert entry is not None
    assert (entry.reason, entry.cost_nanodollars) == ("wallet_empty", 0)
    assert in_wallet(store).settled == CENT


def test_r94_a_wallet_at_nothing_refuses_where_a_soft_budget_lets_calls_pass(
    govern: Govern, store: Store
) -> None:
    soft = a_budget("$0.01", at_limit=AtLimit.OVERRUN)
    governor = govern(soft, wallets=(wallet("$0.02"),))
    end(governor, governor.authorize(of_group()), metered(0, 1_000))
    grant = governor.authorize(of_group())
    end(governor, grant, metered(0, 1_000))
    assert grant.would_refuse == (f"dev-month/{MONTH}",)

    assert refusal(governor, of_group()).refusal.reason is Reason.WALLET_EMPTY


def test_the_output_cap_is_lowered_to_what_a_wallet_has_left(govern: Govern, store: Store) -> None:
    governor = govern(wallets=(wallet("$0.005"),))

    grant = governor.authorize(of_group())

    assert (grant.clamped, grant.output_cap) == (True, 500)
    end(governor, grant, metered(0, 300))
    assert (
        refusal(governor, of_group()).refusal.reason is Reason.WALLET_EMPTY
    )  # 200 tokens are below the floor


def test_money_of_a_wallet_that_calls_in_flight_hold_is_worth_waiting_for(govern: Govern) -> None:
    governor = govern(wallets=(wallet("$0.01"),))
    governor.authorize(of_group())

    refused = refusal(governor, of_group())

    assert refused.refusal.reason is Reason.BUDGET_HELD
    assert refused.refusal.message.startswith("the money of wallet team is held")
    assert refused.refusal.retry_after_s == 1


def test_an_environment_that_only_observes_blocks_nothing_and_tells_what_would_have_been(
    govern: Govern,
) -> None:
    governor = govern(wallets=(wallet(None),), at_limit=AtLimit.OBSERVE)

    assert governor.authorize(of_group()).would_refuse == (f"wallet:team/{MONTH}",)


def test_the_cheaper_model_is_tried_when_a_wallet_cannot_pay_for_the_dear_one(govern: Govern) -> None:
    governor = govern(
        wallets=(wallet("$0.005"),),
        at_limit=AtLimit.DOWNGRADE,
        allow=("tenth", "gpt-4o-mini"),
        downgrade=(("tenth", "gpt-4o-mini"),),
    )

    assert governor.authorize(of_group()).model == "gpt-4o-mini"


def test_a_refusal_by_an_empty_wallet_takes_no_request_of_a_rate(govern: Govern, store: Store) -> None:
    rate = Limit(counts=Counted.REQUESTS, most=2, period=Period.MINUTE)
    governor = govern(wallets=(wallet(None),), limits=(rate,))

    refusal(governor, of_group())

    assert store.balances() == []


# ── not enforced ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("at_limit", list(AtLimit))
def test_r77_a_wallet_that_is_not_enforced_goes_below_nothing_and_says_so(
    govern: Govern, store: Store, at_limit: AtLimit
) -> None:
    governor = govern(wallets=(wallet("$0.01"),), wallets_enforced=False, at_limit=at_limit)
    for _ in range(2):
        end(governor, governor.authorize(of_group()), metered(0, 1_000))
    grant = governor.authorize(of_group())
    end(governor, grant, metered(0, 1_000))

    assert in_wallet(store).remaining == -2 * CENT
    assert grant.would_refuse == (f"wallet:team/{MONTH}",)


def test_r76_without_tracked_costs_no_wallet_is_debited_and_rates_hold(govern: Govern, store: Store) -> None:
    rate = Limit(counts=Counted.REQUESTS, most=1, period=Period.MINUTE)
    governor = govern(a_budget("$0"), wallets=(wallet(None),), limits=(rate,), cost_tracked=False)

    grant = governor.authorize(of_group())
    end(governor, grant, metered(0, 1_000))

    entry = store.entry(grant.call.call_id)
    assert entry is not None
    assert (entry.cost_nanodollars, entry.facts.cost_tracked) == (0, False)
    assert [balance.budget for balance in store.balances()] == ["rate:development"]
    assert refusal(governor, of_group()).refusal.reason is Reason.RATE_LIMITED


# ── allocations and credits ─────────────────────────────────────────────────────────────────────


def test_an_allocation_comes_anew_in_each_period(govern: Govern, store: Store) -> None:
    governor = govern(wallets=(wallet("$0.01"),))
    end(governor, governor.authorize(of_group()), metered(0, 1_000))
    refusal(governor, of_group())
    october_us = NOON_US + 20 * 86_400_000_000

    governor.authorize(of_group(at_us=october_us))

    assert in_wallet(store, "wallet:team/2026-10").held == CENT


def test_an_allocation_without_a_period_is_put_in_once(govern: Govern, store: Store) -> None:
    governor = govern(wallets=(wallet("$0.01", period=None),))
    end(governor, governor.authorize(of_group()), metered(0, 1_000))
    years_later_us = NOON_US + 800 * 86_400_000_000

    assert refusal(governor, of_group(at_us=years_later_us)).refusal.reason is Reason.WALLET_EMPTY
    assert in_wallet(store, "wallet:team/total").settled == CENT


def test_a_wallet_that_no_file_declares_has_nothing_until_it_is_credited(
    govern: Govern, store: Store
) -> None:
    governor = govern(wallets=())
    refused = refusal(governor, of_group(key="bob"))
    assert refused.refusal.reason is Reason.WALLET_EMPTY
    assert refused.refusal.limit == 0

    answer = put_in(store, governor, "$0.01")

    assert (answer.row.limit_before, answer.row.limit_after) == (0, CENT)
    governor.authorize(of_group())
    assert in_wallet(store, "wallet:team/total").remaining == 0


def test_a_credit_fills_an_empty_wallet_and_is_kept_with_who_and_why(govern: Govern, store: Store) -> None:
    governor = govern(wallets=(wallet("$0.01"),))
    end(governor, governor.authorize(of_group()), metered(0, 1_000))
    refusal(governor, of_group(key="bob"))

    put_in(store, governor, "$0.02")

    assert governor.authorize(of_group()).balances[-1].limit == 3 * CENT
    (row,) = store.raises(budget="wallet:team")
    assert (row.by, row.reason, row.at_us) == ("ana", "launch week", NOON_US)
    assert (dollars(row.amount), dollars(row.limit_before), dollars(row.limit_after)) == (
        "$0.02",
        "$0.01",
        "$0.03",
    )


def test_a_credit_of_a_wallet_with_a_period_ends_with_it(govern: Govern, store: Store) -> None:
    governor = govern(wallets=(wallet("$0.01"),))
    put_in(store, governor, "$5")

    october = governor.authorize(of_group(at_us=NOON_US + 20 * 86_400_000_000))

    assert october.balances[-1].limit == CENT


def test_the_same_credit_twice_is_put_in_once(govern: Govern, store: Store) -> None:
    governor = govern()

    first = put_in(store, governor, "$1", credit_id="invoice-7")
    again = put_in(store, governor, "$1", credit_id="invoice-7")

    assert (first.already, again.already) == (False, True)
    assert in_wallet(store).limit == nanodollars_from("$1.02")
    with pytest.raises(OtherRaise, match="invoice-7 was used before"):
        put_in(store, governor, "$2", credit_id="invoice-7")


@pytest.mark.parametrize("changes", [{"by": " "}, {"reason": ""}])
def test_a_credit_that_nobody_answers_for_is_an_error(
    govern: Govern, store: Store, changes: dict[str, str]
) -> None:
    with pytest.raises(BadRaise, match="it is kept for good"):
        put_in(store, govern(), "$1", **changes)
    with pytest.raises(BadRaise, match="changes nothing"):
        put_in(store, govern(), "$0")


def test_a_wallet_that_nothing_names_cannot_be_credited(govern: Govern, store: Store) -> None:
    with pytest.raises(UnknownWallet, match="there is no wallet taem") as unknown:
        put_in(store, govern(), "$1", "taem")
    assert unknown.value.known == ("team",)
    assert store.raises() == []


# ── thresholds, where no budget has them ────────────────────────────────────────────────────────

LIST = (Threshold(percent=50), Threshold(percent=100, action=Action.BLOCK))


def test_thresholds_are_the_wallets_where_no_budget_stands_beside_it(govern: Govern) -> None:
    governor = govern(thresholds=LIST)

    candidate = Candidate(target=governor.policy.targets[0], model="tenth")
    (payer,) = payers(of_group(), governor.policy, candidate)
    assert payer.thresholds == LIST
    with_budget = govern(a_budget("$1"), thresholds=LIST)
    budget, purse = payers(of_group(), with_budget.policy, candidate)
    assert (budget.thresholds, purse.thresholds) == (LIST, ())


def test_a_block_at_a_share_of_the_allocation_is_hard_without_enforcement(govern: Govern) -> None:
    half = (Threshold(percent=50, action=Action.BLOCK),)
    governor = govern(thresholds=half, wallets_enforced=False, at_limit=AtLimit.REFUSE)
    end(governor, governor.authorize(of_group()), metered(0, 1_000))

    assert refusal(governor, of_group()).refusal.reason is Reason.WALLET_EMPTY


def test_a_block_does_not_close_a_wallet_that_no_file_says_an_amount_of(govern: Govern) -> None:
    governor = govern(thresholds=LIST, wallets_enforced=False, at_limit=AtLimit.REFUSE, wallets=())

    assert governor.authorize(of_group()).would_refuse == ("wallet:team/total",)


OF_THE_DOCUMENTS = (
    Threshold(percent=50),
    Threshold(percent=90),
    Threshold(percent=100, action=Action.BLOCK),
)


def test_r78_shares_of_an_allocation_are_noted_once_each_and_all_of_it_blocks(
    govern: Govern, store: Store
) -> None:
    governor = govern(thresholds=OF_THE_DOCUMENTS, wallets=(wallet("$0.10"),), at_limit=AtLimit.REFUSE)

    def noted() -> list[int]:
        governor.committer.submit(Renew(owner="us", at_us=NOON_US, until_us=NOON_US, host="", process=""))
        return sorted(alert.threshold_percent for alert in store.alerts(budget="wallet:team"))

    def spend(calls: int) -> None:
        for _ in range(calls):
            end(governor, governor.authorize(of_group()), metered(0, 1_000))

    spend(4)
    assert noted() == []
    spend(2)
    assert noted() == [50]
    spend(3)
    assert noted() == [50, 90]
    spend(1)
    assert noted() == [50, 90, 100]

    assert refusal(governor, of_group()).refusal.reason is Reason.WALLET_EMPTY
    assert noted() == [50, 90, 100]


def test_r79_the_list_of_a_group_takes_the_place_of_the_general_one_for_its_wallet(govern: Govern) -> None:
    own = (Threshold(percent=25),)
    governor = govern(thresholds=OF_THE_DOCUMENTS, groups=(product(thresholds=own),))

    (payer,) = payers(
        of_group(), governor.policy, Candidate(target=governor.policy.targets[0], model="tenth")
    )

    assert payer.thresholds == own
