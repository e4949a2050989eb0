"""What reports ask of a SQLite ledger, each question on one snapshot."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from farthing.ledger import sqlite_runs, sqlite_sums
from farthing.ledger.auditing import annotation_act
from farthing.ledger.report_store import (
    ActivityRow,
    Annotation,
    CostCounts,
    DearRuns,
    PromptRow,
    ReasonRow,
)
from farthing.ledger.slices import SpendRow
from farthing.ledger.sqlite_audit import add_act

_ANNOTATE = """
    INSERT INTO annotation (feature, starts_at_us, ships_at_us, until_us, note, annotated_by, at_us)
    VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_ANNOTATIONS = """
    SELECT feature, starts_at_us, ships_at_us, until_us, note, annotated_by, at_us
    FROM annotation ORDER BY number DESC
"""


class ReportsInFile(ABC):
    """What a SQLite store answers to reports."""

    @abstractmethod
    def _writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that writes."""

    @abstractmethod
    def _asking(self) -> AbstractContextManager[sqlite3.Connection]:
        """A connection that reads."""

    def spend(
        self,
        *,
        by: Sequence[str],
        since_us: int | None = None,
        until_us: int | None = None,
        where: Mapping[str, str] | None = None,
    ) -> list[SpendRow]:
        """Sum the roll-ups, each part of the span by the coarsest sums there are."""
        with self._asking() as connection:
            return sqlite_sums.spend(connection, by, since_us, until_us, where or {})

    def cost_counts(
        self,
        *,
        of: str,
        by: Sequence[str] = (),
        since_us: int | None = None,
        until_us: int | None = None,
        where: Mapping[str, str] | None = None,
    ) -> CostCounts:
        """How many settled calls, or runs, cost how much."""
        with self._asking() as connection:
            return sqlite_sums.cost_counts(connection, of, by, since_us, until_us, where or {})

    def dear_runs(
        self,
        *,
        top: int,
        since_us: int | None = None,
        until_us: int | None = None,
        where: Mapping[str, str] | None = None,
    ) -> DearRuns:
        """Runs by environment, and the dearest of them."""
        with self._asking() as connection:
            return sqlite_runs.dear_runs(connection, top, since_us, until_us, where or {})

    def reasons(
        self,
        *,
        by: Sequence[str],
        since_us: int | None = None,
        until_us: int | None = None,
        where: Mapping[str, str] | None = None,
    ) -> list[ReasonRow]:
        """Why calls were refused, or granted otherwise than asked."""
        with self._asking() as connection:
            return sqlite_sums.reasons(connection, by, since_us, until_us, where or {})

    def activity(
        self, *, since_us: int, until_us: int, where: Mapping[str, str] | None = None
    ) -> list[ActivityRow]:
        """When developers were at work."""
        with self._asking() as connection:
            return sqlite_sums.activity(connection, since_us, until_us, where or {})

    def prompts(
        self, *, least: int, since_us: int, until_us: int, where: Mapping[str, str] | None = None
    ) -> list[PromptRow]:
        """Prompts that were sent often in a day, the dearest first."""
        with self._asking() as connection:
            return sqlite_sums.prompts(connection, least, since_us, until_us, where or {})

    def annotate(self, annotation: Annotation) -> None:
        """Keep what somebody said about a feature."""
        row = (
            annotation.feature,
            annotation.starts_at_us,
            annotation.ships_at_us,
            annotation.until_us,
            annotation.note,
            annotation.by,
            annotation.at_us,
        )
        with self._writing() as connection:
            connection.execute(_ANNOTATE, row)
            add_act(connection, annotation_act(annotation))

    def annotations(self) -> list[Annotation]:
        """All annotations, newest first."""
        with self._asking() as connection:
            rows = connection.execute(_ANNOTATIONS).fetchall()
        return [
            Annotation(
                feature=feature,
                starts_at_us=starts_at_us,
                ships_at_us=ships_at_us,
                until_us=until_us,
                note=note,
                by=by,
                at_us=at_us,
            )
            for feature, starts_at_us, ships_at_us, until_us, note, by, at_us in rows
        ]
