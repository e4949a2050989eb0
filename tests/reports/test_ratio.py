"""The report ratio: bands at their boundaries, the trend, its reversal, and what stays too dear."""

import re
from collections.abc import Sequence
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.ledger.report_store import Annotation
from farthing.ledger.store import Store
from farthing.reports.annotations import BadAnnotation, end_annotations, in_force, new_annotation
from farthing.reports.ratio import report
from farthing.reports.ratio_months import Band, Trend, band_of, months_of, standing_reversal, trends_of
from farthing.reports.sheet import Level, Sheet
from farthing.reports.spans import Span, last_months
from farthing.reports.telling import plain, shown
from farthing.scenarios.moments import DAY_US, day
from farthing.scenarios.pricing import Profile
from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_environments import SHIPPED_AT_US, SHIPPED_FEATURE, g4, g5, g6
from tests.reports.conftest import Months
from tests.reports.ledgers import MONTH, a_call_of, a_ledger, asking, rows_of, total_of

YEAR = last_months(12, MONTH.since_us)
SEPTEMBER = day(2026, 9)


@pytest.fixture(scope="module")
def shipped() -> Store:
    """G5: a feature ships on day 0, and development costs twice its baseline for 24 days."""
    return a_ledger(g5())


def a_month(development: str, production: str = "1000", staging: str | None = None) -> Sheet:
    """A month in which these were spent."""
    costs = {"development": development, "production": production, "staging": staging}
    rows = [
        a_call_of(
            cost, environment=environment, at_us=SEPTEMBER, developer="alice", labels={"feature": "search"}
        )
        for environment, cost in costs.items()
        if cost is not None
    ]
    return report(asking(a_ledger(rows), MONTH))


# ── one month ───────────────────────────────────────────────────────────────────────────────────


def test_the_month_of_the_published_table_is_flagged_at_one_to_1_78(months: Months) -> None:
    sheet = report(asking(months(), MONTH))
    (row,) = rows_of(sheet, "months")
    assert row["development_cost_nanodollars"] == 202_500_000_000
    assert row["other_nonproduction_cost_nanodollars"] == 72_000_000_000
    assert row["production_cost_nanodollars"] == 360_000_000_000
    assert row["development_of_production_percent"] == Fraction(9, 16)
    assert row["band"] == Band.FLAGGED
    columns = {column.name: column for column in sheet.table("months").columns}
    assert shown(columns["development_to_production"].kind, row["development_to_production"]) == "1:1.78"
    assert shown(columns["nonproduction_percent"].kind, row["nonproduction_percent"]) == "43.3 %"
    flag = sheet.flag("development_ratio")
    assert flag is not None
    assert flag.level is Level.WARNING
    assert flag.text == (
        "In 2026-09 development costs 1:1.78 of production ($202.50 against $360.00), worse than 1:2. "
        "Most of it: developer alice $40.50 (20.0 %), feature search $202.50 (100.0 %), "
        "model gpt-4o $202.50 (100.0 %)."
    )
    assert flag.fix == "farthing report models --month 2026-09"
    share = sheet.flag("nonproduction_share")
    assert share is not None
    assert "43.3 % of all spend is not production ($274.50 of $634.50)" in share.text


@pytest.mark.parametrize(("profile", "ratio"), [(Profile.LAUNCH, "1:1.71"), (Profile.LIVE, "9.8:1")])
def test_other_price_lists_give_the_same_calls_other_ratios(
    months: Months, profile: Profile, ratio: str
) -> None:
    sheet = report(asking(months(profile), MONTH))
    (row,) = rows_of(sheet, "months")
    kind = sheet.table("months").columns[4].kind
    assert plain(kind, row["development_to_production"]) == ratio
    assert row["band"] == Band.FLAGGED


def test_a_young_company_spends_half_as_much_again_outside_production() -> None:
    (row,) = rows_of(report(asking(a_ledger(g6()), MONTH)), "months")
    assert row["nonproduction_times_production"] == Fraction(3, 2)
    assert row["nonproduction_percent"] == Fraction(3, 5)


@pytest.mark.parametrize(
    ("development", "band"),
    [
        (Fraction(199, 1_000), Band.LOW),
        (Fraction(1, 5), Band.HEALTHY),
        (Fraction(1, 3), Band.HEALTHY),
        (Fraction(334, 1_000), Band.WATCH),
        (Fraction(499, 1_000), Band.WATCH),
        (Fraction(1, 2), Band.WATCH),
        (Fraction(501, 1_000), Band.FLAGGED),
    ],
)
def test_bands_begin_and_end_where_they_should(development: Fraction, band: Band) -> None:
    assert band_of(development) is band


