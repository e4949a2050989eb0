"""Recompute balances and roll-ups from the entries, archived ones too, and list what differs."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from farthing.ledger.archiving import Progress
from farthing.ledger.entries import Difference
from farthing.ledger.folding import MEASURE_COLUMNS
from farthing.ledger.grains import DAY_US, HALF_HOUR_US, HOUR_US
from farthing.ledger.raising import what_raised
from farthing.ledger.sqlite_archive_sums import Trust, archive_beside


class _Check(NamedTuple):
    """A roll-up against what it sums: the statement answers the rows that differ.

    period_us: how long a time one row is about, where its first dimension counts such times.
    """

    rollup: str
    dimensions: int
    figures: Sequence[str]
    statement: str
    period_us: int

    def differences(self, connection: sqlite3.Connection, trust: Trust) -> Iterator[Difference]:
        for row in connection.execute(self.statement):
            if self.period_us:
                begins_us = row[0] * self.period_us
                if trust.covers(begins_us, begins_us + self.period_us - 1):
                    continue
            elif self.rollup == "spend_run" and _is_run_on(trust, connection, row):
                continue
            where = "/".join(str(value) for value in row[: self.dimensions])
            pairs: Sequence[int] = row[self.dimensions :]
            for figure, expected, found in zip(self.figures, pairs[::2], pairs[1::2], strict=True):
                yield from _differing(f"{figure} of {self.rollup} {where}", expected, found)


def _check(
    rollup: str,
    dimensions: Sequence[str],
    source: str,
    *,
    figures: Sequence[str] = MEASURE_COLUMNS,
    rows: str = "",
    archived: str = "",
    period_us: int = 0,
) -> _Check:
    """Put expected (side 0, from the source) and found (side 1) side by side; keep what differs.

    rows: which rows of the roll-up are compared, where not all are.
    archived: the table of what archived entries add to the source.
    """
    of = ", ".join(dimensions)
    if archived:
        columns = ", ".join((*dimensions, *figures))
        source = " ".join(
            ("(SELECT", columns, "FROM", source, "UNION ALL SELECT", columns, "FROM", archived, ")")
        )
    sums = ", ".join(["sum(" + name + ") AS " + name for name in figures])
    both = ["sum(iif(side, 0, " + name + ")), sum(iif(side, " + name + ", 0))" for name in figures]
    differ = ["sum(iif(side, -" + name + ", " + name + ")) <> 0" for name in figures]
    statement = " ".join(
        (
            "SELECT", of, ",", ", ".join(both), "FROM (",
            "SELECT 0 AS side,", of, ",", sums, "FROM", source, "GROUP BY", of,
            "UNION ALL SELECT 1,", of, ",", ", ".join(figures), "FROM", rollup, rows,
            ") GROUP BY", of, "HAVING", " OR ".join(differ),
        )
    )  # fmt: skip
    return _Check(rollup, len(dimensions), figures, statement, period_us)


_SPEND = ("environment", '"group"', "key", "developer", "provider", "model", "model_asked")
_LABEL = ("name", "value", "second", "environment")
_COUNT = ("of", "environment", "feature", "bucket")


def _folded(rollup: str, dimensions: Sequence[str], figures: Sequence[str]) -> str:
    """The hours that are folded, once for their day and once for their month."""
    columns = ", ".join((*dimensions, *figures))
    hours = " ".join(("FROM", rollup, "WHERE grain = 0 AND period < (SELECT until_hour FROM folded)"))
    return " ".join(
        (
            "(SELECT 1 AS grain, period / 24 AS period,", columns, hours,
            "UNION ALL SELECT 2, month_of_day(period / 24),", columns, hours, ")",
        )
    )  # fmt: skip


_CHECKS = (
    _check(
        "spend_sum",
        ("period", *_SPEND),
        "(SELECT at_us / 3600000000 AS period, * FROM kept_entry)",
        rows="WHERE grain = 0",
        archived="archived_spend",
        period_us=HOUR_US,
    ),
    _check(
        "spend_sum",
        ("grain", "period", *_SPEND),
        _folded("spend_sum", _SPEND, MEASURE_COLUMNS),
        rows="WHERE grain > 0",
    ),
    _check(
        "spend_run",
        ("environment", "run"),
        "(SELECT * FROM kept_entry WHERE run <> '')",
        archived="archived_run",
    ),
    _check(
        "label_sum",
        ("period", *_LABEL),
        """(SELECT at_us / 3600000000 AS period, label.key AS name, label.value AS value, '' AS second,
                entry.*
            FROM kept_entry AS entry, json_each(details, '$.facts.labels') AS label
            UNION ALL
            SELECT at_us / 3600000000, 'user_id+tier',
                json_extract(details, '$.facts.labels.user_id') AS user,
                json_extract(details, '$.facts.labels.tier') AS tier, entry.*
            FROM kept_entry AS entry WHERE user <> '' AND tier <> '')""",
        rows="WHERE grain = 0",
        archived="archived_label",
        period_us=HOUR_US,
    ),
    _check(
        "label_sum",
        ("grain", "period", *_LABEL),
        _folded("label_sum", _LABEL, MEASURE_COLUMNS),
        rows="WHERE grain > 0",
    ),
    _check(
        "cost_count",
        ("period", *_COUNT),
        """(SELECT first.at_us / 86400000000 AS period, 'calls' AS of, first.environment,
                coalesce(json_extract(first.details, '$.facts.labels.feature'), '') AS feature,
                cost_bucket(first.cost_nanodollars + coalesce(correction.cost_nanodollars, 0)) AS bucket,
                1 AS count
            FROM kept_entry AS first
            LEFT JOIN entry AS correction
                ON correction.call_id = first.call_id AND correction.correction = 1
            WHERE first.correction = 0 AND first.outcome = 'settled'
              AND coalesce(json_extract(first.details, '$.facts.cost_tracked'), 1)
            UNION ALL
            SELECT iif(open, counted_day, first_at_us / 86400000000), 'runs', environment, '',
                iif(open, counted_bucket, cost_bucket(cost_nanodollars)), 1
            FROM spend_run WHERE iif(open, counted_day IS NOT NULL, calls > voided + cached))""",
        figures=("count",),
        rows="WHERE grain = 1",
        archived="archived_cost_count",
        period_us=DAY_US,
    ),
    _check(
        "cost_count",
        ("period", *_COUNT),
        """(SELECT month_of_day(period) AS period, of, environment, feature, bucket, count
            FROM cost_count WHERE grain = 1 AND period < (SELECT until_hour / 24 FROM folded)
            UNION ALL
            SELECT month_of_day(period), 'all_calls', environment, '', bucket, count FROM cost_count
            WHERE grain = 1 AND period < (SELECT until_hour / 24 FROM folded) AND of = 'calls')""",
        figures=("count",),
        rows="WHERE grain = 2",
    ),
    _check(
        "run_day",
        ("day", "environment"),
        """(SELECT iif(open, counted_day, first_at_us / 86400000000) AS day, environment, 1 AS runs,
                iif(open, counted_calls, calls) AS calls,
                iif(open, counted_nanodollars, cost_nanodollars) AS cost_nanodollars
            FROM spend_run WHERE iif(open, counted_day IS NOT NULL, calls > voided + cached))""",
        figures=("runs", "calls", "cost_nanodollars"),
    ),
    _check(
        "activity",
        ("half_hour", "developer", "environment"),
        """(SELECT at_us / 1800000000 AS half_hour, *
            FROM kept_entry WHERE developer <> '' AND outcome <> 'refused')""",
        figures=("calls", "cost_nanodollars"),
        archived="archived_activity",
        period_us=HALF_HOUR_US,
    ),
    _check(
        "prompt_sum",
        ("day", "environment", "developer", "prompt_hash"),
        """(SELECT at_us / 86400000000 AS day, json_extract(details, '$.facts.prompt_hash') AS prompt_hash, *
            FROM kept_entry WHERE developer <> '' AND outcome <> 'refused' AND prompt_hash <> '')""",
        figures=("calls", "cost_nanodollars"),
        archived="archived_prompt",
        period_us=DAY_US,
    ),
    _check(
        "reason_sum",
        ("day", "environment", '"group"', "key", "developer", "reason", "budget", "account"),
        """(SELECT at_us / 86400000000 AS day, environment, "group", key, developer,
                json_extract(details, '$.reason') AS reason,
                coalesce(json_extract(details, '$.short.balance.budget'), '') AS budget,
                coalesce(json_extract(details, '$.short.balance.account'), '') AS account,
                iif(outcome = 'refused', refused, calls) AS calls
            FROM kept_entry
            WHERE correction = 0 AND (outcome = 'refused'
                OR outcome IN ('settled', 'void') AND reason NOT IN ('as_asked', 'routed')))""",
        figures=("calls",),
        archived="archived_reason",
        period_us=DAY_US,
    ),
)

_SPANS = """
    SELECT environment || '/' || run, min(at_us), first_at_us, max(at_us), last_at_us
    FROM (
        SELECT environment, run, at_us FROM kept_entry WHERE run <> ''
        UNION ALL SELECT environment, run, first_at_us FROM archived_run
        UNION ALL SELECT environment, run, last_at_us FROM archived_run
    ) JOIN spend_run USING (environment, run)
    GROUP BY environment, run
    HAVING min(at_us) <> first_at_us OR max(at_us) <> last_at_us
