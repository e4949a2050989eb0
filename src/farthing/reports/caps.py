"""How often calls hit a cap, which tasks ran away, and how much of production has no cap at all."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import msgspec

from farthing.domain.errors import Reason
from farthing.ledger.report_store import ReasonRow
from farthing.ledger.slices import SpendRow
from farthing.reports.asking import Question
from farthing.reports.environments import PRODUCTION, in_order, nothing_yet
from farthing.reports.incidents import Incidents, runaway_incidents
from farthing.reports.ranking import NONE, OTHERS, top_of
from farthing.reports.sheet import Column, Flag, Kind, Level, Sheet, Table, part
from farthing.reports.telling import percent
from farthing.reports.totals import total_of

# A cap that more of the requests hit is too low, or what they ask for is too much.
HIT_SHARE_MAX = Fraction(5, 100)
# Refusals for want of money; those that only wait for calls in flight are among them.
AT_CAP = frozenset((Reason.BUDGET_EXCEEDED, Reason.BUDGET_HELD, Reason.WALLET_EMPTY))

_TITLE = "Caps: hits, runaway tasks, calls without one"
_ENVIRONMENTS = (
    Column("environment", "Environment"),
    Column("requests", "Requests", Kind.COUNT),
    Column("refused_at_cap", "Refused at a cap", Kind.COUNT),
    Column("clamped", "Clamped", Kind.COUNT),
    Column("cap_hit_percent", "Hit rate", Kind.SHARE),
    Column("uncapped", "Calls without a cap", Kind.COUNT),
    Column("uncapped_percent", "of calls", Kind.SHARE),
)
_BUDGETS = (
    Column("environment", "Environment"),
    Column("budget", "Budget"),
    Column("refused_at_cap", "Refused", Kind.COUNT),
    Column("of_requests_percent", "of requests", Kind.SHARE),
    Column("accounts", "Accounts short", Kind.COUNT),
)
_INCIDENTS = (
    Column("month", "Month"),
    Column("environment", "Environment"),
    Column("budget", "Ended by"),
    Column("incidents", "Incidents", Kind.COUNT),
    Column("refused", "Calls refused", Kind.COUNT),
)


class CapHits(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests of one environment hit a cap, and how many calls had none."""

    spend: SpendRow
    refused_at_cap: int

    @property
    def environment(self) -> str:
        """Whose they are."""
        return self.spend.by.get("environment") or NONE

    @property
    def requests(self) -> int:
        """All of them, whether granted or refused."""
        return self.spend.calls + self.spend.refused

    @property
    def hits(self) -> int:
        """Those refused at a cap, and those granted with a lowered output cap."""
        return self.refused_at_cap + self.spend.clamped

    @property
    def is_too_often(self) -> bool:
        """Whether more hit a cap than is healthy."""
        return self.hits > HIT_SHARE_MAX * self.requests

    @property
    def upstream(self) -> int:
        """The calls that a limit on the call or its run could have held."""
        return self.spend.calls - self.spend.cached


def report(asked: Question) -> Sheet:
    """Hit rates by environment and budget, runaway incidents by month, and calls without any cap."""
    refused = asked.store.reasons(
        by=["environment", "reason", "budget"],
        since_us=asked.span.since_us,
        until_us=asked.span.until_us,
        where=asked.where,
    )
    hits = cap_hits(asked, refused)
    if not hits:
        return nothing_yet("caps", _TITLE, asked)
    incidents = runaway_incidents(asked.store, asked.span, asked.where)
    at_cap = [row for row in refused if row.by["reason"] in AT_CAP]
    return Sheet(
        name="caps",
        title=_TITLE,
        span=asked.span,
        provisional=asked.is_provisional,
        tables=tuple(_tables(hits, at_cap, incidents, asked.top)),
        flags=tuple(_flags(hits, at_cap)),
        notes=(
            "A request hits a cap when it is refused because a budget or wallet is used up, or granted with "
            "a lower output cap than it asked for. A runaway incident is a run, branch, workflow or guarded "
            "task that used up its own budget, or a stop. Calls without a cap had no limit on "
            "themselves and none on their run.",
        ),
    )


def cap_hits(asked: Question, refused: Sequence[ReasonRow]) -> list[CapHits]:
    """Each environment; refused: why its calls were refused, by environment, reason and budget."""
    span = asked.span
    rows = asked.store.spend(
        by=["environment"], since_us=span.since_us, until_us=span.until_us, where=asked.where
    )
    at_cap: dict[str | None, int] = {}
    for row in refused:
        if row.by["reason"] in AT_CAP:
            environment = row.by["environment"]
            at_cap[environment] = at_cap.get(environment, 0) + row.calls
    return [CapHits(spend=row, refused_at_cap=at_cap.get(row.by["environment"], 0)) for row in in_order(rows)]


