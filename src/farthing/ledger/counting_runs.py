"""Count and sum runs by what they cost, when an hour closes; open ones from their own sums."""

import sqlite3

from farthing.ledger.folding import ADD_COUNT

# How open runs move from bucket to bucket: out of the one each was counted in, into the one it belongs in.
OPEN_RUNS = """
    SELECT counted_day AS day, environment, counted_bucket AS bucket, -1 AS count
    FROM spend_run INDEXED BY spend_run_open WHERE open = 1 AND counted_day IS NOT NULL
    UNION ALL
    SELECT first_at_us / 86400000000, environment, cost_bucket(cost_nanodollars), 1
    FROM spend_run INDEXED BY spend_run_open WHERE open = 1 AND calls > voided + cached
"""

# The same of what runs cost together.
OPEN_SUMS = """
    SELECT counted_day AS day, environment, -1 AS runs, -counted_calls AS calls, -counted_nanodollars AS cost
    FROM spend_run INDEXED BY spend_run_open WHERE open = 1 AND counted_day IS NOT NULL
    UNION ALL
    SELECT first_at_us / 86400000000, environment, 1, calls, cost_nanodollars
    FROM spend_run INDEXED BY spend_run_open WHERE open = 1 AND calls > voided + cached
"""


def _counting(grain: str, period: str, days: str) -> str:
    return " ".join(
        (
            "WITH move AS (", OPEN_RUNS, ") INSERT INTO cost_count",
            "SELECT", grain, ",", period, ", 'runs', environment, '', bucket, sum(count)",
            "FROM move WHERE", days, "GROUP BY 2, 4, 6 HAVING sum(count) <> 0",
            "ON CONFLICT (grain, period, of, environment, feature, bucket)", ADD_COUNT,
        )
    )  # fmt: skip


_COUNT_DAYS = _counting("1", "day", "TRUE")
# Days that are folded already are in the histogram of their month too.
_COUNT_MONTHS = _counting("2", "month_of_day(day)", "day < ?")
_SUM_DAYS = " ".join(
    (
        "INSERT INTO run_day SELECT day, environment, sum(runs), sum(calls), sum(cost) FROM (",
        OPEN_SUMS,
        """) GROUP BY 1, 2 ON CONFLICT (day, environment) DO UPDATE SET
        runs = runs + excluded.runs, calls = calls + excluded.calls,
        cost_nanodollars = cost_nanodollars + excluded.cost_nanodollars""",
    )
)
_CLOSE = """
    UPDATE spend_run INDEXED BY spend_run_open SET
        open = 0,
        counted_day = iif(calls > voided + cached, first_at_us / 86400000000, NULL),
        counted_bucket = iif(calls > voided + cached, cost_bucket(cost_nanodollars), NULL),
        counted_calls = iif(calls > voided + cached, calls, NULL),
        counted_nanodollars = iif(calls > voided + cached, cost_nanodollars, NULL)
    WHERE open = 1
"""


def count_open_runs(connection: sqlite3.Connection, *, folded_day: int) -> None:
    """Put each run whose sums changed where it belongs; days before the folded one are also in months."""
    connection.execute(_COUNT_DAYS)
    connection.execute(_COUNT_MONTHS, (folded_day,))
    connection.execute(_SUM_DAYS)
    connection.execute(_CLOSE)
