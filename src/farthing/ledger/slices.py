"""How spend may be sliced: which roll-up answers which dimensions, the same for every store."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from farthing.ledger.rollups import Measures

LABEL_PREFIX = "label:"

# The dimensions of each roll-up, in the order of its columns.
DIMENSIONS = {
    "hour": ("hour", "environment", "group", "key", "developer", "provider", "model", "model_asked"),
    "run": ("environment", "run"),
    "label": ("hour", "environment", "value"),
}


class SpendRow(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """What a slice of calls cost, from the hourly roll-ups.

    calls: all that were not refused; voided and cached ones are among them.
    avoided_nanodollars: what cached ones would have cost.
    """

    by: Mapping[str, str | None]
    calls: int
    refused: int
    assumed: int
    cost_nanodollars: int
    cost_asked_nanodollars: int
    input_tokens: int
    cached_read: int
    cached_write: int
    output_tokens: int
    reasoning: int
    voided: int = 0
    cached: int = 0
    avoided_nanodollars: int = 0


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """A question about spend: which roll-up, by which of its dimensions, where they equal what.

    label: the name of the label where the roll-up by label is asked; its dimension is "value".
    """

    rollup: str
    by: tuple[str, ...]
    where: Mapping[str, str]
    label: str | None = None

    @property
    def dimensions(self) -> tuple[str, ...]:
        """All dimensions of the roll-up that is asked."""
        return DIMENSIONS[self.rollup]

    def row(self, values: Mapping[str, object], measures: Sequence[object]) -> SpendRow:
        """One answer; dimensions carry the names they were asked by, and none is None."""
        sums = Measures(*measures)  # type: ignore[arg-type]
        return SpendRow(
            by={self._asked_as(dimension): _shown(dimension, values[dimension]) for dimension in self.by},
            calls=sums.calls,
            refused=sums.refused,
            assumed=sums.assumed,
            cost_nanodollars=sums.cost,
            cost_asked_nanodollars=sums.cost_asked,
            input_tokens=sums.input_tokens,
            cached_read=sums.cached_read,
            cached_write=sums.cached_write,
            output_tokens=sums.output_tokens,
            reasoning=sums.reasoning,
            voided=sums.voided,
            cached=sums.cached,
            avoided_nanodollars=sums.avoided,
        )

    def _asked_as(self, dimension: str) -> str:
        return f"{LABEL_PREFIX}{self.label}" if dimension == "value" else dimension


def slice_of(by: Sequence[str], where: Mapping[str, str]) -> Slice:
    """Find the roll-up that knows every dimension asked for.

    Raises ValueError where none does: runs and labels are summed by environment only, one at a time.
    """
    asked = {*by, *where}
    labels = sorted(name for name in asked if name.startswith(LABEL_PREFIX))
    rollup = "label" if labels else "run" if "run" in asked else "hour"
    known = {*DIMENSIONS[rollup], *labels[:1]} - {"value"}
    if not asked <= known:
        raise ValueError(
            f"spend cannot be sliced by {', '.join(sorted(asked - known))} here; "
            f"together go: {', '.join(sorted(known))}"
        )
    label = labels[0].removeprefix(LABEL_PREFIX) if labels else None
    return Slice(
        rollup=rollup,
        by=tuple(["value" if name in labels else name for name in by]),
        where={"value" if name in labels else name: value for name, value in where.items()},
        label=label,
    )


def _shown(dimension: str, value: object) -> str | None:
    if dimension == "hour":
        return f"{datetime.fromtimestamp(int(str(value)) * 3600, UTC):%Y-%m-%dT%H:00Z}"
    return str(value) or None
