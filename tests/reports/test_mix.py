"""The report mix: what made spend change, in effects that sum to the change exactly."""

from collections.abc import Mapping
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.domain.usage import Usage
from farthing.ledger.slices import SpendRow
from farthing.prices.book import load_book
from farthing.reports.comparing import compared
from farthing.reports.mix import report
from farthing.reports.mix_effects import Effects, Model, Rates, effects
from farthing.reports.sheet import Value
from farthing.reports.spans import Span
from farthing.scenarios.moments import DAY_US, day
from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_environments import g1
from tests.ledger.sentences import booked, claim, held, hold, offer, void
from tests.reports.conftest import Months
from tests.reports.ledgers import DOLLAR, MONTH, a_call_of, a_ledger, asking, rows_of, total_of

AUGUST, SEPTEMBER = day(2026, 8), day(2026, 9)
SMALL: Model = ("openai", "small")
LARGE: Model = ("openai", "large")
ALIKE = Rates()


def sums(
    calls: int, cost: int, *, tokens: tuple[int, int] = (0, 0), cached: int = 0, read: int = 0
) -> SpendRow:
    return SpendRow(
        by={}, calls=calls, refused=0, assumed=0, cost_nanodollars=cost, cost_asked_nanodollars=0,
        input_tokens=tokens[0], cached_read=read, cached_write=0, output_tokens=tokens[1], reasoning=0,
        cached=cached,
    )  # fmt: skip


def split(
    before: Mapping[Model, SpendRow], after: Mapping[Model, SpendRow], rates: Rates = ALIKE
) -> dict[str, int]:
    found = effects(before, after, lambda _: rates)
    return {name: getattr(found, name) for name in Effects.__struct_fields__ if getattr(found, name)}


# ── one effect alone ────────────────────────────────────────────────────────────────────────────


def test_twice_the_calls_is_volume() -> None:
    before, after = sums(10, 1_000, tokens=(100, 50)), sums(20, 2_000, tokens=(200, 100))
    assert split({SMALL: before}, {SMALL: after}) == {"volume": 1_000}


def test_other_models_are_mix() -> None:
    small, large = sums(90, 900, tokens=(90, 0)), sums(10, 1_000, tokens=(10, 0))
    assert split(
        {SMALL: small, LARGE: large},
        {SMALL: sums(50, 500, tokens=(50, 0)), LARGE: sums(50, 5_000, tokens=(50, 0))},
    ) == {"mix": 3_600}


def test_a_model_that_comes_or_goes_is_mix() -> None:
    small, large = sums(10, 100, tokens=(10, 0)), sums(10, 1_000, tokens=(10, 0))
    assert split({SMALL: small}, {LARGE: large}) == {"mix": 900}


def test_longer_calls_are_tokens() -> None:
    assert split(
        {SMALL: sums(10, 1_000, tokens=(1_000, 0))}, {SMALL: sums(10, 3_000, tokens=(3_000, 0))}
    ) == {"tokens": 2_000}


def test_answers_from_the_response_cache_are_the_caches() -> None:
    assert split(
        {SMALL: sums(10, 1_000, tokens=(1_000, 0))}, {SMALL: sums(10, 400, tokens=(400, 0), cached=6)}
    ) == {"cache": -600}


def test_tokens_from_the_prompt_cache_are_the_caches() -> None:
    rates = Rates(input=10, cached_read=1, cached_write=12, output=40)
    assert split(
        {SMALL: sums(10, 1_000, tokens=(100, 0))}, {SMALL: sums(10, 550, tokens=(100, 0), read=50)}, rates
    ) == {"cache": -450}


def test_another_rate_for_the_same_is_price() -> None:
    assert split({SMALL: sums(10, 1_000, tokens=(100, 0))}, {SMALL: sums(10, 800, tokens=(100, 0))}) == {
        "price": -200
    }


def test_costs_without_tokens_are_weighed_by_the_call() -> None:
    assert split({SMALL: sums(10, 1_000)}, {SMALL: sums(20, 6_000)}) == {"volume": 1_000, "price": 4_000}


def test_where_nothing_was_before_all_is_volume() -> None:
    assert split({}, {SMALL: sums(3, 30, tokens=(1, 1))}) == {"volume": 30}
    assert split({SMALL: sums(3, 30, tokens=(1, 1))}, {}) == {"volume": -30}


