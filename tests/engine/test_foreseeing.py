"""What is foreseen of a call is what becomes of it, and foreseeing it takes nothing."""

from typing import Any

import pytest

from farthing.domain.errors import Refused
from farthing.domain.period import Period
from farthing.engine.foreseeing import foresee
from farthing.ledger.store import Store
from farthing.policy.rules import AtLimit, Counted, Environment, Limit, Otherwise
from tests.builders import Clock, a_book, a_budget, a_governor, a_policy
from tests.engine.lives import BEGINNING_US, a_life

BOOK = a_book()


@pytest.mark.parametrize("at_limit", list(AtLimit))
def test_what_is_foreseen_is_what_is_granted_or_refused(store: Store, at_limit: AtLimit) -> None:
    policy = a_policy(
        a_budget("$0.20", name="hour", period=Period.HOURLY, per="feature"),
        environment=Environment(
            name="development",
            allow=("gpt-4o", "gpt-4o-mini", "text-embedding-3-small"),
            otherwise=Otherwise.DOWNGRADE,
            at_limit=at_limit,
            limits=(Limit(counts=Counted.REQUESTS, most=3, period=Period.MINUTE),),
        ),
    )
    clock = Clock(BEGINNING_US)
    governor = a_governor(store, policy, clock=clock, prices=BOOK)
    governor.committer.start()
    compared = 0
    authorize = governor.authorize

    def foreseen_first(call: Any, **more: Any) -> Any:
        nonlocal compared
        # What is refused again within a second is answered from memory; that is not asked here.
        before = foresee(call, policy, BOOK, store)
        held = [hold.call_id for hold in store.open_holds()]
        assert held == [hold.call_id for hold in store.open_holds()]
        try:
            grant = authorize(call, **more)
        except Refused as refused:
            assert before.refusal is not None
            assert before.refusal.reason is refused.refusal.reason
            compared += 1
            raise
        if grant.quote.counted:  # there was a text to count
            return grant
        assert before.grant is not None
        assert before.taken is not None
        assert (before.grant.model, before.grant.output_cap) == (grant.model, grant.output_cap)
        assert before.grant.ceiling_nanodollars == grant.ceiling_nanodollars
        assert before.grant.would_refuse == grant.would_refuse
        compared += 1
        return grant

    governor.authorize = foreseen_first  # type: ignore[method-assign]
    a_life(governor, clock, calls=120, step_seconds=90)
    governor.committer.stop()
    assert compared > 60
    assert store.verify() == []
