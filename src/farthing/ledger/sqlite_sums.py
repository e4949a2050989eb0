"""What reports ask of the roll-ups of a SQLite ledger: spend, costs, reasons, activity, prompts."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from farthing.ledger.cost_buckets import bucket_bounds
from farthing.ledger.counting_runs import OPEN_RUNS
from farthing.ledger.folding import MEASURE_COLUMNS, folded_until
from farthing.ledger.grains import (
    DAY_HOURS,
    DAY_US,
    END_OF_TIME_US,
    HALF_HOUR_US,
    HOUR_US,
    Grain,
    Part,
    day_parts,
    hour_parts,
    shown,
    whole,
)
from farthing.ledger.report_store import (
    EXACT_MAX,
    LEAST_SENT,
    ActivityRow,
    CostCount,
    CostCounts,
    PromptRow,
    ReasonRow,
)
from farthing.ledger.rollups import ALL_CALLS, CALLS
from farthing.ledger.slices import (
    PEOPLE_BY,
    REASONS_BY,
    Slice,
    SpendRow,
    check_asked,
    counted_by,
    reasons_by,
    slice_of,
)
from farthing.ledger.sqlite_archived import any_forgotten, with_archived_costs
from farthing.ledger.sqlite_rows import SqlRow

_encode = msgspec.json.Encoder().encode

# The hours, days and months that are summed, each with what goes with it: the one that it is shown as, or
# the histogram that is read of it.
_PARTS = """
    WITH part(of_grain, of_period, told) AS MATERIALIZED (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
        FROM json_each(:parts)
    )
