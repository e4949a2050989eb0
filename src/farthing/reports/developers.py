"""What each developer spent, what is left of the budget of each, and who met a limit."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import msgspec

from farthing.domain.money import NANODOLLARS_PER_DOLLAR
from farthing.domain.names import matches
from farthing.domain.period import Period, from_microseconds, window_of
from farthing.ledger.slices import SpendRow
from farthing.policy.rules import Budget
from farthing.reports.asking import Question
from farthing.reports.environments import NO_DEVELOPER, nothing_yet
from farthing.reports.limit_hits import refused_at_limits
from farthing.reports.ranking import Cells, dearest, together, top_of
from farthing.reports.sheet import Column, Flag, Kind, Level, Sheet, Table, part
from farthing.reports.spans import month_of
from farthing.reports.telling import rounded_dollars
from farthing.reports.totals import total_of

DEVELOPER = "developer"
# What one developer may spend in a month where the policy has no budget for each of them.
USUAL_LIMIT_NANODOLLARS = 150 * NANODOLLARS_PER_DOLLAR
NAMED_MAX = 5

# The longest one says the most about a person; what binds first is shown by farthing budget list.
_LONGEST_FIRST = (Period.TOTAL, Period.MONTHLY, Period.WEEKLY, Period.DAILY, Period.HOURLY)

_COLUMNS = (
    Column("developer", "Developer"),
    Column("calls", "Calls", Kind.COUNT),
    Column("cost_nanodollars", "Spent", Kind.MONEY),
    Column("cost_percent", "of cost", Kind.SHARE),
    Column("limit_nanodollars", "Budget", Kind.MONEY),
    Column("limit_spent_nanodollars", "spent of it", Kind.MONEY),
    Column("limit_used_percent", "used", Kind.SHARE),
    Column("remaining_nanodollars", "Remaining", Kind.MONEY),
    Column("refused_at_limit", "Refused at a limit", Kind.COUNT),
)
_SUMMED = ("calls", "cost_nanodollars", "refused_at_limit")


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What one developer may spend, and has spent of it."""

    limit_nanodollars: int
    spent_nanodollars: int
    remaining_nanodollars: int


class Personal(msgspec.Struct, frozen=True, kw_only=True):
    """The budget that counts developers apart, in one window; one who spent nothing yet has all of it.

    name: that of the policy's budget; None where the policy has none and the usual limit is shown.
    """

    name: str | None
    window: str
    limit_nanodollars: int
    accounts: Mapping[str, Account]

    def of(self, developer: str) -> Account:
        """The account of a developer."""
        limit = self.limit_nanodollars
        return self.accounts.get(developer) or Account(
            limit_nanodollars=limit, spent_nanodollars=0, remaining_nanodollars=limit
        )


def report(asked: Question) -> Sheet:
    """One row for each developer, the dearest first."""
    title = "Developers"
    span = asked.span
    rows = asked.store.spend(
        by=[DEVELOPER], since_us=span.since_us, until_us=span.until_us, where=asked.where
    )
    named = dearest([row for row in rows if row.by[DEVELOPER] is not None])
    if not named:
        return nothing_yet("developers", title, asked, NO_DEVELOPER)
    personal = personal_budget(asked)
    refused = refused_at_limits(asked, DEVELOPER)
    whole = total_of(named)
    ranked = [_row(row, whole, personal, refused) for row in named]
    table = Table(
        name="developers",
        title="Who spends, and what is left of the budget of each",
        columns=_COLUMNS,
        rows=tuple(top_of(ranked, asked.top, together(_COLUMNS, *_SUMMED))),
        footer=(
            "total",
            whole.calls,
            whole.cost_nanodollars,
            *[None] * 5,
            sum(refused.get(row.by[DEVELOPER], 0) for row in named),
        ),
        chart="cost_nanodollars",
    )
    return Sheet(
        name="developers",
        title=title,
        span=span,
        provisional=asked.is_provisional,
        tables=(table,),
        flags=tuple(_flags(named, personal, refused)),
        notes=tuple(_notes(rows, personal)),
    )


# ── the budget of each ──────────────────────────────────────────────────────────────────────────


