"""Outcomes in SQLite: keep one once, list them, sum them."""

import sqlite3
from collections.abc import Sequence

import msgspec

from farthing.domain.outcome import OutcomeSum, RecordedOutcome, value_from, value_text
from farthing.ledger.outcome_sums import Alike, WantedOutcomes, add_up, label_among
from farthing.ledger.sqlite_rows import SqlRow

_COLUMNS = 'number, environment, key, outcome_id, at_us, name, value, "group", developer, run, labels'
_ADD = """
    INSERT INTO outcome (environment, key, outcome_id, at_us, name, value, "group", developer, run, labels)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_KEPT = " ".join(("SELECT", _COLUMNS, "FROM outcome WHERE outcome_id = ? AND environment = ? AND key = ?"))
_WANTED = """
    number < :before AND at_us >= :since_us AND at_us < :until_us
    AND (:name IS NULL OR name = :name)
    AND (:environment IS NULL OR environment = :environment)
    AND (:key IS NULL OR key = :key)
    AND (:run IS NULL OR run = :run)
    AND (:labels IS NULL OR NOT EXISTS (
        SELECT 1 FROM json_each(:labels) AS wanted
        WHERE coalesce((
            SELECT given.value FROM json_each(outcome.labels) AS given WHERE given.key = wanted.key
        ) <> wanted.value, TRUE)
    ))
"""
_BY_NAME = "INDEXED BY outcome_by_name"
_LIST = ("SELECT", _COLUMNS, "FROM outcome")
_NEWEST = "ORDER BY number DESC LIMIT :limit"
_LIST_BY_NAME = " ".join((*_LIST, _BY_NAME, "WHERE name = :name AND", _WANTED, _NEWEST))
_LIST_ALL = " ".join((*_LIST, "WHERE", _WANTED, _NEWEST))
_SUMS = " ".join(
    (
        """SELECT iif(:by_name, name, ''), iif(:by_environment, environment, ''), iif(:by_group, "group", ''),
            iif(:by_key, key, ''), iif(:by_developer, developer, ''), iif(:by_run, run, ''),
            iif(:label IS NULL, NULL, (SELECT value FROM json_each(labels) WHERE key = :label)),
            value, count(*)
        FROM outcome WHERE""",
        _WANTED,
        "GROUP BY 1, 2, 3, 4, 5, 6, 7, 8",
    )
)
_ORDER = ("name", "environment", "group", "key", "developer", "run")
_END_OF_TIME = 2**62

_decode_labels = msgspec.json.Decoder(dict[str, str]).decode


def add_outcome(connection: sqlite3.Connection, row: RecordedOutcome) -> tuple[RecordedOutcome, bool]:
    """Keep an outcome unless it is kept; answer what is kept, and whether this was the first time."""
    labels = msgspec.json.encode(row.labels).decode()
    who = (row.group or "", row.developer or "", row.run or "")
    texts = (row.environment, row.key or "", row.outcome_id, row.at_us, row.name, value_text(row.value))
    is_first = connection.execute(_ADD, (*texts, *who, labels)).rowcount == 1
    kept = connection.execute(_KEPT, (row.outcome_id, row.environment, row.key or "")).fetchone()
    return _outcome_from(kept), is_first


def outcomes(connection: sqlite3.Connection, wanted: WantedOutcomes, limit: int) -> list[RecordedOutcome]:
    """Outcomes, newest first."""
    statement = _LIST_ALL if wanted.name is None else _LIST_BY_NAME
    return [_outcome_from(row) for row in connection.execute(statement, {**_values(wanted), "limit": limit})]


def outcome_sums(
    connection: sqlite3.Connection, by: Sequence[str], wanted: WantedOutcomes
) -> list[OutcomeSum]:
    """Sum outcomes by dimensions."""
    label = label_among(by)
    values = {**_values(wanted), "label": label, **{f"by_{name}": name in by for name in _ORDER}}
    return add_up([_alike_from(by, row) for row in connection.execute(_SUMS, values)], by)


def _values(wanted: WantedOutcomes) -> dict[str, object]:
    return {
        "name": wanted.name,
        "environment": wanted.environment,
        "key": wanted.key,
        "run": wanted.run,
        "labels": msgspec.json.encode(wanted.labels).decode() if wanted.labels else None,
        "since_us": wanted.since_us or 0,
        "until_us": _END_OF_TIME if wanted.until_us is None else wanted.until_us,
        "before": _END_OF_TIME if wanted.before is None else wanted.before,
    }


def _alike_from(by: Sequence[str], row: SqlRow) -> Alike:
    *known, of_label, value, count = row
    values = dict(zip(_ORDER, known, strict=True))
    return tuple([of_label if ":" in name else values[name] or None for name in by]), value_from(value), count


def _outcome_from(row: SqlRow) -> RecordedOutcome:
    number, environment, key, outcome_id, at_us, name, value, group, developer, run, labels = row
    return RecordedOutcome(
        outcome_id=outcome_id,
        at_us=at_us,
        environment=environment,
        name=name,
        value=value_from(value),
        labels=_decode_labels(labels),
        run=run or None,
        group=group or None,
        key=key or None,
        developer=developer or None,
        number=number,
    )
