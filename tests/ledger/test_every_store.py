"""Ask every store for the promises of farthing.ledger.store; the fixture verifies each ledger at the end."""

import threading

import msgspec
import pytest

from farthing.domain.usage import Usage
from farthing.ledger.entries import (
    AtShort,
    Booked,
    Done,
    Held,
    Need,
    Offer,
    Operation,
    Outcome,
    Renew,
    Short,
    Unit,
    Unknown,
)
from farthing.ledger.people import KeyRow
from farthing.ledger.store import Store
from tests.ledger.sentences import (
    CENT,
    DOLLAR,
    HOUR_US,
    NOON_US,
    US,
    ask,
    assume,
    booked,
    bury,
    claim,
    facts,
    held,
    hold,
    money,
    offer,
    refuse,
    settle,
    short,
    void,
)

# ── holding ─────────────────────────────────────────────────────────────────────────────────────


def test_a_hold_sets_the_ceiling_aside(store: Store) -> None:
    answer = held(store, hold("A", offer(10 * CENT)))

    assert answer.ceiling_nanodollars == 10 * CENT
    assert [balance.held for balance in answer.balances] == [10 * CENT]
    assert money(store) == (0, 10 * CENT)


def test_a_hold_takes_from_every_account_it_names(store: Store) -> None:
    held(store, hold("A", offer(CENT, claim("team"), claim("person"), claim("wallet"))))

    assert [money(store, name) for name in ("team", "person", "wallet")] == [(0, CENT)] * 3


def test_a_limit_may_be_used_up_to_the_last_nanodollar_and_not_beyond(store: Store) -> None:
    held(store, hold("A", offer(DOLLAR - 1)))
    held(store, hold("B", offer(1)))

    answer = short(store, hold("C", offer(1)))

    assert answer.balance.remaining == 0
    assert answer.needed == 1


def test_the_first_offer_that_fits_all_its_accounts_is_granted(store: Store) -> None:
    big = offer(50 * CENT, claim("team"), claim("person", 20 * CENT))
    small = offer(5 * CENT, claim("team"), claim("person", 20 * CENT), target="small")

    answer = held(store, hold("A", big, small))

    assert answer.offer == 1
    assert money(store, "person") == (0, 5 * CENT)


def test_a_refusal_takes_nothing_of_any_account(store: Store) -> None:
    both = offer(50 * CENT, claim("team"), claim("rate", 10, unit=Unit.REQUESTS), claim("person", 20 * CENT))
    held(store, hold("A", offer(CENT, claim("team"), claim("rate", 10, unit=Unit.REQUESTS), claim("person"))))

    short(store, hold("B", both))

    assert [money(store, name) for name in ("team", "rate", "person")] == [(0, CENT), (0, 1), (0, CENT)]


def test_an_account_that_never_held_anything_is_not_there(store: Store) -> None:
    short(store, hold("A", offer(2 * DOLLAR)))

    assert store.balance("team") is None
    assert store.balances() == []


def test_the_limit_of_an_account_is_the_one_last_asked_of_it(store: Store) -> None:
    held(store, hold("A", offer(CENT, claim("team", DOLLAR))))
    held(store, hold("B", offer(CENT, claim("team", 2 * DOLLAR))))

    balance = store.balance("team")
    assert balance is not None
    assert balance.limit == 2 * DOLLAR


def test_a_hold_without_offers_is_answered_and_harms_no_other(store: Store) -> None:
    nothing = msgspec.structs.replace(hold("A"), offers=())

    answers = store.apply([nothing, hold("B")])

    assert isinstance(answers[0], Unknown)
    assert isinstance(answers[1], Held)


# ── clamping, passing ───────────────────────────────────────────────────────────────────────────


def clamped_offer(*, room: int, floor: int = 256, full: int = 4_000) -> Offer:
    """An offer of 1 cent plus 2 dollars a million tokens of output."""
    return offer(
        0,
        claim("team", room, at_short=AtShort.CLAMP),
        needs={Unit.NANODOLLARS: Need(CENT, 2 * DOLLAR)},
        output_full=full,
        output_floor=floor,
    )


