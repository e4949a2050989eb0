"""Authorize, settle, void: the one journey, on every store."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from farthing.domain.errors import Reason, Refused
from farthing.domain.money import nanodollars_from
from farthing.domain.period import Period
from farthing.domain.usage import Metered
from farthing.engine.governor import Governor, Grant
from farthing.engine.outcomes import Ending, Exchange
from farthing.ledger.entries import Booked, Entry, Outcome
from farthing.ledger.store import Store
from farthing.policy.rules import (
    AtLimit,
    Budget,
    Counted,
    Environment,
    Limit,
    Otherwise,
    Target,
    Unbounded,
    Unpriced,
)
from farthing.prices.book import PriceBook
from tests.builders import Clock, a_book, a_budget, a_call, a_governor, a_policy, metered

Make = Callable[..., Governor]
MINI_MAX = 16_384  # the most gpt-4o and gpt-4o-mini write in one answer


def end(governor: Governor, grant: Grant, read: Metered, ending: Ending = Ending.ANSWERED) -> Booked:
    booked = governor.book(grant, governor.end_of(grant, Exchange(ending=ending, status=200), read))
    assert booked is not None
    return booked


def refusal(governor: Governor, **call: object) -> Refused:
    with pytest.raises(Refused) as refused:
        governor.authorize(a_call(**call))  # type: ignore[arg-type]
    return refused.value


def entry(store: Store, grant: Grant) -> Entry:
    found = store.entry(grant.call.call_id)
    assert found is not None
    return found


@pytest.fixture
def make(store: Store) -> Iterator[Make]:
    made: list[Governor] = []

    def governor(
        *budgets: Budget,
        prices: PriceBook | None = None,
        clock: Clock | None = None,
        environment: Environment | None = None,
        targets: tuple[Target, ...] = (),
        cost_tracked: bool = True,
    ) -> Governor:
        policy = a_policy(*budgets, environment=environment, targets=targets, cost_tracked=cost_tracked)
        made.append(a_governor(store, policy, prices=prices, clock=clock))
        return made[-1]

    yield governor
    for one in made:
        one.committer.stop()


def test_a_call_is_held_at_its_ceiling_and_settled_at_its_cost(make: Make, store: Store) -> None:
    governor = make(a_budget("$1"))

    grant = governor.authorize(a_call("gpt-4o-mini", input_bytes=1_000, output_cap=1_000))
    held = store.balance("dev-month/2026-09")
    booked = end(governor, grant, metered(1_000, 500))
    settled = store.balance("dev-month/2026-09")

    assert held is not None
    assert settled is not None
    assert held.held == grant.ceiling_nanodollars > 150_000 + 600_000
    assert (settled.settled, settled.held) == (450_000, 0)
    assert booked.cost_nanodollars == 450_000
    assert store.verify() == []


def test_the_entry_tells_the_whole_story(make: Make, store: Store) -> None:
    governor = make(a_budget("$1"))

    grant = governor.authorize(a_call("gpt-4o-mini", labels={"feature": "search"}, run="r1"))
    end(governor, grant, metered(1_000, 500, model_answered="gpt-4o-mini-2024-07-18"))
    told = entry(store, grant)

    assert told.outcome is Outcome.SETTLED
    assert (told.facts.environment, told.facts.key, told.facts.run) == ("development", "alice", "r1")
    assert dict(told.facts.labels) == {"feature": "search"}
    assert (told.facts.model_asked, told.model_served) == ("gpt-4o-mini", "gpt-4o-mini")
    assert told.model_answered == "gpt-4o-mini-2024-07-18"
    assert told.facts.policy_digest == "0123456789abcdef"
    assert told.price_version == governor.prices.version
    assert told.accounts == ("dev-month/2026-09",)
    assert told.usage is not None
    assert (told.usage.input_tokens, told.usage.output_tokens) == (1_000, 500)


def test_a_call_without_a_cap_is_clamped_to_what_fits_and_told_so(make: Make) -> None:
    governor = make(a_budget("$0.005"))

    grant = governor.authorize(a_call("gpt-4o-mini", output_cap=None))

    assert grant.clamped
    assert grant.output_cap is not None
    assert 256 <= grant.output_cap < MINI_MAX
    assert grant.ceiling_nanodollars <= nanodollars_from("$0.005")


def test_a_call_without_a_cap_keeps_its_body_when_the_model_itself_bounds_it(make: Make) -> None:
    grant = make(a_budget("$100")).authorize(a_call("gpt-4o-mini", output_cap=None))

    assert (grant.clamped, grant.output_cap) == (False, None)


def test_an_output_bound_of_the_policy_is_sent_as_the_cap(make: Make) -> None:
    environment = Environment(name="development", output_bound=2_000)

    grant = make(a_budget("$100"), environment=environment).authorize(a_call(output_cap=None))

    assert (grant.clamped, grant.output_cap) == (False, 2_000)


def test_a_model_whose_maximum_nobody_knows_gets_a_cap(make: Make) -> None:
    target = Target(id="own", provider="vllm", model="own-model", base_url="http://127.0.0.1:1/v1")
    prices = a_book(**{"own-model": ("1", "4")})

    grant = make(targets=(target,), prices=prices).authorize(a_call("own-model", output_cap=None))

    assert grant.output_cap == 4_096


def test_clamping_stops_at_the_floor_and_refuses_below(make: Make) -> None:
    refused = refusal(make(a_budget("$0.0001")), model="gpt-4o-mini", output_cap=None)

    assert refused.refusal.reason is Reason.BUDGET_EXCEEDED
    assert refused.refusal.retry_after_s is None


def test_a_reasoning_model_is_never_clamped_to_an_empty_answer(make: Make) -> None:
    governor = make(a_budget("$0.05"))

    grant = governor.authorize(a_call("o4-mini", output_cap=None, input_bytes=100))
    refused = refusal(make(a_budget("$0.01", name="tight")), model="o4-mini", output_cap=None)

    assert grant.output_cap is not None
    assert grant.output_cap >= 4_096
    assert refused.refusal.budget == "tight"


def test_a_thinking_budget_stays_below_the_clamped_cap(make: Make) -> None:
    call = a_call("claude-haiku-4-5", dialect="anthropic.messages", output_cap=30_000, thinking_tokens=8_000)

    grant = make(a_budget("$0.05")).authorize(call)

    assert grant.clamped
    assert grant.output_cap is not None
    assert grant.output_cap > 8_000


def test_under_refuse_the_whole_ceiling_must_fit(make: Make) -> None:
    governor = make(a_budget("$0.005", at_limit=AtLimit.REFUSE))

    refused = refusal(governor, model="gpt-4o-mini", output_cap=None)
    grant = governor.authorize(a_call("gpt-4o-mini", output_cap=500))

    assert refused.refusal.reason is Reason.BUDGET_EXCEEDED
    assert not grant.clamped


def test_a_downgrade_is_simply_the_next_offer(make: Make, store: Store) -> None:
    environment = Environment(
        name="development", allow=("gpt-4o", "gpt-4o-mini"), downgrade=(("gpt-4o", "gpt-4o-mini"),)
    )
    governor = make(a_budget("$0.01", at_limit=AtLimit.DOWNGRADE), environment=environment)

    grant = governor.authorize(a_call("gpt-4o"))
    end(governor, grant, metered(1_000, 500))
    told = entry(store, grant)

    assert (grant.model, grant.quote.candidate.reason) == ("gpt-4o-mini", "cheaper")
    assert (told.facts.model_asked, told.model_served, told.reason) == ("gpt-4o", "gpt-4o-mini", "cheaper")
    assert (told.cost_nanodollars, told.cost_asked_nanodollars) == (450_000, 7_500_000)


def test_a_soft_budget_lets_the_call_pass_and_shows_the_overrun(make: Make, store: Store) -> None:
    governor = make(a_budget("$0.001", at_limit=AtLimit.OVERRUN))

    grant = governor.authorize(a_call("gpt-4o"))
    end(governor, grant, metered(1_000, 500))
    balance = store.balance("dev-month/2026-09")

    assert grant.would_refuse == ("dev-month/2026-09",)
    assert balance is not None
    assert balance.remaining < 0


def test_observing_blocks_nothing_and_remembers_what_it_would_have_done(make: Make, store: Store) -> None:
    environment = Environment(
        name="development",
        at_limit=AtLimit.OBSERVE,
        limits=(Limit(counts=Counted.REQUESTS, most=1, period=Period.MINUTE),),
    )
    governor = make(a_budget("$0.001"), environment=environment)

    for _ in range(3):
        end(governor, governor.authorize(a_call("gpt-4o")), metered(1_000, 500))
    grant = governor.authorize(a_call("gpt-4o"))
    end(governor, grant, metered())

    assert "dev-month/2026-09" in entry(store, grant).would_refuse


def test_money_that_is_only_held_is_worth_waiting_for(make: Make, store: Store) -> None:
    governor = make(a_budget("$0.002", at_limit=AtLimit.REFUSE))
    first = governor.authorize(a_call("gpt-4o-mini", output_cap=2_000))

    refused = refusal(governor, model="gpt-4o-mini", output_cap=2_000)
    end(governor, first, metered(100, 10))
    again = governor.authorize(a_call("gpt-4o-mini", output_cap=2_000))

    assert refused.refusal.reason is Reason.BUDGET_HELD
    assert refused.refusal.retry_after_s == 1
    assert not again.clamped


def test_a_refusal_names_the_budget_its_numbers_and_the_way_on(make: Make) -> None:
    refused = refusal(make(a_budget("$0.0001", at_limit=AtLimit.REFUSE))).refusal

    assert refused.budget == "dev-month"
    assert refused.window == "2026-09"
    assert (refused.limit, refused.spent, refused.held) == (100_000, 0, 0)
    assert refused.resets_at == "2026-10-01T00:00:00.000000Z"
    assert "dev-month" in refused.message
    assert "farthing budget request dev-month" in refused.fix


def test_all_limits_that_match_must_fit(make: Make) -> None:
    wide, narrow = a_budget("$100"), a_budget("$0.0001", name="per-alice", key="alice")

    refused = refusal(make(wide, narrow))

    assert refused.refusal.budget == "per-alice"


def test_an_environment_that_runs_dry_does_not_touch_another(make: Make) -> None:
    governor = make(a_budget("$0.0001"), a_budget("$1", name="prod", environment="production"))

    refusal(governor)
    grant = governor.authorize(a_call(environment="production"))

    assert not grant.clamped


def test_a_rate_limit_counts_per_key_and_a_refusal_uses_none_of_it(make: Make) -> None:
    environment = Environment(
        name="development", limits=(Limit(counts=Counted.REQUESTS, most=2, period=Period.MINUTE),)
    )
    clock = Clock()
    governor = make(environment=environment, clock=clock)
    for _ in range(2):
        governor.authorize(a_call("gpt-4o-mini"))

    refused = refusal(governor, model="gpt-4o-mini")
    other = governor.authorize(a_call("gpt-4o-mini", key="bob"))
    later = governor.authorize(a_call("gpt-4o-mini", at_us=clock.at_us + 60_000_000))

    assert refused.refusal.reason is Reason.RATE_LIMITED
    assert refused.refusal.retry_after_s is not None
    assert 1 <= refused.refusal.retry_after_s <= 60
    assert other.call.identity.key == "bob"
    assert later.call.identity.key == "alice"


def test_an_unpriced_model_is_refused_with_the_line_that_fixes_it(make: Make) -> None:
    target = Target(id="own", provider="vllm", model="own-model", base_url="http://127.0.0.1:1/v1")

    refused = refusal(make(targets=(target,)), model="own-model").refusal

    assert refused.reason is Reason.UNPRICED_MODEL
    assert 'prices: {"own-model"' in refused.fix


def test_unpriced_dearest_assumes_the_dearest_price_of_the_provider(make: Make) -> None:
    environment = Environment(name="development", unpriced=Unpriced.DEAREST)
    target = Target(id="next", provider="openai", model="gpt-99", base_url="http://127.0.0.1:1/v1")

    grant = make(environment=environment, targets=(target,)).authorize(a_call("gpt-99"))

    assert grant.ceiling_nanodollars > 10_000_000


def test_a_model_declared_free_passes_money_limits(make: Make, store: Store) -> None:
    target = Target(id="own", provider="vllm", model="own-model", base_url="http://127.0.0.1:1/v1")
    governor = make(a_budget("$0"), targets=(target,), prices=a_book(**{"own-model": ("0", "0")}))

    grant = governor.authorize(a_call("own-model"))
    end(governor, grant, metered())

    assert entry(store, grant).cost_nanodollars == 0


def test_input_outside_the_body_counts_as_the_context_window(make: Make) -> None:
    governor = make(a_budget("$10"))

    searched = governor.authorize(a_call("gpt-4o-mini", unbounded=("web_search",)))
    plain = governor.authorize(a_call("gpt-4o-mini"))

    assert searched.quote.input_tokens == 128_000
    assert plain.quote.input_tokens < 2_100


def test_input_outside_the_body_can_be_refused(make: Make) -> None:
    environment = Environment(name="development", unbounded=Unbounded.REFUSE)

    refused = refusal(make(environment=environment), unbounded=("previous_response_id",)).refusal

    assert refused.reason is Reason.UNBOUNDED_INPUT
    assert "previous_response_id" in refused.message


def test_a_count_of_the_tokens_is_made_only_when_the_bytes_do_not_fit(make: Make) -> None:
    words = ("the quick brown fox jumps over the lazy dog " * 400).encode()
    budget = a_budget("$0.002", at_limit=AtLimit.REFUSE)  # room for 13,333 input tokens and no more

    call = a_call("gpt-4o-mini", input_bytes=len(words), output_cap=300)
    grant = make(budget).authorize(call, prompt=words)

    assert len(words) > 13_333
    assert grant.quote.input_tokens < len(words) // 3


def test_counting_tokens_is_free_and_passes_an_empty_budget(make: Make, store: Store) -> None:
    governor = make(a_budget("$0"))

    grant = governor.authorize(a_call("gpt-4o", free=True, generates=False))
    end(governor, grant, Metered(complete=True))

    assert entry(store, grant).cost_nanodollars == 0


def test_a_model_off_the_allowlist_is_refused_by_name_and_put_on_the_ledger(make: Make, store: Store) -> None:
    environment = Environment(name="development", allow=("gpt-4o-mini",), otherwise=Otherwise.REFUSE)
    governor = make(environment=environment)

    refused = refusal(governor, model="gpt-4o").refusal
    governor.committer.stop()
    rows = store.entries(outcome="refused")

    assert refused.reason is Reason.MODEL_NOT_ALLOWED
    assert "gpt-4o-mini" in refused.message + refused.fix
    assert [row.reason for row in rows] == ["model_not_allowed"]


def test_repeated_refusals_are_answered_from_memory_and_counted_in_one_row(make: Make, store: Store) -> None:
    clock = Clock()
    governor = make(a_budget("$0.0001", at_limit=AtLimit.REFUSE), clock=clock)

    for _ in range(50):
        refusal(governor)
    clock.at_us += 2_000_000
    governor.tick()
    governor.committer.stop()
    counts = sorted(row.count for row in store.entries(outcome="refused"))

    assert counts == [1, 49]


def test_every_refusal_is_counted_though_smaller_calls_are_decided_anew_between(
    make: Make, store: Store
) -> None:
    governor = make(a_budget("$0.0001", at_limit=AtLimit.REFUSE))

    for output_cap in (900, 800, 800, 700, 900, 700, 600, 600):
        refusal(governor, output_cap=output_cap)
    governor.finish()
    governor.committer.stop()

    assert sum(row.count for row in store.entries(outcome="refused")) == 8


def test_a_smaller_call_is_decided_anew_while_a_larger_one_is_remembered_as_refused(make: Make) -> None:
    governor = make(a_budget("$0.002", at_limit=AtLimit.REFUSE))

    refusal(governor, model="gpt-4o-mini", output_cap=10_000)
    grant = governor.authorize(a_call("gpt-4o-mini", output_cap=100))

    assert grant.output_cap is None


def test_costs_that_are_not_tracked_enforce_no_money_limit(make: Make, store: Store) -> None:
    governor = make(a_budget("$0"), cost_tracked=False)

    grant = governor.authorize(a_call())
    end(governor, grant, metered())

    assert not entry(store, grant).facts.cost_tracked


def test_a_call_that_never_connected_is_void_and_gives_everything_back(make: Make, store: Store) -> None:
    governor = make(a_budget("$1"))

    grant = governor.authorize(a_call())
    end(governor, grant, Metered(), Ending.NEVER_CONNECTED)
    balance = store.balance("dev-month/2026-09")

    assert balance is not None
    assert (balance.settled, balance.held) == (0, 0)
    assert entry(store, grant).outcome is Outcome.VOID


def test_settling_twice_changes_nothing(make: Make, store: Store) -> None:
    governor = make(a_budget("$1"))
    grant = governor.authorize(a_call("gpt-4o-mini"))

    first = end(governor, grant, metered(1_000, 500))
    second = end(governor, grant, metered(9_000, 900))

    assert (second.cost_nanodollars, second.already) == (first.cost_nanodollars, True)
    assert store.verify() == []


def test_the_truth_about_an_assumed_call_is_one_correction(make: Make, store: Store) -> None:
    governor = make(a_budget("$1"))
    grant = governor.authorize(a_call("gpt-4o-mini"))

    assumed = end(governor, grant, Metered(), Ending.BROKEN)
    corrected = end(governor, grant, metered(1_000, 500))
    again = end(governor, grant, metered(1, 1))
    balance = store.balance("dev-month/2026-09")

    assert assumed.cost_nanodollars == grant.ceiling_nanodollars
    assert (corrected.corrected, again.corrected) == (True, False)
    assert balance is not None
    assert balance.settled == 450_000
    assert store.verify() == []


def test_the_asynchronous_door_decides_alike(make: Make, store: Store) -> None:
    governor = make(a_budget("$1"))

    async def journey() -> int:
        grant = await governor.authorize_async(a_call("gpt-4o-mini"))
        exchange = Exchange(ending=Ending.ANSWERED, status=200)
        booked = await governor.book_async(grant, governor.end_of(grant, exchange, metered(1_000, 500)))
        assert booked is not None
        return booked.cost_nanodollars

    assert asyncio.run(journey()) == 450_000
