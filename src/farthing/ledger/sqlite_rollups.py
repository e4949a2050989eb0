"""How a batch is added to the roll-ups of a SQLite ledger: each row once, and what is late in every grain."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from farthing.ledger.cost_buckets import cost_bucket
from farthing.ledger.folding import ADD_COUNT, ADD_MEASURES, MEASURE_COLUMNS, fold, folded_until
from farthing.ledger.grains import DAY_HOURS, DAY_US, Grain, Part
from farthing.ledger.rollups import RUNS, BucketKey, Measures, Rollups, RunKey, counts_as_run

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
        ") VALUES (?, ?, ?, ?,",
        _MEASURES,
        ") ON CONFLICT (environment, run)",
        ADD_MEASURES,
        ", first_at_us = min(first_at_us, excluded.first_at_us)",
        ", last_at_us = max(last_at_us, excluded.last_at_us)",
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
_RUN = """
    SELECT first_at_us, calls, voided, cached, cost_nanodollars FROM spend_run
    WHERE environment = ? AND run = ?
"""


def write_rollups(connection: sqlite3.Connection, rollups: Rollups) -> None:
    """Add the sums of a batch to those of the file, and fold the hours that it closes."""
    folded = folded_until(connection)
    connection.executemany(_ADD_SPEND, _in_every_grain(rollups.hours, folded))
    if rollups.labels:
        connection.executemany(_ADD_LABEL, _in_every_grain(rollups.labels, folded))
    counts = {bucket: sent.calls for bucket, sent in rollups.buckets.items()}
    if rollups.runs:
        counts.update(_write_runs(connection, rollups))
    if counts:
        connection.executemany(_ADD_COUNT, _counts_in_every_grain(counts, folded))
    if rollups.activity:
        connection.executemany(_ADD_ACTIVITY, [(*key, *rest) for key, rest in rollups.activity.items()])
    if rollups.prompts:
        connection.executemany(_ADD_PROMPT, [(*key, *sent) for key, sent in rollups.prompts.items()])
    if rollups.reasons:
        connection.executemany(_ADD_REASON, [(*key, sent.calls) for key, sent in rollups.reasons.items()])
    hours = {key.hour for key in rollups.hours}
    if max(hours) > folded:
        fold(connection, folded, newest_hour=max(hours), hours_at_most=len(hours) + 2)


def _in_every_grain(sums: Mapping[_Key, _Figures], folded: int) -> Iterator[tuple[object, ...]]:
    """Rows for each hour; what comes to an hour that is folded is added to its day and month too."""
    for (hour, *rest), figures in sums.items():
        part = Part(Grain.HOUR, int(hour))
        yield (*part, *rest, *figures)
        if part.period < folded:
            yield (Grain.DAY, part.number(Grain.DAY), *rest, *figures)
            yield (Grain.MONTH, part.number(Grain.MONTH), *rest, *figures)


def _counts_in_every_grain(counts: Mapping[BucketKey, int], folded: int) -> Iterator[tuple[object, ...]]:
    for (day, *rest), count in counts.items():
        part = Part(Grain.DAY, day)
        yield (*part, *rest, count)
        if day < folded // DAY_HOURS:
            yield (Grain.MONTH, part.number(Grain.MONTH), *rest, count)


# ── runs ────────────────────────────────────────────────────────────────────────────────────────


def _write_runs(connection: sqlite3.Connection, rollups: Rollups) -> Mapping[BucketKey, int]:
    """Add to the sums of runs; answer how that moves them from bucket to bucket of their histogram."""
    before = {run: _run_so_far(connection, run) for run in rollups.runs}
    connection.executemany(
        _ADD_RUN, [(*run, *rollups.spans[run], *measures) for run, measures in rollups.runs.items()]
    )
    moves = Counter[BucketKey]()
    for run, added in rollups.runs.items():
        so_far = before[run]
        first_at_us, measures = rollups.spans[run].first_at_us, added
        if so_far is not None:
            moves.subtract(_run_bucket(run, *so_far))
            first_at_us, measures = min(first_at_us, so_far[0]), so_far[1].plus(added)
        moves.update(_run_bucket(run, first_at_us, measures))
    return {bucket: count for bucket, count in moves.items() if count}


def _run_so_far(connection: sqlite3.Connection, run: RunKey) -> tuple[int, Measures] | None:
    row = connection.execute(_RUN, run).fetchone()
    if row is None:
        return None
    first_at_us, calls, voided, cached, cost = row
    return first_at_us, Measures(calls=calls, voided=voided, cached=cached, cost=cost)


def _run_bucket(run: RunKey, first_at_us: int, measures: Measures) -> Iterable[BucketKey]:
    """The bucket that a run is counted in; none while no call of it was settled."""
    if counts_as_run(measures):
        yield BucketKey(first_at_us // DAY_US, RUNS, run.environment, "", cost_bucket(measures.cost))
