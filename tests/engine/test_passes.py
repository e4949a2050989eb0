"""Premium passes: a model past the rules on models, for a while, with money of its own (R30, R89)."""

import msgspec
import pytest

from farthing.domain.call import Call
from farthing.domain.errors import Reason, Refused
from farthing.domain.period import MICROSECONDS
from farthing.domain.premium_pass import BadPass, PremiumPass, new_pass
from farthing.domain.stop import new_stop
from farthing.engine.governor import Governor
from farthing.engine.grant import Grant
from farthing.engine.passes import KnownPasses, grant_pass, passes_of
from farthing.engine.replay import Replay
from farthing.ledger.auditing import WantedActs
from farthing.ledger.memory import MemoryStore
from farthing.ledger.store import Store
from farthing.policy.rules import AtLimit, Budget, Environment, Otherwise
from tests.builders import NOON_US, Clock, a_book, a_budget, a_call, a_policy, metered
from tests.engine.test_governor import Make, end, make

__all__ = ["make"]

# A call to premium holds 1 cent at most: 1,000 tokens of output, and its input is free.
BOOK = a_book(premium=("0", "10"), plain=("0", "1"))
CENT = 10_000_000
HOUR_US = 3_600 * MICROSECONDS
DOWNGRADING = Environment(
    name="development",
    allow=("plain",),
    otherwise=Otherwise.DOWNGRADE,
    downgrade=(("premium", "plain"),),
)
REFUSING = Environment(name="development", allow=("plain",))


def a_pass(store: Store, *, cents: int = 2, model: str = "premium", **who: str) -> PremiumPass:
    """Alice may ask for premium in development, for an hour from noon."""
    made = new_pass(
        model=model,
        environment="development",
        key=None if who else "alice",
        developer=who.get("developer"),
        budget_nanodollars=cents * CENT,
        at_us=NOON_US,
        until_us=NOON_US + HOUR_US,
        by="ana",
        reason="check before merging",
    )
    store.add_pass(made)
    return made


def governor_of(make: Make, environment: Environment, *budgets: Budget) -> Governor:
    return make(*(budgets or (a_budget("$5"),)), environment=environment, prices=BOOK)


def asks(store: Store, governor: Governor, *, key: str = "alice", at_us: int = NOON_US) -> Grant:
    return governor.authorize(asked(store, key=key, at_us=at_us))


def asked(store: Store, *, key: str = "alice", at_us: int = NOON_US) -> Call:
    call = a_call("premium", key=key, at_us=at_us)
    identity = msgspec.structs.replace(call.identity, passes=passes_of(store.passes(), call.identity))
    return msgspec.structs.replace(call, identity=identity)


def balance_of(store: Store, held: PremiumPass) -> int:
    (balance,) = store.balances(budget=held.account)
    return balance.settled + balance.held


def test_a_pass_lets_its_holder_ask_past_the_downgrade_and_pays_with_the_budgets(
    make: Make, store: Store
) -> None:
    governor = governor_of(make, DOWNGRADING)
    assert asks(store, governor).model == "plain"
    held = a_pass(store)

    grant = asks(store, governor)
    end(governor, grant, metered(output_tokens=500))

    assert grant.model == "premium"
    assert balance_of(store, held) == CENT // 2
    entry = store.entry(grant.call.call_id)
    assert entry is not None
    assert entry.reason == "as_asked"
    assert f"premium pass {held.pass_id} by ana: check before merging" in entry.rules
    (month,) = store.balances(budget="dev-month")
    assert month.settled == CENT // 2
    assert asks(store, governor, key="bob").model == "plain"


def test_the_downgrade_holds_again_once_the_pass_is_spent(make: Make, store: Store) -> None:
    governor = governor_of(make, DOWNGRADING)
    held = a_pass(store, cents=2)

    assert [asks(store, governor).model for _ in range(3)] == ["premium", "premium", "plain"]
    assert balance_of(store, held) == 2 * CENT


def test_the_rule_of_the_environment_holds_again_at_the_very_end_of_the_pass(
    make: Make, store: Store
) -> None:
    governor = governor_of(make, DOWNGRADING)
    a_pass(store)

    assert asks(store, governor, at_us=NOON_US + HOUR_US - 1).model == "premium"
    assert asks(store, governor, at_us=NOON_US + HOUR_US).model == "plain"


def test_where_the_environment_refuses_it_refuses_again_once_the_pass_is_spent_or_ended(
    make: Make, store: Store
) -> None:
    governor = governor_of(make, REFUSING)
    held = a_pass(store, cents=1)

    assert asks(store, governor).model == "premium"
    with pytest.raises(Refused) as spent:
        asks(store, governor)
    assert spent.value.refusal.budget == held.account
    assert store.end_pass(held.pass_id, at_us=NOON_US + 1, by="ben", reason="checked")
    with pytest.raises(Refused) as ended:
        asks(store, governor, at_us=NOON_US + 2)
    assert ended.value.refusal.reason is Reason.MODEL_NOT_ALLOWED


