"""The report environments: the split, each environment held against production, and what the cache saves."""

from fractions import Fraction

import pytest

from farthing.domain.usage import Usage
from farthing.ledger.memory import MemoryStore
from farthing.ledger.store import Store
from farthing.reports.asking import Question
from farthing.reports.environments import report
from farthing.reports.sheet import Kind, Sheet, Value
from farthing.reports.spans import Span
from farthing.reports.telling import percent, shown
from farthing.scenarios.moments import DAY_US, MONTH_ENDS_AT_US, MONTH_STARTS_AT_US
from farthing.scenarios.pricing import Profile
from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_environments import g6
from farthing.scenarios.seeds_limits import g14
from farthing.scenarios.writing import write
from tests.reports.conftest import Months

MONTH = Span(MONTH_STARTS_AT_US, MONTH_ENDS_AT_US)
CENT = 10_000_000
THREE = ("development", "staging", "production")


def asked(store: Store, span: Span = MONTH) -> Sheet:
    """The report over the month."""
    return report(Question(store=store, span=span, now_us=MONTH_ENDS_AT_US))


def told(sheet: Sheet, table: str, column: str) -> dict[Value, Value]:
    """One column of a table, by environment."""
    return {row["environment"]: row[column] for row in sheet.table(table).named_rows()}


@pytest.fixture(scope="module")
def month(months: Months) -> Sheet:
    """The published month."""
    return asked(months())


def test_g1_the_split(month: Sheet) -> None:
    assert told(month, "split", "cost_nanodollars") == dict(
        zip(THREE, (20_250 * CENT, 7_200 * CENT, 36_000 * CENT), strict=True)
    )
    shares = {
        name: percent(Fraction(share or 0)) for name, share in told(month, "split", "cost_percent").items()
    }
    assert shares == {"development": "31.9", "staging": "11.3", "production": "56.7"}
    assert month.notes == ("Outside production: 43.3 % of the cost.",)
    assert month.table("split").footer == ("total", 223_000, None, 63_450 * CENT, None, None, None)


def test_g1_seven_and_a_half_percent_of_the_volume_and_half_of_the_cost(month: Sheet) -> None:
    (development, *_) = month.table("split").named_rows()

    assert shown(Kind.SHARE, development["calls_of_production_percent"]) == "7.5 %"
    assert shown(Kind.SHARE, development["cost_of_production_percent"]) == "56.25 %"


def test_g1_a_call_costs_seven_and_a_half_times_as_much_in_development(month: Sheet) -> None:
    assert told(month, "calls", "times_production")["development"] == Fraction(15, 2)
    assert told(month, "calls", "cost_per_call_nanodollars") == {
        "development": 13_500_000, "staging": 9_000_000, "production": 1_800_000,
    }  # fmt: skip
    # Calls that the cache did not answer: 72.00 over 6,800, and 360.00 over 70,000.
    assert told(month, "calls", "cost_per_paid_call_nanodollars") == {
        "development": 13_500_000, "staging": 10_588_235, "production": 5_142_857,
    }  # fmt: skip


def test_g1_hit_rates(month: Sheet) -> None:
    assert told(month, "calls", "cache_hit_percent") == {
        "development": 0, "staging": Fraction(15, 100), "production": Fraction(65, 100),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "cents"),
    [(Profile.LAUNCH, (20_250, 7_480, 34_650)), (Profile.LIVE, (12_000, 4_420, Fraction(12_285, 10)))],
)
def test_g1_at_other_prices(months: Months, profile: Profile, cents: tuple[int, int, Fraction]) -> None:
    sheet = asked(months(profile))

    assert told(sheet, "split", "cost_nanodollars") == dict(
        zip(THREE, [amount * CENT for amount in cents], strict=True)
    )


def test_g6_sixty_percent_are_outside_production() -> None:
    store = MemoryStore()
    write(g6(), store)

    assert asked(store).notes == ("Outside production: 60.0 % of the cost.",)


def test_g14_a_cache_that_answers_four_of_five() -> None:
    store = MemoryStore()
    write(g14(), store)

    (row,) = asked(store).table("calls").named_rows()

    assert (row["cached"], row["cache_hit_percent"]) == (800, Fraction(80, 100))
    assert (row["cost_per_paid_call_nanodollars"], row["cost_per_call_nanodollars"]) == (8_000_000, 1_600_000)
    assert row["avoided_nanodollars"] == 800 * 8_000_000
    assert asked(store).table("split").named_rows()[0]["cost_nanodollars"] == 200 * 8_000_000


def test_without_production_nothing_is_held_against_it() -> None:
    store = MemoryStore()
    write(g14(), store)

    sheet = asked(store)

    (row,) = sheet.table("split").named_rows()
    assert (row["calls_percent"], row["calls_of_production_percent"]) == (1, None)
    assert sheet.table("calls").named_rows()[0]["times_production"] is None


def test_calls_that_cost_nothing_have_no_shares_of_cost() -> None:
    store = MemoryStore()
    row = Row(
        at_us=MONTH_STARTS_AT_US, environment="production", model_asked="local", model_served="local",
        usage=Usage(input_tokens=1, output_tokens=1),
    )  # fmt: skip
    write([row], store)

    sheet = asked(store, Span(MONTH_STARTS_AT_US, MONTH_STARTS_AT_US + DAY_US))

    assert told(sheet, "split", "cost_percent") == {"production": None}
    assert sheet.notes == ()


def test_an_empty_ledger_says_what_to_do() -> None:
    sheet = asked(MemoryStore())

    assert sheet.tables == ()
    assert "farthing serve" in sheet.notes[0] and "farthing demo" in sheet.notes[0]