def test_the_output_cap_is_lowered_to_the_most_that_fits(store: Store) -> None:
    answer = held(store, hold("A", clamped_offer(room=CENT + 2_000 * 1_000 + 1_999)))

    assert (answer.output_cap, answer.clamped) == (1_000, True)
    assert answer.ceiling_nanodollars == CENT + 2_000_000
    held_entry = booked(store, settle("A"))
    assert held_entry.balances[0].held == 0
    entry = store.entry("A")
    assert entry is not None
    assert entry.clamped_to == 1_000


def test_an_offer_that_fits_is_not_clamped(store: Store) -> None:
    answer = held(store, hold("A", clamped_offer(room=DOLLAR)))

    assert (answer.output_cap, answer.clamped) == (4_000, False)


def test_a_cap_below_the_floor_is_no_answer(store: Store) -> None:
    answer = short(store, hold("A", clamped_offer(room=CENT + 2_000 * 255)))

    assert answer.needed == CENT + 2_000 * 256


def test_a_strict_account_beside_one_that_clamps_demands_the_whole_offer(store: Store) -> None:
    both = offer(
        0,
        claim("team", CENT, at_short=AtShort.CLAMP),
        claim("person", CENT, at_short=AtShort.REFUSE),
        needs={Unit.NANODOLLARS: Need(0, 10 * DOLLAR)},
        output_full=4_000,
        output_floor=256,
    )

    assert short(store, hold("A", both)).needed == 4 * CENT


def test_a_soft_account_lets_pass_and_says_so(store: Store) -> None:
    soft = offer(2 * DOLLAR, claim("team", at_short=AtShort.PASS), claim("person", 5 * DOLLAR))

    answer = held(store, hold("A", soft))
    booked(store, settle("A", 2 * DOLLAR))

    assert answer.would_refuse == ("team",)
    assert money(store) == (2 * DOLLAR, 0)
    entry = store.entry("A")
    assert entry is not None
    assert entry.would_refuse == ("team",)


# ── refusing ────────────────────────────────────────────────────────────────────────────────────


def test_money_that_is_only_held_may_come_back(store: Store) -> None:
    held(store, hold("A", offer(95 * CENT)))

    answer = short(store, hold("B"))

    assert (answer.final, answer.reason, answer.balance.account) == (False, "budget_held", "team")


def test_money_that_is_spent_does_not_come_back(store: Store) -> None:
    held(store, hold("A", offer(95 * CENT)))
    booked(store, settle("A", 95 * CENT))

    answer = short(store, hold("B"))

    assert (answer.final, answer.reason) == (True, "budget_exceeded")


def test_a_spent_wallet_is_refused_by_the_name_its_claim_gives(store: Store) -> None:
    answer = short(store, hold("A", offer(CENT, claim("wallet", 0, spent_reason="wallet_empty"))))

    assert answer.reason == "wallet_empty"


def test_a_rate_limit_counts_open_calls_as_used(store: Store) -> None:
    rated = offer(CENT, claim("rate", 1, unit=Unit.REQUESTS))
    held(store, hold("A", rated))

    answer = short(store, hold("B", rated))

    assert (answer.final, answer.reason, answer.needed) == (True, "rate_limited", 1)


def test_a_limit_of_open_calls_is_free_again_when_one_ends(store: Store) -> None:
    single = offer(CENT, claim("open", 1, unit=Unit.CALLS_OPEN))
    held(store, hold("A", single))
    assert not short(store, hold("B", single)).final
    booked(store, settle("A"))

    held(store, hold("C", single))

    assert money(store, "open") == (0, 1)


def test_money_is_named_before_rates_and_the_longest_window_first(store: Store) -> None:
    day = claim("day", 0, ends_at_us=NOON_US + HOUR_US)
    month = claim("month", 0, ends_at_us=NOON_US + 100 * HOUR_US)
    rate = claim("rate", 0, unit=Unit.REQUESTS)

    assert short(store, hold("A", offer(CENT, rate, day, month))).balance.account == "month"


