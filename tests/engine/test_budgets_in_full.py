"""Budgets in full: several windows at once, seasons, limits of single calls, providers, soft ones."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import msgspec
import pytest

from farthing.domain.call import Call
from farthing.domain.errors import Reason, Refusal, Refused
from farthing.domain.money import nanodollars_from
from farthing.domain.period import Period, Window, to_microseconds, window_of
from farthing.engine.governor import Governor, Grant
from farthing.engine.outcomes import Ending, Exchange
from farthing.ledger.store import Store
from farthing.policy.rules import AtLimit, Budget, Environment, Target
from farthing.prices.book import PriceBook
from tests.builders import NOON_US, Clock, a_book, a_budget, a_call, a_governor, a_policy, metered

Make = Callable[..., Governor]
# A dollar for each thousand tokens of output, nothing for input: costs that can be seen at a glance.
PLAIN = a_book(plain=("0", "1000"), cheap=("0", "100"))
OWN = Target(id="own", provider="own", model="plain", base_url="http://127.0.0.1:1/v1")


def call(*, cap: int | None = 1_000, at_us: int = NOON_US, model: str = "plain", **facts: object) -> Call:
    """A call that costs a dollar at most unless told otherwise."""
    return a_call(model, output_cap=cap, at_us=at_us, **facts)  # type: ignore[arg-type]


def spend(governor: Governor, made: Call, output_tokens: int) -> Grant:
    grant = governor.authorize(made)
    exchange = Exchange(ending=Ending.ANSWERED, status=200)
    governor.book(grant, governor.end_of(grant, exchange, metered(0, output_tokens)))
    return grant


def no(governor: Governor, made: Call) -> Refusal:
    with pytest.raises(Refused) as refused:
        governor.authorize(made)
    return refused.value.refusal


def at(text: str) -> int:
    return to_microseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.fixture
def make(store: Store) -> Iterator[Make]:
    made: list[Governor] = []

    def governor(
        *budgets: Budget,
        at_limit: AtLimit = AtLimit.REFUSE,
        call_limit: str | None = None,
        targets: tuple[Target, ...] = (OWN,),
        prices: PriceBook = PLAIN,
    ) -> Governor:
        environment = Environment(
            name="development",
            at_limit=at_limit,
            call_limit_nanodollars=None if call_limit is None else nanodollars_from(call_limit),
        )
        policy = a_policy(*budgets, environment=environment, targets=targets)
        made.append(a_governor(store, policy, prices=prices, clock=Clock()))
        return made[-1]

    yield governor
    for one in made:
        one.committer.stop()


# ── windows and seasons ─────────────────────────────────────────────────────────────────────────


def test_several_windows_hold_at_once_and_the_tightest_is_named(make: Make) -> None:
    governor = make(
        a_budget("$15", name="developer-day", per="developer", period=Period.DAILY),
        a_budget("$150", name="developer-month", per="developer"),
    )
    for day in range(1, 11):
        for _ in range(15):
            spend(governor, call(at_us=at(f"2026-11-{day:02}T12:00")), 1_000)
        if day < 10:
            assert no(governor, call(at_us=at(f"2026-11-{day:02}T13:00"))).budget == "developer-day"

    refusal = no(governor, call(at_us=at("2026-11-11T12:00")))

    assert (refusal.budget, refusal.window) == ("developer-month", "2026-11")
    assert refusal.spent == nanodollars_from("$150")
    assert refusal.resets_at == "2026-12-01T00:00:00.000000Z"


def test_december_has_an_amount_of_its_own_and_only_december(make: Make) -> None:
    seasonal = msgspec.structs.replace(
        a_budget("$3", name="season"), months=((12, nanodollars_from("$9")),), zone="America/New_York"
    )
    governor = make(seasonal)

    spent = {}
    for month in ("2026-11-15T12:00", "2026-12-15T12:00", "2027-01-15T12:00"):
        calls = 0
        while True:
            try:
                spend(governor, call(at_us=at(month)), 1_000)
            except Refused as refused:
                assert refused.refusal.limit == nanodollars_from(f"${calls}")
                break
            calls += 1
        spent[month[:7]] = calls

    assert spent == {"2026-11": 3, "2026-12": 9, "2027-01": 3}
    assert seasonal.limit_in(window_at(seasonal, "2026-12-01T03:00")) == nanodollars_from("$3")
    assert seasonal.limit_in(window_at(seasonal, "2026-12-01T06:00")) == nanodollars_from("$9")


def window_at(budget: Budget, moment: str) -> Window:
    return window_of(budget.period, at(moment), budget.zone)


def test_a_day_of_december_has_the_amount_of_december(make: Make) -> None:
    governor = make(
        msgspec.structs.replace(a_budget("$1", period=Period.DAILY), months=((12, nanodollars_from("$2")),))
    )
    spend(governor, call(at_us=at("2026-12-31T12:00")), 1_000)
    spend(governor, call(at_us=at("2026-12-31T12:00")), 1_000)
    no(governor, call(at_us=at("2026-12-31T12:00")))
    spend(governor, call(at_us=at("2027-01-01T12:00")), 1_000)
    no(governor, call(at_us=at("2027-01-01T12:00")))


# ── what one call may cost ──────────────────────────────────────────────────────────────────────


def test_a_call_that_could_cost_more_than_one_call_may_is_shortened(make: Make, store: Store) -> None:
    governor = make(at_limit=AtLimit.CLAMP, call_limit="$0.50")

    grant = spend(governor, call(cap=1_000), 500)
    entry = store.entry(grant.call.call_id)

    assert (grant.clamped, grant.output_cap) == (True, 500)
    assert grant.ceiling_nanodollars == nanodollars_from("$0.50")
    assert entry is not None
    assert entry.clamped_to == 500
    assert not spend(governor, call(cap=500), 500).clamped
    assert store.balances() == []  # a limit of single calls is no account


def test_a_call_that_could_cost_more_than_one_call_may_is_refused_for_good(make: Make) -> None:
    governor = make(call_limit="$0.50")

    refusal = no(governor, call(cap=501))

    assert (refusal.reason, refusal.budget, refusal.window) == (
        Reason.BUDGET_EXCEEDED,
        "call:development",
        "call",
    )
    assert (refusal.limit, refusal.needed, refusal.retry_after_s) == (500_000_000, 501_000_000, None)
    assert "lets no call cost more than $0.50" in refusal.message
    spend(governor, call(cap=500), 500)


def test_a_budget_limits_its_own_calls_and_no_others(make: Make) -> None:
    budget = msgspec.structs.replace(
        a_budget("$100", name="search", environment="development", feature="search"),
        call_limit_nanodollars=nanodollars_from("$0.25"),
    )
    governor = make(budget)

    assert no(governor, call(cap=300, labels={"feature": "search"})).budget == "search"
    spend(governor, call(cap=250, labels={"feature": "search"}), 250)
    spend(governor, call(cap=300, labels={"feature": "chat"}), 300)


def test_a_call_beyond_its_limit_goes_to_the_next_cheaper_model_or_passes_and_is_marked(make: Make) -> None:
    cheap = msgspec.structs.replace(OWN, id="cheap", model="cheap")
    downgrading = make(at_limit=AtLimit.DOWNGRADE, call_limit="$0.50", targets=(OWN, cheap))
    passing = make(at_limit=AtLimit.OVERRUN, call_limit="$0.50")

    assert downgrading.authorize(call()).model == "cheap"
    assert passing.authorize(call()).would_refuse == ("call:development/call",)


# ── providers ───────────────────────────────────────────────────────────────────────────────────


def test_a_spent_provider_budget_takes_its_target_out_and_with_none_left_calls_are_refused(
    make: Make,
) -> None:
    first = Target(id="first", provider="one", model="plain", base_url="http://127.0.0.1:1/v1")
    second = msgspec.structs.replace(first, id="second", provider="two")
    governor = make(
        a_budget("$2", name="one", provider="one"),
        a_budget("$1", name="each", per="provider", provider="two"),
        targets=(first, second),
        at_limit=AtLimit.CLAMP,
    )

    went_to = [spend(governor, call(), 1_000).target.id for _ in range(3)]
    refusal = no(governor, call())

    assert went_to == ["first", "first", "second"]
    assert refusal.reason is Reason.BUDGET_EXCEEDED
    assert refusal.budget == "each"


# ── whose money it is ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("per", "one", "other"),
    [
        ("developer", {"key": "alice"}, {"key": "bob"}),
        ("team", {"labels": {"team": "search"}}, {"labels": {"team": "ads"}}),
        ("branch", {"labels": {"branch": "main"}}, {"labels": {"branch": "fix/7"}}),
        ("user_id", {"labels": {"user_id": "7"}}, {"labels": {"user_id": "8"}}),
        ("feature", {"labels": {"feature": "a"}}, {"labels": {"feature": "b"}}),
        ("workflow", {"labels": {"workflow": "a"}}, {"labels": {"workflow": "b"}}),
        ("run", {"run": "r1"}, {"run": "r2"}),
    ],
)
def test_each_value_has_money_of_its_own(
    make: Make, per: str, one: dict[str, object], other: dict[str, object]
) -> None:
    governor = make(a_budget("$1", name="each", per=per))
    spend(governor, call(**one), 1_000)  # type: ignore[arg-type]

    refusal = no(governor, call(**one))  # type: ignore[arg-type]

    assert refusal.budget == "each"
    spend(governor, call(**other), 1_000)  # type: ignore[arg-type]


def test_each_model_and_each_provider_has_money_of_its_own(make: Make) -> None:
    cheap = msgspec.structs.replace(OWN, id="cheap", model="cheap", provider="other")
    governor = make(
        a_budget("$1", name="model", per="model"),
        a_budget("$1", name="provider", per="provider"),
        targets=(OWN, cheap),
    )
    spend(governor, call(), 1_000)

    assert no(governor, call()).budget in ("model", "provider")
    spend(governor, call(model="cheap", cap=10_000), 10_000)
    no(governor, call(model="cheap", cap=10))


def test_a_soft_budget_lets_pass_and_marks_what_went_beyond_it(make: Make, store: Store) -> None:
    governor = make(a_budget("$1", name="soft", at_limit=AtLimit.OVERRUN))
    spend(governor, call(), 1_000)

    grant = spend(governor, call(), 1_000)
    entry = store.entry(grant.call.call_id)
    balance = store.balance("soft/2026-09")

    assert entry is not None
    assert entry.would_refuse == ("soft/2026-09",)
    assert balance is not None
    assert balance.remaining == -nanodollars_from("$1")
