"""Who and what spends in one environment, and what grew: by developer, by feature and by model."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

import msgspec

from farthing.domain.money import dollars
from farthing.ledger.store import Store
from farthing.reports.ranking import NONE, OTHERS
from farthing.reports.spans import Span
from farthing.reports.telling import percent

_FEATURE = "label:feature"


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What one developer, feature or model cost, and what it cost in the span before.

    name: None holds the calls without a feature.
    """

    kind: str
    name: str | None
    cost_nanodollars: int
    before_nanodollars: int

    @property
    def growth_nanodollars(self) -> int:
        """How much more than before; negative where it is less."""
        return self.cost_nanodollars - self.before_nanodollars

    def __str__(self) -> str:
        """Such as developer alice."""
        return f"{self.kind} {self.name or NONE}"


def scopes_of(store: Store, environment: str, span: Span, before: Span) -> list[Scope]:
    """Every developer (or key without one), every feature and every model; each kind sums to the whole."""
    costs: dict[tuple[str, str | None], list[int]] = {}
    for place, one in enumerate((span, before)):
        for scope, cost in _costs(store, environment, one):
            costs.setdefault(scope, [0, 0])[place] += cost
    return [
        Scope(kind=kind, name=name, cost_nanodollars=now, before_nanodollars=then)
        for (kind, name), (now, then) in costs.items()
    ]


def _costs(store: Store, environment: str, span: Span) -> Iterable[tuple[tuple[str, str | None], int]]:
    where = {"environment": environment}
    asked = {"since_us": span.since_us, "until_us": span.until_us}
    nameless = 0
    for row in store.spend(by=["developer", "key", "model"], where=where, **asked):
        developer, key = row.by["developer"], row.by["key"]
        yield ("developer", developer) if developer else ("key", key), row.cost_nanodollars
        yield ("model", row.by["model"]), row.cost_nanodollars
        nameless += row.cost_nanodollars
    for row in store.spend(by=[_FEATURE], where=where, **asked):
        yield ("feature", row.by[_FEATURE]), row.cost_nanodollars
        nameless -= row.cost_nanodollars
    if nameless:
        yield ("feature", None), nameless


def ranked(scopes: Iterable[Scope], *, kind: str) -> list[Scope]:
    """The scopes of a kind, the dearest first; a key stands among the developers."""
    kinds = ("developer", "key") if kind == "developer" else (kind,)
    return sorted(
        [scope for scope in scopes if scope.kind in kinds],
        key=lambda scope: (-scope.cost_nanodollars, -scope.before_nanodollars, scope.name or ""),
    )


def others_of(scopes: Sequence[Scope]) -> Scope:
    """Scopes of one kind together in one."""
    return Scope(
        kind=scopes[0].kind,
        name=OTHERS,
        cost_nanodollars=sum(one.cost_nanodollars for one in scopes),
        before_nanodollars=sum(one.before_nanodollars for one in scopes),
    )


def culprits(scopes: Sequence[Scope], total_nanodollars: int) -> str:
    """The dearest developer, feature and model, in words."""
    dearest = [ranked(scopes, kind=kind) for kind in ("developer", "feature", "model")]
    told = [
        f"{rows[0]} {dollars(rows[0].cost_nanodollars)}"
        f" ({percent(Fraction(rows[0].cost_nanodollars, total_nanodollars))} %)"
        for rows in dearest
        if rows and rows[0].name and rows[0].cost_nanodollars > 0 and total_nanodollars
    ]
    return ", ".join(told)


def growing(scopes: Sequence[Scope], count: int) -> list[Scope]:
    """Those that grew most, named ones only."""
    grown = [scope for scope in scopes if scope.growth_nanodollars > 0 and scope.name]
    order = ("developer", "key", "feature", "model")
    grown.sort(key=lambda scope: (-scope.growth_nanodollars, order.index(scope.kind), scope.name or ""))
    return grown[:count]
