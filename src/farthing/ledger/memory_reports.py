"""What reports ask of a ledger in memory: the same answers as a file gives, from its own sums."""

import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

from farthing.ledger.auditing import Act, annotation_act
from farthing.ledger.cost_buckets import bucket_bounds, cost_bucket
from farthing.ledger.forgetting import Folded
from farthing.ledger.grains import DAY_US, END_OF_TIME_US, HALF_HOUR_US, HOUR_US, Grain, Part, shown, whole
from farthing.ledger.page import EntryRow, is_priced
from farthing.ledger.report_store import (
    EXACT_MAX,
    LEAST_SENT,
    ActivityRow,
    Annotation,
    CostCount,
    CostCounts,
    DearRuns,
    PromptRow,
    ReasonRow,
    RunSums,
)
from farthing.ledger.rollups import (
    CALLS,
    FEATURE,
    RUNS,
    ActivityKey,
    Measures,
    PromptKey,
    Rollups,
    Sent,
    counts_as_run,
)
from farthing.ledger.slices import (
    PEOPLE_BY,
    REASONS_BY,
    Slice,
    SpendRow,
    check_asked,
    counted_by,
    reasons_by,
    slice_of,
)

# Environment, feature and cost, or the bucket of it.
_Cost = tuple[str, str, int]


