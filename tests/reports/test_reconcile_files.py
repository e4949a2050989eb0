"""The files that providers export: every documented shape is read, and a bad one is told clearly."""

import csv
import io
import json
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from anthropic.types.beta.organization.beta_analytics_cost_bucketed_result import (
    BetaAnalyticsCostBucketedResult,
)
from anthropic.types.beta.organization.beta_analytics_usage_bucketed_result import (
    BetaAnalyticsUsageBucketedResult,
)
from openai.types.admin import organization
from openai.types.admin.organization import usage_costs_response

from farthing.reports import provider_anthropic, provider_openai
from farthing.reports.provider_files import read_files
from farthing.reports.provider_openai import documents_of_page, model_of_line_item
from farthing.reports.provider_rows import BadExport, Kind, day_text
from tests.reports.bills import (
    DAY_US,
    MONDAY,
    Billed,
    Bills,
    Desk,
    Json,
    anthropic_page,
    anthropic_usage,
    changed,
    in_dollars,
    openai_costs,
    openai_page,
    openai_usage,
)

OPENAI_USAGE = (
    "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,api_key_id,model,"
    "batch,service_tier,input_tokens,output_tokens,input_cached_tokens,input_uncached_tokens"
)
OPENAI_COSTS = (
    "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id,"
    "organization_id,organization_name"
)
ANTHROPIC_USAGE = (
    "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
    "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
    "usage_output_tokens,web_search_count,inference_geo,speed"
)
ANTHROPIC_COSTS = (
    "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,"
    "cost_type,inference_geo,speed,api_key_id,api_key_status"
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, Bills().week())


