"""Compare what providers say with what the ledger says: by UTC day, model and key, figure by figure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction

import msgspec

from farthing.domain.money import NANODOLLARS_PER_DOLLAR
from farthing.ledger.grains import DAY_US
from farthing.ledger.store import Store
from farthing.prices.book import PriceBook
from farthing.reports.provider_files import apart, covered
from farthing.reports.provider_rows import (
    NANODOLLARS_PER_CENT,
    PROVIDERS,
    Document,
    Kind,
    ProviderRow,
    Quantities,
)
from farthing.reports.reconcile_causes import Reasons
from farthing.reports.reconcile_line import Case, Line, as_told
from farthing.reports.reconcile_ours import Names, OneCall, OurSum, SingleCalls, our_sums

DAY, MODEL, KEY = "day", "model", "key"
DIMENSIONS = (DAY, MODEL, KEY)

# A place in the comparison: day, model and key; what is not told apart is None.
_Place = tuple[int | None, str | None, str | None]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """How to compare.

    by: what is told apart. keys: our key for a provider's key; without any, keys are summed.
    tolerance: how far a cost may be apart, in nanodollars; None for what rounding can make.
    """

    by: tuple[str, ...] = DIMENSIONS
    keys: Mapping[str, str] = {}
    tolerance: int | None = None
    now_us: int


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """All lines of one provider, and the days that its files cover, by kind.

    half_unit: the most that rounding moves one amount of theirs, in nanodollars.
    keys_paired: their keys are told apart, since some of them are paired with ours.
    apart: what is in the files and is not compared, such as web searches.
    """

    provider: str
    days: Mapping[Kind, Sequence[int]]
    lines: tuple[Line, ...]
    half_unit: Fraction
    keys_paired: bool
    apart: Mapping[str, int]

    @property
    def agrees(self) -> bool:
        """Whether every line does."""
        return all(line.agrees for line in self.lines)


def reconcile(
    documents: Sequence[Document],
    store: Store,
    prices: PriceBook,
    wanted: Wanted,
    *,
    heard: Callable[[int], None] = lambda _: None,
) -> list[Compared]:
    """Compare every provider of which there are files. heard: is told of calls that were looked at."""
    present = {document.provider for document in documents}
    return [
        _Comparison(documents, store, prices, wanted, provider, heard).compared()
        for provider in PROVIDERS
        if provider in present
    ]


class _Comparison:
    """The comparison with one provider."""

    def __init__(
        self,
        documents: Sequence[Document],
        store: Store,
        prices: PriceBook,
        wanted: Wanted,
        provider: str,
        heard: Callable[[int], None],
    ) -> None:
        self._wanted = wanted
        self._provider = provider
        self._names = Names(prices, provider)
        self._days = {kind: covered(documents, provider, kind) for kind in Kind}
        mine = [document for document in documents if document.provider == provider]
        self._rows = {
            kind: [row for document in mine if document.kind is kind for row in _as_shown(document)]
            for kind in Kind
        }
        theirs = {row.key for kind in Kind for row in self._rows[kind]}
        # Where none of their keys is paired, the pairs are for another provider.
        self._keys = wanted.keys if theirs & wanted.keys.keys() else {}
        self._apart = apart(documents, provider)
        self._ours = {kind: our_sums(store, self._names, provider, days) for kind, days in self._days.items()}
        singles = SingleCalls(store, self._names, provider, heard)
        self._open = [hold.at_us for hold in store.open_holds()]
        self._reasons = Reasons(prices, provider, singles, self._keys, wanted.now_us)

    def compared(self) -> Compared:
        """Make the lines, then look for the causes of those that differ."""
        cases = list(self._cases())
        self._reasons.prepare(cases, {day for days in self._days.values() for day in days})
        lines = [case.line if case.line.agrees else self._reasons.explained(case) for case in cases]
        return Compared(
            provider=self._provider,
            days={kind: sorted(days) for kind, days in self._days.items()},
            lines=tuple(sorted(lines, key=lambda line: (line.day or 0, line.model or "", line.key or ""))),
            half_unit=max(map(_half_unit, self._rows[Kind.COST]), default=Fraction()),
            keys_paired=bool(self._keys),
            apart=self._apart,
        )

    def _cases(self) -> Iterable[Case]:
        theirs: dict[Kind, dict[_Place, list[ProviderRow]]] = {}
        ours: dict[Kind, dict[_Place, list[OurSum]]] = {}
        for kind in Kind:
            theirs[kind], ours[kind] = self._placed(kind)
        places = dict.fromkeys(place for kind in Kind for place in (*theirs[kind], *ours[kind]))
        told = _told_by(self._rows[Kind.USAGE])
        for place in places:
            usage, costs = theirs[Kind.USAGE].get(place, []), theirs[Kind.COST].get(place, [])
            used, paid = ours[Kind.USAGE].get(place, []), ours[Kind.COST].get(place, [])
            line = Line(provider=self._provider, day=place[0], model=place[1], key=place[2])
            if usage or used:
                line = msgspec.structs.replace(line, quantities=_quantities(usage, used, told))
            if costs or paid:
                line = self._with_cost(line, costs, paid)
            if not usage and not costs and not any(figure.ours for figure in line.figures):
                continue
            days = sorted({row.day for row in (*usage, *costs)} | {one.day for one in (*used, *paid)})
            line = msgspec.structs.replace(line, provisional=self._is_provisional(days))
            yield Case(
                line=line, usage=usage, costs=costs, ours=used or paid, days=days,
                is_ours=self._belongs(place),
            )  # fmt: skip

    def _placed(self, kind: Kind) -> tuple[dict[_Place, list[ProviderRow]], dict[_Place, list[OurSum]]]:
        """Put rows and sums where they belong, as finely as the provider's rows of a day tell."""
        grains: dict[int | None, tuple[bool, bool]] = {}
        for row in self._rows[kind]:
            day = row.day if DAY in self._wanted.by else None
            by_model, by_key = grains.get(day, (True, True))
            by_model = by_model and self._model_of(row) is not None
            grains[day] = by_model, by_key and row.key is not None
        theirs: dict[_Place, list[ProviderRow]] = defaultdict(list)
        ours: dict[_Place, list[OurSum]] = defaultdict(list)
        for row in self._rows[kind]:
            key = self._keys.get(row.key or "", row.key)
            theirs[self._place(grains, row.day, self._model_of(row), key)].append(row)
        for one in self._ours[kind]:
            ours[self._place(grains, one.day, one.model, one.key)].append(one)
        return theirs, ours

    def _place(
        self, grains: Mapping[int | None, tuple[bool, bool]], day: int, model: str | None, key: str | None
    ) -> _Place:
        by = self._wanted.by
        shown = day if DAY in by else None
        by_model, by_key = grains.get(shown, (True, True))
        return (
            shown,
            model if by_model and MODEL in by else None,
            (key or "(none)") if by_key and KEY in by and self._keys else None,
        )

    def _model_of(self, row: ProviderRow) -> str | None:
        """The model that a row is about; a line item may be called as a model is."""
        if row.model is not None:
            return self._names.model(row.model)
        return self._names.listed(row.item.partition(",")[0]) if row.item else None

    def _belongs(self, place: _Place) -> Callable[[OneCall], bool]:
        _, model, key = place

        def belongs(call: OneCall) -> bool:
            return model in (None, call.model) and key in (None, call.key or "(none)")

        return belongs

    def _with_cost(self, line: Line, costs: Sequence[ProviderRow], paid: Sequence[OurSum]) -> Line:
        theirs = sum((row.amount or Fraction() for row in costs), Fraction())
        tolerance = self._wanted.tolerance
        if tolerance is None:
            calls = sum(row.quantities.requests or 0 for row in paid)
            tolerance = (
                int(sum(map(_half_unit, costs), Fraction())) + calls
            )  # we round each call up to a nanodollar
        return msgspec.structs.replace(
            line, cost=(round(theirs), sum(row.cost_nanodollars for row in paid)), tolerance=tolerance
        )

    def _is_provisional(self, days: Sequence[int]) -> bool:
        since_us, until_us = min(days) * DAY_US, (max(days) + 1) * DAY_US
        return until_us > self._wanted.now_us or any(since_us <= at_us < until_us for at_us in self._open)