def test_a_ratio_is_flagged_beyond_one_half_and_not_before() -> None:
    assert a_month("499").flag("development_ratio") is None
    assert a_month("500").flag("development_ratio") is None
    assert a_month("501").flag("development_ratio") is not None


def test_the_share_of_what_is_not_production_is_flagged_beyond_a_quarter() -> None:
    assert a_month("100", "750", "150").flag("nonproduction_share") is None
    assert a_month("101", "750", "150").flag("nonproduction_share") is not None


def test_what_is_priced_at_nothing_changes_no_ratio() -> None:
    paid = [
        a_call_of("0.3", at_us=SEPTEMBER),
        a_call_of("1.0", at_us=SEPTEMBER, environment="production"),
    ]
    free = [a_call_of("0", at_us=SEPTEMBER, model="llama3", provider="ollama") for _ in range(50)]
    assert rows_of(report(asking(a_ledger([*paid, *free]), MONTH)), "months") == rows_of(
        report(asking(a_ledger(paid), MONTH)), "months"
    )


def test_without_production_there_is_no_ratio_and_nobody_is_blamed() -> None:
    sheet = report(asking(a_ledger([a_call_of("5", at_us=SEPTEMBER)]), MONTH))
    (row,) = rows_of(sheet, "months")
    assert (row["development_to_production"], row["band"]) == (None, None)
    assert sheet.flags == ()
    assert "Production spent nothing in 2026-09, so there is no ratio to judge." in sheet.notes


def test_production_alone_is_low() -> None:
    sheet = report(asking(a_ledger([a_call_of("5", at_us=SEPTEMBER, environment="production")]), MONTH))
    (row,) = rows_of(sheet, "months")
    assert (row["development_to_production"], row["band"]) == (Fraction(0), Band.LOW)
    assert sheet.flags == ()


def test_a_month_that_cost_nothing_has_no_ratio() -> None:
    sheet = report(asking(a_ledger([a_call_of("0", at_us=SEPTEMBER)]), MONTH))
    assert sheet.tables == ()
    assert "Send one" in sheet.notes[0]


def test_an_empty_ledger_says_what_to_do() -> None:
    sheet = report(asking(a_ledger(), YEAR))
    assert (sheet.tables, sheet.flags) == ((), ())
    assert "farthing serve" in sheet.notes[0]


def test_one_day_is_enough(months: Months) -> None:
    sheet = report(asking(months(), Span(MONTH.since_us, MONTH.since_us + DAY_US)))
    assert len(rows_of(sheet, "months")) == 1
    assert sheet.flag("development_ratio") is not None


def test_who_and_what_sums_to_development_for_each_kind() -> None:
    rows = [
        a_call_of(
            "1", at_us=SEPTEMBER + number, developer=f"dev-{number}", labels={"feature": f"f-{number % 3}"}
        )
        for number in range(20)
    ]
    table = rows_of(
        report(asking(a_ledger([*rows, a_call_of("2", at_us=SEPTEMBER, key="bot")]), MONTH)), "development"
    )
    sums: dict[str, int] = {}
    for row in table:
        kind = "developer" if row["kind"] == "key" else str(row["kind"])
        sums[kind] = sums.get(kind, 0) + int(row["cost_nanodollars"] or 0)
    assert sums == {"developer": 22 * 10**9, "feature": 22 * 10**9, "model": 22 * 10**9}
    assert next(row["name"] for row in table if row["kind"] in ("developer", "key")) == "bot"
    assert "(others)" in [row["name"] for row in table]
    assert ("feature", "(none)") in [(row["kind"], row["name"]) for row in table]


# ── over months ─────────────────────────────────────────────────────────────────────────────────


def test_seven_months_get_better_until_the_last_one_turns() -> None:
    sheet = report(asking(a_ledger(g4()), Span(day(2025, 10), day(2026, 10))))
    rows = rows_of(sheet, "months")
    assert [row["month"] for row in rows] == [f"2026-0{number}" for number in range(3, 10)]
    assert [row["band"] for row in rows] == [
        "flagged", "watch", "watch", "watch", "healthy", "healthy", "healthy",
    ]  # fmt: skip
    assert [row["trend"] for row in rows] == [None, *["falls"] * 5, "reversal"]
    flag = sheet.flag("ratio_reversal")
    assert flag is not None
    assert flag.text == (
        "The ratio fell month after month and rose in 2026-09: 1:4.17 to 1:3.03. What grew most in "
        "development: developer bob by $32.40, feature agents by $32.40, model gpt-4o by $32.40."
    )
    assert sheet.flag("development_ratio") is None  # March was flagged, and is long over
    assert sheet.flag("nonproduction_share") is None
    assert total_of(sheet, "months")["production_cost_nanodollars"] == 7 * 360 * 10**9


