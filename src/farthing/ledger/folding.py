"""Fold closed hours into the sums of their day and month, in the transaction of the batch that closes them.

What was folded is known by one number: every hour before it is in the sums of its day and month, and
every day that ended before it is in the histograms of its month.
"""

import sqlite3

from farthing.ledger.grains import DAY_HOURS, Grain, Part

MEASURE_COLUMNS = (
    "calls",
    "refused",
    "voided",
    "cached",
    "assumed",
    "cost_nanodollars",
    "cost_asked_nanodollars",
    "input_tokens",
    "cached_read",
    "cached_write",
    "output_tokens",
    "reasoning",
    "avoided_nanodollars",
    "clamped",
    "uncapped",
)
ADD_MEASURES = "DO UPDATE SET " + ", ".join(
    [name + " = " + name + " + excluded." + name for name in MEASURE_COLUMNS]
)
ADD_COUNT = "DO UPDATE SET count = count + excluded.count"

_SPEND_KEY = 'environment, "group", key, developer, provider, model, model_asked'
_LABEL_KEY = "name, value, second, environment"
_COUNT_KEY = "of, environment, feature, bucket"


def _folding(table: str, key: str, figures: str, add: str) -> str:
    """Add the rows of one part to those of a greater one."""
    return " ".join(
        (
            "INSERT INTO", table, "SELECT :to_grain, :to_period,", key, ",", figures, "FROM", table,
            "WHERE grain = :grain AND period = :period ON CONFLICT (grain, period,", key, ")", add,
        )
    )  # fmt: skip


_FOLD_SPEND = _folding("spend_sum", _SPEND_KEY, ", ".join(MEASURE_COLUMNS), ADD_MEASURES)
_FOLD_LABEL = _folding("label_sum", _LABEL_KEY, ", ".join(MEASURE_COLUMNS), ADD_MEASURES)
_FOLD_COUNT = _folding("cost_count", _COUNT_KEY, "count", ADD_COUNT)

_FOLD_ALL_CALLS = " ".join(
    (
        """INSERT INTO cost_count
        SELECT :to_grain, :to_period, 'all_calls', environment, '', bucket, sum(count) FROM cost_count
        WHERE grain = :grain AND period = :period AND of = 'calls' GROUP BY environment, bucket
        ON CONFLICT (grain, period, of, environment, feature, bucket)""",
        ADD_COUNT,
    )
)

_FOLDED = "SELECT until_hour FROM folded"
_NEXT_HOUR = "SELECT min(period) FROM spend_sum WHERE grain = 0 AND period >= ?"
_DAYS = "SELECT DISTINCT period FROM cost_count WHERE grain = 1 AND period >= ? AND period < ?"


def folded_until(connection: sqlite3.Connection) -> int:
    """The first hour that is not folded."""
    ((hour,),) = connection.execute(_FOLDED).fetchall()
    return int(hour)


def fold(connection: sqlite3.Connection, folded: int, *, newest_hour: int, hours_at_most: int) -> None:
    """Fold hours before the newest one that anything was written for, oldest first, but not too many."""
    until_hour = folded
    for _ in range(hours_at_most):
        ((hour,),) = connection.execute(_NEXT_HOUR, (until_hour,)).fetchall()
        until_hour = min(hour, newest_hour)
        if until_hour == newest_hour:
            break
        _fold_part(connection, _FOLD_SPEND, Part(Grain.HOUR, hour), Grain.DAY, Grain.MONTH)
        _fold_part(connection, _FOLD_LABEL, Part(Grain.HOUR, hour), Grain.DAY, Grain.MONTH)
        until_hour += 1
    days = connection.execute(_DAYS, (folded // DAY_HOURS, until_hour // DAY_HOURS)).fetchall()
    for (day,) in days:
        _fold_part(connection, _FOLD_COUNT, Part(Grain.DAY, day), Grain.MONTH)
        _fold_part(connection, _FOLD_ALL_CALLS, Part(Grain.DAY, day), Grain.MONTH)
    connection.execute("UPDATE folded SET until_hour = ?", (until_hour,))


def _fold_part(connection: sqlite3.Connection, statement: str, part: Part, *grains: Grain) -> None:
    for grain in grains:
        connection.execute(
            statement,
            {
                "grain": part.grain,
                "period": part.period,
                "to_grain": grain,
                "to_period": part.number(grain),
            },
        )
