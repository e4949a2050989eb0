"""The part of the store interface that reports ask: sums, histograms of cost, reasons, activity, notes."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from farthing.ledger.slices import SpendRow

# So many calls, or runs, are counted one by one; where a span has more, by the buckets of a histogram.
EXACT_MAX = 10_000
# Prompts that were sent less often in a day are not looked for.
LEAST_SENT = 3


class CostCount(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """How many calls, or runs, cost from the least to the most; both are the same where it is exact."""

    by: Mapping[str, str | None]
    least_nanodollars: int
    most_nanodollars: int
    count: int


class CostCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many calls, or runs, cost how much, the cheapest first."""

    exact: bool
    rows: list[CostCount]


class RunSums(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """All runs of one environment that began in a span, and what their calls cost together."""

    environment: str
    runs: int
    calls: int
    cost_nanodollars: int


class DearRuns(msgspec.Struct, frozen=True, kw_only=True):
    """Runs by environment, and the dearest of them one by one."""

    environments: list[RunSums]
    dearest: list[SpendRow]


class ReasonRow(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """How many calls were refused, or granted otherwise than asked; how many accounts were short."""

    by: Mapping[str, str | None]
    calls: int
    accounts: int


class ActivityRow(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """What a developer did in one environment within one half hour."""

    developer: str
    environment: str
    first_at_us: int
    last_at_us: int
    calls: int
    cost_nanodollars: int


class PromptRow(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """A prompt that a developer sent again and again, on so many days; only those days count."""

    environment: str
    developer: str
    prompt_hash: str
    calls: int
    cost_nanodollars: int
    days: int


class Annotation(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """What somebody said about a feature: it is built from then to then, and may cost more until then."""

    feature: str
    starts_at_us: int
    ships_at_us: int
    until_us: int
    note: str
    by: str
    at_us: int


class ReportStore(Protocol):
    """What reports ask of a ledger. Everything counts in UTC, and every store answers alike.

    A span is since <= moment < until. Sums are of whole hours, what is kept by the day of whole days:
    all that the span touches.
    """

    def spend(
        self,
        *,
        by: Sequence[str],
        since_us: int | None = None,
        until_us: int | None = None,
        where: Mapping[str, str] | None = None,
    ) -> list[SpendRow]:
        """Sum by environment, key, model, model_asked, provider, group, developer; by hour, day or month.

        Also by run or by label:NAME, one at a time, alone or together with environment (a label: and time);
        label:user_id and label:tier go together. A run counts where it began.
        Raises ValueError for dimensions that no roll-up has together.
        """
        ...

    def cost_counts(
        self,
        *,
        of: str,
        by: Sequence[str] = (),
        since_us: int | None = None,
        until_us: int | None = None,
        where: Mapping[str, str] | None = None,
    ) -> CostCounts:
        """How many settled calls cost how much, by environment and label:feature; of="runs": by environment.

        A run counts where it began, once a call of it was settled. Exact while at most EXACT_MAX of them
        are in the days of the span, whatever is asked for; else by buckets of whole days.
        Raises ValueError for anything else.
        """
        ...

    def dear_runs(
        self,
        *,
        top: int,
        since_us: int | None = None,
        until_us: int | None = None,
        where: Mapping[str, str] | None = None,
    ) -> DearRuns:
        """The runs that began on the days of a span: together by environment, and so many of the dearest.

        where: environment; raises ValueError for anything else.
        """
        ...

    def reasons(
        self,
        *,
        by: Sequence[str],
        since_us: int | None = None,
        until_us: int | None = None,
        where: Mapping[str, str] | None = None,
    ) -> list[ReasonRow]:
        """Why calls were refused, or granted otherwise than asked, in whole days.

        By day or month, environment, group, key, developer, reason, budget, account; the last two say
        which account was short of money. Raises ValueError for other dimensions.
        """
        ...

    def activity(
        self, *, since_us: int, until_us: int, where: Mapping[str, str] | None = None
    ) -> list[ActivityRow]:
        """When developers were at work, by developer and time, in whole half hours.

        where: environment or developer; raises ValueError for anything else.
        """
        ...

    def prompts(
        self, *, least: int, since_us: int, until_us: int, where: Mapping[str, str] | None = None
    ) -> list[PromptRow]:
        """Prompts that were sent at least so often, and LEAST_SENT times, in a day; the dearest first.

        where: environment or developer; raises ValueError for anything else.
        """
        ...

    def annotate(self, annotation: Annotation) -> None:
        """Keep what somebody said about a feature."""
        ...

    def annotations(self) -> list[Annotation]:
        """All annotations, newest first."""
        ...
