"""Any number of calls over the months before a moment: daily rhythm, growth, and what goes wrong."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import accumulate, pairwise
from random import Random

from farthing.domain.outcome import RecordedOutcome
from farthing.domain.period import from_microseconds
from farthing.ledger.entries import Claim
from farthing.scenarios.moments import HOUR_US
from farthing.scenarios.rows import Row
from farthing.scenarios.samples import Sample
from farthing.scenarios.year_runs import RUN_LIMIT_NANODOLLARS, Run, Runs, is_at_work

DAYS_A_YEAR = 365

_CALLS_A_RUN = 10
_RUNNING = 24  # runs that go on side by side; the next call belongs to any of them
_OUTCOMES_MAX = 2_000
# What goes wrong, in ten-thousandths of all calls.
_REFUSED_BY_RULE = 40
_ASSUMED = 20


class Year:
    """Calls up to a moment, alike for the same numbers; rows come in order of time.

    outcomes: what some runs of production and of experiments achieved; complete once all rows were taken.
    """

    def __init__(self, entries: int, *, ends_at_us: int, days: int = DAYS_A_YEAR, seed: int = 1) -> None:
        self.outcomes: list[RecordedOutcome] = []
        self._entries = entries
        self._hours = 24 * days
        self._first_hour = ends_at_us // HOUR_US - self._hours
        self._seed = seed

    def rows(self) -> Iterator[Row]:
        """Every call."""
        self.outcomes.clear()
        chances = Random(self._seed)  # noqa: S311 traffic, not secrets
        random, runs = chances.random, Runs(chances)
        running = [runs.begin(self._first_hour, 0) for _ in range(_RUNNING)]
        spent = [0] * _RUNNING
        for hour, calls in enumerate(self._calls_an_hour(), self._first_hour):
            progress = (hour - self._first_hour) / self._hours
            for at_us in _moments(hour, calls, random):
                place = int(random() * _RUNNING)
                run = running[place]
                sample = run.samples[int(random() * len(run.samples))]
                row = _row(run, sample, at_us, spent[place], random)
                yield row
                spent[place] += row.cost_nanodollars
                if random() * _CALLS_A_RUN < 1 or (row.refused and run.account):
                    self._end(run, at_us, random)
                    running[place], spent[place] = runs.begin(hour, progress), 0

    def _calls_an_hour(self) -> Iterator[int]:
        """How many calls each hour has: more by day than by night, and twice as many at the end."""
        weights = []
        for number in range(self._hours):
            hour = self._first_hour + number
            growth = self._hours + number
            by_day = 10 if is_at_work(hour) else 5 if 7 <= from_microseconds(hour * HOUR_US).hour < 23 else 2
            weights.append(growth * by_day)
        bounds = list(accumulate(weights, initial=0))
        for before, after in pairwise(bounds):
            yield after * self._entries // bounds[-1] - before * self._entries // bounds[-1]

    def _end(self, run: Run, at_us: int, random: Callable[[], float]) -> None:
        """Achieve something with one run of production in fifty; tell how one experiment in ten went."""
        if len(self.outcomes) >= _OUTCOMES_MAX:
            return
        if run.environment == "production" and random() < 0.02:
            value = Decimal(500 + int(random() * 19_500)) / 100
            self.outcomes.append(_outcome(run, at_us, "conversion", value))
        elif "experiment" in run.labels and random() < 0.1:
            self.outcomes.append(_outcome(run, at_us, "better", random() < 0.6))


def _outcome(run: Run, at_us: int, name: str, value: Decimal | bool) -> RecordedOutcome:
    return RecordedOutcome(
        outcome_id=f"{name}-{run.run}",
        at_us=at_us,
        environment=run.environment,
        name=name,
        value=value,
        labels=run.labels,
        run=run.run,
        group=run.group,
        key=run.key,
        developer=run.developer,
    )


def _moments(hour: int, calls: int, random: Callable[[], float]) -> Iterator[int]:
    """So many moments within an hour, each somewhere in its own share of it."""
    if not calls:
        return
    share_us = HOUR_US // calls
    for starts_at_us in range(hour * HOUR_US, hour * HOUR_US + calls * share_us, share_us):
        yield starts_at_us + int(random() * share_us)


# ── one call ────────────────────────────────────────────────────────────────────────────────────


def _row(run: Run, sample: Sample, at_us: int, spent_nanodollars: int, random: Callable[[], float]) -> Row:
    chance = int(10_000 * random())
    if run.account is not None and spent_nanodollars + sample.cost_nanodollars > RUN_LIMIT_NANODOLLARS:
        return _refused(run, sample, at_us, "budget_exceeded", run.account)
    if chance < 100 * run.cached_percent:
        return _from_cache(run, sample, at_us)
    if chance >= 10_000 - _REFUSED_BY_RULE:
        reason = "rate_limited" if run.environment == "production" else "model_not_allowed"
        return _refused(run, sample, at_us, reason, None)
    return Row(
        at_us,
        run.environment,
        sample.model_asked,
        sample.model_served,
        sample.provider,
        sample.usage,
        sample.cost_nanodollars,
        run.key,
        run.developer,
        run.group,
        run.labels,
        run.run,
        cost_asked_nanodollars=sample.cost_asked_nanodollars,
        price_version=sample.price_version,
        prompt_hash=_prompt_hash(run, random),
        account=run.account,
        call_limit_nanodollars=run.call_limit_nanodollars,
        clamped_to=sample.output_tokens if run.clamped else None,
        assumed_rule="timeout" if chance >= 10_000 - _REFUSED_BY_RULE - _ASSUMED else None,
        latency_ms=sample.latency_ms,
    )


def _prompt_hash(run: Run, random: Callable[[], float]) -> str | None:
    if run.developer is None:
        return None
    return run.prompt_hash or f"{int(random() * 2**52):016x}"


def _from_cache(run: Run, sample: Sample, at_us: int) -> Row:
    return Row(
        at_us,
        run.environment,
        sample.model_asked,
        sample.model_served,
        sample.provider,
        key=run.key,
        developer=run.developer,
        group=run.group,
        labels=run.labels,
        run=run.run,
        cached=True,
        avoided_nanodollars=sample.cost_nanodollars,
        price_version=sample.price_version,
        prompt_hash=run.prompt_hash,
        latency_ms=2,
    )


def _refused(run: Run, sample: Sample, at_us: int, reason: str, account: Claim | None) -> Row:
    return Row(
        at_us,
        run.environment,
        sample.model_asked,
        provider=sample.provider,
        key=run.key,
        developer=run.developer,
        group=run.group,
        labels=run.labels,
        run=run.run,
        refused=reason,
        status=403 if reason == "model_not_allowed" else 429,
        account=account,
    )
