"""What slices of calls cost: by environment, model, key, label and time. Read from the roll-ups."""

from collections.abc import Iterable

from farthing.ledger.entries import SpendRow

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
    }