"""
_ACTIVE = """
    SELECT half_hour || '/' || developer || '/' || environment,
        min(at_us), first_at_us, max(at_us), last_at_us
    FROM (
        SELECT at_us / 1800000000 AS half_hour, developer, environment, at_us
        FROM kept_entry WHERE developer <> '' AND outcome <> 'refused'
        UNION ALL SELECT half_hour, developer, environment, first_at_us FROM archived_activity
        UNION ALL SELECT half_hour, developer, environment, last_at_us FROM archived_activity
    ) JOIN activity USING (half_hour, developer, environment)
    GROUP BY half_hour, developer, environment
    HAVING min(at_us) <> first_at_us OR max(at_us) <> last_at_us
"""
_RUN = "SELECT first_at_us, last_at_us FROM spend_run WHERE environment = ? AND run = ?"

_ACCOUNTS = """
    SELECT account.account, sum(settled_expected), account.settled, sum(held_expected), account.held
    FROM (
        SELECT CAST(booked.key AS INTEGER) AS account_id, booked.value AS settled_expected, 0 AS held_expected
        FROM kept_entry AS entry, json_each(entry.booked) AS booked
        UNION ALL
        SELECT account_id, amount, 0 FROM archived_amount
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


def differences(connection: sqlite3.Connection, progress: Progress) -> list[Difference]:
    """Compare every balance and roll-up row with the sum of the entries, on one snapshot.

    SQLite sums the entries of the file, DuckDB those of the archive. What was forgotten, or cannot be
    read, is told; the sums of its months are taken on trust.
    """
    with archive_beside(connection, progress) as (trust, found):
        found += _accounts(connection)
        for count, check in enumerate(_CHECKS):
            progress("comparing sums", count, len(_CHECKS))
            found += check.differences(connection, trust)
        found += _spans(connection, "spend_run", _SPANS, trust)
        found += _spans(connection, "activity", _ACTIVE, trust)
    return found


def _is_run_on(trust: Trust, connection: sqlite3.Connection, row: Sequence[object]) -> bool:
    """Whether a row of the roll-up by run is about a run with calls in a month on trust."""
    span = connection.execute(_RUN, row[:2]).fetchone()
    return span is not None and trust.covers(*span)


def _accounts(connection: sqlite3.Connection) -> Iterator[Difference]:
    for account, settled, settled_found, held, held_found in connection.execute(_ACCOUNTS):
        yield from _differing(f"settled of {account}", settled, settled_found)
        yield from _differing(f"held of {account}", held, held_found)
    for account, until_us, raised, raised_found in connection.execute(_RAISES):
        yield from _differing(what_raised(account, until_us), raised, raised_found)


def _spans(connection: sqlite3.Connection, rollup: str, statement: str, trust: Trust) -> Iterator[Difference]:
    for where, first, first_found, last, last_found in connection.execute(statement):
        if trust.covers(first_found, last_found):
            continue
        yield from _differing(f"first_at_us of {rollup} {where}", first, first_found)
        yield from _differing(f"last_at_us of {rollup} {where}", last, last_found)


def _differing(what: str, expected: int, found: int) -> Iterator[Difference]:
    if expected != found:
        yield Difference(what=what, expected=expected, found=found)
