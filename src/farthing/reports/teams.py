"""What each team spends and tries out, whether it takes cheap models and kept answers, and its limits."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

import msgspec

from farthing.domain.errors import Reason
from farthing.ledger.slices import SpendRow
from farthing.policy.wallets import team_of
from farthing.prices.book import load_book
from farthing.reports.asking import Question
from farthing.reports.environments import PRODUCTION, nothing_yet
from farthing.reports.limit_hits import LimitHits, limit_hits
from farthing.reports.price_tiers import CHEAP, HOW, price_tiers
from farthing.reports.ranking import NONE, Cells, together, top_of
from farthing.reports.sheet import Column, Flag, Kind, Level, Sheet, Table, part
from farthing.reports.totals import total_of

GROUP = "group"
# A limit that is met on so many days is met again and again.
REPEATED_DAYS = 3
NAMED_MAX = 5

_TEAMS = (
    Column("team", "Team"),
    Column("calls", "Calls", Kind.COUNT),
    Column("iterations", "outside production", Kind.COUNT),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("cost_percent", "of cost", Kind.SHARE),
    Column("low_cost_percent", "Low-cost calls", Kind.SHARE),
    Column("cached", "Cache hits", Kind.COUNT),
    Column("avoided_nanodollars", "Avoided", Kind.MONEY),
    Column("refused_at_limit", "Refused at a limit", Kind.COUNT),
)
_SUMMED = (
    "calls",
    "iterations",
    "cost_nanodollars",
    "cached",
    "avoided_nanodollars",
    "refused_at_limit",
)
_HITS = (
    Column("team", "Team"),
    Column("budget", "Limit"),
    Column("reason", "Refused as"),
    Column("calls", "Calls", Kind.COUNT),
    Column("days", "on days", Kind.COUNT),
)


class Team(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of one group of keys.

    served: those that a provider or the cache answered; low_cost: those of them that took a cheap model.
    """

    name: str
    sums: SpendRow
    iterations: int
    served: int
    low_cost: int
    refused_at_limit: int


def report(asked: Question) -> Sheet:
    """One row for each group of keys, the dearest first, and the limits that were met."""
    title = "Teams"
    span = asked.span
    rows = asked.store.spend(
        by=[GROUP, "environment", "provider", "model"],
        since_us=span.since_us,
        until_us=span.until_us,
        where=asked.where,
    )
    hits = limit_hits(asked, GROUP)
    teams = _teams(rows, hits, asked)
    if not teams:
        return nothing_yet("teams", title, asked)
    tables = [_table(teams, asked.top)]
    if hits:
        tables.append(hits_table(hits, asked.top))
    return Sheet(
        name="teams",
        title=title,
        span=span,
        provisional=asked.is_provisional,
        tables=tuple(tables),
        flags=tuple(flags_of_teams(hits)),
        notes=tuple(_notes(teams)),
    )


def _teams(rows: Iterable[SpendRow], hits: Iterable[LimitHits], asked: Question) -> list[Team]:
    by_group: dict[str, list[SpendRow]] = {}
    for row in rows:
        by_group.setdefault(row.by[GROUP] or NONE, []).append(row)
    models = {_model(row) for own in by_group.values() for row in own if row.calls}
    at_us = min(asked.now_us, asked.span.until_us - 1)
    tiers = price_tiers(models, asked.prices or load_book(), at_us)
    refused: dict[str, int] = {}
    for hit in hits:
        refused[hit.of] = refused.get(hit.of, 0) + hit.calls
    teams = [
        Team(
            name=name,
            sums=total_of(own),
            iterations=sum(row.calls for row in own if row.by["environment"] != PRODUCTION),
            served=sum(row.served for row in own),
            low_cost=sum(row.served for row in own if row.calls and tiers.get(_model(row)) == CHEAP),
            refused_at_limit=refused.get(name, 0),
        )
        for name, own in by_group.items()
    ]
    return sorted(teams, key=lambda team: (-team.sums.cost_nanodollars, -team.sums.calls, team.name))


def _model(row: SpendRow) -> tuple[str, str]:
    return row.by["provider"] or "", row.by["model"] or ""


def _table(teams: Sequence[Team], top: int) -> Table:
    whole = total_of([team.sums for team in teams])
    ranked = [_row(team, whole) for team in teams]
    served, low_cost = (
        sum(counts) for counts in zip(*[(one.served, one.low_cost) for one in teams], strict=True)
    )
    return Table(
        name="teams",
        title="What each team spends and tries out",
        columns=_TEAMS,
        rows=tuple(top_of(ranked, top, together(_TEAMS, *_SUMMED))),
        footer=(
            "total",
            whole.calls,
            sum(team.iterations for team in teams),
            whole.cost_nanodollars,
            None,
            part(low_cost, served),
            whole.cached,
            whole.avoided_nanodollars,
            sum(team.refused_at_limit for team in teams),
        ),
    )


def _row(team: Team, whole: SpendRow) -> Cells:
    sums = team.sums
    return (
        team.name,
        sums.calls,
        team.iterations,
        sums.cost_nanodollars,
        part(sums.cost_nanodollars, whole.cost_nanodollars),
        Fraction(team.low_cost, team.served) if team.served else None,
        sums.cached,
        sums.avoided_nanodollars,
        team.refused_at_limit,
    )


def hits_table(hits: Sequence[LimitHits], top: int) -> Table:
    """Which team was refused at which limit, how often and on how many days."""
    ranked: list[Cells] = [(hit.of, hit.budget, hit.reason, hit.calls, hit.days) for hit in hits]
    return Table(
        name="limit_hits",
        title="Limits that teams met",
        columns=_HITS,
        rows=tuple(top_of(ranked, top, together(_HITS, "calls"))),
        footer=("total", None, None, sum(hit.calls for hit in hits), None),
        chart="calls",
    )


def flags_of_teams(hits: Iterable[LimitHits]) -> Iterator[Flag]:
    """Teams that were refused at one limit on several days."""
    repeated = [hit for hit in hits if hit.days >= REPEATED_DAYS]
    for hit in repeated[:NAMED_MAX]:
        who = "Calls without a group were" if hit.of == NONE else f"{hit.of} was"
        limit = "a limit on its rate" if hit.budget == NONE else hit.budget
        yield Flag(
            name="team_at_its_limit",
            level=Level.WARNING,
            text=f"{who} refused {hit.calls:,} times at {limit} on {hit.days} days.",
            fix=_fix(hit),
        )


def _fix(hit: LimitHits) -> str:
    if hit.reason == Reason.RATE_LIMITED or hit.budget == NONE:
        return "if its work is worth it, raise  rate_limit  of its environment or group in the policy"
    if wallet := team_of(hit.budget):
        return f'if its work is worth it: farthing wallet credit {wallet} 50 --reason "..."'
    return f"if its work is worth it, raise it in the policy, or now: farthing budget raise {hit.budget} 50"


def _notes(teams: Sequence[Team]) -> Iterator[str]:
    yield f"Low-cost calls are those of cheap models. {HOW}"
    if all(team.name == NONE for team in teams):
        yield (
            "No key belongs to a group. Teams are consumer_groups of the policy: "
            "farthing key create --environment development --label alice --group search"
        )
