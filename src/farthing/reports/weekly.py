"""The weekly sheet of development: spend, premium models by person, experiments, limits, prompts, sessions.

It is put together from the other reports, so its totals are theirs.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from farthing.domain.outcome import OutcomeSum
from farthing.ledger.outcome_sums import WantedOutcomes
from farthing.ledger.report_store import PromptRow
from farthing.ledger.slices import SpendRow
from farthing.reports import developers, models, prompts, sessions, teams
from farthing.reports.asking import Question
from farthing.reports.comparing import compared
from farthing.reports.composing import taken
from farthing.reports.environments import DEVELOPMENT, nothing_yet
from farthing.reports.ranking import NONE, Cells, dearest, together, top_of
from farthing.reports.sheet import Column, Flag, Kind, Sheet, Table, mean_nanodollars, part
from farthing.reports.spend import complete_spend
from farthing.reports.totals import total_of

EXPERIMENT = "label:experiment"
# What is tried so often, without anybody saying what came of it, is worth a formal evaluation.
EVALUATED_FROM = 15
SESSIONS_TOLD = 5
_WEEK_DAYS = 7

_SPEND = (
    Column("environment", "Environment"),
    Column("calls", "Calls", Kind.COUNT),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("cost_percent", "of all cost", Kind.SHARE),
    Column("cost_per_call_nanodollars", "Cost per call", Kind.MEAN),
    Column("cost_before_nanodollars", "Before", Kind.MONEY),
    Column("change_percent", "Change", Kind.SHARE),
)
_EXPERIMENTS = (
    Column("experiment", "Experiment"),
    Column("calls", "Calls", Kind.COUNT),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("cost_percent", "of cost", Kind.SHARE),
    Column("outcomes", "Outcomes", Kind.COUNT),
    Column("true", "True", Kind.COUNT),
    Column("cost_per_true_nanodollars", "Cost per true one", Kind.MEAN),
)
_CANDIDATES = (
    Column("what", "What"),
    Column("name", "Name"),
    Column("developer", "Developer"),
    Column("calls", "Calls", Kind.COUNT),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("why", "Why"),
)


def report(asked: Question) -> Sheet:
    """Tell the week of development, for the people who decide what to try next."""
    environment = asked.environment or DEVELOPMENT
    title = f"The week of {environment}" if asked.span.days == _WEEK_DAYS else f"Review of {environment}"
    asked = msgspec.structs.replace(asked, environment=environment)
    every = _of_environments(asked, asked.span.since_us, asked.span.until_us)
    here = next((row for row in every if row.by["environment"] == environment), None)
    if here is None:
        return nothing_yet("weekly", title, asked)
    tried = _experiments(asked)
    told = _outcomes(asked)
    repeated = prompts.prompts_of(asked)
    inside = [part_of.report(asked) for part_of in (models, developers, teams, prompts)]
    if asked.span.days <= sessions.DAYS_MAX:
        inside.append(sessions.report(msgspec.structs.replace(asked, top=min(asked.top, SESSIONS_TOLD))))
    tables = [
        _spend(here, every, asked),
        *taken(inside, "avoidable"),
        *([_experiments_table(tried, told, here, asked.top)] if _is_named(tried) else ()),
        *taken(inside, "teams", "limit_hits"),
        *_candidates(tried, told, repeated, asked.top),
        *taken(inside, "prompts", "sessions"),
    ]
    return Sheet(
        name="weekly",
        title=title,
        span=asked.span,
        provisional=asked.is_provisional,
        tables=tuple(tables),
        flags=tuple(flag for sheet in inside for flag in sheet.flags),
        notes=tuple(_notes(tried, inside, asked)),
    )


# ── spend ───────────────────────────────────────────────────────────────────────────────────────


def _of_environments(asked: Question, since_us: int, until_us: int) -> list[SpendRow]:
    return complete_spend(asked.store, ["environment"], since_us=since_us, until_us=until_us)


def _spend(here: SpendRow, every: Sequence[SpendRow], asked: Question) -> Table:
    earlier, _ = compared(asked.span, asked.now_us)
    rows = _of_environments(asked, earlier.since_us, earlier.until_us)
    before = sum(row.cost_nanodollars for row in rows if row.by["environment"] == asked.environment)
    cost = here.cost_nanodollars
    row: Cells = (
        asked.environment,
        here.calls,
        cost,
        part(cost, total_of(every).cost_nanodollars),
        mean_nanodollars(cost, here.calls),
        before,
        part(cost - before, before),
    )
    return Table(name="spend", title=f"What was spent, beside {earlier}", columns=_SPEND, rows=(row,))


# ── experiments ─────────────────────────────────────────────────────────────────────────────────


def _experiments(asked: Question) -> list[SpendRow]:
    rows = complete_spend(
        asked.store,
        [EXPERIMENT],
        since_us=asked.span.since_us,
        until_us=asked.span.until_us,
        where=asked.where,
    )
    return dearest([row for row in rows if row.calls])


def _is_named(tried: Sequence[SpendRow]) -> bool:
    return any(row.by[EXPERIMENT] is not None for row in tried)


def _outcomes(asked: Question) -> dict[str | None, OutcomeSum]:
    wanted = WantedOutcomes(
        environment=asked.environment, since_us=asked.span.since_us, until_us=asked.span.until_us
    )
    return {row.by[EXPERIMENT]: row for row in asked.store.outcome_sums((EXPERIMENT,), wanted)}


def _experiments_table(
    tried: Sequence[SpendRow], told: Mapping[str | None, OutcomeSum], here: SpendRow, top: int
) -> Table:
    ranked = [_experiment(row, told.get(row.by[EXPERIMENT]), here) for row in tried]
    joined = together(_EXPERIMENTS, "calls", "cost_nanodollars", "outcomes", "true")
    return Table(
        name="experiments",
        title="Experiments, by what they cost and what came of them",
        columns=_EXPERIMENTS,
        rows=tuple(top_of(ranked, top, joined)),
        footer=("total", here.calls, here.cost_nanodollars, None, None, None, None),
        chart="cost_nanodollars",
    )


def _experiment(row: SpendRow, told: OutcomeSum | None, here: SpendRow) -> Cells:
    return (
        row.by[EXPERIMENT] or NONE,
        row.calls,
        row.cost_nanodollars,
        part(row.cost_nanodollars, here.cost_nanodollars),
        told.outcomes if told else 0,
        told.true if told else 0,
        mean_nanodollars(row.cost_nanodollars, told.true) if told else None,
    )


# ── what should be evaluated ────────────────────────────────────────────────────────────────────


def _candidates(
    tried: Sequence[SpendRow],
    told: Mapping[str | None, OutcomeSum],
    repeated: Sequence[PromptRow],
    top: int,
) -> Iterator[Table]:
    """Experiments that nobody told an outcome of, and prompts that are tried by hand, the dearest first."""
    rows: list[Cells] = [
        ("experiment", name, None, row.calls, row.cost_nanodollars, "no outcome was told")
        for row in tried
        if (name := row.by[EXPERIMENT]) is not None and name not in told and row.calls >= EVALUATED_FROM
    ]
    rows += [
        ("prompt", row.prompt_hash, row.developer, row.calls, row.cost_nanodollars, "tried by hand")
        for row in repeated
        if row.calls >= EVALUATED_FROM
    ]
    if not rows:
        return
    rows.sort(key=lambda row: (-int(row[4] or 0), str(row[1])))
    yield Table(
        name="evaluation_candidates",
        title="Worth a formal evaluation",
        columns=_CANDIDATES,
        rows=tuple(top_of(rows, top, together(_CANDIDATES, "calls", "cost_nanodollars"))),
    )


def _notes(tried: Sequence[SpendRow], inside: Sequence[Sheet], asked: Question) -> Iterator[str]:
    if _flagged(inside, "premium_in_development"):
        yield f"Every use of a model: farthing report models --environment {asked.environment}."
    if not _is_named(tried):
        yield (
            'No call names its experiment: send X-Metering-Tags: {"experiment": "shorter-prompt"}, and tell '
            'what came of it with record_outcome("better", True, labels={"experiment": "shorter-prompt"}).'
        )


def _flagged(sheets: Sequence[Sheet], name: str) -> Flag | None:
    return next((flag for sheet in sheets if (flag := sheet.flag(name))), None)