def _as_shown(document: Document) -> list[ProviderRow]:
    """The rows, each with as many places as the document shows anywhere: it may leave out zeros."""
    places = max((row.places for row in document.rows), default=0)
    return [
        row if row.places == places else msgspec.structs.replace(row, places=places) for row in document.rows
    ]


def _half_unit(row: ProviderRow) -> Fraction:
    """Half of the last place that an amount is shown with; no provider shows fewer places than cents."""
    exact = Fraction(NANODOLLARS_PER_DOLLAR, 2 * 10**row.places)
    return min(exact, Fraction(NANODOLLARS_PER_CENT, 2))


def _told_by(rows: Sequence[ProviderRow]) -> Quantities:
    """Which figures the exports tell at all, for a line that is on our side only."""
    told = Quantities(None, None, None, None, None)
    for row in rows:
        if row.quantities is not None:
            pairs = zip(told, row.quantities, strict=True)
            told = Quantities(*(0 if one is not None or more is not None else None for one, more in pairs))
    return told


def _quantities(
    usage: Sequence[ProviderRow], used: Sequence[OurSum], told: Quantities
) -> tuple[Quantities, Quantities]:
    theirs = Quantities() if usage else told
    for row in usage:
        theirs = theirs.plus(row.quantities or Quantities())
    ours = Quantities()
    for one in used:
        ours = ours.plus(one.quantities)
    return theirs, as_told(ours, theirs)


def totals(compared: Compared) -> Counter[tuple[str, str]]:
    """Sums over all lines: of theirs and ours, by figure."""
    sums: Counter[tuple[str, str]] = Counter()
    for line in compared.lines:
        for figure in line.figures:
            sums[(figure.name, "theirs")] += figure.theirs
            sums[(figure.name, "ours")] += figure.ours
    return sums
