"""The report tiers: the share of requests on each model and price tier, over time, and what the mix saves."""

from collections.abc import Iterator
from fractions import Fraction

import pytest

from farthing.domain.usage import Usage
from farthing.ledger.memory import MemoryStore
from farthing.ledger.store import Store
from farthing.prices.book import load_book
from farthing.prices.override import Override
from farthing.reports.asking import Question
from farthing.reports.price_tiers import CHEAP, MIDDLE, NO_PRICE, PREMIUM, price_tiers
from farthing.reports.sheet import Sheet
from farthing.reports.spans import Span
from farthing.reports.telling import percent
from farthing.reports.tiers import report
from farthing.scenarios.moments import DAY_US, MONTH_ENDS_AT_US, MONTH_STARTS_AT_US
from farthing.scenarios.pricing import Profile
from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_models import g10
from farthing.scenarios.writing import write
from tests.reports.conftest import Months

MONTH = Span(MONTH_STARTS_AT_US, MONTH_ENDS_AT_US)
MINI, GPT_4O, GPT_4 = ("openai", "gpt-4o-mini"), ("openai", "gpt-4o"), ("openai", "gpt-4")
CENT = 10_000_000


def asked(store: Store, span: Span = MONTH, **given: object) -> Sheet:
    """The report over the month."""
    return report(Question(store=store, span=span, now_us=MONTH_ENDS_AT_US, **given))  # type: ignore[arg-type]


def calls(model: str, count: int, *, day: int = 0, environment: str = "production") -> Iterator[Row]:
    """So many calls of one day."""
    for _ in range(count):
        yield Row(
            at_us=MONTH_STARTS_AT_US + day * DAY_US, environment=environment, model_asked=model,
            model_served=model, usage=Usage(input_tokens=10, output_tokens=1), cost_nanodollars=1_000,
        )  # fmt: skip


@pytest.fixture(scope="module")
def thousands() -> MemoryStore:
    """Ten thousand requests: 90, 9 and 1 in a hundred."""
    store = MemoryStore()
    write(g10(), store)
    return store


def test_g10_the_distribution_is_exact(thousands: MemoryStore) -> None:
    sheet = asked(thousands)

    assert [
        (row["model"], row["price_tier"], row["calls"], row["calls_percent"])
        for row in sheet.table("models").named_rows()
    ] == [
        ("gpt-4o-mini", CHEAP, 9_000, Fraction(9, 10)),
        ("gpt-4o", MIDDLE, 900, Fraction(9, 100)),
        ("gpt-4", PREMIUM, 100, Fraction(1, 100)),
    ]
    assert [(row["price_tier"], row["calls"]) for row in sheet.table("tiers").named_rows()] == [
        (CHEAP, 9_000), (MIDDLE, 900), (PREMIUM, 100),
    ]  # fmt: skip


def test_g10_the_mix_saves_73_6_percent_of_all_on_gpt_4o(thousands: MemoryStore) -> None:
    told = {row["model"]: row for row in asked(thousands).table("instead").named_rows()}

    assert told["gpt-4o"]["cost_nanodollars"] == 660 * CENT
    assert told["gpt-4o"]["cost_there_nanodollars"] == 2_500 * CENT
    assert told["gpt-4o"]["saved_percent"] == Fraction(736, 1000)
    assert percent(Fraction(told["gpt-4"]["saved_percent"] or 0)) == "97.8"
    cheapest = told["gpt-4o-mini"]
    assert (cheapest["saved_nanodollars"], cheapest["saved_percent"]) == ((150 - 660) * CENT, None)


def test_g10_every_week_has_its_shares(thousands: MemoryStore) -> None:
    weeks = asked(thousands).table("weeks").named_rows()

    assert [row["week"] for row in weeks] == [f"2026-W{number}" for number in range(36, 41)]
    assert sum(int(row["calls"] or 0) for row in weeks) == 10_000
    for row in weeks:
        shares = [Fraction(row[f"{tier}_percent"] or 0) for tier in (CHEAP, MIDDLE, PREMIUM)]
        assert sum(shares) == 1
        assert abs(shares[0] - Fraction(9, 10)) < Fraction(1, 100)


def test_a_shift_to_cheap_models_is_seen_by_week() -> None:
    store = MemoryStore()
    write([*calls("gpt-4o", 8), *calls("gpt-4o-mini", 2), *calls("gpt-4o-mini", 9, day=7)], store)
    write(calls("gpt-4o", 1, day=7), store)

    weeks = asked(store).table("weeks").named_rows()

    assert [(row["week"], row["cheap_percent"]) for row in weeks] == [
        ("2026-W36", Fraction(2, 10)),
        ("2026-W37", Fraction(9, 10)),
    ]


