"""Requests for more of a budget: asked with a reason, answered by somebody else, ended with the window."""

from collections.abc import Iterator

import pytest

from farthing.domain.errors import Reason, Refused
from farthing.domain.period import Period
from farthing.engine.governor import Governor
from farthing.engine.raises import BadRaise
from farthing.engine.requests import (
    BadRequest,
    NoSuchRequest,
    OwnRequest,
    UnknownBudget,
    approve,
    ask_for_more,
    raise_budget,
    say_no,
)
from farthing.ledger.auditing import WantedActs
from farthing.ledger.requests import BudgetRequest
from farthing.ledger.store import Store
from farthing.policy.rules import AtLimit, Policy
from tests.builders import NOON_US, Clock, a_book, a_budget, a_call, a_governor, a_policy

# A call to this model holds 1 cent at most.
BOOK = a_book(tenth=("0", "10"))
CENT = 10_000_000
MONTH_US = 31 * 86_400 * 1_000_000


@pytest.fixture
def policy() -> Policy:
    return a_policy(
        a_budget("$0.00", name="month", period=Period.MONTHLY, at_limit=AtLimit.REFUSE),
        a_budget("$1.00", name="each", period=Period.MONTHLY, per="developer"),
        a_budget("$1.00", name="run", period=Period.RUN),
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def governor(store: Store, policy: Policy, clock: Clock) -> Iterator[Governor]:
    opened = a_governor(store, policy, clock=clock, prices=BOOK)
    yield opened
    opened.committer.stop()


def asked(store: Store, policy: Policy, amount: int = CENT, **more: object) -> BudgetRequest:
    told = {"by": "alice", "reason": "demo on Friday", "at_us": NOON_US, **more}
    return ask_for_more(store, policy, "month", amount_nanodollars=amount, **told)  # type: ignore[arg-type]


def may_call(governor: Governor, clock: Clock) -> bool:
    try:
        governor.authorize(a_call("tenth", at_us=clock()))
    except Refused as refused:
        assert refused.refusal.reason is Reason.BUDGET_EXCEEDED
        return False
    return True


def test_r63_an_approved_request_raises_the_limit_and_everything_is_audited(
    store: Store, policy: Policy, governor: Governor, clock: Clock
) -> None:
    assert not may_call(governor, clock)
    request = asked(store, policy)
    assert request.state == "open"
    clock.at_us += 2_000_000

    row = approve(store, policy, request.request_id, by="bob", at_us=NOON_US + 5, reason="fine")

    assert may_call(governor, clock)
    assert (row.state, row.granted_nanodollars, row.answered_by, row.answer) == (
        "approved", CENT, "bob", "fine",
    )  # fmt: skip
    (raised,) = store.raises(budget="month")
    assert (raised.by, raised.limit_before, raised.limit_after) == ("bob", 0, CENT)
    assert raised.reason == "alice asked: demo on Friday"
    told = [(act.by, act.action, act.before, act.after, act.reason) for act in store.acts(WantedActs())]
    asked_for = "$0.01 more of month"
    assert told[0] == ("bob", "request approve", f"{asked_for}, asked by alice", asked_for, "fine")
    assert told[1][:4] == ("bob", "raise", "$0.00", "$0.01")
    assert told[2] == ("alice", "request create", None, "$0.01 more of month", "demo on Friday")


@pytest.mark.parametrize("reason", ["", "  "])
def test_r63_a_request_without_a_reason_is_not_kept(store: Store, policy: Policy, reason: str) -> None:
    with pytest.raises(BadRaise, match="needs a 'reason'"):
        asked(store, policy, reason=reason)
    assert store.requests() == []


@pytest.mark.parametrize("by", ["alice", "Alice", " alice "])
def test_nobody_answers_their_own_request(store: Store, policy: Policy, by: str) -> None:
    request = asked(store, policy)
    with pytest.raises(OwnRequest, match="somebody else"):
        approve(store, policy, request.request_id, by=by, at_us=NOON_US)
    with pytest.raises(OwnRequest):
        say_no(store, request.request_id, by=by, at_us=NOON_US, reason="no")
    assert [row.state for row in store.requests()] == ["open"]


def test_a_request_is_answered_once(store: Store, policy: Policy) -> None:
    request = asked(store, policy)
    row = say_no(store, request.request_id, by="bob", at_us=NOON_US, reason="wait for December")
    assert (row.state, row.granted_nanodollars, row.answer) == ("denied", None, "wait for December")

    with pytest.raises(NoSuchRequest, match="was denied by bob before"):
        approve(store, policy, request.request_id, by="cem", at_us=NOON_US)
    with pytest.raises(NoSuchRequest, match="there is no request"):
        approve(store, policy, "req_9", by="cem", at_us=NOON_US)
    assert store.raises() == []
    assert [act.action for act in store.acts(WantedActs())] == ["request deny", "request create"]


def test_a_no_needs_a_reason(store: Store, policy: Policy) -> None:
    with pytest.raises(BadRequest, match="needs a reason"):
        say_no(store, asked(store, policy).request_id, by="bob", at_us=NOON_US, reason=" ")


def test_another_amount_and_an_earlier_end_may_be_approved(
    store: Store, policy: Policy, governor: Governor, clock: Clock
) -> None:
    request = asked(store, policy, amount=100 * CENT)

    row = approve(
        store, policy, request.request_id, by="bob", at_us=clock(), amount_nanodollars=2 * CENT,
        until_us=clock() + 10_000_000,
    )  # fmt: skip

    assert row.granted_nanodollars == 2 * CENT
    assert may_call(governor, clock)
    clock.at_us += 11_000_000
    assert not may_call(governor, clock)


def test_r63_what_was_approved_ends_with_its_period(store: Store, policy: Policy) -> None:
    request = asked(store, policy)
    with pytest.raises(BadRequest, match="which is over"):
        approve(store, policy, request.request_id, by="bob", at_us=NOON_US + MONTH_US)

    approve(store, policy, request.request_id, by="bob", at_us=NOON_US)
    (raised,) = store.raises()
    assert raised.account == f"month/{request.window}"


def test_a_budget_with_several_accounts_is_asked_for_one_of_them(store: Store, policy: Policy) -> None:
    def ask(name: str, value: str | None, run: str | None = None) -> BudgetRequest:
        return ask_for_more(
            store, policy, name, amount_nanodollars=CENT, by="alice", reason="x", at_us=NOON_US, value=value,
            run=run,
        )  # fmt: skip

    with pytest.raises(BadRequest, match="for each developer"):
        ask("each", None)
    with pytest.raises(BadRequest, match="leave out 'alice'"):
        ask("month", "alice")
    with pytest.raises(UnknownBudget) as unknown:
        ask("moth", None)
    assert unknown.value.known == ("month", "each", "run")
    approve(store, policy, ask("each", "alice").request_id, by="bob", at_us=NOON_US)
    approve(store, policy, ask("run", None, "r1").request_id, by="bob", at_us=NOON_US)
    assert {row.account.rpartition("/")[0] for row in store.raises()} == {"each/alice", "run"}
    assert "run/run:r1" in {row.account for row in store.raises()}


def test_requests_are_listed_newest_first_open_or_of_one(store: Store, policy: Policy) -> None:
    first = asked(store, policy)
    second = asked(store, policy, by="dan", at_us=NOON_US + 1)
    say_no(store, first.request_id, by="bob", at_us=NOON_US + 2, reason="no")

    assert [row.request_id for row in store.requests()] == [second.request_id, first.request_id]
    assert [row.request_id for row in store.requests(only_open=True)] == [second.request_id]
    assert [row.request_id for row in store.requests(by="alice")] == [first.request_id]
    assert len(store.requests(limit=1)) == 1
    assert store.request("req_9") is None


def test_a_limit_is_raised_and_lowered_without_a_request(
    store: Store, policy: Policy, governor: Governor, clock: Clock
) -> None:
    told = {"by": "bob", "reason": "launch", "at_us": NOON_US}
    raise_budget(store, policy, "month", amount_nanodollars=CENT, **told)  # type: ignore[arg-type]
    assert may_call(governor, clock)
    answer = raise_budget(store, policy, "month", amount_nanodollars=-CENT, **told)  # type: ignore[arg-type]
    assert answer.row.limit_after == 0
    with pytest.raises(BadRaise, match="needs a 'reason'"):
        raise_budget(store, policy, "month", amount_nanodollars=CENT, by="bob", reason=" ", at_us=NOON_US)


def test_r62_the_refusal_names_the_exact_command(governor: Governor) -> None:
    with pytest.raises(Refused) as refused:
        governor.authorize(a_call("tenth"))
    assert "farthing budget request month 50 --reason '...'" in refused.value.refusal.fix