def test_a_refused_hold_is_an_entry_that_costs_nothing(store: Store) -> None:
    short(store, hold("A", offer(2 * DOLLAR)))

    entry = store.entry("A")

    assert entry is not None
    assert (entry.outcome, entry.reason, entry.cost_nanodollars) == (Outcome.REFUSED, "budget_exceeded", 0)
    assert (entry.accounts, entry.provider, entry.model_served) == ((), None, None)


# ── settling ────────────────────────────────────────────────────────────────────────────────────


def test_a_settlement_books_the_cost_and_frees_the_rest(store: Store) -> None:
    held(store, hold("A"))

    answer = booked(store, settle("A", 4 * CENT))

    assert (answer.outcome, answer.cost_nanodollars) == (Outcome.SETTLED, 4 * CENT)
    assert money(store) == (4 * CENT, 0)


def test_each_unit_settles_in_its_own_way(store: Store) -> None:
    units = {"money": Unit.NANODOLLARS, "rate": Unit.REQUESTS, "tokens": Unit.TOKENS, "open": Unit.CALLS_OPEN}
    needs = {Unit.NANODOLLARS: Need(CENT), Unit.TOKENS: Need(700)}
    claims = [claim(name, DOLLAR, unit=unit) for name, unit in units.items()]
    held(store, hold("A", offer(0, *claims, needs=needs)))
    assert [money(store, name)[1] for name in units] == [CENT, 1, 700, 1]

    booked(store, settle("A", 7, usage=Usage(input_tokens=100, output_tokens=20)))

    assert [money(store, name) for name in units] == [(7, 0), (1, 0), (120, 0), (0, 0)]


def test_assumed_tokens_are_those_that_were_held(store: Store) -> None:
    tokens = offer(0, claim("tokens", 1_000, unit=Unit.TOKENS), needs={Unit.TOKENS: Need(700)})
    held(store, hold("A", tokens))

    booked(store, assume("A"))

    assert money(store, "tokens") == (700, 0)


def test_what_goes_beyond_the_ceiling_is_booked_and_shown_as_overrun(store: Store) -> None:
    held(store, hold("A", offer(10 * CENT)))

    booked(store, settle("A", 2 * DOLLAR))

    entry = store.entry("A")
    assert entry is not None
    assert entry.overrun_nanodollars == 190 * CENT
    assert money(store) == (2 * DOLLAR, 0)


def test_void_drops_the_hold(store: Store) -> None:
    rated = offer(CENT, claim("team"), claim("rate", 1, unit=Unit.REQUESTS))
    held(store, hold("A", rated))

    assert booked(store, void("A")).outcome is Outcome.VOID

    assert (money(store), money(store, "rate")) == ((0, 0), (0, 0))


def test_a_hold_that_nobody_heard_of_leaves_no_trace(store: Store) -> None:
    held(store, hold("A"))

    assert ask(store, msgspec.structs.replace(void("A"), forget=True)) == Done(1)

    assert money(store) == (0, 0)
    assert store.entry("A") is None
    held(store, hold("A"))


def test_a_call_whose_cost_is_not_tracked_is_an_entry_without_cost(store: Store) -> None:
    held(store, hold("A", about={"cost_tracked": False}))

    booked(store, settle("A", 5 * CENT, cost_asked_nanodollars=9 * CENT))

    entry = store.entry("A")
    assert entry is not None
    assert (entry.cost_nanodollars, entry.cost_asked_nanodollars) == (0, None)
    assert money(store) == (0, 0)


def test_an_unknown_call_is_answered_and_harms_no_other(store: Store) -> None:
    answers = store.apply([settle("X"), hold("A"), void("Y"), settle("A")])

    assert [type(answer) for answer in answers] == [Unknown, Held, Unknown, Booked]
    assert money(store) == (5 * CENT, 0)