class ReportsInMemory:
    """What a store in memory answers to reports."""

    _lock: threading.RLock
    _acts: deque[Act]

    def __init__(self) -> None:
        self._rollups = Rollups()
        self._folded = Folded()
        self._entries: dict[tuple[str, bool], EntryRow] = {}
        self._annotations: list[Annotation] = []

    def spend(
        self,
        *,
        by: Sequence[str],
        since_us: int | None = None,
        until_us: int | None = None,
        where: Mapping[str, str] | None = None,
    ) -> list[SpendRow]:
        """Sum the roll-ups."""
        asked = slice_of(by, where or {})
        sums: dict[tuple[tuple[str, object], ...], Measures] = {}
        with self._lock:
            for at_us, values, measures in self._slices(asked):
                last_us = at_us if asked.rollup == "run" else at_us + HOUR_US - 1
                if since_us is not None and last_us < since_us:
                    continue
                if until_us is not None and at_us >= until_us:
                    continue
                if any(values[name] != value for name, value in asked.where.items()):
                    continue
                kept = tuple((name, values[name]) for name in asked.dimensions if name in asked.by)
                sums[kept] = sums.get(kept, Measures()).plus(measures)
        ordered = sorted(sums.items(), key=lambda item: [value for _, value in item[0]])
        return [asked.row(dict(kept), measures) for kept, measures in ordered]

    def _slices(self, asked: Slice) -> Iterator[tuple[int, dict[str, object], Measures]]:
        """Every row of the roll-up that is asked: its moment, its dimensions, its figures."""
        rollups = self._rollups
        if asked.rollup == "run":
            for run, measures in rollups.runs.items():
                yield rollups.spans[run].first_at_us, run._asdict(), measures
            return
        rows: Iterable[tuple[int, dict[str, object], Measures]]
        if asked.rollup == "label":
            rows = (
                (label.hour, label._asdict(), measures)
                for label, measures in rollups.labels.items()
                if label.name == asked.label and (label.second != "") == asked.is_pair
            )
        else:
            rows = ((key.hour, key._asdict(), measures) for key, measures in rollups.hours.items())
        for hour, values, measures in rows:
            if asked.grain is not None:
                values["time"] = Part(Grain.HOUR, hour).number(asked.grain)
            yield hour * HOUR_US, values, measures

    def cost_counts(
        self,
        *,
        of: str,
        by: Sequence[str] = (),
        since_us: int | None = None,
        until_us: int | None = None,
        where: Mapping[str, str] | None = None,
    ) -> CostCounts:
        """How many settled calls, or runs, cost how much."""
        columns, where = counted_by(of, by, where or {}), where or {}
        span = (since_us or 0, END_OF_TIME_US if until_us is None else until_us)
        with self._lock:
            exact, costs = self._costs_of_calls(*span) if of == CALLS else self._costs_of_runs(*span)
        counts = Counter[tuple[int, tuple[str, ...]]]()
        for (environment, feature, cost), count in costs.items():
            values = {"environment": environment, "feature": feature}
            if all(values[columns[name]] == value for name, value in where.items()):
                told = tuple(values[column] if name in by else "" for name, column in columns.items())
                counts[cost, told] += count
        rows = []
        for (cost, told), count in sorted(counts.items()):
            least, most = (cost, cost) if exact else bucket_bounds(cost)
            values = dict(zip(columns, told, strict=True))
            rows.append(
                CostCount(
                    by={name: values[name] or None for name in by},
                    least_nanodollars=least,
                    most_nanodollars=most,
                    count=count,
                )
            )
        return CostCounts(exact=exact, rows=[row for row in rows if row.count])

    def _costs_of_calls(self, since_us: int, until_us: int) -> tuple[bool, Counter[_Cost]]:
        """Whether they are exact, and how many calls cost what, or fall into which bucket."""
        first, end = whole(DAY_US, since_us, until_us)
        buckets = Counter[_Cost]()
        for key, sent in self._rollups.buckets.items():
            if first <= key.day < end:
                buckets[key.environment, key.feature, key.bucket] += sent.calls
        forgotten = any(first <= key.day < end for key in self._folded.page.rollups.buckets)
        if forgotten or buckets.total() > EXACT_MAX:
            return False, buckets
        costs = Counter[_Cost]()
        for entry in self._entries.values():
            if not entry.correction and is_priced(entry) and since_us <= entry.at_us < until_us:
                correction = self._entries.get((entry.call_id, True))
                cost = entry.measures.cost + (correction.measures.cost if correction else 0)
                facts = entry.details.facts
                costs[facts.environment, facts.labels.get(FEATURE, ""), cost] += 1
        return True, costs

    def _costs_of_runs(self, since_us: int, until_us: int) -> tuple[bool, Counter[_Cost]]:
        """Whether they are exact, and how many runs cost what, or fall into which bucket."""
        first, end = whole(DAY_US, since_us, until_us)
        buckets, costs = Counter[_Cost](), Counter[_Cost]()
        for run, measures in self._rollups.runs.items():
            at_us = self._rollups.spans[run].first_at_us
            if counts_as_run(measures) and first <= at_us // DAY_US < end:
                buckets[run.environment, "", cost_bucket(measures.cost)] += 1
                if since_us <= at_us < until_us:
                    costs[run.environment, "", measures.cost] += 1
        return (False, buckets) if buckets.total() > EXACT_MAX else (True, costs)

    def dear_runs(
        self,
        *,
        top: int,
        since_us: int | None = None,
        until_us: int | None = None,
        where: Mapping[str, str] | None = None,
    ) -> DearRuns:
        """Runs by environment, and the dearest of them."""
        counted_by(RUNS, (), where or {})
        environment = (where or {}).get("environment")
        first, end = whole(DAY_US, since_us or 0, END_OF_TIME_US if until_us is None else until_us)
        with self._lock:
            runs = [
                (run, measures)
                for run, measures in self._rollups.runs.items()
                if counts_as_run(measures)
                and environment in (None, run.environment)
                and first <= self._rollups.spans[run].first_at_us // DAY_US < end
            ]
        counts = Counter(run.environment for run, _ in runs)
        sums = dict.fromkeys(sorted(counts), Measures())
        for run, measures in runs:
            sums[run.environment] = sums[run.environment].plus(measures)
        of_run = slice_of(["environment", "run"], {})
        return DearRuns(
            environments=[
                RunSums(
                    environment=name,
                    runs=counts[name],
                    calls=measures.calls,
                    cost_nanodollars=measures.cost,
                )
                for name, measures in sums.items()
            ],
            dearest=[
                of_run.row(run._asdict(), measures)
                for run, measures in sorted(runs, key=lambda row: (-row[1].cost, row[0]))[:top]
            ],
        )

    def reasons(
        self,
        *,
        by: Sequence[str],
        since_us: int | None = None,
        until_us: int | None = None,
        where: Mapping[str, str] | None = None,
    ) -> list[ReasonRow]:
        """Why calls were refused, or granted otherwise than asked."""
        where = where or {}
        grain = reasons_by(by, where)
        first, end = whole(DAY_US, since_us or 0, END_OF_TIME_US if until_us is None else until_us)
        calls = Counter[tuple[int | str, ...]]()
        accounts: dict[tuple[int | str, ...], set[str]] = {}
        dimensions = [name for name in REASONS_BY[1:] if name in by]
        with self._lock:
            for key, sent in self._rollups.reasons.items():
                values = key._asdict()
                if not first <= key.day < end or any(values[name] != text for name, text in where.items()):
                    continue
                period = 0 if grain is None else Part(Grain.DAY, key.day).number(grain)
                told = (period, *[values[name] for name in dimensions])
                calls[told] += sent.calls
                accounts.setdefault(told, set()).update({key.account} - {""})
        rows = []
        for told in sorted(calls):
            values = dict(zip(dimensions, told[1:], strict=True))
            if grain is not None:
                values[grain.name.lower()] = shown(grain, int(told[0]))
            shown_by = {name: values[name] or None for name in by}
            rows.append(ReasonRow(by=shown_by, calls=calls[told], accounts=len(accounts[told])))
        return rows

    def activity(
        self, *, since_us: int, until_us: int, where: Mapping[str, str] | None = None
    ) -> list[ActivityRow]:
        """When developers were at work."""
        check_asked("activity", where or {}, PEOPLE_BY)
        first, end = whole(HALF_HOUR_US, since_us, until_us)
        with self._lock:
            found = [
                ActivityRow(
                    developer=key.developer,
                    environment=key.environment,
                    first_at_us=active.first_at_us,
                    last_at_us=active.last_at_us,
                    calls=active.calls,
                    cost_nanodollars=active.cost,
                )
                for key, active in self._rollups.activity.items()
                if first <= key.half_hour < end and _is_of(key, where)
            ]
        return sorted(found, key=lambda row: (row.developer, row.first_at_us, row.environment))

    def prompts(
        self, *, least: int, since_us: int, until_us: int, where: Mapping[str, str] | None = None
    ) -> list[PromptRow]:
        """Prompts that were sent often in a day, the dearest first."""
        check_asked("a prompt", where or {}, PEOPLE_BY)
        first, end = whole(DAY_US, since_us, until_us)
        sums: dict[tuple[str, str, str], Sent] = {}
        days = Counter[tuple[str, str, str]]()
        with self._lock:
            for key, sent in self._rollups.prompts.items():
                if first <= key.day < end and sent.calls >= max(least, LEAST_SENT) and _is_of(key, where):
                    prompt = (key.environment, key.developer, key.prompt_hash)
                    sums[prompt] = sums.get(prompt, Sent(0)).plus(sent)
                    days[prompt] += 1
        found = [
            PromptRow(
                environment=environment,
                developer=developer,
                prompt_hash=prompt_hash,
                calls=sent.calls,
                cost_nanodollars=sent.cost,
                days=days[environment, developer, prompt_hash],
            )
            for (environment, developer, prompt_hash), sent in sorted(sums.items())
        ]
        return sorted(found, key=lambda row: -row.cost_nanodollars)

    def annotate(self, annotation: Annotation) -> None:
        """Keep what somebody said about a feature."""
        with self._lock:
            self._annotations.insert(0, annotation)
            self._acts.append(annotation_act(annotation))

    def annotations(self) -> list[Annotation]:
        """All annotations, newest first."""
        with self._lock:
            return list(self._annotations)


def _is_of(key: ActivityKey | PromptKey, where: Mapping[str, str] | None) -> bool:
    """Whether a row is of the environment and the developer that are asked for."""
    wanted = where or {}
    return wanted.get("environment", key.environment) == key.environment and (
        wanted.get("developer", key.developer) == key.developer
    )
