"""What an entry adds to each roll-up: sums of figures, histograms of cost, who was active, which reasons."""

from collections.abc import Iterator, Mapping
from operator import add, sub
from typing import NamedTuple, TypeVar

from farthing.ledger.cost_buckets import cost_bucket
from farthing.ledger.entries import Difference, EntryFacts
from farthing.ledger.grains import DAY_US, HALF_HOUR_US, HOUR_US

# Percentiles of cost are asked for by this label; every other label has sums only.
FEATURE = "feature"
# The two labels that are summed together too: what the users of each tier cost.
PAIR = ("user_id", "tier")
PAIR_NAME = "+".join(PAIR)

# Which histogram a bucket belongs to. That of all calls of an environment, whatever their feature, is kept
# by months only, beside that of each feature.
CALLS = "calls"
RUNS = "runs"
ALL_CALLS = "all_calls"


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
    clamped: int = 0
    uncapped: int = 0

    def plus(self, other: "Measures") -> "Measures":
        """Add figure by figure."""
        return Measures._make(map(add, self, other))

    def minus(self, other: "Measures") -> "Measures":
        """Subtract figure by figure."""
        return Measures._make(map(sub, self, other))


def counts_as_run(measures: Measures) -> bool:
    """Whether a run has a call that was settled, so that the histogram of runs counts it."""
    return measures.calls > measures.voided + measures.cached


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
    """One row of the hourly roll-up by label; second is the value of the second label of a pair."""

    hour: int
    name: str
    value: str
    second: str
    environment: str


class BucketKey(NamedTuple):
    """One row of the daily histograms of cost: of calls, or of runs by the day they began."""

    day: int
    of: str
    environment: str
    feature: str
    bucket: int


class ActivityKey(NamedTuple):
    """A developer at work in one environment, in one half hour; a gap of more cannot hide in it."""

    half_hour: int
    developer: str
    environment: str


class PromptKey(NamedTuple):
    """One prompt of one developer in one environment, on one day."""

    day: int
    environment: str
    developer: str
    prompt_hash: str


class ReasonKey(NamedTuple):
    """Why calls of one day were refused, or served otherwise than asked, and which account was short."""

    day: int
    environment: str
    group: str
    key: str
    developer: str
    reason: str
    budget: str
    account: str


class Reason(NamedTuple):
    """Why a call was refused, or served otherwise than asked; the budget and account that were short."""

    reason: str
    budget: str = ""
    account: str = ""


class Active(NamedTuple):
    """What happened in a half hour of activity."""

    first_at_us: int
    last_at_us: int
    calls: int
    cost: int

    def plus(self, other: "Active") -> "Active":
        """Both together."""
        first_at_us, last_at_us, calls, cost = other
        return Active(
            self.first_at_us if self.first_at_us < first_at_us else first_at_us,
            self.last_at_us if self.last_at_us > last_at_us else last_at_us,
            self.calls + calls,
            self.cost + cost,
        )


class Sent(NamedTuple):
    """How often something was sent, and what it cost."""

    calls: int
    cost: int = 0

    def plus(self, other: "Sent") -> "Sent":
        """Both together."""
        return Sent(self.calls + other.calls, self.cost + other.cost)


class RunSpan(NamedTuple):
    """When a run began and was last seen."""

    first_at_us: int
    last_at_us: int

    def plus(self, other: "RunSpan") -> "RunSpan":
        """The span of both together."""
        return RunSpan(min(self.first_at_us, other.first_at_us), max(self.last_at_us, other.last_at_us))


_Key = TypeVar("_Key", bound=tuple[int | str, ...])
_Figures = TypeVar("_Figures", Measures, RunSpan, Active, Sent)