# ── doing it again ──────────────────────────────────────────────────────────────────────────────


def test_holding_twice_holds_once(store: Store) -> None:
    first = held(store, hold("A"))

    assert held(store, hold("A", offer(90 * CENT))) == first
    assert money(store) == (0, 10 * CENT)


def test_holding_a_settled_call_gives_the_first_answer_and_holds_nothing(store: Store) -> None:
    first = held(store, hold("A", clamped_offer(room=CENT + 2_000_000)))
    booked(store, settle("A", 1))

    again = held(store, hold("A"))

    assert (again.offer, again.output_cap, again.clamped, again.ceiling_nanodollars) == (
        first.offer,
        first.output_cap,
        first.clamped,
        first.ceiling_nanodollars,
    )
    assert money(store) == (1, 0)


def test_a_refusal_stays_a_refusal(store: Store) -> None:
    first = short(store, hold("A", offer(2 * DOLLAR)))

    assert short(store, hold("A", offer(CENT))) == first


def test_settling_twice_books_once(store: Store) -> None:
    held(store, hold("A"))
    booked(store, settle("A", 5 * CENT))

    again = booked(store, settle("A", 9 * CENT))

    assert (again.already, again.cost_nanodollars) == (True, 5 * CENT)
    assert money(store) == (5 * CENT, 0)


def test_void_after_a_settlement_changes_nothing(store: Store) -> None:
    held(store, hold("A"))
    booked(store, settle("A", 5 * CENT))

    again = booked(store, void("A"))

    assert (again.already, again.outcome) == (True, Outcome.SETTLED)
    assert money(store) == (5 * CENT, 0)


def test_a_settlement_after_a_void_changes_nothing(store: Store) -> None:
    held(store, hold("A"))
    booked(store, void("A"))

    assert booked(store, settle("A")).outcome is Outcome.VOID
    assert money(store) == (0, 0)


def test_all_of_it_in_one_batch_is_the_same_as_one_by_one(store: Store) -> None:
    operations: list[Operation] = [hold("A"), hold("A"), settle("A"), settle("A"), void("A"), hold("A")]

    answers = store.apply(operations)

    assert [type(answer) for answer in answers] == [Held, Held, Booked, Booked, Booked, Held]
    assert money(store) == (5 * CENT, 0)
    assert store.open_holds() == []


def test_an_empty_batch_is_answered_by_nothing(store: Store) -> None:
    assert store.apply([]) == []


# ── late, and dead ──────────────────────────────────────────────────────────────────────────────


def test_the_truth_about_an_assumed_call_is_one_correction(store: Store) -> None:
    held(store, hold("A", offer(10 * CENT)))
    booked(store, assume("A", 10 * CENT))
    assert money(store) == (10 * CENT, 0)

    answer = booked(store, settle("A", 3 * CENT))

    assert (answer.corrected, answer.cost_nanodollars) == (True, 3 * CENT)
    assert money(store) == (3 * CENT, 0)
    entry = store.entry("A")
    assert entry is not None
    assert (entry.cost_nanodollars, entry.corrected, entry.assumed) == (3 * CENT, True, False)
    assert entry.assumed_rule == "stream_broke"
    assert entry.usage == Usage(input_tokens=100, output_tokens=20)


def test_there_is_no_second_correction(store: Store) -> None:
    held(store, hold("A"))
    booked(store, assume("A"))
    booked(store, settle("A", 3 * CENT))

    again = booked(store, settle("A", 4 * CENT))

    assert (again.already, again.corrected, again.cost_nanodollars) == (True, False, 3 * CENT)
    assert money(store) == (3 * CENT, 0)


def test_assuming_again_corrects_nothing(store: Store) -> None:
    held(store, hold("A"))
    booked(store, assume("A", 10 * CENT))

    assert not booked(store, assume("A", 20 * CENT)).corrected
    assert money(store) == (10 * CENT, 0)


