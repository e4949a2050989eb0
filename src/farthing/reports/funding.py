"""Whether the money is there: how much of the budgets of providers is used, and what wallets still have."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

import msgspec

from farthing.domain.money import dollars, nearest_whole
from farthing.domain.names import matches
from farthing.domain.period import window_of
from farthing.ledger.entries import account_name
from farthing.policy.rules import Budget
from farthing.reports.asking import Question
from farthing.reports.sheet import Column, Flag, Kind, Level, Table, Value, part
from farthing.reports.telling import percent, rounded_dollars
from farthing.reports.wallets import wallet_standings

_PROVIDERS = (
    Column("provider", "Provider"),
    Column("budget", "Budget"),
    Column("window", "Window"),
    Column("limit_nanodollars", "Limit", Kind.MONEY),
    Column("spent_nanodollars", "Used", Kind.MONEY),
    Column("spent_of_limit_percent", "Used of limit", Kind.SHARE),
    Column("expected_nanodollars", "Expected", Kind.MEAN),
    Column("expected_of_limit_percent", "Expected of limit", Kind.SHARE),
)
_WALLETS = (
    Column("wallet", "Wallet"),
    Column("owner", "Owner"),
    Column("window", "Window"),
    Column("funded_nanodollars", "Funded", Kind.MONEY),
    Column("spent_nanodollars", "Spent", Kind.MONEY),
    Column("remaining_nanodollars", "Left", Kind.MONEY),
    Column("expected_nanodollars", "Expected demand", Kind.MEAN),
    Column("expected_of_funded_percent", "Demand of funds", Kind.SHARE),
)


class Funding(msgspec.Struct, frozen=True, kw_only=True):
    """One account: what was put in or may be spent, what is spent, and what will be when the span ends."""

    name: str
    about: str
    window: str
    limit: int
    spent: int
    expected: int
    owner: str | None = None

    @property
    def is_short(self) -> bool:
        """Whether more will be asked of it than there is."""
        return self.expected > self.limit


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What will be asked of accounts.

    forecasts: what will have been spent, by budget and window, of those whose window is open now.
    growth: what an environment will have spent in the span, for each dollar of it that is spent now.
    """

    forecasts: Mapping[tuple[str, str], int]
    growth: Fraction

    def expected(self, budget: str, window: str, *, spent: int, is_endless: bool, in_span: int) -> int:
        """What an account will have spent: as its window was forecast; without an end, when the span ends.

        in_span: what was spent in the span by the calls that pay from it, where it has no end.
        """
        if is_endless:
            return spent + nearest_whole(min(spent, in_span) * (self.growth - 1))
        return self.forecasts.get((budget, window), spent)


def provider_budgets(asked: Question, demand: Demand) -> list[Funding]:
    """Every budget of the policy that is for providers alone, in the window that the span ends in."""
    found = []
    at_us = _looked_at(asked)
    for budget in asked.policy.budgets if asked.policy else ():
        if "provider" in budget.match and budget.per is None:
            window = window_of(budget.period, at_us, budget.zone)
            balance = asked.store.balance(account_name(budget.name, None, window.key), at_us=at_us)
            spent = balance.settled if balance else 0
            found.append(
                Funding(
                    name=budget.name,
                    about=_scope(budget),
                    window=window.key,
                    limit=balance.limit if balance else budget.limit_in(window),
                    spent=spent,
                    expected=demand.expected(
                        budget.name,
                        window.key,
                        spent=spent,
                        is_endless=window.ends_at_us is None,
                        in_span=_spent_in_span(asked, "provider", budget.match["provider"]),
                    ),
                )
            )
    return sorted(found, key=lambda one: (-one.spent, one.name))


def wallets(asked: Question, demand: Demand) -> list[Funding]:
    """Every wallet that groups of the environment pay from."""
    if asked.policy is None:
        return []
    return [
        Funding(
            name=standing.wallet.team_id,
            about="",
            window=standing.balance.window,
            limit=standing.balance.limit,
            spent=standing.balance.settled,
            expected=demand.expected(
                standing.balance.budget,
                standing.balance.window,
                spent=standing.balance.settled,
                is_endless=standing.balance.ends_at_us is None,
                in_span=_spent_in_span(asked, "group", standing.groups),
            ),
            owner=standing.wallet.owner,
        )
        for standing in wallet_standings(asked.policy, asked.store, _looked_at(asked))
        if asked.environment is None or asked.environment in standing.environments
    ]


def provider_table(found: Sequence[Funding]) -> Table:
    """Budgets of providers, the most used first."""
    return Table(
        name="provider_budgets",
        title="Budgets of providers",
        columns=_PROVIDERS,
        rows=tuple((one.about, one.name, one.window, *_figures(one)) for one in found),
        chart="spent_of_limit_percent",
    )


def wallet_table(found: Sequence[Funding]) -> Table:
    """What wallets were given, and what will be asked of them."""
    return Table(
        name="wallets",
        title="Wallets: funding against demand",
        columns=_WALLETS,
        rows=tuple(
            (
                one.name,
                one.owner,
                one.window,
                one.limit,
                one.spent,
                one.limit - one.spent,
                one.expected,
                part(one.expected, one.limit),
            )
            for one in found
        ),
        footer=(
            "total",
            None,
            None,
            sum(one.limit for one in found),
            sum(one.spent for one in found),
            sum(one.limit - one.spent for one in found),
            sum(one.expected for one in found),
            None,
        ),
    )


def funding_flags(budgets: Sequence[Funding], found: Sequence[Funding]) -> Iterator[Flag]:
    """What will not last."""
    for one in budgets:
        if one.is_short:
            yield Flag(
                name="provider_budget_short",
                level=Level.WARNING,
                text=f"{one.name} has {dollars(one.limit)} in {one.window} for {one.about}, and {_ask(one)}.",
                fix=f'farthing budget raise {one.name} AMOUNT --reason "…"',
            )
    for one in found:
        if one.is_short:
            yield Flag(
                name="wallet_short",
                level=Level.WARNING,
                text=f"The wallet {one.name} was funded with {dollars(one.limit)}, and {_ask(one)}.",
                fix=f'farthing wallet credit {one.name} AMOUNT --reason "…"',
            )


def _ask(one: Funding) -> str:
    share = f" ({percent(Fraction(one.expected, one.limit))} %)" if one.limit > 0 else ""
    return f"{rounded_dollars(one.expected)}{share} will be asked of it; {dollars(one.spent)} are spent"


def _figures(one: Funding) -> tuple[Value, ...]:
    return (
        one.limit,
        one.spent,
        part(one.spent, one.limit),
        one.expected,
        part(one.expected, one.limit),
    )


def _scope(budget: Budget) -> str:
    """Which providers it is for, and what else narrows it."""
    providers = ", ".join(budget.match["provider"])
    others = [f"{fact} {', '.join(values)}" for fact, values in budget.match.items() if fact != "provider"]
    return f"{providers} ({'; '.join(others)})" if others else providers


def _looked_at(asked: Question) -> int:
    """Now, or the last moment of a span that is over."""
    return min(asked.now_us, asked.span.until_us - 1)


def _spent_in_span(asked: Question, dimension: str, names: Iterable[str]) -> int:
    """What some providers or groups spent in the span, in every environment."""
    rows = asked.store.spend(by=[dimension], since_us=asked.span.since_us, until_us=asked.span.until_us)
    return sum(
        row.cost_nanodollars
        for row in rows
        if any(matches(name, value) for name in names if (value := row.by[dimension]) is not None)
    )
