"""How outcomes are filtered and summed, the same for every store. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from farthing.domain.outcome import OutcomeSum, RecordedOutcome, add_exactly

DIMENSIONS = ("name", "environment", "group", "key", "developer", "run")
LABEL_PREFIX = "label:"

# The dimensions of outcomes that are alike, their value, and how many there are.
Alike = tuple[tuple[str | None, ...], Decimal | bool | None, int]


class WantedOutcomes(msgspec.Struct, frozen=True, kw_only=True):
    """Which outcomes are asked for; None is any.

    before: the number of the last one seen; older ones follow.
    """

    name: str | None = None
    environment: str | None = None
    key: str | None = None
    run: str | None = None
    labels: Mapping[str, str] = {}
    since_us: int | None = None
    until_us: int | None = None
    before: int | None = None

    def has(self, row: RecordedOutcome) -> bool:
        """Whether one of them is asked for."""
        return (
            self.name in (None, row.name)
            and self.environment in (None, row.environment)
            and self.key in (None, row.key)
            and self.run in (None, row.run)
            and self.labels.items() <= row.labels.items()
            and (self.since_us is None or row.at_us >= self.since_us)
            and (self.until_us is None or row.at_us < self.until_us)
            and (self.before is None or row.number < self.before)
        )


def label_among(by: Sequence[str]) -> str | None:
    """The label that outcomes are to be summed by. Raises ValueError for what they cannot be summed by."""
    labels = [name.removeprefix(LABEL_PREFIX) for name in by if name.startswith(LABEL_PREFIX)]
    strange = [name for name in by if name not in DIMENSIONS and not name.startswith(LABEL_PREFIX)]
    if strange or len(labels) > 1 or "" in labels:
        raise ValueError(f"outcomes are summed by {', '.join(DIMENSIONS)} and one label:NAME")
    return labels[0] if labels else None


def summed(rows: Iterable[RecordedOutcome], by: Sequence[str]) -> list[OutcomeSum]:
    """Sum outcomes by dimensions."""
    label = label_among(by) or ""
    return add_up([(_values(row, by, label), row.value, 1) for row in rows], by)


def _values(row: RecordedOutcome, by: Sequence[str], label: str) -> tuple[str | None, ...]:
    return tuple([row.labels.get(label) if ":" in name else getattr(row, name) for name in by])


def add_up(alike: Iterable[Alike], by: Sequence[str]) -> list[OutcomeSum]:
    """Add up outcomes that were counted where they are alike, in the order of the dimensions."""
    sums: dict[tuple[str | None, ...], OutcomeSum] = {}
    for key, value, count in alike:
        known = sums.get(key) or _nothing(dict(zip(by, key, strict=True)))
        is_number = isinstance(value, Decimal)
        sums[key] = msgspec.structs.replace(
            known,
            outcomes=known.outcomes + count,
            true=known.true + count * (value is True),
            false=known.false + count * (value is False),
            numbers=known.numbers + count * is_number,
            total=add_exactly(known.total, value, count) if isinstance(value, Decimal) else known.total,
        )
    return [
        sums[key] for key in sorted(sums, key=lambda key: [(value or "", value is None) for value in key])
    ]


def _nothing(by: Mapping[str, str | None]) -> OutcomeSum:
    return OutcomeSum(by=by, outcomes=0, true=0, false=0, numbers=0, total=Decimal(0))