def test_a_dead_owners_holds_are_settled_at_their_ceilings(store: Store) -> None:
    ask(store, Renew(owner="gone", at_us=NOON_US, until_us=NOON_US + 1, host="h", process="1:1"))
    held(store, hold("A", owner="gone"))
    held(store, hold("B", owner=US))

    assert ask(store, bury("gone")) == Done(1)

    assert money(store) == (10 * CENT, 10 * CENT)
    assert store.owners() == []
    entry = store.entry("A")
    assert entry is not None
    assert (entry.assumed, entry.assumed_rule) == (True, "owner_died")
    assert [open_hold.call_id for open_hold in store.open_holds()] == ["B"]


def test_burying_twice_settles_once(store: Store) -> None:
    held(store, hold("A"))
    ask(store, bury())

    assert ask(store, bury()) == Done(0)
    assert money(store) == (10 * CENT, 0)


def test_a_late_settlement_is_booked_because_the_provider_was_paid(store: Store) -> None:
    held(store, hold("A", offer(60 * CENT)))
    ask(store, bury())
    assert money(store) == (60 * CENT, 0)

    booked(store, settle("A", 50 * CENT))

    assert money(store) == (50 * CENT, 0)


def test_an_owner_is_known_from_its_renewal(store: Store) -> None:
    for until in (1, 2):
        ask(store, Renew(owner="me", at_us=NOON_US + until, until_us=until, host="h", process="1:1"))

    (owner,) = store.owners()

    assert (owner.owner, owner.host, owner.process, owner.until_us) == ("me", "h", "1:1", 2)


def test_open_holds_are_told_oldest_first(store: Store) -> None:
    held(store, hold("B", at_us=NOON_US + 1))
    held(store, hold("A", at_us=NOON_US + 2))

    first, second = store.open_holds()

    assert (first.call_id, second.call_id) == ("B", "A")
    assert (first.key, first.model, first.ceiling_nanodollars) == ("alice", "big", 10 * CENT)
    assert first.accounts == ("team",)


# ── races ───────────────────────────────────────────────────────────────────────────────────────


