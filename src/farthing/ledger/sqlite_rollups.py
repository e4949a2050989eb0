"""How a batch is added to the roll-ups of a SQLite ledger: each row once, and what is late in every grain."""

import sqlite3
from collections.abc import Iterator, Mapping
from typing import TypeVar

from farthing.ledger.counting_runs import count_open_runs
from farthing.ledger.folding import ADD_COUNT, ADD_MEASURES, MEASURE_COLUMNS, fold, folded_until
from farthing.ledger.grains import DAY_HOURS, Grain, Part
from farthing.ledger.rollups import ALL_CALLS, CALLS, BucketKey, Rollups, Sent

_Key = TypeVar("_Key", bound=tuple[int | str, ...])
_Figures = TypeVar("_Figures", bound=tuple[int, ...])

_MEASURES = ", ".join(["?"] * len(MEASURE_COLUMNS))
_ADD_SPEND = " ".join(
    (
        "INSERT INTO spend_sum VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?,",
        _MEASURES,
        ') ON CONFLICT (grain, period, environment, "group", key, developer, provider, model, model_asked)',
        ADD_MEASURES,
    )
)
_ADD_LABEL = " ".join(
    (
        "INSERT INTO label_sum VALUES (?, ?, ?, ?, ?, ?,",
        _MEASURES,
        ") ON CONFLICT (grain, period, name, value, second, environment)",
        ADD_MEASURES,
    )
)
_ADD_RUN = " ".join(
    (
        "INSERT INTO spend_run (environment, run, first_at_us, last_at_us,",
        ", ".join(MEASURE_COLUMNS),
        ", open) VALUES (?, ?, ?, ?,",
        _MEASURES,
        ", 1) ON CONFLICT (environment, run)",
        ADD_MEASURES,
        ", first_at_us = min(first_at_us, excluded.first_at_us)",
        ", last_at_us = max(last_at_us, excluded.last_at_us), open = 1",
    )
)
_ADD_COUNT = " ".join(
    (
        "INSERT INTO cost_count VALUES (?, ?, ?, ?, ?, ?, ?)",
        "ON CONFLICT (grain, period, of, environment, feature, bucket)",
        ADD_COUNT,
    )
)
_ADD_ACTIVITY = """
    INSERT INTO activity VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (half_hour, developer, environment) DO UPDATE SET
        first_at_us = min(first_at_us, excluded.first_at_us),
        last_at_us = max(last_at_us, excluded.last_at_us),
        calls = calls + excluded.calls,
        cost_nanodollars = cost_nanodollars + excluded.cost_nanodollars
"""
_ADD_PROMPT = """
    INSERT INTO prompt_sum VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (day, environment, developer, prompt_hash) DO UPDATE SET
        calls = calls + excluded.calls, cost_nanodollars = cost_nanodollars + excluded.cost_nanodollars
"""
_ADD_REASON = """
    INSERT INTO reason_sum VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (day, environment, "group", key, developer, reason, budget, account) DO UPDATE SET
        calls = calls + excluded.calls
"""


def write_rollups(connection: sqlite3.Connection, rollups: Rollups) -> None:
    """Add the sums of a batch to those of the file, and fold the hours that it closes."""
    folded = folded_until(connection)
    connection.executemany(_ADD_SPEND, _in_every_grain(rollups.hours, folded))
    if rollups.labels:
        connection.executemany(_ADD_LABEL, _in_every_grain(rollups.labels, folded))
    if rollups.runs:
        spans = rollups.spans
        connection.executemany(_ADD_RUN, [(*run, *spans[run], *sums) for run, sums in rollups.runs.items()])
    if rollups.buckets:
        connection.executemany(_ADD_COUNT, _counts_in_every_grain(rollups.buckets, folded))
    if rollups.activity:
        connection.executemany(_ADD_ACTIVITY, [(*key, *rest) for key, rest in rollups.activity.items()])
    if rollups.prompts:
        connection.executemany(_ADD_PROMPT, [(*key, *sent) for key, sent in rollups.prompts.items()])
    if rollups.reasons:
        connection.executemany(_ADD_REASON, [(*key, sent.calls) for key, sent in rollups.reasons.items()])
    hours = {key.hour for key in rollups.hours}
    if max(hours) > folded:
        count_open_runs(connection, folded_day=folded // DAY_HOURS)
        fold(connection, folded, newest_hour=max(hours), hours_at_most=len(hours) + 2)


def _in_every_grain(sums: Mapping[_Key, _Figures], folded: int) -> Iterator[tuple[object, ...]]:
    """Rows for each hour; what comes to an hour that is folded is added to its day and month too."""
    for (hour, *rest), figures in sums.items():
        part = Part(Grain.HOUR, int(hour))
        yield (*part, *rest, *figures)
        if part.period < folded:
            yield (Grain.DAY, part.number(Grain.DAY), *rest, *figures)
            yield (Grain.MONTH, part.number(Grain.MONTH), *rest, *figures)


def _counts_in_every_grain(buckets: Mapping[BucketKey, Sent], folded: int) -> Iterator[tuple[object, ...]]:
    for key, (count, _) in buckets.items():
        part = Part(Grain.DAY, key.day)
        yield (Grain.DAY, *key, count)
        if key.day < folded // DAY_HOURS:
            month = key._replace(day=part.number(Grain.MONTH))
            yield (Grain.MONTH, *month, count)
            if key.of == CALLS:
                yield (Grain.MONTH, *month._replace(of=ALL_CALLS, feature=""), count)