def test_a_model_that_only_the_cache_answered_before_takes_its_price_from_now() -> None:
    assert split({SMALL: sums(10, 0, cached=10)}, {SMALL: sums(10, 500, tokens=(50, 0), cached=5)}) == {
        "cache": 500
    }


_ROWS = st.builds(
    lambda calls, cached, cost, given, read, taken: sums(
        calls + cached, cost, tokens=(given + read, taken), cached=cached, read=read
    ),
    *[st.integers(0, 50), st.integers(0, 50), st.integers(0, 10**13), st.integers(0, 10**6)],
    *[st.integers(0, 10**6), st.integers(0, 10**6)],
)
_MODELS = st.dictionaries(st.sampled_from([SMALL, LARGE, ("anthropic", "other")]), _ROWS)
_RATES = st.builds(
    Rates, input=st.integers(1, 99), cached_read=st.integers(0, 99), cached_write=st.integers(0, 99),
    output=st.integers(1, 999),
)  # fmt: skip


@given(_MODELS, _MODELS, _RATES)
def test_the_effects_sum_to_the_change_whatever_happened(
    before: dict[Model, SpendRow], after: dict[Model, SpendRow], rates: Rates
) -> None:
    change = sum(row.cost_nanodollars for row in after.values()) - sum(
        row.cost_nanodollars for row in before.values()
    )
    assert sum(effects(before, after, lambda _: rates).values()) == change


@given(_MODELS, _RATES)
def test_where_nothing_changed_there_is_no_effect(rows: dict[Model, SpendRow], rates: Rates) -> None:
    assert effects(rows, rows, lambda _: rates).values() == (0, 0, 0, 0, 0)


# ── the sheet ───────────────────────────────────────────────────────────────────────────────────


def months() -> list[Row]:
    """The example of docs/reports.md: 1,000 calls to gpt-4o-mini in August; more of everything later."""

    def calls(count: int, model: str, tokens: tuple[int, int], cost: str, at_us: int) -> list[Row]:
        row = a_call_of(cost, at_us=at_us, environment="production", model=model, tokens=tokens)
        return [row] * count

    hit = Row(
        at_us=SEPTEMBER, environment="production", model_asked="gpt-4o-mini", model_served="gpt-4o-mini",
        cached=True, usage=None, avoided_nanodollars=3_000_000,
    )  # fmt: skip
    return [
        *calls(100, "gpt-4o-mini", (10_000, 2_500), "0.003", AUGUST),
        *calls(100, "gpt-4o-mini", (10_000, 5_000), "0.0045", SEPTEMBER),
        *calls(10, "gpt-4o", (10_000, 2_500), "0.05", SEPTEMBER),
        *[hit] * 10,
    ]


def test_the_example_of_the_documents_adds_up() -> None:
    sheet = report(asking(a_ledger(months()), MONTH, prices=load_book()))
    (row,) = rows_of(sheet, "effects")
    assert row == {
        "environment": "production",
        "cost_before_nanodollars": 300_000_000,
        "volume_nanodollars": 60_000_000,
        "mix_nanodollars": 470_000_000,
        "tokens_nanodollars": 165_000_000,
        "cache_nanodollars": -45_000_000,
        "price_nanodollars": 0,
        "cost_nanodollars": 950_000_000,
        "change_percent": Fraction(65, 30),
    }
    assert total_of(sheet, "effects") == {**row, "environment": "total"}
    assert sheet.notes[0] == "production grew by $0.65; most of it came from other models (+$0.47)."


def test_the_total_is_the_sum_of_the_environments() -> None:
    before = [row._replace(at_us=row.at_us - 31 * DAY_US) for row in [*g1("live")][::60]]
    now = [*g1()][::30]
    sheet = report(asking(a_ledger([*before, *now]), MONTH, prices=load_book()))
    rows = rows_of(sheet, "effects")
    assert [row["environment"] for row in rows] == ["development", "staging", "production"]
    names = ("volume", "mix", "tokens", "cache", "price")
    for row in [*rows, total_of(sheet, "effects")]:
        found = sum(number(row[f"{name}_nanodollars"]) for name in names)
        assert found == number(row["cost_nanodollars"]) - number(row["cost_before_nanodollars"])
    spent = sum(row.cost_nanodollars for row in now)
    assert total_of(sheet, "effects")["cost_nanodollars"] == spent


def number(value: Value) -> int:
    assert isinstance(value, int)
    return value