def test_of_fifty_threads_that_want_ten_cents_of_a_dollar_exactly_ten_get_it(store: Store) -> None:
    answers: list[Held | Short] = []
    start = threading.Barrier(50)

    def want(number: int) -> None:
        start.wait()
        answer = ask(store, hold(f"call-{number}", offer(10 * CENT)))
        assert isinstance(answer, Held | Short)
        answers.append(answer)

    threads = [threading.Thread(target=want, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(isinstance(answer, Held) for answer in answers) == 10
    assert len(answers) == 50
    assert money(store) == (0, DOLLAR)


# ── keys and facts ──────────────────────────────────────────────────────────────────────────────


def a_key(key_id: str, label: str, environment: str = "development") -> KeyRow:
    return KeyRow(
        key_id=key_id,
        sha256=key_id.encode().ljust(32, b"."),
        environment=environment,
        label=label,
        created_at_us=NOON_US,
        group="product-dev",
    )


def test_a_key_is_found_by_its_hash(store: Store) -> None:
    store.add_key(a_key("k1", "alice"), by="ana")

    assert store.key_by_hash(a_key("k1", "alice").sha256) == a_key("k1", "alice")
    assert store.key_by_hash(b"x" * 32) is None


def test_a_label_is_taken_once_in_each_environment(store: Store) -> None:
    store.add_key(a_key("k1", "alice"), by="ana")
    store.add_key(a_key("k2", "alice", "production"), by="ana")

    with pytest.raises(ValueError, match="alice"):
        store.add_key(a_key("k3", "alice"), by="ana")

    kept = store.keys()
    assert [key.key_id for key in kept] == ["k1", "k2"]


def test_a_key_is_revoked_once(store: Store) -> None:
    store.add_key(a_key("k1", "alice"), by="ana")

    assert store.revoke_key("k1", NOON_US, by="ana")
    assert not store.revoke_key("k1", NOON_US + 1, by="ana")
    assert not store.revoke_key("k9", NOON_US, by="ana")
    (kept,) = store.keys()
    assert kept.revoked_at_us == NOON_US


def test_the_first_fact_under_a_name_is_kept(store: Store) -> None:
    assert store.remember("budget dev-month", "monthly") == "monthly"
    assert store.remember("budget dev-month", "daily") == "monthly"


# ── records ─────────────────────────────────────────────────────────────────────────────────────


def test_a_refusal_by_rule_is_recorded_with_its_count(store: Store) -> None:
    booked(store, refuse("R", count=7, rules=("models.allow",), status=403))

    entry = store.entry("R")

    assert entry is not None
    assert (entry.outcome, entry.count, entry.rules, entry.status) == (
        Outcome.REFUSED,
        7,
        ("models.allow",),
        403,
    )
    (row,) = store.spend(by=["environment"])
    assert (row.calls, row.refused) == (0, 7)


def test_an_answer_from_the_cache_costs_nothing_and_is_a_call(store: Store) -> None:
    booked(store, refuse("C", "cache_hit", outcome=Outcome.CACHED))

    entry = store.entry("C")

    assert entry is not None
    assert (entry.outcome, entry.cache, entry.cost_nanodollars) == (Outcome.CACHED, "hit", 0)
    (row,) = store.spend(by=[])
    assert (row.calls, row.cached) == (1, 1)


def test_recording_twice_records_once(store: Store) -> None:
    booked(store, refuse("R"))

    assert booked(store, refuse("R")).already
    assert len(store.entries()) == 1


def test_a_record_does_not_end_an_open_call(store: Store) -> None:
    first = held(store, hold("A"))

    assert ask(store, refuse("A")) == first
    assert money(store) == (0, 10 * CENT)


def test_an_entry_tells_everything_that_was_known(store: Store) -> None:
    known = facts(
        group="product-dev",
        key_id="k1",
        developer="alice",
        wallet="team_product_dev",
        labels={"feature": "search", "branch": "main"},
        run="run-1",
        prompt_hash="beef",
        policy_digest="cafe",
        claimed_environment="production",
        attempt=2,
        stream=True,
    )
    asked = msgspec.structs.replace(
        hold("A", offer(10 * CENT, reason="downgraded", rules=("a", "b"), price_version="v1")), facts=known
    )
    held(store, asked)
    details = {
        "cost_asked_nanodollars": 8 * CENT,
        "by_model": (("embedder", Usage(input_tokens=3)),),
        "status": 200,
        "model_answered": "big-2026",
        "service_tier": "flex",
        "latency_ms": 812,
        "first_byte_ms": 305,
        "anomalies": ("total is less than its parts",),
        "error": "none",
    }
    booked(store, settle("A", 5 * CENT, **details))

    entry = store.entry("A")

    assert entry is not None
    assert entry.facts == known
    assert (entry.reason, entry.rules, entry.price_version) == ("downgraded", ("a", "b"), "v1")
    assert (entry.provider, entry.target, entry.model_served) == ("openai", "big", "big")
    assert {name: getattr(entry, name) for name in details} == details
    assert entry.accounts == ("team",)
    assert entry.at_us == NOON_US


# ── foreseeing ──────────────────────────────────────────────────────────────────────────────────


def test_what_a_hold_would_be_answered_is_what_it_is_answered_and_foreseeing_keeps_nothing(
    store: Store,
) -> None:
    held(store, hold("A", offer(60 * CENT)))
    fits, does_not = hold("B", offer(40 * CENT)), hold("C", offer(41 * CENT))

    foreseen = [store.foresee(one) for one in (fits, does_not, fits, does_not)]

    assert money(store) == (0, 60 * CENT)
    assert store.entries() == []
    assert [draft.call_id for draft in store.open_holds()] == ["A"]
    assert isinstance(foreseen[1], Short)
    assert foreseen[:2] == foreseen[2:]
    assert [store.apply([one])[0] for one in (does_not, fits)] == [foreseen[1], foreseen[0]]