def table(headings: str, rows: Sequence[Sequence[object]], *, delimiter: str = ",") -> str:
    """A table as the consoles write it."""
    written = io.StringIO()
    writer = csv.writer(written, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(headings.split(","))
    writer.writerows(rows)
    return written.getvalue()


def openai_usage_table(billed: Sequence[Billed], **shape: str) -> str:
    """The table of completions usage, with counts as it writes them: 10.0."""
    rows: list[list[object]] = [[(MONDAY + 2) * 86_400, (MONDAY + 3) * 86_400, *[""] * 13]]
    for one in billed:
        if one.provider == "openai":
            start = one.at_us // DAY_US * 86_400
            rows.append(
                [start, start + 86_400, "", "", "proj_1", 1.0, "user-1", one.key, one.model, "FALSE",
                 "default", float(one.fresh + one.read), float(one.output), float(one.read), float(one.fresh)]
            )  # fmt: skip
    return table(OPENAI_USAGE, rows, **shape)


def openai_cost_table(billed: Sequence[Billed]) -> str:
    rows = []
    for one in billed:
        if one.provider == "openai":
            start = one.at_us // DAY_US * 86_400
            for name, amount in one.amounts.items():
                text = in_dollars(amount)
                rows.append(
                    [start, start + 86_400, "", "", text, "usd", f"{one.model}, {name}", "", "org-1", "Acme"]
                )
    return table(OPENAI_COSTS, rows)


def anthropic_usage_table(billed: Sequence[Billed]) -> str:
    return table(
        ANTHROPIC_USAGE,
        [
            [day_text(one.at_us // DAY_US), one.model, "dev-key", "Default", "standard", "≤ 200k", one.fresh,
             one.written, 0, one.read, one.output, 0, "not_available", ""]
            for one in billed if one.provider == "anthropic"
        ],
    )  # fmt: skip


def anthropic_cost_table(billed: Sequence[Billed]) -> str:
    """The table of costs, in cents, with the names that people read."""
    rows = []
    for one in billed:
        if one.provider == "anthropic":
            for name, amount in one.amounts.items():
                shown = round(Decimal(in_dollars(amount)), 2)
                rows.append(
                    [day_text(one.at_us // DAY_US), "Claude Haiku 4.5", "Default", "dev-key", "message",
                     "≤ 200k", name, shown, shown, "token", "global", "", "apikey_1", "active"]
                )  # fmt: skip
    return table(ANTHROPIC_COSTS, rows)


# ── what is read ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "write",
    [openai_usage_table, openai_cost_table, anthropic_usage_table, anthropic_cost_table],
    ids=["openai usage", "openai costs", "anthropic usage", "anthropic costs"],
)
def test_the_table_that_a_console_exports_agrees_with_the_ledger(desk: Desk, write: Any) -> None:
    assert desk.differing(write(desk.bills.billed)) == []
    assert desk.differing("\ufeff" + write(desk.bills.billed)) == []

    first, _, third = desk.bills.billed[:3]
    without = [one for one in desk.bills.billed if one not in (first, third)]
    cents_hide_it = write is anthropic_cost_table
    assert len(desk.differing(write(without))) == (0 if cents_hide_it else 1)


def test_a_table_with_tabs_is_read_too(desk: Desk) -> None:
    assert desk.differing(openai_usage_table(desk.bills.billed, delimiter="\t")) == []


def test_a_table_covers_the_days_between_its_first_and_its_last(desk: Desk) -> None:
    billed = [one for one in desk.bills.billed if one.at_us // DAY_US != MONDAY + 1]

    (line,) = desk.differing(anthropic_usage_table(billed))

    assert line.day == MONDAY + 1


def test_cents_of_a_table_may_be_rounded_in_every_row(desk: Desk) -> None:
    (compared,) = desk.compare(anthropic_cost_table(desk.bills.billed))

    assert compared.half_unit == 5_000_000
    assert compared.agrees


@pytest.mark.parametrize("join", ["\n", ",", ""])
def test_pages_may_stand_in_one_file(desk: Desk, join: str) -> None:
    pages = []
    for number in range(3):
        page = openai_usage(desk.bills.billed, has_more=number < 2)
        page["data"] = page["data"][number : number + 1]
        pages.append(json.dumps(page, indent=2))
    together = f"[{join.join(pages)}]" if join == "," else join.join(pages)

    assert desk.differing(together) == []


def test_a_last_page_without_rows_ends_the_export(desk: Desk) -> None:
    usage = openai_usage(desk.bills.billed, has_more=True)
    last = openai_page([(MONDAY + 3, [])])

    (compared,) = desk.compare(usage, last)

    assert compared.agrees
    assert list(compared.days[Kind.USAGE]) == [MONDAY, MONDAY + 1, MONDAY + 2, MONDAY + 3]


def test_an_analytics_cost_report_is_a_cost_report(desk: Desk) -> None:
    claude = [one for one in desk.bills.billed if one.provider == "anthropic"]
    bill = sum((amount for one in claude for amount in one.amounts.values()), Fraction())
    row = {
        "amount": in_dollars(bill * 100), "list_amount": "999", "currency": "USD", "requests": 18,
        "product": None, "model": None,
    }  # fmt: skip
    page = anthropic_page([(MONDAY, [row]), (MONDAY + 1, []), (MONDAY + 2, [])])

    assert desk.differing(page, by=("model",)) == []


@pytest.mark.parametrize(
    ("item", "model"),
    [
        ("gpt-4o-2024-08-06, input", "gpt-4o-2024-08-06"),
        ("gpt-4o-2024-08-06, cached input", "gpt-4o-2024-08-06"),
        ("gpt-6-astra, output_tokens", "gpt-6-astra"),
        ("web search tool calls", None),
        ("assistants api | file search", None),
        ("", None),
        (None, None),
    ],
)
def test_a_line_item_names_its_model_before_the_comma(item: str | None, model: str | None) -> None:
    assert model_of_line_item(item) == model


# ── what is not ─────────────────────────────────────────────────────────────────────────────────


def usage_with(**facts: Any) -> Json:
    """A page with one row that is changed."""
    row = {
        "object": "organization.usage.completions.result",
        "input_tokens": 10,
        "output_tokens": 5,
        "num_model_requests": 1,
    }
    return openai_page([(MONDAY, [row | facts])])


def cost_with(**amount: Any) -> Json:
    row = {"object": "organization.costs.result", "amount": {"value": 1.5, "currency": "usd"} | amount}
    return openai_page([(MONDAY, [row])])


BAD: dict[str, tuple[Json | str | bytes, str]] = {
    "nothing": ("", "is empty"),
    "blanks": (" \n ", "is empty"),
    "no JSON": ('{"data": [', "is not JSON"),
    "no JSON behind a page": (json.dumps(usage_with()) + "{oops", "is not JSON"),
    "a list of nothing": ("[1, 2", "is not JSON"),
    "too deep": ('{"data": ' * 20_000, "is not JSON"),
    "a deep list": ("[" * 20_000, "is not JSON"),
    "the year 1": ("usage_date_utc,model,cost_usd\r\n0001-01-01,m,1\r\n", "not between 2000 and 2200"),
    "a field without end": ("a" * 200_000, "field larger than field limit"),
    "no text": (b"\x00\xff\xfe", "neither JSON nor a table"),
    "no text in JSON": (b'{"data": "\xff"}', "no usage or cost export"),
    "another document": ({"choices": []}, "a list of buckets under the name data"),
    "another list": ({"data": [{"id": "model"}]}, "neither start_time"),
    "an answer that is an error": (
        {"error": {"message": "Missing scopes: api.usage.read"}},
        "Missing scopes",
    ),
    "no usage at all": (openai_page([(MONDAY, [])]), "no usage and no cost"),
    "no buckets": ({"data": [], "has_more": False}, "no usage and no cost"),
    "another type": (usage_with(input_tokens="many"), "$.data[0].results[0].input_tokens"),
    "a fraction of a token": (usage_with(input_tokens=1.5), "Expected `int | null`"),
    "a missing figure": (usage_with(input_tokens=None), "a row has no input_tokens"),
    "less than nothing": (usage_with(num_model_requests=-1), "num_model_requests cannot be -1"),
    "a huge number": (usage_with(output_tokens=10**40), "output_tokens cannot be 1000000"),
    "more cached than there was": (usage_with(input_cached_tokens=11), "fewer than the cached ones"),
    "an unknown endpoint": (usage_with(object="organization.usage.dreams.result"), "which is not known"),
    "another currency": (cost_with(currency="eur"), "the currency 'eur'"),
    "no currency": (cost_with(currency=None), "no currency"),
    "an endless amount": (cost_with(value=1e300), "is no amount of money"),
    "an amount beyond a ledger": (cost_with(value="99999999999"), "more than a ledger can hold"),
    "no number": (cost_with(value="NaN"), "is no amount of money"),
    "unknown headings": (
        "day,model,dollars\r\n2026-11-02,gpt-4o,1\r\n",
        "its headings are day, model, dollars",
    ),
    "headings without figures": (
        "start_time,end_time,start_time_iso,end_time_iso\r\n1,2,,\r\n",
        "its headings are start_time, end_time",
    ),
    "a line that is cut": (OPENAI_COSTS + "\r\n1793577600,17", "2 columns where the headings are 10"),
    "words for a number": (
        table(ANTHROPIC_COSTS, [["2026-11-02", "Claude", *[""] * 5, "much", *[""] * 6]]),
        "line 2: 'much' is no amount",
    ),
    "no date": (
        table(ANTHROPIC_COSTS, [["soon", "Claude", *[""] * 5, "1.00", *[""] * 6]]),
        "'soon' is no date",
    ),
    "an open quote": (f'{ANTHROPIC_COSTS}\r\n"2026-11-02', "unexpected end of data"),
}


@pytest.mark.parametrize(("document", "told"), BAD.values(), ids=BAD)
def test_a_bad_file_is_told_with_its_name_and_the_way_on(
    document: Json | str | bytes, told: str, desk: Desk
) -> None:
    path = desk.file(document)

    with pytest.raises(BadExport) as caught:
        read_files([path])

    assert path.name in caught.value.message
    assert told in f"{caught.value.message}\n{caught.value.why}"
    assert caught.value.fix


def test_two_currencies_are_refused(desk: Desk) -> None:
    costs = openai_costs(desk.bills.billed)
    costs["data"][1]["results"][0]["amount"]["currency"] = "eur"

    with pytest.raises(BadExport, match="the currency 'eur'"):
        desk.compare(costs)


def test_a_bucket_over_midnight_is_refused() -> None:
    page = usage_with()
    page["data"][0]["start_time"] -= 3_600

    with pytest.raises(BadExport, match="reaches over midnight"):
        documents_of_page(json.dumps(page).encode(), "usage.json")


def test_pages_that_miss_the_last_one_are_refused(desk: Desk) -> None:
    with pytest.raises(BadExport, match="not the whole of completions") as caught:
        desk.compare(openai_usage(desk.bills.billed, has_more=True))

    assert "next_page" in caught.value.fix


def test_the_same_page_given_twice_is_refused(desk: Desk) -> None:
    usage = openai_usage(desk.bills.billed)

    with pytest.raises(BadExport, match="is in two pages") as caught:
        desk.compare(usage, usage)

    assert "counted twice" in caught.value.why


def test_the_same_usage_broken_down_otherwise_is_refused(desk: Desk) -> None:
    coarse = openai_usage(desk.bills.billed)
    for bucket in coarse["data"]:
        for row in bucket["results"]:
            row["api_key_id"] = None

    with pytest.raises(BadExport, match="is in two pages"):
        desk.compare(openai_usage(desk.bills.billed), coarse)


def test_exports_of_two_keys_go_together(desk: Desk) -> None:
    alice = [one for one in desk.bills.billed if one.key == "key_alice"]
    bob = [one for one in desk.bills.billed if one.key == "key_bob"]

    assert desk.differing(openai_usage(alice), openai_usage(bob)) == []


def test_groups_that_share_their_members_are_refused(desk: Desk) -> None:
    usage = anthropic_usage([changed(one) for one in desk.bills.billed])
    usage["data"][0]["results"][0]["rbac_group_id"] = "rbac_group_1"

    with pytest.raises(BadExport, match="groups share"):
        desk.compare(usage)


def test_reading_tells_how_far_it_has_come(desk: Desk) -> None:
    rows = desk.bills.billed * 100
    heard: list[int] = []
    path = desk.file(openai_usage_table(rows))

    read_files([path], heard=heard.append)

    assert len(heard) == 3
    assert sum(heard) <= path.stat().st_size


# ── the shapes that the official clients know ───────────────────────────────────────────────────


def test_the_official_client_of_openai_reads_these_pages_and_knows_every_member_that_is_read(
    desk: Desk,
) -> None:
    billed = desk.bills.billed
    organization.UsageCompletionsResponse.model_validate(openai_usage(billed))
    organization.UsageCostsResponse.model_validate(openai_costs(billed))

    known: set[str] = set()
    for name in ("Completions", "Costs", "Images", "WebSearches", "FileSearches", "CodeInterpreterSessions"):
        kind = name if name == "Costs" else f"Usage{name}"
        result = getattr(usage_costs_response, f"DataResultOrganization{kind}Result")
        known |= result.model_fields.keys()
    known |= usage_costs_response.DataResultOrganizationUsageVectorStoresResult.model_fields.keys()
    assert set(provider_openai._Result.__struct_fields__) <= known


def test_the_official_client_of_anthropic_knows_the_members_of_its_analytics_reports(desk: Desk) -> None:
    known = (
        BetaAnalyticsCostBucketedResult.model_fields.keys()
        | BetaAnalyticsUsageBucketedResult.model_fields.keys()
    )
    read = set(provider_anthropic._Result.__struct_fields__)
    # These stand only in the reports of the Admin API, for which the client has no types.
    of_the_admin_api = {
        "api_key_id", "workspace_id", "service_tier", "description", "account_id", "service_account_id",
    }  # fmt: skip
    assert read - of_the_admin_api <= known
    for bucket in anthropic_usage(desk.bills.billed)["data"]:
        for row in bucket["results"]:
            BetaAnalyticsUsageBucketedResult.model_validate(row)