def trends(*ratios: int | None) -> Sequence[Trend | None]:
    """Trends of months with these ratios in percent; None is a month without production."""
    span = Span(day(2026, 1), day(2026, len(ratios) + 1))
    costs = {}
    for number, ratio in enumerate(ratios, 1):
        costs[f"2026-{number:02}", "production"] = 0 if ratio is None else 100
        costs[f"2026-{number:02}", "development"] = ratio or 1
    return trends_of(months_of(span, costs))


def test_only_a_rise_after_two_falls_is_a_reversal() -> None:
    assert trends(50, 40, 45)[-1] is Trend.RISES
    assert trends(50, 40, 30, 31)[-1] is Trend.REVERSAL
    assert trends(50, 40, 30, 30, 31)[-2:] == [Trend.LEVEL, Trend.RISES]
    assert trends(50, 40, None, 30, 31)[-1] is Trend.RISES


def test_a_reversal_stands_until_the_ratio_falls_again() -> None:
    assert standing_reversal(trends(50, 40, 30, 31, 35)) == 3
    assert standing_reversal(trends(50, 40, 30, 31, 25)) is None
    assert standing_reversal(trends(50, 40)) is None
    assert standing_reversal([]) is None


@given(st.lists(st.integers(1, 100), min_size=1, max_size=11))
def test_every_reversal_is_higher_than_the_month_before_and_that_was_lower_than_two_before(
    ratios: list[int],
) -> None:
    for place, trend in enumerate(trends(*ratios)):
        falling = place >= 3 and ratios[place - 3] > ratios[place - 2] > ratios[place - 1]
        assert (trend is Trend.REVERSAL) == (falling and ratios[place] > ratios[place - 1])


def test_a_month_that_is_under_way_is_held_against_the_same_days_of_the_one_before() -> None:
    rows = [
        a_call_of("1", at_us=day(2026, 8) + number * DAY_US, developer="alice") for number in range(31)
    ] + [a_call_of("2", at_us=SEPTEMBER + number * DAY_US, developer="alice") for number in range(5)]
    sheet = report(asking(a_ledger(rows), YEAR, now_us=SEPTEMBER + 4 * DAY_US + 1))
    (alice, *_) = rows_of(sheet, "development")
    assert (alice["cost_nanodollars"], alice["before_nanodollars"]) == (10 * 10**9, 5 * 10**9)


def test_the_month_before_is_judged_too_while_this_one_is_under_way() -> None:
    def spent(development: str, production: str, at_us: int) -> list[Row]:
        return [
            a_call_of(development, at_us=at_us),
            a_call_of(production, at_us=at_us, environment="production"),
        ]

    rows = [*spent("8", "10", day(2026, 8)), *spent("1", "10", SEPTEMBER)]
    flag = report(asking(a_ledger(rows), YEAR, now_us=SEPTEMBER + DAY_US)).flag("development_ratio")
    assert flag is not None
    assert "In 2026-08 development costs 1:1.25" in flag.text
    assert report(asking(a_ledger(rows), YEAR, now_us=day(2026, 10))).flag("development_ratio") is None


# ── annotations ─────────────────────────────────────────────────────────────────────────────────


def an_annotation(feature: str = SHIPPED_FEATURE, **changes: object) -> Annotation:
    facts = {
        "starts": date(2026, 8, 20), "ships": date(2026, 9, 1), "until": date(2026, 9, 1), "note": "",
        "by": "ana", "at_us": day(2026, 8, 20),
    }  # fmt: skip
    return new_annotation(feature=feature, **(facts | changes))  # type: ignore[arg-type]


def elevated(store: Store, days: int) -> Level | None:
    """How loud the flag is, so many days after the feature shipped."""
    span = last_months(12, SHIPPED_AT_US + days * DAY_US)
    flag = report(asking(store, span, now_us=SHIPPED_AT_US + days * DAY_US)).flag("development_elevated")
    return flag.level if flag else None


def test_what_stays_dear_after_a_feature_shipped_is_amber_on_day_15_and_red_on_day_22(shipped: Store) -> None:
    shipped.annotate(an_annotation())
    assert [elevated(shipped, days) for days in (13, 14, 15, 21, 22, 24)] == [
        None, None, Level.WARNING, Level.WARNING, Level.ALARM, Level.ALARM,
    ]  # fmt: skip
    assert elevated(shipped, 29) is None  # five of the last seven days are as before


