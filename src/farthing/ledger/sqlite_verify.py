"""Recompute balances and roll-ups from the entries, inside SQLite, and list what differs."""

import sqlite3
from collections.abc import Iterator, Sequence

from farthing.ledger.entries import Difference
from farthing.ledger.raising import what_raised
from farthing.ledger.rollups import cost_bucket
from farthing.ledger.sqlite_rows import MEASURE_COLUMNS

_PLUS = ", ".join(MEASURE_COLUMNS)
_SUMS = ", ".join(["sum(" + name + ") AS " + name for name in MEASURE_COLUMNS])
_BOTH = ", ".join(
    ["sum(iif(side, 0, " + name + ")), sum(iif(side, " + name + ", 0))" for name in MEASURE_COLUMNS]
)
_DIFFER = " OR ".join(["sum(iif(side, -" + name + ", " + name + ")) <> 0" for name in MEASURE_COLUMNS])


def _comparison(dimensions: str, source: str, rollup: str) -> str:
    """Put expected (side 0, from entries) and found (side 1) side by side; keep the rows that differ."""
    return " ".join(
        (
            "SELECT", dimensions, ",", _BOTH, "FROM (",
            "SELECT 0 AS side,", dimensions, ",", _SUMS, "FROM", source, "GROUP BY", dimensions,
            "UNION ALL SELECT 1,", dimensions, ",", _PLUS, "FROM", rollup,
            ") GROUP BY", dimensions, "HAVING", _DIFFER,
        )
    )  # fmt: skip


_HOURS = _comparison(
    'hour, environment, "group", key, developer, provider, model, model_asked',
    "(SELECT at_us / 3600000000 AS hour, * FROM entry)",
    "spend_hour",
)
_RUNS = _comparison("environment, run", "(SELECT * FROM entry WHERE run <> '')", "spend_run")
_LABELS = _comparison(
    "name, hour, environment, value",
    """(SELECT label.key AS name, label.value AS value, at_us / 3600000000 AS hour, entry.*
        FROM entry, json_each(details, '$.facts.labels') AS label)""",
    "spend_label",
)

_SPANS = """
    SELECT environment, run, min(at_us), first_at_us, max(at_us), last_at_us
    FROM entry JOIN spend_run USING (environment, run)
    GROUP BY environment, run
    HAVING min(at_us) <> first_at_us OR max(at_us) <> last_at_us
"""

_BUCKETS = """
    SELECT hour, environment, feature, bucket, sum(iif(side, 0, calls)), sum(iif(side, calls, 0))
    FROM (
        SELECT 0 AS side, first.at_us / 3600000000 AS hour, first.environment,
            coalesce(json_extract(first.details, '$.facts.labels.feature'), '') AS feature,
            cost_bucket(first.cost_nanodollars + coalesce(correction.cost_nanodollars, 0)) AS bucket,
            1 AS calls
        FROM entry AS first
        LEFT JOIN entry AS correction ON correction.call_id = first.call_id AND correction.correction = 1
        WHERE first.correction = 0 AND first.outcome = 'settled'
          AND coalesce(json_extract(first.details, '$.facts.cost_tracked'), 1)
        UNION ALL
        SELECT 1, hour, environment, feature, bucket, calls FROM cost_histogram
    )
    GROUP BY 1, 2, 3, 4
    HAVING sum(iif(side, -calls, calls)) <> 0
"""

_ACCOUNTS = """
    SELECT account.account, sum(settled_expected), account.settled, sum(held_expected), account.held
    FROM (
        SELECT CAST(booked.key AS INTEGER) AS account_id, booked.value AS settled_expected, 0 AS held_expected
        FROM entry, json_each(entry.booked) AS booked
        UNION ALL
        SELECT account_id, 0, json_extract(amount.value, '$[1]')
        FROM hold, json_each(hold.draft, '$.amounts') AS amount
        JOIN account ON account.account = json_extract(amount.value, '$[0]')
        UNION ALL
        SELECT account_id, 0, 0 FROM account
    ) JOIN account USING (account_id)
    GROUP BY account_id
    HAVING sum(settled_expected) <> account.settled OR sum(held_expected) <> account.held
"""


_RAISES = """
    SELECT account, until_us, sum(expected), sum(found)
    FROM (
        SELECT account_id, until_us, amount AS expected, 0 AS found FROM limit_raise
        UNION ALL
        SELECT account_id, json_extract(ride.value, '$[0]'), 0, json_extract(ride.value, '$[1]')
        FROM account, json_each(account.raises) AS ride
    ) JOIN account USING (account_id)
    GROUP BY account_id, until_us
    HAVING sum(expected) <> sum(found)
"""


def differences(connection: sqlite3.Connection) -> list[Difference]:
    """Compare every balance and roll-up row with the sum of the entries; SQLite does the summing."""
    connection.create_function("cost_bucket", 1, cost_bucket, deterministic=True)
    return [
        *_accounts(connection),
        *_rollup(connection.execute(_HOURS), "spend_hour", 8),
        *_rollup(connection.execute(_RUNS), "spend_run", 2),
        *_spans(connection),
        *_rollup(connection.execute(_LABELS), "spend_label", 4),
        *_buckets(connection),
    ]


def _accounts(connection: sqlite3.Connection) -> Iterator[Difference]:
    for account, settled, settled_found, held, held_found in connection.execute(_ACCOUNTS):
        yield from _differing(f"settled of {account}", settled, settled_found)
        yield from _differing(f"held of {account}", held, held_found)
    for account, until_us, raised, raised_found in connection.execute(_RAISES):
        yield from _differing(what_raised(account, until_us), raised, raised_found)


def _rollup(rows: sqlite3.Cursor, name: str, width: int) -> Iterator[Difference]:
    for row in rows:
        where = "/".join(str(value) for value in row[:width])
        pairs: Sequence[int] = row[width:]
        for measure, expected, found in zip(MEASURE_COLUMNS, pairs[::2], pairs[1::2], strict=True):
            yield from _differing(f"{measure} of {name} {where}", expected, found)


def _spans(connection: sqlite3.Connection) -> Iterator[Difference]:
    for environment, run, first, first_found, last, last_found in connection.execute(_SPANS):
        yield from _differing(f"first_at_us of spend_run {environment}/{run}", first, first_found)
        yield from _differing(f"last_at_us of spend_run {environment}/{run}", last, last_found)


def _buckets(connection: sqlite3.Connection) -> Iterator[Difference]:
    for hour, environment, feature, bucket, expected, found in connection.execute(_BUCKETS):
        yield from _differing(
            f"calls of cost_histogram {hour}/{environment}/{feature}/{bucket}", expected, found
        )


def _differing(what: str, expected: int, found: int) -> Iterator[Difference]:
    if expected != found:
        yield Difference(what=what, expected=expected, found=found)
