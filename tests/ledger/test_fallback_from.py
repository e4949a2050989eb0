"""From a share of a budget on only the cheaper offer is made: decided with the hold, on every store."""

from farthing.ledger.entries import AtShort, Claim, Hold, Offer
from farthing.ledger.store import Store
from tests.ledger.sentences import CENT, DOLLAR, claim, held, hold, offer, settle, short, void


def paying(**changes: int | AtShort) -> Claim:
    return claim("team", DOLLAR, **{"fallback_from": 50 * CENT, **changes})


def dear(ceiling: int = 20 * CENT, **changes: int | AtShort) -> Offer:
    return offer(ceiling, paying(**changes), target="dear")


def cheap(ceiling: int = CENT) -> Offer:
    return offer(ceiling, claim("team", DOLLAR), target="cheap")


def asked(call_id: str) -> Hold:
    return hold(call_id, dear(), cheap())


def test_the_dear_offer_is_made_until_its_share_is_held(store: Store) -> None:
    assert [held(store, asked(call_id)).offer for call_id in "ABCDE"] == [0, 0, 0, 1, 1]


def test_what_was_held_and_not_spent_may_be_had_again(store: Store) -> None:
    for call_id in "ABC":
        held(store, asked(call_id))
    store.apply([void("A"), settle("B", CENT)])
    assert held(store, asked("D")).offer == 0


def test_it_gives_way_where_the_limit_lets_every_call_pass(store: Store) -> None:
    for call_id in "ABC":
        held(store, asked(call_id))
    passing = hold("D", dear(at_short=AtShort.PASS), cheap())
    assert held(store, passing).offer == 1


def test_what_is_merely_held_is_told_as_held_where_nothing_cheaper_fits(store: Store) -> None:
    held(store, hold("A", offer(60 * CENT, paying(), target="dear")))
    short_of = short(store, hold("B", dear(CENT), cheap(50 * CENT)))
    assert not short_of.final


def test_what_is_spent_is_told_as_spent_where_nothing_cheaper_fits(store: Store) -> None:
    held(store, hold("A", offer(60 * CENT, paying(), target="dear")))
    store.apply([settle("A", 60 * CENT)])
    assert short(store, hold("B", dear(CENT), cheap(50 * CENT))).final


def test_the_account_keeps_its_whole_limit(store: Store) -> None:
    (balance,) = held(store, asked("A")).balances
    assert balance.limit == DOLLAR
