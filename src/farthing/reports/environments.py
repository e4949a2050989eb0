"""What each environment spends: its share, its calls, what one costs, and what its cache saves."""

from collections.abc import Iterable

from farthing.ledger.slices import SpendRow
from farthing.reports.asking import Question
from farthing.reports.ranking import NONE
from farthing.reports.sheet import Column, Flag, Kind, Level, Sheet, Table, Value, mean_nanodollars, part
from farthing.reports.spend import complete_spend, dearer_staging
from farthing.reports.telling import percent
from farthing.reports.totals import total_of

DEVELOPMENT, PRODUCTION = "development", "production"
# From the desk to the customer; environments of other names stand behind these, by name.
ORDER = (DEVELOPMENT, "ci", "staging", PRODUCTION)

_SPLIT = (
    Column("environment", "Environment"),
    Column("calls", "Calls", Kind.COUNT),
    Column("calls_percent", "of calls", Kind.SHARE),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("cost_percent", "of cost", Kind.SHARE),
    Column("calls_of_production_percent", "of production's calls", Kind.SHARE),
    Column("cost_of_production_percent", "of production's cost", Kind.SHARE),
)
_CALLS = (
    Column("environment", "Environment"),
    Column("cost_per_call_nanodollars", "Cost per call", Kind.MEAN),
    Column("cost_per_paid_call_nanodollars", "without cache hits", Kind.MEAN),
    Column("times_production", "times production's", Kind.TIMES),
    Column("cached", "Cache hits", Kind.COUNT),
    Column("cache_hit_percent", "Hit rate", Kind.SHARE),
    Column("avoided_nanodollars", "Avoided", Kind.MONEY),
    Column("input_tokens", "Input tokens", Kind.COUNT),
    Column("output_tokens", "Output tokens", Kind.COUNT),
    Column("refused", "Refused", Kind.COUNT),
    Column("assumed", "Assumed", Kind.COUNT),
)


def report(asked: Question) -> Sheet:
    """Split spend, calls and tokens by environment, and hold each against production."""
    rows = in_order(
        complete_spend(
            asked.store, ["environment"], since_us=asked.span.since_us, until_us=asked.span.until_us
        )
    )
    title = "Spend by environment"
    if not rows:
        return nothing_yet("environments", title, asked)
    total = total_of(rows)
    production = next((row for row in rows if row.by["environment"] == PRODUCTION), None)
    split = Table(
        name="split",
        title="Who spends",
        columns=_SPLIT,
        rows=tuple(_split(row, total, production) for row in rows),
        footer=("total", total.calls, None, total.cost_nanodollars, None, None, None),
        chart="cost_nanodollars",
    )
    calls = Table(
        name="calls",
        title="What a call costs",
        columns=_CALLS,
        rows=tuple(_calls(row, production) for row in rows),
        chart="cost_per_call_nanodollars",
    )
    return Sheet(
        name="environments",
        title=title,
        span=asked.span,
        provisional=asked.is_provisional,
        tables=(split, calls),
        flags=tuple(_flags(rows)),
        notes=tuple(_outside_production(total, production)),
    )


def _outside_production(total: SpendRow, production: SpendRow | None) -> Iterable[str]:
    share = part(
        total.cost_nanodollars - (production.cost_nanodollars if production else 0), total.cost_nanodollars
    )
    if share is not None:
        yield f"Outside production: {percent(share)} % of the cost."


def in_order(rows: Iterable[SpendRow]) -> list[SpendRow]:
    """Slices by environment, from the desk to the customer."""
    return sorted(rows, key=lambda row: environment_place(row.by["environment"]))


def environment_place(environment: str | None) -> tuple[int, str]:
    """Where an environment stands among the others."""
    name = environment or ""
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


NO_DEVELOPER = (
    "No call in that span has a developer. Give each developer a key of their own: "
    "farthing key create --environment development --label alice"
)


def nothing_yet(name: str, title: str, asked: Question, *notes: str) -> Sheet:
    """The sheet of a span without what is asked for: it says what to do."""
    way_on = (
        notes
        or _elsewhere(asked)
        or (
            "No call is on this ledger in that span. Send one through farthing serve or a guarded client, or "
            "ask for another span, such as --since 365d. farthing demo makes a ledger to try reports on.",
        )
    )
    return Sheet(name=name, title=title, span=asked.span, provisional=asked.is_provisional, notes=way_on)


def _elsewhere(asked: Question) -> tuple[str, ...]:
    """Where the calls of the span are, if the environment that is asked for has none of them."""
    if asked.environment is None:
        return ()
    rows = asked.store.spend(by=["environment"], since_us=asked.span.since_us, until_us=asked.span.until_us)
    names = [row.by["environment"] or NONE for row in in_order(rows)]
    if not names or asked.environment in names:
        return ()
    return (
        f"No call of {asked.environment} is on this ledger in that span. There are calls of "
        f"{', '.join(names)}: name another environment with --environment, or look further back.",
    )


def _split(row: SpendRow, total: SpendRow, production: SpendRow | None) -> tuple[Value, ...]:
    return (
        row.by["environment"],
        row.calls,
        part(row.calls, total.calls),
        row.cost_nanodollars,
        part(row.cost_nanodollars, total.cost_nanodollars),
        part(row.calls, production.calls) if production else None,
        part(row.cost_nanodollars, production.cost_nanodollars) if production else None,
    )


def _calls(row: SpendRow, production: SpendRow | None) -> tuple[Value, ...]:
    times = None
    if production and production.cost_nanodollars and row.calls:
        times = part(row.cost_nanodollars * production.calls, row.calls * production.cost_nanodollars)
    return (
        row.by["environment"],
        mean_nanodollars(row.cost_nanodollars, row.calls),
        mean_nanodollars(row.cost_nanodollars, row.paid),
        times,
        row.cached,
        part(row.cached, row.calls),
        row.avoided_nanodollars,
        row.input_tokens,
        row.output_tokens,
        row.refused,
        row.assumed,
    )


def _flags(rows: list[SpendRow]) -> Iterable[Flag]:
    dearer = dearer_staging(rows)
    if dearer is not None:
        yield Flag(
            name="staging_dearer_than_production",
            level=Level.WARNING,
            text=f"{dearer[0].upper()}{dearer[1:]}.",
            fix="farthing report models --environment staging",
        )