def test_the_flag_tells_the_baseline_and_the_feature(shipped: Store) -> None:
    shipped.annotate(an_annotation())
    span = last_months(12, SHIPPED_AT_US + 22 * DAY_US)
    sheet = report(asking(shipped, span, now_us=SHIPPED_AT_US + 22 * DAY_US))
    flag = sheet.flag("development_elevated")
    assert flag is not None
    assert flag.text == (
        "checkout shipped 22 days ago, and development still costs $140.00 a week, against $70.00 before "
        "(median of 6 weeks)."
    )
    (row,) = rows_of(sheet, "annotations")
    assert (row["times_baseline"], row["state"]) == (Fraction(2), "elevated too long")


def test_nothing_is_flagged_while_an_annotation_is_valid() -> None:
    store = a_ledger(g5())
    store.annotate(an_annotation(until=date(2026, 9, 30)))
    assert [elevated(store, days) for days in (15, 22)] == [None, None]
    (row,) = rows_of(report(asking(store, MONTH, now_us=SHIPPED_AT_US + 22 * DAY_US)), "annotations")
    assert row["state"] == "accepted"


def test_without_an_annotation_nobody_knows_what_shipped() -> None:
    assert elevated(a_ledger(g5()), 22) is None


def a_flagged_month() -> Store:
    september = day(2026, 9)
    production = a_call_of(at_us=september, environment="production")
    return a_ledger([a_call_of("0.51", at_us=september), production])


def test_an_annotation_mutes_the_ratio_until_it_expires() -> None:
    store = a_ledger(
        [a_call_of("0.51", at_us=day(2026, 9)), a_call_of(at_us=day(2026, 9), environment="production")]
    )
    store.annotate(an_annotation("search", until=date(2026, 9, 20)))

    def flags(now_us: int) -> list[str]:
        return [flag.name for flag in report(asking(store, MONTH, now_us=now_us)).flags]

    assert flags(day(2026, 9, 19)) == ["development_ratio_accepted", "nonproduction_share"]
    assert flags(day(2026, 9, 20)) == ["development_ratio", "nonproduction_share"]
    assert flags(day(2026, 10, 20)) == ["development_ratio", "nonproduction_share"]


def test_a_month_that_was_accepted_to_its_end_stays_accepted() -> None:
    store = a_ledger(
        [a_call_of("0.51", at_us=day(2026, 9)), a_call_of(at_us=day(2026, 9), environment="production")]
    )
    store.annotate(an_annotation("search", until=date(2026, 10, 2)))
    flag = report(asking(store, MONTH, now_us=day(2026, 11))).flag("development_ratio_accepted")
    assert flag is not None
    assert flag.text.endswith("accepted until 2026-10-02 for search.")


def test_a_feature_is_being_built_until_it_ships(shipped: Store) -> None:
    store = a_ledger(g5())
    store.annotate(an_annotation(ships=date(2026, 9, 10), until=date(2026, 9, 24)))
    (row,) = rows_of(report(asking(store, MONTH, now_us=day(2026, 9, 2))), "annotations")
    assert (row["state"], row["days_since_ship"]) == ("being built", 0)


def test_without_a_call_before_it_there_is_no_baseline() -> None:
    store = a_ledger([a_call_of("5", at_us=SEPTEMBER)])
    store.annotate(an_annotation())
    (row,) = rows_of(report(asking(store, MONTH, now_us=day(2026, 9, 25))), "annotations")
    assert (row["state"], row["baseline_week_nanodollars"]) == ("no baseline", None)


def test_what_was_said_last_counts_and_can_be_ended() -> None:
    store = a_ledger()
    store.annotate(an_annotation("a", until=date(2026, 9, 5), at_us=1))
    store.annotate(an_annotation("a", until=date(2026, 9, 9), at_us=2))
    assert [one.until_us for one in in_force(store.annotations())] == [day(2026, 9, 9)]
    (ended,) = end_annotations(store, "a", by="ben", note="done", at_us=day(2026, 9, 2))
    assert (ended.until_us, ended.by, ended.note) == (day(2026, 9, 2), "ben", "done")
    assert end_annotations(store, "a", by="ben", note="", at_us=day(2026, 9, 3)) == []


def test_an_annotation_lasts_two_weeks_after_its_feature_ships() -> None:
    assert an_annotation(until=None).until_us == day(2026, 9, 15)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"feature": " "}, "name the feature"),
        ({"feature": "x" * 201}, "at most 200 letters"),
        ({"note": "\ud800"}, "reason must be text"),
        ({"ships": date(2026, 8, 1)}, "before work on it starts"),
        ({"until": date(2026, 8, 1)}, "expire (2026-08-01) before"),
        ({"starts": date(1999, 1, 1)}, "from 2000 to 2200"),
    ],
)
def test_an_annotation_that_is_not_clear_is_not_kept(changes: dict[str, object], said: str) -> None:
    with pytest.raises(BadAnnotation, match=re.escape(said)):
        an_annotation(**changes)  # type: ignore[arg-type]