"""


# ── spend ───────────────────────────────────────────────────────────────────────────────────────

_SUMS = ", ".join(["sum(" + name + ")" for name in MEASURE_COLUMNS])
_SPEND = " ".join(
    (
        _PARTS,
        """SELECT told, iif(:by_environment, environment, NULL),
        iif(:by_group, "group", NULL), iif(:by_key, key, NULL), iif(:by_developer, developer, NULL),
        iif(:by_provider, provider, NULL), iif(:by_model, model, NULL),
        iif(:by_model_asked, model_asked, NULL),""",
        _SUMS,
        """FROM part CROSS JOIN spend_sum ON grain = of_grain AND period = of_period
        WHERE (:environment IS NULL OR environment = :environment)
          AND (:group IS NULL OR "group" = :group)
          AND (:key IS NULL OR key = :key)
          AND (:developer IS NULL OR developer = :developer)
          AND (:provider IS NULL OR provider = :provider)
          AND (:model IS NULL OR model = :model)
          AND (:model_asked IS NULL OR model_asked = :model_asked)
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8""",
    )
)
_SPEND_BY_RUN = " ".join(
    (
        "SELECT iif(:by_environment, environment, NULL), iif(:by_run, run, NULL),",
        _SUMS,
        """FROM spend_run
        WHERE first_at_us >= :since_us AND first_at_us < :until_us
          AND (:environment IS NULL OR environment = :environment)
          AND (:run IS NULL OR run = :run)
        GROUP BY 1, 2 ORDER BY 1, 2""",
    )
)
_SPEND_BY_LABEL = " ".join(
    (
        _PARTS,
        """SELECT told, iif(:by_environment, environment, NULL),
        iif(:by_value, value, NULL), iif(:by_second, second, NULL),""",
        _SUMS,
        """FROM part CROSS JOIN label_sum ON grain = of_grain AND period = of_period AND name = :name
        WHERE (second <> '') = :is_pair
          AND (:environment IS NULL OR environment = :environment)
          AND value BETWEEN coalesce(:value, '') AND coalesce(:value, x'')  -- no text is beyond a blob
          AND (:second IS NULL OR second = :second)
        GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4""",
    )
)
_STATEMENTS = {"spend": _SPEND, "run": _SPEND_BY_RUN, "label": _SPEND_BY_LABEL}
_FIRST_HOUR = "SELECT min(period) FROM spend_sum WHERE grain = 0"
_LAST_HOUR = "SELECT max(period) FROM spend_sum WHERE grain = 0"


def spend(
    connection: sqlite3.Connection,
    by: Sequence[str],
    since_us: int | None,
    until_us: int | None,
    where: Mapping[str, str],
) -> list[SpendRow]:
    """Sum a roll-up by the dimensions asked for."""
    asked = slice_of(by, where)
    values: dict[str, object] = {
        "since_us": since_us or 0,
        "until_us": END_OF_TIME_US if until_us is None else until_us,
        "name": asked.label,
        "is_pair": asked.is_pair,
    }
    if asked.rollup != "run":
        first, end = _kept_hours(connection, since_us, until_us)
        coarsest = Grain.MONTH if asked.grain is None else asked.grain
        parts = hour_parts(first, end, folded=folded_until(connection), coarsest=coarsest)
        grain = asked.grain
        values["parts"] = _as_json(parts, lambda part: None if grain is None else part.number(grain))
    for dimension in asked.dimensions:
        values["by_" + dimension] = dimension in asked.by
        values[dimension] = asked.where.get(dimension)
    rows = connection.execute(_STATEMENTS[asked.rollup], values)
    return [_spend_row(asked, row) for row in rows]


def _spend_row(asked: Slice, row: SqlRow) -> SpendRow:
    width = len(asked.dimensions)
    return asked.row(dict(zip(asked.dimensions, row[:width], strict=True)), row[width:])


def _kept_hours(
    connection: sqlite3.Connection, since_us: int | None, until_us: int | None
) -> tuple[int, int]:
    """The whole hours of a span that anything is kept of."""
    ((first,), (last,)) = (connection.execute(sql).fetchone() for sql in (_FIRST_HOUR, _LAST_HOUR))
    if first is None:
        return 0, 0
    since, until = whole(HOUR_US, since_us or 0, END_OF_TIME_US if until_us is None else until_us)
    return max(since, first), min(until, last + 1)


def _as_json(parts: Iterable[Part], told: Callable[[Part], int | str | None]) -> str:
    return _encode([(part.grain, part.period, told(part)) for part in parts]).decode()


# ── histograms of cost ──────────────────────────────────────────────────────────────────────────

_FROM_COUNTS = "FROM part CROSS JOIN cost_count ON grain = of_grain AND period = of_period AND of = told"
# Open runs come first: what they take away must not be missed where counting ends early.
_COUNTS = " ".join(
    (
        _PARTS,
        ", move AS (",
        OPEN_RUNS,
        """), counted AS (
            SELECT environment, '' AS feature, bucket, count FROM move
            WHERE :of = 'runs' AND day >= :first AND day < :end
            UNION ALL SELECT environment, feature, bucket, count""",
        _FROM_COUNTS,
        ")",
    )
)
_COUNTED = " ".join((_COUNTS, "SELECT count FROM counted"))
_BUCKETS = " ".join(
    (
        _COUNTS,
        """SELECT iif(:by_environment, environment, NULL), iif(:by_feature, feature, NULL), bucket, sum(count)
        FROM counted
        WHERE (:environment IS NULL OR environment = :environment)
          AND (:feature IS NULL OR feature = :feature)
        GROUP BY 1, 2, 3 HAVING sum(count) <> 0 ORDER BY 3, 1, 2""",
    )
)
_COSTS_OF_CALLS = """
    SELECT iif(:by_environment, first.environment, NULL),
        iif(:by_feature, coalesce(json_extract(first.details, '$.facts.labels.feature'), ''), NULL),
        first.cost_nanodollars + coalesce(correction.cost_nanodollars, 0), count(*)
    FROM entry AS first INDEXED BY entry_by_time
    LEFT JOIN entry AS correction ON correction.call_id = first.call_id AND correction.correction = 1
    WHERE first.correction = 0 AND first.at_us >= :since_us AND first.at_us < :until_us
      AND first.outcome = 'settled' AND coalesce(json_extract(first.details, '$.facts.cost_tracked'), 1)
      AND (:environment IS NULL OR first.environment = :environment)
      AND (:feature IS NULL OR coalesce(json_extract(first.details, '$.facts.labels.feature'), '') = :feature)
    GROUP BY 1, 2, 3 ORDER BY 3, 1, 2
"""
_COSTS_OF_RUNS = """
    SELECT iif(:by_environment, environment, NULL), NULL, cost_nanodollars, count(*)
    FROM spend_run INDEXED BY spend_run_by_start
    WHERE first_at_us >= :since_us AND first_at_us < :until_us AND calls > voided + cached
      AND (:environment IS NULL OR environment = :environment)
    GROUP BY 1, 2, 3 ORDER BY 3, 1, 2
"""


def cost_counts(
    connection: sqlite3.Connection,
    of: str,
    by: Sequence[str],
    since_us: int | None,
    until_us: int | None,
    where: Mapping[str, str],
) -> CostCounts:
    """Count calls or runs by what they cost: one by one while they are few, else by buckets."""
    columns = counted_by(of, by, where)
    days = list(_kept_days(connection, since_us, until_us))
    span = (since_us or 0, END_OF_TIME_US if until_us is None else until_us)
    first, end = whole(DAY_US, *span)
    values: dict[str, object] = {
        "since_us": span[0],
        "until_us": span[1],
        "of": of,
        "first": first,
        "end": end,
        "parts": _histograms(of, days, by_feature=False),
        "feature": None,
        "by_feature": False,
    }
    for name, column in columns.items():
        values["by_" + column] = name in by
        values[column] = where.get(name)
    rows: Iterable[SqlRow]
    exact = _are_few(connection, values)
    if not exact or (of == CALLS and any_forgotten(connection, *span)):
        by_feature = bool(values["by_feature"]) or values["feature"] is not None
        values["parts"] = _histograms(of, days, by_feature=by_feature)
        exact, rows = False, connection.execute(_BUCKETS, values)
    elif of == CALLS:
        found = connection.execute(_COSTS_OF_CALLS, values)
        rows = with_archived_costs(connection, found, span, values)
    else:
        rows = connection.execute(_COSTS_OF_RUNS, values)
    return CostCounts(exact=exact, rows=[_cost_count(by, columns, exact, row) for row in rows])


def _histograms(of: str, days: Iterable[Part], *, by_feature: bool) -> str:
    """Which histogram to read of each part; months have one of all calls, whatever their feature."""
    of_month = ALL_CALLS if of == CALLS and not by_feature else of
    return _as_json(days, lambda part: of_month if part.grain is Grain.MONTH else of)


def _are_few(connection: sqlite3.Connection, values: Mapping[str, object]) -> bool:
    """Whether so few are counted that each can be looked at; counting ends where they are not."""
    counted = 0
    for (count,) in connection.execute(_COUNTED, values):
        counted += count
        if counted > EXACT_MAX:
            return False
    return True


def _cost_count(by: Sequence[str], columns: Mapping[str, str], exact: bool, row: SqlRow) -> CostCount:
    environment, feature, cost, count = row
    values = {"environment": environment, "feature": feature}
    least, most = (cost, cost) if exact else bucket_bounds(cost)
    return CostCount(
        by={name: values[columns[name]] or None for name in by},
        least_nanodollars=least,
        most_nanodollars=most,
        count=count,
    )


def _kept_days(connection: sqlite3.Connection, since_us: int | None, until_us: int | None) -> Iterable[Part]:
    """The days of a span that anything is kept of, as months and days."""
    first_hour, end_hour = _kept_hours(connection, None, None)
    since, until = whole(DAY_US, since_us or 0, END_OF_TIME_US if until_us is None else until_us)
    first, end = first_hour // DAY_HOURS, -(-end_hour // DAY_HOURS)
    folded = folded_until(connection) // DAY_HOURS
    return day_parts(max(since, first), min(until, end), folded=folded)


# ── reasons, activity, prompts ──────────────────────────────────────────────────────────────────

_REASONS = """
    SELECT CASE :grain WHEN 1 THEN day WHEN 2 THEN month_of_day(day) END,
        iif(:by_environment, environment, NULL), iif(:by_group, "group", NULL), iif(:by_key, key, NULL),
        iif(:by_developer, developer, NULL), iif(:by_reason, reason, NULL),
        iif(:by_budget, budget, NULL), iif(:by_account, account, NULL),
        sum(calls), count(DISTINCT nullif(account, ''))
    FROM reason_sum
    WHERE day >= :first AND day < :end
      AND (:environment IS NULL OR environment = :environment)
      AND (:group IS NULL OR "group" = :group)
      AND (:key IS NULL OR key = :key)
      AND (:developer IS NULL OR developer = :developer)
      AND (:reason IS NULL OR reason = :reason)
      AND (:budget IS NULL OR budget = :budget)
      AND (:account IS NULL OR account = :account)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8
"""
_ACTIVITY = """
    SELECT developer, environment, first_at_us, last_at_us, calls, cost_nanodollars
    FROM activity
    WHERE half_hour >= :first AND half_hour < :end
      AND (:environment IS NULL OR environment = :environment)
      AND (:developer IS NULL OR developer = :developer)
    ORDER BY developer, first_at_us, environment
"""
_PROMPTS = """
    SELECT environment, developer, prompt_hash, sum(calls), sum(cost_nanodollars), count(*)
    FROM prompt_sum INDEXED BY prompt_sent_often
    WHERE calls >= 3 AND calls >= :least AND day >= :first AND day < :end
      AND (:environment IS NULL OR environment = :environment)
      AND (:developer IS NULL OR developer = :developer)
    GROUP BY 1, 2, 3 ORDER BY 5 DESC, 1, 2, 3
"""


def reasons(
    connection: sqlite3.Connection,
    by: Sequence[str],
    since_us: int | None,
    until_us: int | None,
    where: Mapping[str, str],
) -> list[ReasonRow]:
    """Count refused calls, and those granted otherwise than asked, by the dimensions asked for."""
    grain = reasons_by(by, where)
    first, end = whole(DAY_US, since_us or 0, END_OF_TIME_US if until_us is None else until_us)
    values: dict[str, object] = {"first": first, "end": end, "grain": grain}
    for dimension in REASONS_BY[1:]:
        values["by_" + dimension] = dimension in by
        values[dimension] = where.get(dimension)
    return [_reason_row(by, grain, row) for row in connection.execute(_REASONS, values)]


def _reason_row(by: Sequence[str], grain: Grain | None, row: SqlRow) -> ReasonRow:
    period, *texts, calls, accounts = row
    values = dict(zip(REASONS_BY[1:], texts, strict=True))
    if grain is not None:
        values[grain.name.lower()] = shown(grain, period)
    return ReasonRow(by={name: values[name] or None for name in by}, calls=calls, accounts=accounts)


def activity(
    connection: sqlite3.Connection, since_us: int, until_us: int, where: Mapping[str, str]
) -> list[ActivityRow]:
    """The half hours in which developers were at work."""
    values = _of_people("activity", HALF_HOUR_US, since_us, until_us, where)
    return [
        ActivityRow(
            developer=developer,
            environment=environment,
            first_at_us=first_at_us,
            last_at_us=last_at_us,
            calls=calls,
            cost_nanodollars=cost,
        )
        for developer, environment, first_at_us, last_at_us, calls, cost in connection.execute(
            _ACTIVITY, values
        )
    ]


def prompts(
    connection: sqlite3.Connection, least: int, since_us: int, until_us: int, where: Mapping[str, str]
) -> list[PromptRow]:
    """Prompts that were sent often in a day."""
    values = _of_people("a prompt", DAY_US, since_us, until_us, where)
    values["least"] = max(least, LEAST_SENT)
    return [
        PromptRow(
            environment=environment,
            developer=developer,
            prompt_hash=prompt_hash,
            calls=calls,
            cost_nanodollars=cost,
            days=days,
        )
        for environment, developer, prompt_hash, calls, cost, days in connection.execute(_PROMPTS, values)
    ]


def _of_people(
    what: str, unit_us: int, since_us: int, until_us: int, where: Mapping[str, str]
) -> dict[str, object]:
    check_asked(what, where, PEOPLE_BY)
    first, end = whole(unit_us, since_us, until_us)
    values: dict[str, object] = {"first": first, "end": end}
    return values | {name: where.get(name) for name in PEOPLE_BY}
