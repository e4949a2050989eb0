"""What slices of calls cost: by environment, model, key, label and time. Read from the roll-ups."""

from collections.abc import Iterable, Mapping, Sequence

from farthing.ledger.slices import SpendRow
from farthing.ledger.store import Store
from farthing.reports.sheet import Kind, mean_nanodollars
from farthing.reports.telling import shown
from farthing.reports.totals import with_rest

DIMENSIONS = ("environment", "key", "model", "provider", "group", "developer", "run", "hour")


class BadDimension(ValueError):
    """Spend cannot be told by this."""


def check_dimensions(by: Iterable[str]) -> tuple[str, ...]:
    """Accept environment, key, model … and one label:NAME. Raises BadDimension."""
    names = tuple(by)
    for name in names:
        if name not in DIMENSIONS and not (name.startswith("label:") and len(name) > len("label:")):
            raise BadDimension(
                f"spend cannot be told by {name!r}; choose from {', '.join(DIMENSIONS)} or label:NAME"
            )
    if sum(name.startswith("label:") for name in names) > 1:
        raise BadDimension("spend can be told by one label at a time")
    return names


def complete_spend(
    store: Store,
    dimensions: Sequence[str],
    *,
    since_us: int | None = None,
    until_us: int | None = None,
    where: Mapping[str, str] | None = None,
) -> list[SpendRow]:
    """Slices that sum to the whole: calls without the label or run that was asked for are one slice more.

    Runs are counted whole, by the moment they began, so in a span of time only calls with a run are told.
    Raises ValueError where such dimensions are not kept together.
    """
    rows = store.spend(by=dimensions, since_us=since_us, until_us=until_us, where=where)
    missing = next((name for name in dimensions if name == "run" or name.startswith("label:")), None)
    if missing is None or (missing == "run" and (since_us is not None or until_us is not None)):
        return rows
    others = [name for name in dimensions if name != missing]
    return with_rest(rows, store.spend(by=others, since_us=since_us, until_us=until_us, where=where), missing)


def dearer_staging(rows: Iterable[SpendRow]) -> str | None:
    """Say where staging costs more a call than production, at fewer calls; rows are by environment."""
    by_environment = {row.by.get("environment"): row for row in rows}
    staging, production = by_environment.get("staging"), by_environment.get("production")
    if staging is None or production is None or not 0 < staging.calls < production.calls:
        return None
    if staging.cost_nanodollars * production.calls <= production.cost_nanodollars * staging.calls:
        return None
    each = [
        shown(Kind.MEAN, mean_nanodollars(row.cost_nanodollars, row.calls)) for row in (staging, production)
    ]
    return "staging costs {} a call and production {}, at fewer calls".format(*each)


def spend_json(row: SpendRow) -> dict[str, object]:
    """Show a slice; amounts are whole nanodollars."""
    return {
        **dict(row.by),
        "calls": row.calls,
        "refused": row.refused,
        "assumed": row.assumed,
        "cost_nanodollars": row.cost_nanodollars,
        "cost_asked_nanodollars": row.cost_asked_nanodollars,
        "input_tokens": row.input_tokens,
        "cached_read": row.cached_read,
        "cached_write": row.cached_write,
        "output_tokens": row.output_tokens,
        "reasoning": row.reasoning,
        "cached": row.cached,
        "avoided_nanodollars": row.avoided_nanodollars,
    }
