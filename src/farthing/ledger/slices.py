"""How spend may be sliced: which roll-up answers which dimensions, the same for every store."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from farthing.ledger.grains import Grain, shown
from farthing.ledger.rollups import CALLS, FEATURE, PAIR, PAIR_NAME, RUNS, Measures

LABEL_PREFIX = "label:"
_PAIR_LABELS = tuple(LABEL_PREFIX + name for name in PAIR)

# How time may be told, one way at a time.
GRAINS = {"hour": Grain.HOUR, "day": Grain.DAY, "month": Grain.MONTH}

# The dimensions of each roll-up, in the order that its answers are in.
DIMENSIONS = {
    "spend": ("time", "environment", "group", "key", "developer", "provider", "model", "model_asked"),
    "run": ("environment", "run"),
    "label": ("time", "environment", "value", "second"),
}


class SpendRow(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """What a slice of calls cost, from the roll-ups.

    calls: all that were not refused; voided and cached ones are among them.
    avoided_nanodollars: what cached ones would have cost.
    clamped: those that were granted with a lowered output cap.
    uncapped: those granted without any limit on the single call or on its run.
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
    clamped: int = 0
    uncapped: int = 0

    @property
    def served(self) -> int:
        """Calls that a provider or the response cache answered; voided ones are not."""
        return self.calls - self.voided

    @property
    def paid(self) -> int:
        """Calls that a provider was paid for."""
        return self.served - self.cached


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """A question about spend: which roll-up, by which of its dimensions, where they equal what.

    names: what each dimension was called by who asks: "time" is hour, day or month, "value" label:NAME.
    grain: how fine time is told; None where it is not.
    label: the name of the label, or of the pair of labels, where the roll-up by label is asked.
    """

    rollup: str
    by: tuple[str, ...]
    where: Mapping[str, str]
    names: Mapping[str, str]
    grain: Grain | None = None
    label: str | None = None

    @property
    def dimensions(self) -> tuple[str, ...]:
        """All dimensions of the roll-up that is asked."""
        return DIMENSIONS[self.rollup]

    @property
    def is_pair(self) -> bool:
        """Whether two labels are asked for together."""
        return "second" in self.names

    def row(self, values: Mapping[str, object], measures: Sequence[object]) -> SpendRow:
        """One answer; dimensions carry the names they were asked by, and none is None."""
        sums = Measures(*measures)  # type: ignore[arg-type]
        return SpendRow(
            by={self.names[dimension]: self._shown(values[dimension]) for dimension in self.by},
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
            clamped=sums.clamped,
            uncapped=sums.uncapped,
        )

    def _shown(self, value: object) -> str | None:
        if isinstance(value, int) and self.grain is not None:
            return shown(self.grain, value)
        return str(value) or None


def slice_of(by: Sequence[str], where: Mapping[str, str]) -> Slice:
    """Find the roll-up that knows every dimension asked for.

    Raises ValueError where none does: runs and labels are summed by environment only, one at a time, but
    for the users of each tier.
    """
    asked = {*by, *where}
    times = [name for name in by if name in GRAINS]
    labels = sorted(name for name in asked if name.startswith(LABEL_PREFIX))
    labels = list(_PAIR_LABELS) if set(labels) == set(_PAIR_LABELS) else labels[:1]
    rollup = "label" if labels else "run" if "run" in asked else "spend"
    told = {"time": times[0] if times else "hour", **dict(zip(("value", "second"), labels, strict=False))}
    dimensions = [name for name in DIMENSIONS[rollup] if name != "second" or name in told]
    names = {name: told.get(name, name) for name in dimensions}
    _check(asked, names, times, where)
    dimension_of = {told: name for name, told in names.items()}
    return Slice(
        rollup=rollup,
        by=tuple([dimension_of[name] for name in by]),
        where={dimension_of[name]: value for name, value in where.items()},
        names=names,
        grain=GRAINS[times[0]] if times else None,
        label=PAIR_NAME if "second" in names else labels[0].removeprefix(LABEL_PREFIX) if labels else None,
    )


def _check(asked: set[str], names: Mapping[str, str], times: Sequence[str], where: Mapping[str, str]) -> None:
    known = {*names.values(), *(GRAINS if "time" in names else ())}
    if not asked <= known:
        raise ValueError(
            f"spend cannot be sliced by {', '.join(sorted(asked - known))} here; "
            f"together go: {', '.join(sorted(known))}"
        )
    if len(times) > 1:
        raise ValueError(
            f"spend is told by one of {', '.join(GRAINS)} at a time, not by {' and '.join(times)}"
        )
    if not GRAINS.keys().isdisjoint(where):
        raise ValueError("a span of time is asked for by since and until, not by an hour, day or month")


# What histograms of cost, and what is kept by the day, may be asked by; what their columns are called.
COUNTED_BY = {
    CALLS: {"environment": "environment", LABEL_PREFIX + FEATURE: "feature"},
    RUNS: {"environment": "environment"},
}
REASONS_BY = ("time", "environment", "group", "key", "developer", "reason", "budget", "account")
PEOPLE_BY = ("environment", "developer")


def check_asked(what: str, asked: Iterable[str], known: Iterable[str]) -> None:
    """Raise ValueError where something is asked by what is not kept of it."""
    unknown = {*asked} - {*known}
    if unknown:
        raise ValueError(
            f"{what} cannot be told by {', '.join(sorted(unknown))}; choose from {', '.join(known)}"
        )


def counted_by(of: str, by: Sequence[str], where: Mapping[str, str]) -> Mapping[str, str]:
    """The columns of the histogram that is asked for. Raises ValueError where there is none."""
    if of not in COUNTED_BY:
        raise ValueError(f"costs of {of!r} are not counted; choose from {', '.join(COUNTED_BY)}")
    columns = COUNTED_BY[of]
    check_asked(f"the cost of {of}", (*by, *where), columns)
    return columns


def reasons_by(by: Sequence[str], where: Mapping[str, str]) -> Grain | None:
    """How fine the time of reasons is told. Raises ValueError for what they are not kept by."""
    check_asked("a reason", by, ("day", "month", *REASONS_BY[1:]))
    check_asked("a reason", where, REASONS_BY[1:])
    if {"day", "month"} <= {*by}:
        raise ValueError("reasons are told by day or by month, not by both")
    return GRAINS["day"] if "day" in by else GRAINS["month"] if "month" in by else None