def test_a_year_is_told_by_month(thousands: MemoryStore) -> None:
    sheet = asked(thousands, Span(MONTH_STARTS_AT_US - 300 * DAY_US, MONTH_ENDS_AT_US))

    assert [row["month"] for row in sheet.table("months").named_rows()] == ["2026-09"]


def test_environments_have_shares_of_their_own() -> None:
    store = MemoryStore()
    write([*calls("gpt-4o", 3, environment="development"), *calls("gpt-4o-mini", 5)], store)

    assert [
        (row["environment"], row["price_tier"], row["calls_percent"])
        for row in asked(store).table("tiers").named_rows()
    ] == [("development", PREMIUM, 1), ("production", CHEAP, 1)]
    assert len(asked(store, environment="production").table("tiers").rows) == 1


def test_one_dear_model_for_everything_is_premium_all_the_same(months: Months) -> None:
    store = months(Profile.LAUNCH)

    assert {row["price_tier"] for row in asked(store).table("models").named_rows()} == {PREMIUM}


def test_the_small_model_of_a_family_is_never_premium() -> None:
    lite = ("google", "gemini-2.5-flash-lite")
    haiku, sonnet = ("anthropic", "claude-haiku-4-5"), ("anthropic", "claude-sonnet-4-5")

    tiers = price_tiers([lite, haiku, sonnet], load_book(), MONTH_STARTS_AT_US)

    assert tiers == {lite: CHEAP, haiku: MIDDLE, sonnet: PREMIUM}


def test_one_small_model_for_everything_is_cheap() -> None:
    assert price_tiers([MINI], load_book(), MONTH_STARTS_AT_US) == {MINI: CHEAP}


def test_models_of_nearly_one_price_are_all_cheap() -> None:
    rates = {"input": 1_000_000_000, "output": 2_000_000_000}
    dearer = {name: rate * 19 // 10 for name, rate in rates.items()}
    book = load_book().with_overrides({"own-a": Override(rates=rates), "own-b": Override(rates=dearer)})

    assert {*price_tiers([("own", "own-a"), ("own", "own-b")], book, 0).values()} == {CHEAP}


def test_bounds_are_equal_factors_and_belong_to_the_cheaper_side() -> None:
    names = {"m1": 1, "m2": 10, "m3": 11, "m4": 100, "m5": 101, "m6": 1_000}
    book = load_book().with_overrides(
        {
            name: Override(rates={"input": dollars * 10**9, "output": dollars * 10**9})
            for name, dollars in names.items()
        }
    )

    tiers = price_tiers([("own", name) for name in names], book, 0)

    assert list(tiers.values()) == [CHEAP, CHEAP, MIDDLE, MIDDLE, PREMIUM, PREMIUM]


def test_free_and_unknown_models_have_no_price() -> None:
    store = MemoryStore()
    write([*calls("no-such-model", 1), *calls("gpt-4o", 1)], store)

    sheet = asked(store)

    assert {row["model"]: row["price_tier"] for row in sheet.table("models").named_rows()} == {
        "gpt-4o": PREMIUM, "no-such-model": NO_PRICE,
    }  # fmt: skip
    assert sheet.table("weeks").named_rows()[0]["no_price_percent"] == Fraction(1, 2)
    assert [row["model"] for row in sheet.table("instead").named_rows()] == ["gpt-4o"]


def test_many_models_end_in_the_others() -> None:
    store = MemoryStore()
    for number in range(5):
        write(calls(f"m{number}", 5 - number), store)

    *_, others = asked(store, top=2).table("models").named_rows()

    assert (others["model"], others["calls"], others["calls_percent"]) == ("(others)", 6, Fraction(6, 15))


def test_an_empty_ledger_says_what_to_do() -> None:
    sheet = asked(MemoryStore())

    assert sheet.tables == () and sheet.notes


def test_models_of_the_simulator_have_the_tiers_of_those_it_plays() -> None:
    store = MemoryStore()
    write((row._replace(provider="simulator") for row in g10()), store)
    assert [(row["model"], row["price_tier"]) for row in asked(store).table("models").named_rows()] == [
        ("gpt-4o-mini", CHEAP),
        ("gpt-4o", MIDDLE),
        ("gpt-4", PREMIUM),
    ]


def test_what_everything_would_cost_on_one_model_is_left_out_where_none_has_a_price() -> None:
    store = MemoryStore()
    write(calls("our-own", 3), store)
    assert "instead" not in {table.name for table in asked(store).tables}
