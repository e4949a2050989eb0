"""How a batch is added to the roll-ups of a SQLite ledger: each row once, and what is late in every grain."""

import sqlite3
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeVar

from farthing.ledger.cost_buckets import cost_bucket
from farthing.ledger.folding import ADD_COUNT, ADD_MEASURES, MEASURE_COLUMNS, fold, folded_until
from farthing.ledger.grains import DAY_HOURS, DAY_US, Grain, Part
from farthing.ledger.rollups import ALL_CALLS, CALLS, RUNS, BucketKey, Rollups, RunKey

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
# Runs are looked up so many at once, by one statement; where there are fewer, the last one fills it up.
_RUNS_AT_ONCE = 16


def _runs(number: int) -> str:
    return " ".join(
        (
            "WITH asked(of_environment, of_run) AS (VALUES", ", ".join(["(?, ?)"] * number), ")",
            "SELECT environment, run, first_at_us, calls - voided - cached, cost_nanodollars",
            "FROM asked CROSS JOIN spend_run ON environment = of_environment AND run = of_run",
        )
    )  # fmt: skip


_ONE_RUN = _runs(1)
_SOME_RUNS = _runs(_RUNS_AT_ONCE)


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
    for key, count in counts.items():
        part = Part(Grain.DAY, key.day)
        yield (Grain.DAY, *key, count)
        if key.day < folded // DAY_HOURS:
            month = key._replace(day=part.number(Grain.MONTH))
            yield (Grain.MONTH, *month, count)
            if key.of == CALLS:
                yield (Grain.MONTH, *month._replace(of=ALL_CALLS, feature=""), count)


# ── runs ────────────────────────────────────────────────────────────────────────────────────────


class _RunSoFar(NamedTuple):
    """What decides where the histogram of runs counts a run: when it began, settled calls, cost."""

    first_at_us: int
    settled: int
    cost: int

    def bucket(self, run: RunKey) -> BucketKey:
        return BucketKey(self.first_at_us // DAY_US, RUNS, run.environment, "", cost_bucket(self.cost))


def _write_runs(connection: sqlite3.Connection, rollups: Rollups) -> dict[BucketKey, int]:
    """Add to the sums of runs; answer how that moves them from bucket to bucket of their histogram."""
    known = _known_runs(connection, list(rollups.runs))
    moves: dict[BucketKey, int] = {}
    rows = []
    for run, added in rollups.runs.items():
        span = rollups.spans[run]
        rows.append((*run, *span, *added))
        now = _RunSoFar(span.first_at_us, added.calls - added.voided - added.cached, added.cost)
        before = known.get(run)
        if before is not None:
            first_at_us = min(now.first_at_us, before.first_at_us)
            now = _RunSoFar(first_at_us, now.settled + before.settled, now.cost + before.cost)
        was_in = before.bucket(run) if before is not None and before.settled else None
        is_in = now.bucket(run) if now.settled else None
        if was_in != is_in:
            if was_in is not None:
                moves[was_in] = moves.get(was_in, 0) - 1
            if is_in is not None:
                moves[is_in] = moves.get(is_in, 0) + 1
    connection.executemany(_ADD_RUN, rows)
    return moves


def _known_runs(connection: sqlite3.Connection, runs: list[RunKey]) -> dict[RunKey, _RunSoFar]:
    if len(runs) == 1:
        rows = connection.execute(_ONE_RUN, runs[0]).fetchall()
    else:
        rows = []
        for place in range(0, len(runs), _RUNS_AT_ONCE):
            some = runs[place : place + _RUNS_AT_ONCE]
            some += some[-1:] * (_RUNS_AT_ONCE - len(some))
            rows += connection.execute(_SOME_RUNS, [part for run in some for part in run]).fetchall()
    return {RunKey(environment, run): _RunSoFar(*rest) for environment, run, *rest in rows}