def uncapped_flag(hits: Sequence[CapHits]) -> Flag | None:
    """Warn where calls of production had no limit on the call or on its run."""
    for row in hits:
        if row.environment == PRODUCTION and row.spend.uncapped:
            share = percent(Fraction(row.spend.uncapped, row.upstream))
            return Flag(
                name="uncapped_production",
                level=Level.WARNING,
                text=f"{share} % of production's calls ({row.spend.uncapped:,} of {row.upstream:,}) had no "
                "limit on the call or on its run: one bad request can cost more than a thousand good ones.",
                fix="in the policy:  environments: {production: {call_limit: $0.50}}",
            )
    return None


def _tables(
    hits: Sequence[CapHits], at_cap: Sequence[ReasonRow], incidents: Sequence[Incidents], top: int
) -> Iterator[Table]:
    whole = CapHits(
        spend=total_of([row.spend for row in hits]), refused_at_cap=sum(row.refused_at_cap for row in hits)
    )
    yield Table(
        name="environments",
        title="How often calls hit a cap",
        columns=_ENVIRONMENTS,
        rows=tuple((row.environment, *_figures(row)) for row in hits),
        footer=("total", *_figures(whole)),
        chart="cap_hit_percent",
    )
    if at_cap:
        yield _budgets(at_cap, {row.environment: row.requests for row in hits}, top)
    if incidents:
        yield _incidents(incidents, top)


def _figures(row: CapHits) -> tuple[int | Fraction | None, ...]:
    return (
        row.requests,
        row.refused_at_cap,
        row.spend.clamped,
        part(row.hits, row.requests),
        row.spend.uncapped,
        part(row.spend.uncapped, row.upstream),
    )


def _budgets(at_cap: Sequence[ReasonRow], requests: Mapping[str, int], top: int) -> Table:
    """Which budgets refused; those with most refusals first."""
    budgets: dict[tuple[str, str], tuple[int, int]] = {}
    for row in at_cap:
        key = (row.by["environment"] or NONE, row.by["budget"] or NONE)
        calls, accounts = budgets.get(key, (0, 0))
        # One account refuses for good after it made others wait: it is one all the same.
        budgets[key] = (calls + row.calls, max(accounts, row.accounts))
    ranked = sorted([(*key, *figures) for key, figures in budgets.items()], key=lambda row: (-row[2], row))
    shown = top_of(
        ranked, top, lambda rows: ("", OTHERS, sum(row[2] for row in rows), sum(row[3] for row in rows))
    )
    return Table(
        name="budgets",
        title="Which budgets refused",
        columns=_BUDGETS,
        rows=tuple(
            (environment, budget, calls, part(calls, requests.get(environment, 0)), accounts)
            for environment, budget, calls, accounts in shown
        ),
        footer=("total", None, sum(row[2] for row in ranked), None, None),
        chart="refused_at_cap",
    )


def _incidents(incidents: Sequence[Incidents], top: int) -> Table:
    """Runaway incidents, the latest month first."""
    ranked = sorted(incidents, key=lambda row: (-row.count, row.environment or "", row.budget))
    ranked.sort(key=lambda row: row.month, reverse=True)
    shown = top_of(ranked, top, _together)
    return Table(
        name="incidents",
        title="Runaway incidents",
        columns=_INCIDENTS,
        rows=tuple(
            (row.month, row.environment or "(all)", row.budget, row.count, row.refused) for row in shown
        ),
        footer=("total", None, None, sum(row.count for row in ranked), sum(row.refused for row in ranked)),
        chart="incidents",
    )


def _together(rows: Sequence[Incidents]) -> Incidents:
    return Incidents(
        month="earlier",
        environment="",
        budget=OTHERS,
        count=sum(row.count for row in rows),
        refused=sum(row.refused for row in rows),
    )


def _flags(hits: Sequence[CapHits], at_cap: Sequence[ReasonRow]) -> Iterator[Flag]:
    for row in hits:
        if row.is_too_often:
            share = percent(Fraction(row.hits, row.requests))
            yield Flag(
                name="cap_hit_too_often",
                level=Level.WARNING,
                text=f"{share} % of the requests of {row.environment} hit a cap ({row.hits:,} of "
                f"{row.requests:,}); more than 5 % is too many. Raise the budget, or look at the agent that "
                "asks for so much.",
                fix=_way_on(row, at_cap),
            )
    if flag := uncapped_flag(hits):
        yield flag


def _way_on(hits: CapHits, at_cap: Sequence[ReasonRow]) -> str:
    """Look at the budget that refused most, where one did; else at the calls that were clamped."""
    look = f"farthing report runs --environment {hits.environment}"
    own = [row for row in at_cap if row.by["environment"] == hits.environment and row.by["budget"]]
    if not own:
        return look
    most = max(own, key=lambda row: row.calls).by["budget"]
    return f"farthing budget show {most}, or {look}"
