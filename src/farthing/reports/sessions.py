"""When developers were at work with models: calls without half an hour between them are one session."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from farthing.ledger.grains import HALF_HOUR_US
from farthing.ledger.report_store import ActivityRow
from farthing.reports.asking import BadQuestion, Question
from farthing.reports.environments import NO_DEVELOPER, nothing_yet
from farthing.reports.ranking import Cells, together, top_of
from farthing.reports.sheet import Column, Kind, Sheet, Table, mean_nanodollars, part

GAP_US = HALF_HOUR_US
# Every half hour of every developer is read; a quarter of a year of them is enough to talk about.
DAYS_MAX = 92

_SESSIONS = (
    Column("developer", "Developer"),
    Column("environments", "Environment"),
    Column("began_at", "Began", Kind.MOMENT),
    Column("ended_at", "Ended", Kind.MOMENT),
    Column("lasted_seconds", "Lasted", Kind.DURATION),
    Column("calls", "Calls", Kind.COUNT),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
)
_PEOPLE = (
    Column("developer", "Developer"),
    Column("sessions", "Sessions", Kind.COUNT),
    Column("calls", "Calls", Kind.COUNT),
    Column("calls_per_session", "Calls each", Kind.NUMBER),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("cost_per_session_nanodollars", "Cost each", Kind.MEAN),
    Column("longest_seconds", "Longest", Kind.DURATION),
)


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of one developer, none of them more than half an hour after the one before."""

    developer: str
    environments: frozenset[str]
    began_at_us: int
    ended_at_us: int
    calls: int
    cost_nanodollars: int

    @property
    def lasted_us(self) -> int:
        """From the first call to the last."""
        return self.ended_at_us - self.began_at_us


def report(asked: Question) -> Sheet:
    """Tell the sessions of developers, the dearest first, and what each developer's come to."""
    title = "Sessions"
    if asked.span.days > DAYS_MAX:
        raise BadQuestion(
            f"sessions are told one by one, so of {DAYS_MAX} days at most, and {asked.span.days} were asked "
            "for; ask for a month"
        )
    sessions = sessions_of(asked)
    if not sessions:
        return nothing_yet("sessions", title, asked, NO_DEVELOPER)
    return Sheet(
        name="sessions",
        title=title,
        span=asked.span,
        provisional=asked.is_provisional,
        tables=(sessions_table(sessions, asked.top), _people(sessions, asked.top)),
        notes=("A session ends where its developer makes no call for more than 30 minutes.",),
    )


def sessions_of(asked: Question) -> list[Session]:
    """The sessions of the span, the dearest first, then the longest."""
    rows = asked.store.activity(since_us=asked.span.since_us, until_us=asked.span.until_us, where=asked.where)
    return sorted(
        _joined(rows), key=lambda one: (-one.cost_nanodollars, -one.lasted_us, one.developer, one.began_at_us)
    )


def _joined(rows: Iterable[ActivityRow]) -> Iterator[Session]:
    """Join half hours of a developer, whatever the environment, until a gap is longer than half an hour.

    A gap as long as that cannot hide inside half an hour, so the first and the last call of each tell.
    """
    so_far: list[ActivityRow] = []
    ended_at_us = 0
    for row in sorted(rows, key=lambda row: (row.developer, row.first_at_us)):
        same = so_far and so_far[0].developer == row.developer
        if so_far and not (same and row.first_at_us - ended_at_us <= GAP_US):
            yield _session(so_far)
            so_far = []
        ended_at_us = max(ended_at_us, row.last_at_us) if so_far else row.last_at_us
        so_far.append(row)
    if so_far:
        yield _session(so_far)


def _session(rows: Sequence[ActivityRow]) -> Session:
    return Session(
        developer=rows[0].developer,
        environments=frozenset(row.environment for row in rows),
        began_at_us=rows[0].first_at_us,
        ended_at_us=max(row.last_at_us for row in rows),
        calls=sum(row.calls for row in rows),
        cost_nanodollars=sum(row.cost_nanodollars for row in rows),
    )


def sessions_table(sessions: Sequence[Session], top: int) -> Table:
    """The dearest sessions, one by one."""
    ranked: list[Cells] = [
        (
            one.developer,
            ", ".join(sorted(one.environments)),
            one.began_at_us,
            one.ended_at_us,
            one.lasted_us,
            one.calls,
            one.cost_nanodollars,
        )
        for one in sessions
    ]
    return Table(
        name="sessions",
        title="The dearest sessions",
        columns=_SESSIONS,
        rows=tuple(top_of(ranked, top, together(_SESSIONS, "lasted_seconds", "calls", "cost_nanodollars"))),
        footer=(
            f"{len(sessions):,} sessions",
            None,
            None,
            None,
            sum(one.lasted_us for one in sessions),
            sum(one.calls for one in sessions),
            sum(one.cost_nanodollars for one in sessions),
        ),
        chart="cost_nanodollars",
    )


def _people(sessions: Sequence[Session], top: int) -> Table:
    by_developer: dict[str, list[Session]] = {}
    for one in sessions:
        by_developer.setdefault(one.developer, []).append(one)
    rows = sorted(
        (_person(developer, own) for developer, own in by_developer.items()),
        key=lambda row: (-int(row[4] or 0), str(row[0])),
    )
    return Table(
        name="developers",
        title="By developer",
        columns=_PEOPLE,
        rows=tuple(top_of(rows, top, together(_PEOPLE, "sessions", "calls", "cost_nanodollars"))),
    )


def _person(developer: str, own: Sequence[Session]) -> Cells:
    calls, cost = sum(one.calls for one in own), sum(one.cost_nanodollars for one in own)
    return (
        developer,
        len(own),
        calls,
        part(calls, len(own)),
        cost,
        mean_nanodollars(cost, len(own)),
        max(one.lasted_us for one in own),
    )
