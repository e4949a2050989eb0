"""The runs of a span in SQLite: their sums by environment, and the dearest of them."""

import sqlite3
from collections.abc import Mapping
from heapq import nsmallest

from farthing.ledger.counting_runs import OPEN_SUMS
from farthing.ledger.folding import MEASURE_COLUMNS
from farthing.ledger.grains import DAY_US, END_OF_TIME_US, whole
from farthing.ledger.report_store import DearRuns, RunSums
from farthing.ledger.rollups import RUNS
from farthing.ledger.slices import counted_by, slice_of
from farthing.ledger.sqlite_rows import SqlRow

_SUMS = " ".join(
    (
        """SELECT environment, sum(runs), sum(calls), sum(cost) FROM (
            SELECT day, environment, runs, calls, cost_nanodollars AS cost FROM run_day
            WHERE day >= :first AND day < :end
            UNION ALL""",
        OPEN_SUMS,
        """) WHERE day >= :first AND day < :end AND (:environment IS NULL OR environment = :environment)
        GROUP BY 1 HAVING sum(runs) > 0 ORDER BY 1""",
    )
)
_DAYS = """
    SELECT day, environment FROM run_day
    WHERE day >= :first AND day < :end AND (:environment IS NULL OR environment = :environment)
"""
_COST = MEASURE_COLUMNS.index("cost_nanodollars") + 2
_RUN = " ".join(("SELECT environment, run,", ", ".join(MEASURE_COLUMNS)))
# Sums of a closed run are those it was counted with; of an open one they may be others by now.
_DEAR_OF_DAY = " ".join(
    (
        _RUN,
        """FROM spend_run INDEXED BY spend_run_dear
        WHERE counted_day = ? AND environment = ? AND counted_nanodollars >= ? AND open = 0
        ORDER BY counted_nanodollars DESC, run LIMIT ?""",
    )
)
_OPEN = " ".join(
    (
        _RUN,
        """FROM spend_run INDEXED BY spend_run_open WHERE open = 1 AND calls > voided + cached
          AND first_at_us / 86400000000 >= :first AND first_at_us / 86400000000 < :end
          AND (:environment IS NULL OR environment = :environment)""",
    )
)


def dear_runs(
    connection: sqlite3.Connection,
    top: int,
    since_us: int | None,
    until_us: int | None,
    where: Mapping[str, str],
) -> DearRuns:
    """Sum the runs of each environment, and find the dearest, however many there are."""
    counted_by(RUNS, (), where)
    first, end = whole(DAY_US, since_us or 0, END_OF_TIME_US if until_us is None else until_us)
    values = {"first": first, "end": end, "environment": where.get("environment")}
    of_run = slice_of(["environment", "run"], {})
    return DearRuns(
        environments=[
            RunSums(environment=environment, runs=runs, calls=calls, cost_nanodollars=cost)
            for environment, runs, calls, cost in connection.execute(_SUMS, values)
        ],
        dearest=[
            of_run.row({"environment": environment, "run": run}, figures)
            for environment, run, *figures in _dearest(connection, top, values)
        ],
    )


def _dearest(connection: sqlite3.Connection, top: int, values: Mapping[str, object]) -> list[SqlRow]:
    found = nsmallest(top, connection.execute(_OPEN, values), key=_place)
    for day, environment in connection.execute(_DAYS, values).fetchall() if top else ():
        least = found[-1][_COST] if len(found) == top else 0
        rows = connection.execute(_DEAR_OF_DAY, (day, environment, least, top)).fetchall()
        if rows:
            found = nsmallest(top, [*found, *rows], key=_place)
    return found


def _place(row: SqlRow) -> tuple[int, str, str]:
    """The dearest first, ties by name."""
    return -row[_COST], row[0], row[1]
