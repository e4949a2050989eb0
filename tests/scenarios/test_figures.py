"""Every figure of the scenario sets G1 to G14, read from the JSON of a report, as a program reads it."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

import pytest

from farthing.ledger.memory import MemoryStore
from farthing.ledger.store import Store
from farthing.prices.book import load_book
from farthing.reports.annotations import new_annotation
from farthing.reports.asking import Question
from farthing.reports.catalog import BY_NAME
from farthing.reports.sheet_json import sheet_json
from farthing.reports.spans import Span
from farthing.reports.spend import complete_spend
from farthing.scenarios.moments import (
    DAY_US,
    MONTH_ENDS_AT_US,
    MONTH_STARTS_AT_US,
    WEEK_STARTS_AT_US,
    day,
)
from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_environments import SHIPPED_AT_US, SHIPPED_FEATURE, g1, g4, g5, g6, g9
from farthing.scenarios.seeds_limits import g7, g11, g13, g14
from farthing.scenarios.seeds_models import g8, g10
from farthing.scenarios.seeds_people import CHANGED_AT_US, CHANGES, g2, g3, g12, g12_change
from farthing.scenarios.writing import write
from tests.scenarios.conftest import Written

MONTH = Span(MONTH_STARTS_AT_US, MONTH_ENDS_AT_US)
DOLLAR = 1_000_000_000
CENT = 10_000_000

Document = dict[str, Any]


def told(
    store: Store, report: str, span: Span = MONTH, *, now_us: int | None = None, **more: Any
) -> Document:
    """What a report says of a ledger once the span is over, as JSON."""
    asked = Question(store=store, span=span, now_us=now_us or span.until_us, prices=load_book(), **more)
    document = json.loads(sheet_json(BY_NAME[report].build(asked)))
    assert isinstance(document, dict)
    return document


def rows(document: Document, table: str, column: str, by: str = "environment") -> dict[str, Any]:
    """One column of a table."""
    return {row[by]: row[column] for row in document["tables"][table]["rows"]}


def flags(document: Document) -> set[str]:
    return {flag["name"] for flag in document["flags"]}


# ── G1: a month of three environments ───────────────────────────────────────────────────────────


def test_g1_environments(written: Written) -> None:
    document = told(written("G1", g1), "environments")

    assert rows(document, "split", "cost_nanodollars") == {
        "development": 202 * DOLLAR + 50 * CENT,
        "staging": 72 * DOLLAR,
        "production": 360 * DOLLAR,
    }
    assert {name: round(share, 1) for name, share in rows(document, "split", "cost_percent").items()} == {
        "development": 31.9,
        "staging": 11.3,
        "production": 56.7,
    }
    assert rows(document, "split", "calls_of_production_percent")["development"] == 7.5
    assert rows(document, "split", "cost_of_production_percent")["development"] == 56.25
    assert rows(document, "calls", "times_production")["development"] == 7.5
    assert rows(document, "calls", "cache_hit_percent") == {
        "development": 0,
        "staging": 15,
        "production": 65,
    }
    assert document["notes"] == ["Outside production: 43.3 % of the cost."]


def test_g1_ratio(written: Written) -> None:
    document = told(written("G1", g1), "ratio")

    (month,) = document["tables"]["months"]["rows"]
    assert (month["development_to_production"], month["band"]) == ("1:1.78", "flagged")
    assert round(month["nonproduction_percent"], 1) == 43.3
    assert {"development_ratio", "nonproduction_share"} <= flags(document)


@pytest.mark.parametrize(
    ("profile", "costs", "ratio", "nonproduction_percent"),
    [
        (
            "launch",
            (202 * DOLLAR + 50 * CENT, 74 * DOLLAR + 80 * CENT, 346 * DOLLAR + 50 * CENT),
            "1:1.71",
            44.5,
        ),
        ("live", (120 * DOLLAR, 44 * DOLLAR + 20 * CENT, 12_285_000_000), "9.8:1", 93.0),
    ],
)
def test_g1_at_other_prices(
    profile: str, costs: tuple[int, ...], ratio: str, nonproduction_percent: float
) -> None:
    store = MemoryStore()
    write(one_in(100, g1(profile)), store)

    split = rows(told(store, "environments"), "split", "cost_nanodollars")
    assert tuple(100 * split[name] for name in ("development", "staging", "production")) == costs
    (month,) = told(store, "ratio")["tables"]["months"]["rows"]
    assert month["development_to_production"] == ratio
    assert round(month["nonproduction_percent"], 1) == nonproduction_percent


def one_in(so_many: int, calls: Iterable[Row]) -> Iterator[Row]:
    """Every hundredth call of a kind: all calls of a kind cost the same, so the sums are a hundredth."""
    seen = Counter[tuple[str, bool]]()
    for row in calls:
        kind = row.environment, row.cached
        seen[kind] += 1
        if seen[kind] % so_many == 0:
            yield row


# ── G2, G3, G12: people ─────────────────────────────────────────────────────────────────────────


def test_g2_alice_has_used_up_her_budget_and_the_others_have_not(written: Written) -> None:
    document = told(written("G2", g2), "developers")

    left = rows(document, "developers", "remaining_nanodollars", by="developer")
    assert left.pop("alice") == 0
    assert set(left.values()) == {142 * DOLLAR}
    alice = document["tables"]["developers"]["rows"][0]
    assert (alice["calls"], alice["cost_nanodollars"], alice["refused_at_limit"]) == (18_750, 150 * DOLLAR, 1)
    assert [flag["name"] for flag in document["flags"]] == ["developer_budget_spent"]
    production = rows(told(written("G2", g2), "environments"), "calls", "refused")["production"]
    assert production == 0


def test_g3_engineer_b_the_model_the_saving_and_the_line_that_brings_it(written: Written) -> None:
    week = Span(WEEK_STARTS_AT_US, WEEK_STARTS_AT_US + 7 * DAY_US)
    document = told(written("G3", g3), "models", week)

    (row,) = document["tables"]["avoidable"]["rows"]
    assert (row["developer"], row["model"], row["cheaper_model"]) == ("engineer-b", "gpt-4o", "gpt-4o-mini")
    assert (row["cost_nanodollars"], row["cost_there_nanodollars"]) == (19_152_000_000, 1_149_120_000)
    assert row["avoidable_nanodollars"] == 18_002_880_000
    (flag,) = document["flags"]  # nobody else is flagged
    assert flag["name"] == "premium_in_development"
    assert "$19.15" in flag["text"] and "$1.15" in flag["text"] and "$18.00 avoidable" in flag["text"]
    assert "downgrade: {gpt-4o: gpt-4o-mini}" in flag["fix"]


def test_g3_the_weekly_sheet_says_the_same(written: Written) -> None:
    week = Span(WEEK_STARTS_AT_US, WEEK_STARTS_AT_US + 7 * DAY_US)
    document = told(written("G3", g3), "weekly", week)

    (row,) = document["tables"]["avoidable"]["rows"]
    assert (row["developer"], row["model"], row["avoidable_nanodollars"]) == (
        "engineer-b", "gpt-4o", 18_002_880_000,
    )  # fmt: skip
    (flag,) = document["flags"]
    assert "engineer-b" in flag["text"] and "$18.00 avoidable" in flag["text"]
    assert "downgrade: {gpt-4o: gpt-4o-mini}" in flag["fix"]


@pytest.mark.parametrize(("vector", "dollars"), [("low", 3_990), ("high", 16_800)])
def test_g12_a_team_for_21_days(vector: str, dollars: int) -> None:
    store = MemoryStore()
    write(g12(vector), store)

    document = told(store, "developers", Span(day(2026, 8), day(2026, 9)))

    costs = rows(document, "developers", "cost_nanodollars", by="developer")
    assert set(costs.values()) == {dollars * DOLLAR // 5}
    assert document["tables"]["developers"]["total"]["cost_nanodollars"] == dollars * DOLLAR


@pytest.mark.parametrize(
    ("vector", "saved_percent"),
    [("low", (86.8, 73.3, 87.5, 85.0)), ("high", (90.6, 83.3, 91.4, 88.2))],
)
def test_g12_what_rules_saved(vector: str, saved_percent: tuple[float, ...]) -> None:
    store = MemoryStore()
    write(g12_change(vector), store)

    document = told(store, "impact", Span(day(2026, 8), day(2026, 10)), at_us=CHANGED_AT_US)

    saved = {
        row["environment"]: (row["before_nanodollars"], row["after_nanodollars"], row["saved_percent"])
        for row in document["tables"]["money"]["rows"]
        if row["measure"] == "cost"
    }
    lines = ("development", "staging", "ci", "team")
    assert tuple(round(saved[line][2], 1) for line in lines) == saved_percent
    assert [saved[line][:2] for line in lines] == [
        (before * DOLLAR, after * DOLLAR) for before, after in CHANGES[vector].values()
    ]


# ── G4, G5, G6, G9: over months ─────────────────────────────────────────────────────────────────


def test_g4_bands_and_the_reversal_of_the_last_month(written: Written) -> None:
    document = told(written("G4", g4), "ratio", Span(day(2026, 3), day(2026, 10)))

    months = document["tables"]["months"]["rows"]
    assert [row["development_of_production_percent"] for row in months] == [
        56.25, 48, 41, 34, 28, 24, 33,
    ]  # fmt: skip
    assert [row["band"] for row in months] == [
        "flagged", "watch", "watch", "watch", "healthy", "healthy", "healthy",
    ]  # fmt: skip
    assert [row["trend"] for row in months] == [None, *["falls"] * 5, "reversal"]
    (flag,) = document["flags"]
    assert flag["name"] == "ratio_reversal"
    assert "developer bob by $32.40" in flag["text"]


@pytest.mark.parametrize(("days", "level"), [(14, None), (15, "warning"), (21, "warning"), (22, "alarm")])
def test_g5_amber_on_day_15_and_red_on_day_22(written: Written, days: int, level: str | None) -> None:
    assert elevated(written("G5 annotated", g5), until=date(2026, 9, 1), days=days) == level


@pytest.mark.parametrize("days", [15, 22])
def test_g5_nothing_while_an_annotation_is_valid(written: Written, days: int) -> None:
    assert elevated(written("G5 accepted", g5), until=date(2026, 9, 30), days=days) is None


def elevated(store: Store, *, until: date, days: int) -> str | None:
    """The level of the flag so many days after the feature shipped."""
    if not store.annotations():
        annotation = new_annotation(
            feature=SHIPPED_FEATURE, starts=date(2026, 8, 20), ships=date(2026, 9, 1), until=until, note="",
            by="ana", at_us=day(2026, 8, 20),
        )  # fmt: skip
        store.annotate(annotation)
    now_us = SHIPPED_AT_US + days * DAY_US
    document = told(store, "ratio", Span(day(2026, 6), day(2026, 10)), now_us=now_us)
    levels = {flag["name"]: flag["level"] for flag in document["flags"]}
    return levels.get("development_elevated")


def test_g6_development_and_staging_are_half_as_much_again_as_production(written: Written) -> None:
    (month,) = told(written("G6", g6), "ratio")["tables"]["months"]["rows"]

    outside = month["development_cost_nanodollars"] + month["other_nonproduction_cost_nanodollars"]
    assert (outside, month["production_cost_nanodollars"]) == (4_500 * DOLLAR, 3_000 * DOLLAR)
    assert month["nonproduction_times_production"] == 1.5
    assert month["nonproduction_percent"] == 60


def test_g9_thirty_days_of_each_stage(written: Written) -> None:
    spent = complete_spend(written("G9", g9), ["label:stage"])

    assert {row.by["label:stage"]: 30 * row.cost_nanodollars for row in spent if row.calls} == {
        "pre-launch": 30 * DOLLAR,
        "beta": 3_750 * DOLLAR,
        "launch": 60_000 * DOLLAR,
        "growth": 525_000 * DOLLAR,
    }


# ── G7, G11, G13, G14: limits ───────────────────────────────────────────────────────────────────


def test_g7_a_storm_and_what_stops_it(written: Written) -> None:
    store = written("G7", g7)

    costs = rows(told(store, "runs"), "dearest", "cost_nanodollars", by="run")
    assert costs == {"storm": 750 * CENT, "one-dollar": 90 * CENT, "four-attempts": 60 * CENT}
    (incident,) = told(store, "caps")["tables"]["incidents"]["rows"]
    assert (incident["budget"], incident["incidents"], incident["month"]) == ("per-run", 1, "2026-09")


@pytest.mark.parametrize(("at_cap", "percent", "flagged"), [(51, 5.1, True), (50, 5, False)])
@pytest.mark.parametrize("refused", [0, 11])
def test_g11_more_than_one_in_twenty_at_the_cap_is_flagged(
    at_cap: int, percent: float, flagged: bool, refused: int
) -> None:
    store = MemoryStore()
    write(g11(at_cap, refused=refused), store)

    document = told(store, "caps")

    (row,) = document["tables"]["environments"]["rows"]
    assert (row["requests"], row["refused_at_cap"] + row["clamped"]) == (1_000, at_cap)
    assert row["cap_hit_percent"] == percent
    assert ("cap_hit_too_often" in flags(document)) is flagged


def test_g13_a_limit_for_everybody_is_not_passed(written: Written) -> None:
    store = written("G13", g13)

    (row,) = told(store, "environments")["tables"]["split"]["rows"]
    assert row["cost_nanodollars"] == 500 * DOLLAR
    (refusing,) = told(store, "caps")["tables"]["budgets"]["rows"]
    assert (refusing["budget"], refusing["refused_at_cap"]) == ("organization", 1)


def test_g14_the_cache_answers_four_of_five(written: Written) -> None:
    store = written("G14", g14)

    (row,) = told(store, "environments")["tables"]["calls"]["rows"]
    assert row["cache_hit_percent"] == 80
    assert row["avoided_nanodollars"] == 800 * 8_000_000
    (split,) = told(store, "environments")["tables"]["split"]["rows"]
    assert split["cost_nanodollars"] == 200 * 8_000_000


# ── G8, G10: models ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("flat", "short", "long"), [(True, CENT, 444_000_000), (False, 1_250_000, 55_500_000)]
)
def test_g8_a_long_context_costs_44_times_as_much(flat: bool, short: int, long: int) -> None:
    store = MemoryStore()
    write(g8(flat=flat), store)

    document = told(store, "percentiles")

    (row,) = document["tables"]["environments"]["rows"]
    assert (row["p50_nanodollars"], row["p99_nanodollars"]) == (short, long)
    assert row["p99_times_p50"] == 44.4
    tokens = rows(told(store, "tokens"), "tokens", "input_tokens_per_call", by="feature")
    assert tokens == {"short": 500, "long": 22_200}


def test_g10_ninety_nine_and_one_in_a_hundred(written: Written) -> None:
    document = told(written("G10", g10), "tiers")

    assert rows(document, "tiers", "calls_percent", by="price_tier") == {
        "cheap": 90,
        "middle": 9,
        "premium": 1,
    }
    assert rows(document, "instead", "saved_percent", by="model")["gpt-4o"] == 73.6
