"""Exports over the API: the rows of farthing export, sent as they are read, to those who may look."""

import csv
import http.client
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pytest

from farthing.domain.period import iso_utc
from farthing.ledger.slices import SpendRow
from farthing.reports.export_columns import ENTRY_COLUMNS
from tests.running import ADMIN_TOKEN, CallKey, Heard, RunningGateway

HOUR_US = 3_600_000_000
BEARER = {"authorization": f"Bearer {ADMIN_TOKEN}"}


@pytest.fixture
def key(gateway: RunningGateway) -> CallKey:
    """A key of production that made two calls."""
    made = gateway.key("production")
    for word in ("hello", "again"):
        assert gateway.chat(made, word).status == 200
    return made


def span(gateway: RunningGateway) -> str:
    """All hours from a while ago to the one that has begun."""
    now_us = gateway.running.clock() // HOUR_US * HOUR_US
    since, until = (iso_utc(at_us)[:16] for at_us in (now_us - 48 * HOUR_US, now_us + HOUR_US))
    return f"since={since}&until={until}&environment=production"


def exported(gateway: RunningGateway, query: str) -> Heard:
    return gateway.request("GET", f"/api/exports?{query}", headers=BEARER)


def rows_of(heard: Heard) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(heard.body.decode(), newline="")))


def test_csv_has_every_call_and_its_headers_the_sums(gateway: RunningGateway, key: CallKey) -> None:
    heard = exported(gateway, span(gateway))

    assert (heard.status, heard.header("content-type")) == (200, "text/csv; charset=utf-8")
    rows = rows_of(heard)
    own = [row for row in rows if row["key"] == key.label]
    assert [row["call_id"] for row in own] == [row["call_id"] for row in reversed(gateway.entries(key))]
    assert {row["environment"] for row in rows} == {"production"}
    assert heard.header("x-farthing-export-provisional") == "true"
    refused = sum(int(row["count"]) for row in rows if row["outcome"] == "refused")
    assert heard.header("x-farthing-export-refused") == str(refused)
    assert heard.header("x-farthing-export-calls") == str(sum(int(row["count"]) for row in rows) - refused)
    cost = sum(int(row["cost_nanodollars"]) for row in rows)
    assert heard.header("x-farthing-export-cost-nanodollars") == str(cost)
    disposition = heard.header("content-disposition") or ""
    assert disposition.startswith('attachment; filename="farthing-production-20')
    assert disposition.endswith('.provisional.csv"')


def test_lines_of_json_are_what_the_calls_api_shows(gateway: RunningGateway, key: CallKey) -> None:
    heard = exported(gateway, f"{span(gateway)}&format=jsonl")

    assert heard.header("content-type") == "application/x-ndjson"
    own = [row for row in map(json.loads, heard.body.splitlines()) if row["key"] == key.label]
    assert own == list(reversed(gateway.entries(key)))


def test_parquet_and_focus_are_sent_too(gateway: RunningGateway, key: CallKey, tmp_path: Any) -> None:
    heard = exported(gateway, f"{span(gateway)}&format=parquet")
    assert heard.header("content-type") == "application/vnd.apache.parquet"
    file = tmp_path / "calls.parquet"
    file.write_bytes(heard.body)
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT count(*) FROM read_parquet($1) WHERE key = $2", [str(file), key.label]
        )
        assert found.fetchall() == [(2,)]

    focus = rows_of(exported(gateway, f"{span(gateway)}&format=focus&focus_version=1.3"))
    (row,) = [row for row in focus if row["x_Key"] == key.label]
    assert (row["BillingAccountId"], row["x_Calls"], row["x_Provisional"]) == ("acme", "2", "true")
    assert row["HostProviderName"] == "OpenAI"
    in_parquet = exported(gateway, f"{span(gateway)}&format=focus&focus_as=parquet")
    assert in_parquet.body.startswith(b"PAR1")
    assert (in_parquet.header("content-disposition") or "").endswith('.provisional.focus.parquet"')


def test_the_month_that_ended_last_is_what_nobody_names(gateway: RunningGateway) -> None:
    heard = exported(gateway, "")

    assert rows_of(heard) == []
    assert heard.body.decode().startswith(ENTRY_COLUMNS[0].name)
    assert heard.header("x-farthing-export-provisional") == "false"
    assert heard.header("x-farthing-export-calls") == "0"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("since=2026-10-01T00:30", "does not begin an hour"),
        ("month=soon", "is not a month"),
        ("month=9999-12", "is not a month"),
        ("month=0001-01", "no calls before 1970"),
        ("environment=nowhere", "there is no environment nowhere"),
        ("environment=%ED%A0%80", "there is no environment"),
        ("until=2026-10-01", "since a moment"),
        ("months=last", "months is not a parameter"),
    ],
)
def test_what_cannot_be_exported_is_told(gateway: RunningGateway, query: str, said: str) -> None:
    heard = exported(gateway, query)
    assert heard.status == 400
    assert said in heard.json()["error"]["message"]


class Lying:
    """A store whose sums are not those of its entries."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def spend(self, *, by: Sequence[str], **more: Any) -> list[SpendRow]:
        rows: list[SpendRow] = self._store.spend(by=by, **more)
        return [*rows, *rows] if by == ["environment"] else rows


@pytest.fixture
def lying(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(gateway.running, "store", Lying(gateway.running.store))
    yield


def test_nobody_on_the_way_may_keep_an_export(gateway: RunningGateway) -> None:
    assert exported(gateway, "").all("cache-control") == ["private, no-store"]
    assert exported(gateway, "month=soon").all("cache-control") == ["private, no-store"]


def test_rows_that_do_not_sum_to_the_ledger_never_end(
    gateway: RunningGateway, key: CallKey, lying: None
) -> None:
    assert key
    connection = http.client.HTTPConnection(gateway.url.removeprefix("http://"), timeout=10)
    try:
        connection.request("GET", f"/api/exports?{span(gateway)}", headers=BEARER)
        answer = connection.getresponse()
        assert answer.status == 200
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
    finally:
        connection.close()
    assert gateway.metric("farthing_internal_errors_total") == 0
