"""What an entry adds to each roll-up: by the hour, by run, by label, and to the histogram of costs."""

from collections.abc import Iterator, Mapping
from operator import add, sub
from typing import NamedTuple, TypeVar

from farthing.ledger.entries import Difference, EntryFacts

HOUR_US = 3_600_000_000

# Percentiles of cost are asked for by this label; every other label has sums only.
FEATURE = "feature"


class Measures(NamedTuple):
    """The figures that sums are made of. A correction carries what it adds, which may be negative."""

    calls: int = 0
    refused: int = 0
    voided: int = 0
    cached: int = 0
    assumed: int = 0
    cost: int = 0
    cost_asked: int = 0
    input_tokens: int = 0
    cached_read: int = 0
    cached_write: int = 0
    output_tokens: int = 0
    reasoning: int = 0
    avoided: int = 0

    def plus(self, other: "Measures") -> "Measures":
        """Add figure by figure."""
        return Measures._make(map(add, self, other))

    def minus(self, other: "Measures") -> "Measures":
        """Subtract figure by figure."""
        return Measures._make(map(sub, self, other))


class HourKey(NamedTuple):
    """One row of the hourly roll-up; an empty text stands for none."""

    hour: int
    environment: str
    group: str
    key: str
    developer: str
    provider: str
    model: str
    model_asked: str


class RunKey(NamedTuple):
    """One row of the roll-up by run."""

    environment: str
    run: str


class LabelKey(NamedTuple):
    """One row of the hourly roll-up by label."""

    name: str
    hour: int
    environment: str
    value: str


class BucketKey(NamedTuple):
    """One row of the hourly histogram of costs."""

    hour: int
    environment: str
    feature: str
    bucket: int


class RunSpan(NamedTuple):
    """When a run began and was last seen."""

    first_at_us: int
    last_at_us: int


_Key = TypeVar("_Key", bound=tuple[int | str, ...])


class Rollups:
    """Sums over a batch: each roll-up row is touched once, however many entries fall into it."""

    def __init__(self) -> None:
        self.hours: dict[HourKey, Measures] = {}
        self.runs: dict[RunKey, Measures] = {}
        self.spans: dict[RunKey, RunSpan] = {}
        self.labels: dict[LabelKey, Measures] = {}
        self.buckets: dict[BucketKey, int] = {}

    def add(
        self,
        *,
        at_us: int,
        facts: EntryFacts,
        provider: str | None,
        model_served: str | None,
        measures: Measures,
        priced: bool,
        replaces_nanodollars: int | None,
    ) -> None:
        """Add one entry. A correction moves its call from one bucket of the histogram to another.

        priced: the entry has a cost that belongs into the histogram.
        replaces_nanodollars: the cost that a correction corrects; None on a first entry.
        """
        hour = at_us // HOUR_US
        environment = facts.environment
        _sum(
            self.hours,
            HourKey(
                hour,
                environment,
                facts.group or "",
                facts.key or "",
                facts.developer or "",
                provider or "",
                model_served or "",
                facts.model_asked,
            ),
            measures,
        )
        if facts.run:
            key = RunKey(environment, facts.run)
            _sum(self.runs, key, measures)
            self._stretch(key, RunSpan(at_us, at_us))
        for name, value in facts.labels.items():
            _sum(self.labels, LabelKey(name, hour, environment, value), measures)
        if not priced:
            return
        feature = facts.labels.get(FEATURE, "")
        cost = measures.cost
        if replaces_nanodollars is not None:
            _count(self.buckets, BucketKey(hour, environment, feature, cost_bucket(replaces_nanodollars)), -1)
            cost += replaces_nanodollars
        _count(self.buckets, BucketKey(hour, environment, feature, cost_bucket(cost)), 1)

    def merge(self, other: "Rollups") -> None:
        """Add all of another's sums to these."""
        for hour, measures in other.hours.items():
            _sum(self.hours, hour, measures)
        for run, measures in other.runs.items():
            _sum(self.runs, run, measures)
            self._stretch(run, other.spans[run])
        for label, measures in other.labels.items():
            _sum(self.labels, label, measures)
        for bucket, calls in other.buckets.items():
            _count(self.buckets, bucket, calls)

    def differences(self, found: "Rollups") -> list[Difference]:
        """List where what was found differs from these sums."""
        return [
            *_compare("spend_hour", self.hours, found.hours),
            *_compare("spend_run", self.runs, found.runs),
            *_compare("span of spend_run", self.spans, found.spans),
            *_compare("spend_label", self.labels, found.labels),
            *_compare("cost_histogram", _counts(self.buckets), _counts(found.buckets)),
        ]

    def _stretch(self, run: RunKey, span: RunSpan) -> None:
        so_far = self.spans.get(run, span)
        self.spans[run] = RunSpan(
            min(so_far.first_at_us, span.first_at_us), max(so_far.last_at_us, span.last_at_us)
        )


def _compare(
    name: str,
    expected: Mapping[_Key, tuple[int, ...]],
    found: Mapping[_Key, tuple[int, ...]],
) -> Iterator[Difference]:
    for key in sorted({*expected, *found}, key=str):
        nothing = tuple([0] * len(expected.get(key) or found[key]))
        for place, (wanted, seen) in enumerate(
            zip(expected.get(key, nothing), found.get(key, nothing), strict=True)
        ):
            if wanted != seen:
                where = "/".join(str(part) for part in key)
                yield Difference(what=f"figure {place} of {name} {where}", expected=wanted, found=seen)


def _counts(buckets: Mapping[BucketKey, int]) -> dict[BucketKey, tuple[int]]:
    return {bucket: (calls,) for bucket, calls in buckets.items()}


def _sum(into: dict[_Key, Measures], key: _Key, measures: Measures) -> None:
    so_far = into.get(key)
    into[key] = measures if so_far is None else so_far.plus(measures)


def _count(into: dict[BucketKey, int], key: BucketKey, calls: int) -> None:
    into[key] = into.get(key, 0) + calls


def cost_bucket(nanodollars: int) -> int:
    """Number the bucket of a cost: sixteen buckets for each doubling, so at most 6.25 % wide."""
    if nanodollars < 32:
        return max(nanodollars, 0)
    shift = nanodollars.bit_length() - 5
    return (shift << 4) + (nanodollars >> shift)


def bucket_bounds(bucket: int) -> tuple[int, int]:
    """The least and the greatest cost in nanodollars that fall into a bucket."""
    if bucket < 32:
        return bucket, bucket
    shift = (bucket >> 4) - 1
    least = (16 + (bucket & 15)) << shift
    return least, least + (1 << shift) - 1