@pytest.mark.parametrize("at_limit", [AtLimit.CLAMP, AtLimit.REFUSE, AtLimit.DOWNGRADE])
def test_a_pass_never_gets_past_an_empty_budget(make: Make, store: Store, at_limit: AtLimit) -> None:
    environment = msgspec.structs.replace(REFUSING, at_limit=at_limit)
    governor = governor_of(make, environment, a_budget("$0.005"))
    held = a_pass(store)

    with pytest.raises(Refused) as refused:
        asks(store, governor)

    assert refused.value.refusal.budget == "dev-month"
    assert store.balances(budget=held.account) == []


def test_a_pass_never_gets_past_a_stop_or_a_missing_price(make: Make, store: Store) -> None:
    a_pass(store)
    unpriced = make(a_budget("$5"), environment=REFUSING)
    with pytest.raises(Refused) as refused:
        asks(store, unpriced)
    assert refused.value.refusal.reason is Reason.UNPRICED_MODEL

    store.add_stop(new_stop({"key": "alice"}, reason="runaway", by="ana", at_us=NOON_US))
    with pytest.raises(Refused) as stopped:
        asks(store, governor_of(make, REFUSING))
    assert stopped.value.refusal.reason is Reason.STOPPED


def test_a_pass_of_a_key_needs_the_key_and_that_of_a_developer_the_developer(store: Store) -> None:
    of_key, of_developer = a_pass(store), a_pass(store, developer="alice")
    identity = a_call().identity
    named_alike = msgspec.structs.replace(identity, key_id=None)
    elsewhere = msgspec.structs.replace(identity, environment="production")

    assert set(passes_of(store.passes(), identity)) == {of_key, of_developer}
    assert passes_of(store.passes(), named_alike) == (of_developer,)
    assert passes_of(store.passes(), elsewhere) == ()


def test_grant_end_and_lapse_are_in_the_audit_once(store: Store) -> None:
    lapsing, ended = a_pass(store), a_pass(store)
    assert store.end_pass(ended.pass_id, at_us=NOON_US + 5, by="ben", reason="checked")
    assert not store.end_pass(ended.pass_id, at_us=NOON_US + 6, by="ben", reason="again")
    assert not store.end_pass(lapsing.pass_id, at_us=NOON_US + HOUR_US, by="ben", reason="too late")
    for _ in range(2):
        store.note_lapses(NOON_US + HOUR_US)

    acts = {(act.action, act.about, act.by) for act in store.acts(WantedActs(action="pass"))}

    assert acts == {
        ("pass grant", lapsing.pass_id, "ana"),
        ("pass grant", ended.pass_id, "ana"),
        ("pass end", ended.pass_id, "ben"),
        ("pass lapse", lapsing.pass_id, "farthing"),
    }
    assert len(store.acts(WantedActs(action="pass"))) == 4
    assert store.passes(only_open=True) == []
    assert len(store.passes()) == 2


def test_what_a_process_knows_of_passes_is_never_a_second_old(store: Store) -> None:
    clock = Clock()
    known, identity = KnownPasses(store, clock), a_call().identity
    assert known.of(identity) == ()
    held = a_pass(store)
    clock.at_us += MICROSECONDS
    assert known.of(identity) == (held,)
    store.end_pass(held.pass_id, at_us=clock.at_us, by="ben", reason="checked")
    clock.at_us += MICROSECONDS
    assert known.of(identity) == ()


def test_a_call_of_the_past_that_a_pass_let_through_is_let_through_again(make: Make, store: Store) -> None:
    governor = governor_of(make, DOWNGRADING)
    a_pass(store, cents=1)
    for grant in (asks(store, governor), asks(store, governor)):
        end(governor, grant, metered(output_tokens=1_000))
    entries = sorted(store.entries(), key=lambda entry: entry.call_id)
    books = MemoryStore()

    replay = Replay(governor.policy, BOOK, books, passes=store.passes())

    assert [entry.model_served for entry in entries] == ["premium", "plain"]
    assert [replay.decide(entry).change for entry in entries] == [None, None]
    books.close()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reason": " "}, "needs a 'reason'"),
        ({"developer": "alice", "key": "alice"}, "one key or for one developer"),
        ({"environment": "nowhere"}, "no environment nowhere"),
        ({"environment": None}, "no living key alice"),
        ({"budget_nanodollars": 0}, "more than nothing"),
        ({"until_us": NOON_US}, "before it begins"),
    ],
)
def test_a_pass_that_is_not_clear_is_not_granted(store: Store, changes: dict[str, str], said: str) -> None:
    asked = {
        "model": "premium", "environment": "development", "key": "alice", "budget_nanodollars": CENT,
        "at_us": NOON_US, "until_us": NOON_US + 1, "by": "ana", "reason": "check",
    }  # fmt: skip
    with pytest.raises(BadPass, match=said):
        grant_pass(store, a_policy(), **{**asked, **changes})  # type: ignore[arg-type]
    assert store.passes() == []