def personal_budget(asked: Question) -> Personal:
    """The budget for each developer at the end of the span, or now; the longest where there are several."""
    at_us = min(asked.now_us, asked.span.until_us - 1)
    budget = _longest(asked)
    if budget is None:
        return _usual(asked, at_us)
    window = window_of(budget.period, at_us, budget.zone)
    balances = asked.store.balances(budget=budget.name, current_at_us=at_us, at_us=at_us)
    return Personal(
        name=budget.name,
        window=window.key,
        limit_nanodollars=budget.limit_in(window),
        accounts={
            balance.value: Account(
                limit_nanodollars=balance.limit,
                spent_nanodollars=balance.settled,
                remaining_nanodollars=balance.remaining,
            )
            for balance in balances
            if balance.value is not None
        },
    )


def _longest(asked: Question) -> Budget | None:
    personal = [
        budget
        for budget in (asked.policy.budgets if asked.policy is not None else ())
        if budget.per == DEVELOPER and budget.period in _LONGEST_FIRST and _covers(budget, asked.environment)
    ]
    return min(personal, key=lambda budget: _LONGEST_FIRST.index(budget.period), default=None)


def _covers(budget: Budget, environment: str | None) -> bool:
    values = budget.match.get("environment", ("*",))
    return environment is None or any(matches(value, environment) for value in values)


def _usual(asked: Question, at_us: int) -> Personal:
    month = month_of("this", at_us)
    rows = asked.store.spend(
        by=[DEVELOPER], since_us=month.since_us, until_us=month.until_us, where=asked.where
    )
    return Personal(
        name=None,
        window=f"{from_microseconds(at_us):%Y-%m}",
        limit_nanodollars=USUAL_LIMIT_NANODOLLARS,
        accounts={
            developer: Account(
                limit_nanodollars=USUAL_LIMIT_NANODOLLARS,
                spent_nanodollars=row.cost_nanodollars,
                remaining_nanodollars=USUAL_LIMIT_NANODOLLARS - row.cost_nanodollars,
            )
            for row in rows
            if (developer := row.by[DEVELOPER]) is not None
        },
    )


# ── the sheet ───────────────────────────────────────────────────────────────────────────────────


def _row(row: SpendRow, whole: SpendRow, personal: Personal, refused: Mapping[str | None, int]) -> Cells:
    developer = row.by[DEVELOPER]
    account = personal.of(developer or "")
    limit = account.limit_nanodollars
    return (
        developer,
        row.calls,
        row.cost_nanodollars,
        part(row.cost_nanodollars, whole.cost_nanodollars),
        limit,
        account.spent_nanodollars,
        Fraction(account.spent_nanodollars, limit) if limit > 0 else None,
        account.remaining_nanodollars,
        refused.get(developer, 0),
    )


def _flags(rows: Sequence[SpendRow], personal: Personal, refused: Mapping[str | None, int]) -> Iterator[Flag]:
    """Developers who have nothing left, the dearest few."""
    names = [name for row in rows if (name := row.by[DEVELOPER]) is not None]
    spent = [name for name in names if personal.of(name).remaining_nanodollars <= 0]
    for name in spent[:NAMED_MAX]:
        account = personal.of(name)
        hits = refused.get(name, 0)
        text = (
            f"{name} has spent {rounded_dollars(account.spent_nanodollars)} of "
            f"{rounded_dollars(account.limit_nanodollars)} in {personal.window}"
        )
        if hits:
            text += f" and was refused {hits:,} time{'s' if hits > 1 else ''}"
        fix = _USUAL_LINE
        if personal.name is not None:
            fix = f'farthing budget raise {personal.name} 50 --value {name} --reason "..."'
        yield Flag(name="developer_budget_spent", level=Level.WARNING, text=f"{text}.", fix=fix)


_USUAL_LINE = (
    "budgets: [{name: per-developer, match: {environment: development}, per: developer, limit: $150, "
    "period: monthly}]  in the policy makes it hold"
)


def _notes(rows: Sequence[SpendRow], personal: Personal) -> Iterator[str]:
    if personal.name is None:
        yield (
            f"The policy has no budget for each developer; each is held against "
            f"{rounded_dollars(USUAL_LIMIT_NANODOLLARS)} a month, here for {personal.window}. {_USUAL_LINE}."
        )
    else:
        yield f"Budget: {personal.name} of the policy, in its window {personal.window}, with what raised it."
    nobody = next((row for row in rows if row.by[DEVELOPER] is None), None)
    if nobody is not None and nobody.calls:
        yield (
            f"{nobody.calls:,} calls for {rounded_dollars(nobody.cost_nanodollars)} have no developer "
            "and are not told here."
        )
