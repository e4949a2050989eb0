"""What the ledger says was used at a provider: sums by UTC day, and single calls where a cause needs them."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from farthing.domain.period import to_microseconds
from farthing.domain.usage import Usage
from farthing.ledger.entries import Entry, Outcome
from farthing.ledger.grains import DAY_US, HOUR_US
from farthing.ledger.slices import SpendRow
from farthing.ledger.store import Store
from farthing.prices.book import PriceBook
from farthing.prices.names import undated
from farthing.reports.history import calls_in_order, count_of_calls
from farthing.reports.provider_rows import Quantities

# Single calls are looked at only where a line differs, and not beyond this many.
CALLS_MAX = 50_000
CALLS_A_DAY_MAX = 20_000
# A provider may book a call by the moment it ends, and its clock is not ours.
AROUND_MIDNIGHT_US = 10 * 60 * 1_000_000
_NO_NAME = re.compile(r"[^a-z0-9/:@]+")


class OurSum(msgspec.Struct, frozen=True, kw_only=True):
    """What a slice of calls used and costs, as the ledger has it.

    quantities: of calls that went to the provider; voided calls and answers from our cache did not.
    """

    day: int
    model: str
    key: str | None
    quantities: Quantities
    cost_nanodollars: int
    assumed: int
    voided: int


class OneCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call that went to the provider, or was to go there.

    failed: the provider answered with an error and nothing was used. further: models inside its answer.
    """

    call_id: str
    at_us: int
    ended_at_us: int
    model: str
    key: str | None
    quantities: Quantities
    cost_nanodollars: int
    assumed: bool
    rule: str | None
    voided: bool
    failed: bool
    attempt: int
    tier: str | None
    further: tuple[str, ...]


class Names:
    """Names of models at a provider: snapshots, aliases and the names that people read mean one model."""

    def __init__(self, prices: PriceBook, provider: str) -> None:
        self._prices = prices
        self._provider = provider
        self._known: dict[str, str] = {}

    def model(self, name: str) -> str:
        """The model that a name means; a name that the price book does not know means itself."""
        if name not in self._known:
            self._known[name] = self.listed(name) or undated(_plain(name))
        return self._known[name]

    def listed(self, name: str) -> str | None:
        """The model that a name means; None where the price book does not know it."""
        return self._prices.listed(self._provider, name) or self._prices.listed(self._provider, _plain(name))


def _plain(name: str) -> str:
    """Write "Claude Haiku 4.5" as a model is named: claude-haiku-4-5."""
    lower = name.strip().lower()
    return _NO_NAME.sub("-", lower) if " " in lower else lower


def our_sums(store: Store, names: Names, provider: str, days: Mapping[int, tuple[int, int]]) -> list[OurSum]:
    """Sums of the days that the provider's files cover, each as far as it is covered, in whole hours."""
    if not days:
        return []
    hours = {day: _whole_hours(*covered) for day, covered in days.items()}
    whole = {day for day, span in hours.items() if span == (day * DAY_US, (day + 1) * DAY_US)}
    sums = []
    for row in _spend(store, provider, "day", min(days) * DAY_US, (max(days) + 1) * DAY_US):
        day = _moment_us(row.by["day"]) // DAY_US
        if day in whole:
            sums.append(_sum(row, day, names))
    for day in sorted(days.keys() - whole):
        sums += [_sum(row, day, names) for row in _spend(store, provider, "hour", *hours[day])]
    return sums


def _spend(store: Store, provider: str, grain: str, since_us: int, until_us: int) -> list[SpendRow]:
    by = [grain, "model", "key"]
    return store.spend(by=by, since_us=since_us, until_us=until_us, where={"provider": provider})


def _whole_hours(since_us: int, until_us: int) -> tuple[int, int]:
    return since_us // HOUR_US * HOUR_US, -(-until_us // HOUR_US) * HOUR_US


def _sum(row: SpendRow, day: int, names: Names) -> OurSum:
    return OurSum(
        day=day,
        model=names.model(row.by["model"] or ""),
        key=row.by["key"],
        quantities=Quantities(
            requests=row.calls - row.voided - row.cached,
            fresh_input=row.input_tokens - row.cached_read - row.cached_write,
            cached_read=row.cached_read,
            cached_write=row.cached_write,
            output_tokens=row.output_tokens,
        ),
        cost_nanodollars=row.cost_nanodollars,
        assumed=row.assumed,
        voided=row.voided,
    )


class SingleCalls:
    """Reads the calls of a day once, and no more calls than are worth the wait.

    heard: is told of calls that were read, as it goes.
    """

    def __init__(self, store: Store, names: Names, provider: str, heard: Callable[[int], None]) -> None:
        self._store = store
        self._names = names
        self._provider = provider
        self._heard = heard
        self._left = CALLS_MAX
        self._days: dict[int, list[OneCall] | None] = {}
        self._midnights: dict[int, list[OneCall]] = {}

    def of_day(self, day: int) -> list[OneCall] | None:
        """The calls of a day to the provider; None where there are too many to look at."""
        if day not in self._days:
            span = day * DAY_US, (day + 1) * DAY_US
            count = count_of_calls(self._store, *span)
            few = count <= min(self._left, CALLS_A_DAY_MAX)
            self._left -= count if few else 0
            self._days[day] = list(self._between(*span)) if few else None
        return self._days[day]

    def around(self, midnight_us: int) -> list[OneCall]:
        """The calls that began shortly before or after a midnight; none where there are too many."""
        if midnight_us not in self._midnights:
            span = midnight_us - AROUND_MIDNIGHT_US, midnight_us + AROUND_MIDNIGHT_US
            few = count_of_calls(self._store, *span) <= CALLS_A_DAY_MAX
            self._midnights[midnight_us] = list(self._between(*span)) if few else []
        return self._midnights[midnight_us]

    def _between(self, since_us: int, until_us: int) -> Iterator[OneCall]:
        for entry in calls_in_order(self._store, since_us, until_us):
            self._heard(1)
            if entry.provider == self._provider and entry.outcome in (Outcome.SETTLED, Outcome.VOID):
                yield self._one(entry)

    def _one(self, entry: Entry) -> OneCall:
        used = _quantities([usage for usage in (entry.usage, *(more for _, more in entry.by_model)) if usage])
        voided = entry.outcome is Outcome.VOID
        return OneCall(
            call_id=entry.call_id,
            at_us=entry.at_us,
            ended_at_us=max(entry.ended_at_us, entry.at_us),
            model=self._names.model(entry.model_served or ""),
            key=entry.facts.key,
            quantities=used._replace(requests=0 if voided else 1),
            cost_nanodollars=entry.cost_nanodollars,
            assumed=entry.assumed,
            rule=entry.assumed_rule,
            voided=voided,
            failed=not voided and not entry.assumed and (entry.status or 200) >= 300 and not any(used[1:]),
            attempt=entry.facts.attempt,
            tier=entry.service_tier,
            further=tuple(model for model, _ in entry.by_model),
        )


def _quantities(usages: Sequence[Usage]) -> Quantities:
    total = Quantities()
    for usage in usages:
        read = usage.cached_read or 0
        written = sum(
            part or 0 for part in (usage.cached_write_5m, usage.cached_write_1h, usage.cached_write_other)
        )
        fresh = (usage.input_tokens or 0) - read - written
        total = total.plus(Quantities(0, fresh, read, written, usage.output_tokens or 0))
    return total


def _moment_us(shown: str | None) -> int:
    at = datetime.fromisoformat(shown or "")
    return to_microseconds(at if at.tzinfo else at.replace(tzinfo=UTC))