class Rollups:
    """Sums over a batch: each roll-up row is touched once, however many entries fall into it."""

    def __init__(self) -> None:
        self.hours: dict[HourKey, Measures] = {}
        self.runs: dict[RunKey, Measures] = {}
        self.spans: dict[RunKey, RunSpan] = {}
        self.labels: dict[LabelKey, Measures] = {}
        self.buckets: dict[BucketKey, Sent] = {}
        self.activity: dict[ActivityKey, Active] = {}
        self.prompts: dict[PromptKey, Sent] = {}
        self.reasons: dict[ReasonKey, Sent] = {}

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
        refused: bool = False,
        reason: Reason | None = None,
    ) -> None:
        """Add one entry. A correction moves its call from one bucket of the histogram to another.

        priced: the entry has a cost that belongs into the histogram.
        replaces_nanodollars: the cost that a correction corrects; None on a first entry.
        reason: why it was refused or served otherwise than asked, where it was.
        """
        hour = at_us // HOUR_US
        environment = facts.environment
        group, key, developer = facts.group or "", facts.key or "", facts.developer or ""
        _sum(
            self.hours,
            HourKey(
                hour,
                environment,
                group,
                key,
                developer,
                provider or "",
                model_served or "",
                facts.model_asked,
            ),
            measures,
        )
        if facts.run:
            run = RunKey(environment, facts.run)
            _sum(self.runs, run, measures)
            _sum(self.spans, run, RunSpan(at_us, at_us))
        if facts.labels:
            self._add_labels(hour, environment, facts.labels, measures)
        if priced:
            self._add_cost(at_us // DAY_US, facts, measures.cost, replaces_nanodollars)
        if developer and not refused:
            self._add_activity(at_us, facts, developer, measures)
        if reason is not None:
            why = ReasonKey(at_us // DAY_US, environment, group, key, developer, *reason)
            _sum(self.reasons, why, Sent(measures.refused or measures.calls))

    def _add_labels(self, hour: int, environment: str, labels: Mapping[str, str], measures: Measures) -> None:
        for name, value in labels.items():
            _sum(self.labels, LabelKey(hour, name, value, "", environment), measures)
        user, tier = labels.get(PAIR[0]), labels.get(PAIR[1])
        if user and tier:
            _sum(self.labels, LabelKey(hour, PAIR_NAME, user, tier, environment), measures)

    def _add_cost(self, day: int, facts: EntryFacts, cost: int, replaces_nanodollars: int | None) -> None:
        about = (day, CALLS, facts.environment, facts.labels.get(FEATURE, ""))
        if replaces_nanodollars is not None:
            _sum(self.buckets, BucketKey(*about, cost_bucket(replaces_nanodollars)), Sent(-1))
            cost += replaces_nanodollars
        _sum(self.buckets, BucketKey(*about, cost_bucket(cost)), Sent(1))

    def _add_activity(self, at_us: int, facts: EntryFacts, developer: str, measures: Measures) -> None:
        environment = facts.environment
        _sum(
            self.activity,
            ActivityKey(at_us // HALF_HOUR_US, developer, environment),
            Active(at_us, at_us, measures.calls, measures.cost),
        )
        if facts.prompt_hash:
            _sum(
                self.prompts,
                PromptKey(at_us // DAY_US, environment, developer, facts.prompt_hash),
                Sent(measures.calls, measures.cost),
            )

    def merge(self, other: "Rollups") -> None:
        """Add all of another's sums to these."""
        _merge(self.hours, other.hours)
        _merge(self.runs, other.runs)
        _merge(self.spans, other.spans)
        _merge(self.labels, other.labels)
        _merge(self.buckets, other.buckets)
        _merge(self.activity, other.activity)
        _merge(self.prompts, other.prompts)
        _merge(self.reasons, other.reasons)

    def differences(self, found: "Rollups") -> list[Difference]:
        """List where what was found differs from these sums."""
        return [
            *_compare("spend_sum", self.hours, found.hours),
            *_compare("spend_run", self.runs, found.runs),
            *_compare("span of spend_run", self.spans, found.spans),
            *_compare("label_sum", self.labels, found.labels),
            *_compare("cost_count", self.buckets, found.buckets),
            *_compare("activity", self.activity, found.activity),
            *_compare("prompt_sum", self.prompts, found.prompts),
            *_compare("reason_sum", self.reasons, found.reasons),
        ]


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


def _merge(into: dict[_Key, _Figures], other: Mapping[_Key, _Figures]) -> None:
    for key, figures in other.items():
        _sum(into, key, figures)


def _sum(into: dict[_Key, _Figures], key: _Key, figures: _Figures) -> None:
    so_far = into.get(key)
    into[key] = figures if so_far is None else so_far.plus(figures)
