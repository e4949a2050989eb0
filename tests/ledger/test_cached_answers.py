"""An answer from the cache: it costs nothing, says what it avoided, and counts as a request of a rate."""

from farthing.domain.stop import new_stop
from farthing.ledger.entries import Answer, AtShort, Booked, Claim, Outcome, Record, Tight, Unit
from farthing.ledger.store import Store
from tests.ledger.sentences import CENT, NOON_US, ask, booked, claim, facts, held, hold, offer, settle


def a_rate(requests: int = 1, at_short: AtShort = AtShort.REFUSE) -> Claim:
    return claim("rate", requests, unit=Unit.REQUESTS, at_short=at_short)


def serve(store: Store, call_id: str, *claims: Claim, avoided_nanodollars: int = 3 * CENT) -> Answer:
    record = Record(
        call_id=call_id,
        at_us=NOON_US,
        facts=facts(labels={"feature": "search"}, run="nightly"),
        outcome=Outcome.CACHED,
        reason="as_asked",
        status=200,
        offer=offer(0, *claims) if claims else None,
        avoided_nanodollars=avoided_nanodollars,
    )
    return ask(store, record)


def test_an_answer_from_the_cache_costs_nothing_and_says_what_it_avoided(store: Store) -> None:
    assert isinstance(serve(store, "A", a_rate()), Booked)

    entry = store.entry("A")
    assert entry is not None
    assert (entry.outcome, entry.cache, entry.status) == (Outcome.CACHED, "hit", 200)
    assert (entry.cost_nanodollars, entry.avoided_nanodollars) == (0, 3 * CENT)
    assert entry.model_served is not None
    assert store.open_holds() == []


def test_what_was_avoided_is_summed_by_hour_run_and_label(store: Store) -> None:
    serve(store, "A", a_rate(10))
    serve(store, "B", a_rate(10), avoided_nanodollars=CENT)
    held(store, hold("C", offer(CENT)))
    booked(store, settle("C", CENT))

    for by in ("environment", "run", "label:feature"):
        row = next(row for row in store.spend(by=[by]) if row.cached)
        assert (row.cached, row.avoided_nanodollars) == (2, 4 * CENT), by
    (whole,) = store.spend(by=["environment"])
    assert (whole.calls, whole.cost_nanodollars) == (3, CENT)


def test_it_counts_as_a_request_of_the_rate_limit(store: Store) -> None:
    serve(store, "A", a_rate(2))
    serve(store, "B", a_rate(2))

    balance = store.balance("rate")
    assert balance is not None
    assert (balance.settled, balance.held) == (2, 0)


def test_where_the_rate_is_used_up_nothing_is_taken_written_or_remembered(store: Store) -> None:
    serve(store, "A", a_rate(1))

    assert serve(store, "B", a_rate(1)) == Tight(call_id="B")

    assert store.entry("B") is None
    held(store, hold("B", offer(CENT, claim("team"))))


def test_a_limit_that_lets_pass_is_named_on_the_entry(store: Store) -> None:
    serve(store, "A", a_rate(1, AtShort.PASS))
    serve(store, "B", a_rate(1, AtShort.PASS))

    entry = store.entry("B")
    assert entry is not None
    assert entry.would_refuse == ("rate",)


def test_a_stop_refuses_answers_from_the_cache_too(store: Store) -> None:
    store.add_stop(new_stop({"environment": "development"}, reason="leak", by="dora", at_us=NOON_US))

    assert serve(store, "A", a_rate()) == Tight(call_id="A")

    assert store.entry("A") is None


def test_asked_again_it_changes_nothing(store: Store) -> None:
    serve(store, "A", a_rate(5))

    answer = serve(store, "A", a_rate(5))

    assert isinstance(answer, Booked)
    assert answer.already
    balance = store.balance("rate")
    assert balance is not None
    assert balance.settled == 1
