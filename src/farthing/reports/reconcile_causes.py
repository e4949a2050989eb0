"""Say why a line differs: first what accounts for it to the last token, else what is likely."""

from collections.abc import Iterator, Mapping, Sequence, Set
from fractions import Fraction

import msgspec

from farthing.domain.money import dollars
from farthing.domain.period import iso_utc
from farthing.ledger.grains import DAY_US
from farthing.prices.book import PriceBook
from farthing.reports.provider_rows import BATCH, PLAIN_TIERS, ProviderRow, Quantities
from farthing.reports.reconcile_line import Case, Cause, Line, as_told
from farthing.reports.reconcile_ours import OneCall, SingleCalls
from farthing.reports.reconcile_price import priced_now
from farthing.reports.reconcile_search import Search, Signed

_SHOWN = 3


class Reasons:
    """Looks for causes; knows all lines, since one line may hold what another one lacks."""

    def __init__(
        self,
        prices: PriceBook,
        provider: str,
        singles: SingleCalls,
        keys: Mapping[str, str],
        now_us: int,
    ) -> None:
        self._prices = prices
        self._provider = provider
        self._singles = singles
        self._keys = keys
        self._now_us = now_us
        self._lines: list[Line] = []
        self._lonely: list[Line] = []
        self._days: Set[int] = frozenset()

    def prepare(self, cases: Sequence[Case], days: Set[int]) -> None:
        """Note all lines, those that are on one side only, and the days that the files cover."""
        self._lines = [case.line for case in cases]
        self._lonely = [case.line for case in cases if not (case.usage and case.ours)]
        self._days = days

    def explained(self, case: Case) -> Line:
        """The line with its causes, and without calls that failed and that the provider does not count."""
        calls = self._calls(case)
        line = _without_failed(case.line, calls)
        if line.agrees:
            return line
        case = msgspec.structs.replace(case, line=line)
        exact = next(self._exact(case, calls), None)
        found = [exact] if exact is not None else list(self._likely(case))
        return msgspec.structs.replace(line, causes=(*self._of_time(case), *found))

    def _calls(self, case: Case) -> list[OneCall]:
        """The single calls of a line; none where there are too many to look at."""
        if not case.ours:
            return []
        found: list[OneCall] = []
        for day in case.days:
            calls = self._singles.of_day(day)
            if calls is None:
                return []
            found += [call for call in calls if case.is_ours(call)]
        return found

    def _of_time(self, case: Case) -> Iterator[Cause]:
        if case.span[1] > self._now_us:
            told = "the day is not over in UTC, and both sides still count: fetch it again tomorrow"
            yield Cause(name="day_not_over", text=told)
        elif case.line.provisional:
            told = "calls of that day are still open here: compare again when they have ended"
            yield Cause(name="open_calls", text=told)

    # ── what accounts for all of it ─────────────────────────────────────────────────────────────

    def _exact(self, case: Case, calls: Sequence[OneCall]) -> Iterator[Cause]:
        search = Search(case.line)
        if case.line.quantities is not None and search.quantities_agree:
            yield self._another_price(case)
            return
        yield from _tier_alone(case, search)
        yield from self._other_name(case)
        yield from self._midnight(case, search)
        used = [call for call in calls if not call.voided]
        if found := search.find([Signed(-1, call) for call in used if call.assumed]):
            rules = ", ".join(sorted({each.call.rule or "assumed" for each in found}))
            told = f"{_counted(found)} booked here as assumed ({rules}) and not billed there: {_shown(found)}"
            yield Cause(name="assumed", exact=True, text=told)
        if found := search.find_one_or_two([Signed(-1, call) for call in used]):
            told = (
                f"{_counted(found)} in this ledger and not in the file, just as much as {_shown(found)}: "
                "is the file complete, and of the account that was called?"
            )
            yield Cause(name="lacking", exact=True, text=told)
        if found := search.find_one_or_two([Signed(1, call) for call in used]):
            told = (
                f"{_counted(found)} more there, just as much as {_shown(found)} again: a retry that did not "
                "pass through farthing, or the file tells it twice"
            )
            yield Cause(name="retry", exact=True, text=told)

    def _other_name(self, case: Case) -> Iterator[Cause]:
        """The same quantities on the other side only, under another model or key."""
        line = case.line
        if line.quantities is None or (case.usage and case.ours):
            return
        mine, across = (0, 1) if case.usage else (1, 0)
        for other in self._lonely:
            if other.quantities is None or (other.day, other.provider) != (line.day, line.provider):
                continue
            if other.quantities[across] == line.quantities[mine] and not any(other.quantities[mine]):
                name = other.model if other.model != line.model else f"the key {other.key}"
                where = "the provider's file" if across == 0 else "this ledger"
                told = f"just as much stands in {where} under {name}: one and the same by two names"
                yield Cause(name="other_name", exact=True, text=told)
                return

    def _midnight(self, case: Case, search: Search) -> Iterator[Cause]:
        if case.line.day is None:
            return
        candidates = [
            Signed(-1 if call.at_us // DAY_US == case.line.day else 1, call)
            for midnight_us in case.span
            for call in self._singles.around(midnight_us)
            if case.is_ours(call) and not call.voided
        ]
        nearest = _nearest(candidates, case.span)
        found = search.find(nearest) or search.find_one_or_two(nearest)
        if found and all(self._other_day_differs(case.line, each.call, case.span) for each in found):
            where = "on the other day" if found[0].sign < 0 else "on this day, and here on the one they began"
            told = f"{_counted(found)} around midnight UTC, booked there {where}: {_shown(found)}"
            yield Cause(name="midnight", exact=True, text=told)

    def _other_day_differs(self, line: Line, call: OneCall, span: tuple[int, int]) -> bool:
        """Whether the day on the other side of midnight differs too, or is in no file."""
        assert line.day is not None
        day = line.day - 1 if abs(call.at_us - span[0]) < abs(call.at_us - span[1]) else line.day + 1
        if day not in self._days:
            return True
        place = (day, line.model, line.key)
        return any((other.day, other.model, other.key) == place and not other.agrees for other in self._lines)

    def _another_price(self, case: Case) -> Cause:
        """The same quantities, and another cost."""
        line = case.line
        theirs, ours = line.cost or (0, 0)
        share = f", {_percent(theirs, ours)} of ours" if ours else ""
        if tiers := _tiers((*case.usage, *case.costs)):
            told = f"the same quantities, billed there as {tiers}{share}, and here at another tier"
            return Cause(name="service_tier", exact=True, text=told)
        now = priced_now(self._prices, self._provider, line, case.span[0])
        if now is not None and abs(now - theirs) <= line.tolerance:
            told = (
                f"the same quantities at another price: theirs, {dollars(theirs)}, is what the price book "
                f"says now, and the calls were booked at {dollars(ours)}"
            )
            return Cause(name="price", exact=True, text=told)
        told = (
            f"the same quantities at another price{share}: a discount, a changed price or a fee; look at "
            "farthing price show, and declare yours with farthing price set"
        )
        return Cause(name="price", text=told)

    # ── what is likely ──────────────────────────────────────────────────────────────────────────

    def _likely(self, case: Case) -> Iterator[Cause]:
        line = case.line
        apart = [figure.difference for figure in line.differences]
        more, less = any(one > 0 for one in apart), any(one < 0 for one in apart)
        if line.quantities is None and self._quantities_differ(line):
            told = "quantities of that day differ too: their lines say why"
            yield Cause(name="quantities", text=told)
            return
        rows = (*case.usage, *case.costs)
        unknown = sorted({row.key for row in rows if row.key is not None and self._is_unknown(row.key)})
        if unknown:
            told = (
                f"the provider's key {', '.join(unknown[:_SHOWN])} is paired with no key here: calls "
                "outside of farthing, or name the pair with --key"
            )
            yield Cause(name="unknown_key", text=told)
        if more and case.voided:
            told = f"{_number(case.voided, 'call')} dropped here as never connected may have reached it"
            yield Cause(name="void", text=told)
        if case.assumed:
            told = (
                f"{_number(case.assumed, 'call')} could not be read to the end and stand here at the most "
                "that was possible: theirs is the true figure"
            )
            yield Cause(name="assumed", text=told)
        yield from _told_apart(case, more=more)
        requests_agree = line.quantity_difference.requests == 0
        if more and not unknown and not (case.assumed and requests_agree):
            who = (
                "more was used than went through here; who else has the provider's keys?"
                if case.ours
                else "nobody called this here"
            )
            yield Cause(name="outside", text=f"calls outside of farthing: {who}")
        if less and not case.assumed:
            told = (
                "calls in this ledger are not in the file: is it complete (all pages, projects and "
                "workspaces) and of the account that was called? Providers may add to a day for some hours"
            )
            yield Cause(name="lacking", text=told)

    def _quantities_differ(self, line: Line) -> bool:
        return any(
            other.day == line.day and other.quantities is not None and not other.agrees
            for other in self._lines
        )

    def _is_unknown(self, key: str) -> bool:
        return bool(self._keys) and key not in self._keys


def _without_failed(line: Line, calls: Sequence[OneCall]) -> Line:
    """Leave out calls that the provider answered with an error, where it counts fewer requests than we."""
    failed = sum(call.failed for call in calls)
    if not failed or line.quantities is None or (line.quantity_difference.requests or 0) >= 0:
        return line
    theirs, ours = line.quantities
    fewer = ours._replace(requests=(ours.requests or 0) - failed)
    return msgspec.structs.replace(line, quantities=(theirs, fewer), failed=failed)


def _tier_alone(case: Case, search: Search) -> Iterator[Cause]:
    """Rows of another tier are all that is too much."""
    rows = [row for row in case.usage if row.tier not in PLAIN_TIERS]
    if not rows or case.line.quantities is None:
        return
    used = _sum_of(rows)
    if as_told(used, case.line.quantities[0]) == search.wanted:
        tiers = _tiers(rows)
        how = "through the batch API" if tiers == BATCH else f"at the tier {tiers}"
        told = f"{_requests(used)}{how}: all that is too much, so these did not go through farthing"
        yield Cause(name=BATCH if tiers == BATCH else "service_tier", exact=True, text=told)


def _told_apart(case: Case, *, more: bool) -> Iterator[Cause]:
    """Rows of another tier, and costs that belong to no model."""
    rows = [row for row in case.usage if row.tier not in PLAIN_TIERS]
    if more and rows:
        told = f"{_requests(_sum_of(rows))}there at the tier {_tiers(rows)}, perhaps not through farthing"
        yield Cause(name=BATCH if _tiers(rows) == BATCH else "service_tier", text=told)
    items = sorted({row.item for row in case.costs if row.model is None and row.item})
    if items:
        told = f"the provider bills {', '.join(items[:_SHOWN])} on lines of its own, named after no model"
        yield Cause(name="billed_apart", text=told)


def _sum_of(rows: Sequence[ProviderRow]) -> Quantities:
    total = Quantities()
    for row in rows:
        total = total.plus(row.quantities or Quantities())
    return total


def _tiers(rows: Sequence[ProviderRow]) -> str:
    return ", ".join(sorted({str(row.tier) for row in rows if row.tier not in PLAIN_TIERS}))


def _requests(used: Quantities) -> str:
    return f"{_number(used.requests, 'request')} " if used.requests else "what was used "


def _nearest(candidates: Sequence[Signed], midnights: tuple[int, int]) -> list[Signed]:
    """Those under way at a midnight first, then those that began nearest to one."""

    def distance(each: Signed) -> int:
        call = each.call
        if any(call.at_us < midnight <= call.ended_at_us for midnight in midnights):
            return 0
        return min(abs(midnight - call.at_us) for midnight in midnights)

    return sorted(candidates, key=distance)


def _counted(found: Sequence[Signed]) -> str:
    return _number(len(found), "call")


def _number(count: int, name: str) -> str:
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


def _shown(found: Sequence[Signed]) -> str:
    """The first few calls, by id and moment."""
    named = [f"{each.call.call_id} ({iso_utc(each.call.at_us)[:19]}Z)" for each in found[:_SHOWN]]
    rest = len(found) - len(named)
    return ", ".join(named) + (f" and {rest:,} more" if rest else "")


def _percent(theirs: int, ours: int) -> str:
    tenths = round(Fraction(1_000 * theirs, ours))
    return f"{tenths // 10}.{tenths % 10} %"
