"""What a provider exports and what the ledger says: the same to the token, or a line with its cause."""

import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farthing.reports.reconcile_line import Cause, Line
from tests.reports.bills import (
    DAY_US,
    HOUR_US,
    MONDAY,
    MONDAY_US,
    SECOND_US,
    Billed,
    Bills,
    Desk,
    Json,
    anthropic_costs,
    anthropic_usage,
    changed,
    openai_costs,
    openai_page,
    openai_usage,
)

PAIRS = {"key_alice": "alice", "key_bob": "bob"}
MIDNIGHT_US = MONDAY_US + DAY_US
WEEK = Bills().week()  # for tests that only read it


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Three days of two providers, on both sides alike."""
    return Desk(tmp_path, Bills().week())


def only(lines: list[Line]) -> tuple[Line, Cause]:
    """The one line that differs, and its one cause."""
    (line,) = lines
    (cause,) = line.causes
    return line, cause


# ── agreement ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("keys", [{}, PAIRS], ids=["keys in sum", "keys paired"])
@pytest.mark.parametrize(
    "by", [("day", "model", "key"), ("day",), ("model",), ("day", "model")], ids="+".join
)
def test_what_both_sides_have_agrees(desk: Desk, keys: dict[str, str], by: tuple[str, ...]) -> None:
    compared = desk.compare(*desk.everything(), keys=keys, by=by)

    assert [one.provider for one in compared] == ["openai", "anthropic"]
    assert all(one.agrees and one.lines for one in compared)


def test_quantities_are_fresh_cached_written_and_output_and_they_are_all_compared(desk: Desk) -> None:
    openai, anthropic = desk.compare(*desk.everything())

    figures = {figure.name for line in openai.lines for figure in line.figures}
    assert figures == {"requests", "fresh_input", "cached_read", "cached_write", "output_tokens", "cost"}
    figures = {figure.name for line in anthropic.lines for figure in line.figures}
    assert "requests" not in figures  # the report of Anthropic does not count them
    line = next(line for line in openai.lines if (line.day, line.model) == (MONDAY, "gpt-4o"))
    told = {figure.name: figure.theirs for figure in line.figures}
    assert (told["requests"], told["fresh_input"], told["cached_read"]) == (6, 6_015, 1_920)


def test_answers_from_our_cache_and_calls_that_were_never_connected_are_not_compared(desk: Desk) -> None:
    desk.bills.from_the_cache(MONDAY_US)
    one = desk.bills.billed[0]
    desk.bills.never_connected(one)

    assert desk.differing(*desk.everything()) == []


def test_calls_that_the_provider_answered_with_an_error_are_not_counted(desk: Desk) -> None:
    one = changed(desk.bills.billed[0], at_us=MONDAY_US + HOUR_US)
    for _ in range(2):
        desk.bills.ours(one, served="gpt-4o", key="alice", status=429, used=False)

    openai, _ = desk.compare(*desk.everything())

    assert openai.agrees
    assert sum(line.failed for line in openai.lines) == 2


def test_costs_alone_and_quantities_alone_can_be_compared(desk: Desk) -> None:
    usage, costs, *_ = desk.everything()

    for document, figures in ((usage, 5), (costs, 1)):
        (compared,) = desk.compare(document)
        assert compared.agrees
        assert {len(line.figures) for line in compared.lines} == {figures}


def test_rounding_is_no_difference_and_a_nanodollar_more_than_rounding_is_one(desk: Desk) -> None:
    costs = openai_costs(desk.bills.billed)
    exact = desk.compare(costs)[0]
    for bucket in costs["data"]:
        for row in bucket["results"]:
            row["amount"]["value"] = round(row["amount"]["value"], 4)

    rounded = desk.compare(costs)[0]

    assert rounded.half_unit == Fraction(50_000)
    assert rounded.agrees
    assert any(line.cost_difference for line in rounded.lines)
    assert not desk.compare(costs, tolerance=0)[0].agrees
    assert exact.half_unit < 1_000


# ── one thing changed at a time ─────────────────────────────────────────────────────────────────


def test_a_single_call_that_the_file_lacks_is_named_by_its_id(desk: Desk) -> None:
    line, cause = only(desk.differing(*desk.everything(lambda billed: billed[:9] + billed[10:])))

    assert (line.day, line.model) == (MONDAY, "gpt-4o")
    assert (cause.name, cause.exact) == ("lacking", True)
    assert "call_0010 (2026-11-02T09:30:00Z)" in cause.text
    assert {figure.name: figure.difference for figure in line.differences}["requests"] == -1


def test_a_call_that_the_provider_has_twice_is_a_retry(desk: Desk) -> None:
    line, cause = only(desk.differing(*desk.everything(lambda billed: [*billed, billed[9]])))

    assert (line.model, cause.name, cause.exact) == ("gpt-4o", "retry", True)
    assert "call_0010" in cause.text


@pytest.mark.parametrize("seconds_before_midnight", [1, 30, 300])
def test_a_call_at_midnight_is_found_on_both_days(desk: Desk, seconds_before_midnight: int) -> None:
    call_id = desk.bills.call(MIDNIGHT_US - seconds_before_midnight * SECOND_US, served="gpt-4o", fresh=4_321)

    def move(billed: list[Billed]) -> list[Billed]:
        return [*billed[:-1], changed(billed[-1], at_us=MIDNIGHT_US + SECOND_US)]

    before, after = desk.differing(*desk.everything(move))

    assert (before.day, after.day) == (MONDAY, MONDAY + 1)
    for line in (before, after):
        (cause,) = line.causes
        assert (cause.name, cause.exact) == ("midnight", True)
        assert call_id in cause.text
    assert before.cost_difference == -after.cost_difference


def test_a_call_before_midnight_that_is_on_neither_day_is_not_called_a_matter_of_midnight(desk: Desk) -> None:
    call_id = desk.bills.call(MIDNIGHT_US - SECOND_US, served="gpt-4o", fresh=4_321)

    _, cause = only(desk.differing(*desk.everything(lambda billed: billed[:-1])))

    assert cause.name == "lacking"
    assert call_id in cause.text


def test_a_batch_beside_farthing_is_told_apart(desk: Desk) -> None:
    batch = changed(desk.bills.billed[0], tier="batch", requests=7, fresh=99, cost_times=Fraction(1, 2))

    line, cause = only(desk.differing(*desk.everything(lambda billed: [*billed, batch])))

    assert (cause.name, cause.exact) == ("batch", True)
    assert "7 requests through the batch API" in cause.text
    assert line.quantity_difference.requests == 7


def test_the_same_calls_at_another_service_tier_cost_something_else(desk: Desk) -> None:
    def flex(billed: list[Billed]) -> list[Billed]:
        return [
            changed(one, tier="flex", cost_times=Fraction(1, 2)) if one.model.startswith("gpt-4o-2") else one
            for one in billed
        ]

    lines = desk.differing(*desk.everything(flex))

    assert [line.model for line in lines] == ["gpt-4o"] * 3
    for line in lines:
        (cause,) = line.causes
        assert cause.name == "service_tier"
        assert "billed there as flex, 50.0 % of ours" in cause.text
        assert [figure.name for figure in line.differences] == ["cost"]


def test_a_discount_on_the_same_quantities_is_another_price(desk: Desk) -> None:
    def discount(billed: list[Billed]) -> list[Billed]:
        return [changed(one, cost_times=Fraction(9, 10)) for one in billed]

    lines = desk.differing(*desk.everything(discount))

    assert {cause.name for line in lines for cause in line.causes} == {"price"}
    assert all("at another price, 90.0 % of ours" in line.causes[0].text for line in lines)
    assert len(lines) == 9


def test_calls_booked_at_a_price_that_the_book_has_mended_since_are_told(desk: Desk) -> None:
    one = changed(desk.bills.billed[0], at_us=MONDAY_US + HOUR_US, model="gpt-4.1-2025-04-14")
    desk.bills.billed.append(one)
    desk.bills.ours(one, served="gpt-4.1", key="alice", cost_percent=80)

    line, cause = only(desk.differing(*desk.everything()))

    assert (line.model, cause.name) == ("gpt-4.1", "price")
    assert "theirs, $0.0044, is what the price book says now" in cause.text
    assert "booked at $0.00352" in cause.text


def test_a_model_that_nobody_called_here_is_outside_of_farthing(desk: Desk) -> None:
    other = changed(desk.bills.billed[0], model="gpt-4.1-2025-04-14")

    line, cause = only(desk.differing(*desk.everything(lambda billed: [*billed, other])))

    assert (line.model, cause.name) == ("gpt-4.1", "outside")
    assert "nobody called this here" in cause.text


def test_more_use_of_a_model_than_went_through_here_is_outside_of_farthing(desk: Desk) -> None:
    other = changed(desk.bills.billed[0], fresh=31_415, requests=3)

    _, cause = only(desk.differing(*desk.everything(lambda billed: [*billed, other])))

    assert cause.name == "outside"
    assert not cause.exact


def test_a_key_of_theirs_that_is_paired_with_none_of_ours_is_told(desk: Desk) -> None:
    other = changed(desk.bills.billed[0], key="key_of_a_stranger", fresh=31_415)
    usage, costs, *_ = desk.everything(lambda billed: [*billed, other])

    line, cause = only(desk.differing(usage, costs, keys=PAIRS))

    assert (line.key, cause.name) == ("key_of_a_stranger", "unknown_key")
    assert "name the pair with --key" in cause.text


def test_pairs_for_one_provider_do_not_tell_apart_the_keys_of_another(desk: Desk) -> None:
    usage, *_ = desk.everything()
    claude = anthropic_usage([changed(one, key=f"apikey_{one.key}") for one in desk.bills.billed])

    openai, anthropic = desk.compare(usage, claude, keys=PAIRS)

    assert openai.agrees
    assert {line.key for line in openai.lines} == {"alice", "bob"}
    assert openai.keys_paired
    assert anthropic.agrees
    assert {line.key for line in anthropic.lines} == {None}
    assert not anthropic.keys_paired


def test_one_key_by_two_names_is_recognised(desk: Desk) -> None:
    usage, costs, *_ = desk.everything()

    lines = desk.differing(usage, costs, keys={"key_alice": "alice"})

    assert {(line.key, cause.name) for line in lines for cause in line.causes} == {
        ("bob", "other_name"),
        ("key_bob", "other_name"),
    }


def test_one_model_by_two_names_is_recognised(desk: Desk) -> None:
    def rename(billed: list[Billed]) -> list[Billed]:
        return [changed(one, key="") for one in billed if one.provider == "openai"]

    usage = openai_usage(rename(desk.bills.billed))
    for bucket in usage["data"]:
        for row in bucket["results"]:
            row["model"] = row["model"].replace("gpt-4o-mini-2024-07-18", "our-tuned-model")

    lines = desk.differing(usage)

    assert {(line.model, line.causes[0].name) for line in lines} == {
        ("gpt-4o-mini", "other_name"),
        ("our-tuned-model", "other_name"),
    }


def test_calls_assumed_here_that_were_not_billed_there_are_named(desk: Desk) -> None:
    one = changed(desk.bills.billed[0], at_us=MONDAY_US + HOUR_US, fresh=777)
    call_id = desk.bills.ours(one, served="gpt-4o", key="alice", assumed=True)

    line, cause = only(desk.differing(*desk.everything()))

    assert (cause.name, cause.exact) == ("assumed", True)
    assert call_id in cause.text
    assert "cut_short" in cause.text
    assert line.cost_difference < 0


def test_a_call_of_unknown_usage_stands_here_at_its_ceiling_and_there_at_the_truth(desk: Desk) -> None:
    one = changed(desk.bills.billed[0], at_us=MONDAY_US + HOUR_US, fresh=777)
    desk.bills.billed.append(one)
    desk.bills.ours(one, served="gpt-4o", key="alice", assumed=True, used=False)

    line, cause = only(desk.differing(*desk.everything()))

    assert (cause.name, cause.exact) == ("assumed", False)
    assert line.quantity_difference.requests == 0
    assert "theirs is the true figure" in cause.text


def test_calls_dropped_here_that_did_reach_the_provider_are_told(desk: Desk) -> None:
    one = changed(desk.bills.billed[0], at_us=MONDAY_US + HOUR_US, fresh=777)
    desk.bills.never_connected(one)

    (line,) = desk.differing(*desk.everything(lambda billed: [*billed, one]))

    assert [cause.name for cause in line.causes] == ["void", "outside"]


def test_a_cost_that_belongs_to_no_model_is_compared_by_the_day(desk: Desk) -> None:
    costs = openai_costs(desk.bills.billed, extra=[(MONDAY, "web search tool calls", "0.25")])

    (line,) = desk.differing(costs)

    assert (line.day, line.model) == (MONDAY, None)
    assert line.cost_difference in range(249_999_000, 250_001_000)
    assert "billed_apart" in [cause.name for cause in line.causes]
    assert "web search tool calls" in line.causes[0].text


def test_a_day_that_is_not_over_says_so(desk: Desk) -> None:
    now_us = MONDAY_US + 2 * DAY_US + HOUR_US

    line, *_ = desk.differing(*desk.everything(lambda billed: billed[:-3]), now_us=now_us)

    assert line.provisional
    assert line.causes[0].name == "day_not_over"


def test_open_calls_make_a_line_provisional(desk: Desk) -> None:
    desk.bills.still_open(MONDAY_US + HOUR_US)

    line, *_ = desk.differing(*desk.everything(lambda billed: billed[1:]))

    assert [cause.name for cause in line.causes] == ["open_calls", "lacking"]


def test_a_day_that_no_file_covers_is_not_compared(desk: Desk) -> None:
    desk.bills.ours(changed(desk.bills.billed[0], at_us=MONDAY_US + 9 * DAY_US), served="gpt-4o", key="alice")

    assert desk.differing(*desk.everything()) == []


def test_hours_before_the_first_bucket_are_not_compared(desk: Desk) -> None:
    bills = desk.bills
    late = [one for one in bills.billed if one.at_us >= MONDAY_US + 12 * HOUR_US]
    usage = openai_usage(late)
    usage["data"][0]["start_time"] += 12 * 3_600

    assert desk.differing(usage) == []


def test_buckets_of_an_hour_are_days_in_sum(desk: Desk) -> None:
    pages = []
    for day in range(3):
        data = []
        for hour in range(24):
            since_us = MONDAY_US + day * DAY_US + hour * HOUR_US
            inside = [one for one in desk.bills.billed if 0 <= one.at_us - since_us < HOUR_US]
            usage = openai_usage([changed(one, at_us=MONDAY_US) for one in inside])
            bucket = usage["data"][0]
            bucket |= {"start_time": since_us // SECOND_US, "end_time": (since_us + HOUR_US) // SECOND_US}
            data.append(bucket)
        pages.append({"object": "page", "data": data, "has_more": day < 2, "next_page": None})

    (compared,) = desk.compare(*pages)

    assert compared.agrees
    assert {line.day for line in compared.lines} == {MONDAY, MONDAY + 1, MONDAY + 2}


def test_other_endpoints_are_counted_and_shown_apart(desk: Desk) -> None:
    searches = openai_page(
        [
            (
                MONDAY,
                [
                    {
                        "object": "organization.usage.web_searches.result",
                        "num_requests": 9,
                        "num_model_requests": 3,
                    }
                ],
            )
        ]
    )
    usage, *_ = desk.everything()

    (compared,) = desk.compare(usage, searches)

    assert compared.agrees
    assert compared.apart == {"web searches": 9}


def test_images_are_compared_by_their_requests(desk: Desk) -> None:
    row: Json = {"object": "organization.usage.images.result", "images": 2, "num_model_requests": 2}
    images = openai_page([(MONDAY, [row | {"model": "gpt-image-1"}])])
    usage, *_ = desk.everything()

    line, cause = only(desk.differing(usage, images))

    assert (line.model, cause.name) == ("gpt-image-1", "outside")
    assert [(figure.name, figure.theirs) for figure in line.differences] == [("requests", 2)]


def test_cache_writes_that_are_not_told_apart_are_fresh_input(desk: Desk) -> None:
    desk.bills.call(MONDAY_US + HOUR_US, served="gpt-4o", written=640)
    usage = openai_usage(desk.bills.billed)
    for bucket in usage["data"]:
        for row in bucket["results"]:
            del row["input_cache_write_tokens"]

    assert desk.differing(usage) == []


def test_both_providers_together_know_their_own_rows(desk: Desk) -> None:
    billed = [one for one in desk.bills.billed if one.provider == "anthropic"][1:]

    lines = desk.differing(anthropic_usage(billed), anthropic_costs(billed), *desk.everything()[:2])

    assert {line.provider for line in lines} == {"anthropic"}
    (line,) = lines
    assert line.model == "claude-haiku-4-5"
    assert line.causes[0].name == "lacking"


@given(
    lacking=st.sets(st.integers(0, 53), max_size=8),
    twice=st.sets(st.integers(0, 53), max_size=8),
    keys=st.sampled_from([{}, PAIRS]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_exactly_the_days_and_models_that_were_changed_differ(
    lacking: set[int], twice: set[int], keys: dict[str, str], tmp_path: Path
) -> None:
    desk = Desk(tmp_path, WEEK)
    books = desk.bills.billed
    billed = [one for number, one in enumerate(books) if number not in lacking]
    billed += [books[number] for number in sorted(twice - lacking)]
    changes = [books[number] for number in lacking | twice]

    lines = desk.differing(*desk.everything(lambda _: billed), keys=keys)

    differing = {(line.day, line.provider, line.model) for line in lines}
    assert len(differing) == len({(one.at_us // DAY_US, one.model) for one in changes})
    assert {place[:2] for place in differing} == {(one.at_us // DAY_US, one.provider) for one in changes}
    assert all(line.causes for line in lines)


def test_every_cause_is_described() -> None:
    root = Path(__file__).parents[2]
    source = (root / "src" / "farthing" / "reports" / "reconcile_causes.py").read_text("utf-8")
    causes = {*re.findall(r'name="(\w+)"', source), "batch"}
    described = (root / "docs" / "reports.md").read_text("utf-8")

    assert len(causes) > 10
    assert sorted(cause for cause in causes if f"`{cause}`" not in described) == []