def test_models_are_ranked_by_their_change_and_the_others_are_one_row() -> None:
    rows = [a_call_of(str(number), at_us=SEPTEMBER, model=f"model-{number}") for number in range(1, 6)]
    sheet = report(asking(a_ledger(rows), MONTH, top=2))
    table = rows_of(sheet, "models")
    assert [row["model"] for row in table] == ["model-5", "model-4", ""]
    assert table[-1]["environment"] == "(others)"
    assert sum(number(row["change_nanodollars"]) for row in table) == 15 * DOLLAR
    assert total_of(sheet, "models")["change_nanodollars"] == 15 * DOLLAR


def test_it_can_be_narrowed_to_one_environment(months: Months) -> None:
    sheet = report(asking(months(), MONTH, environment="staging"))
    assert [row["environment"] for row in rows_of(sheet, "effects")] == ["staging"]


def test_an_empty_ledger_says_what_to_do() -> None:
    sheet = report(asking(a_ledger(), MONTH))
    assert (sheet.tables, len(sheet.notes)) == ((), 1)


def test_one_day_is_enough_and_everything_is_volume(months: Months) -> None:
    sheet = report(asking(months(), Span(SEPTEMBER, SEPTEMBER + DAY_US)))
    total = total_of(sheet, "effects")
    assert total["volume_nanodollars"] == total["cost_nanodollars"]
    assert total["change_percent"] is None


def test_what_an_assumed_call_cost_is_told_by_the_call() -> None:
    rows = [
        Row(
            at_us=at_us, environment="development", model_asked="m", model_served="m", usage=Usage(),
            cost_nanodollars=DOLLAR, assumed_rule="timed out",
        )
        for at_us in (AUGUST, SEPTEMBER, SEPTEMBER)
    ]  # fmt: skip
    (row,) = rows_of(report(asking(a_ledger(rows), MONTH)), "effects")
    assert row["volume_nanodollars"] == DOLLAR


def test_calls_that_reached_no_provider_are_left_out_and_it_says_so() -> None:
    store = a_ledger([a_call_of(at_us=SEPTEMBER)])
    held(store, hold("voided", offer(DOLLAR, claim("team", 100 * DOLLAR)), at_us=SEPTEMBER + DAY_US))
    booked(store, void("voided"))
    sheet = report(asking(store, MONTH))
    assert any(note.startswith("Calls that reached no provider (1)") for note in sheet.notes)


# ── which spans are compared ────────────────────────────────────────────────────────────────────


APRIL, MARCH, FEBRUARY = (day(2026, 4), day(2026, 3), day(2026, 2))
MONDAY = day(2026, 9, 7)
A_MONTH = Span(MARCH, APRIL)
A_WEEK = Span(MONDAY, MONDAY + 7 * DAY_US)


@pytest.mark.parametrize(
    ("span", "now_us", "before", "after"),
    [
        # A month that is over stands beside the whole month before, however long that was.
        (A_MONTH, SEPTEMBER, Span(FEBRUARY, MARCH), A_MONTH),
        # One that is under way beside as many days, or beside all days there were.
        (A_MONTH, day(2026, 3, 10), Span(FEBRUARY, day(2026, 2, 11)), Span(MARCH, day(2026, 3, 11))),
        (A_MONTH, day(2026, 3, 30), Span(FEBRUARY, MARCH), Span(MARCH, day(2026, 3, 31))),
        # Two months beside two.
        (Span(FEBRUARY, APRIL), SEPTEMBER, Span(day(2025, 12), FEBRUARY), Span(FEBRUARY, APRIL)),
        # A week beside the one before, and one that is under way beside its first days.
        (A_WEEK, day(2026, 10), Span(MONDAY - 7 * DAY_US, MONDAY), A_WEEK),
        (
            A_WEEK,
            MONDAY + DAY_US,
            Span(MONDAY - 7 * DAY_US, MONDAY - 5 * DAY_US),
            Span(MONDAY, MONDAY + 2 * DAY_US),
        ),
        # What has not begun is its first day.
        (A_WEEK, SEPTEMBER, Span(MONDAY - 7 * DAY_US, MONDAY - 6 * DAY_US), Span(MONDAY, MONDAY + DAY_US)),
    ],
)
def test_months_stand_beside_months_and_days_beside_days(
    span: Span, now_us: int, before: Span, after: Span
) -> None:
    assert compared(span, now_us) == (before, after)
