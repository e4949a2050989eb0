"""How many tokens a call takes in and gives out, by feature and environment, held against production."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

import msgspec

from farthing.ledger.slices import SpendRow
from farthing.reports.asking import Question
from farthing.reports.environments import PRODUCTION, environment_place, nothing_yet
from farthing.reports.ranking import NONE, OTHERS
from farthing.reports.sheet import Column, Flag, Kind, Level, Sheet, Table, Value, part
from farthing.reports.spend import complete_spend
from farthing.reports.telling import rounded
from farthing.reports.totals import total_of

FEATURE = "label:feature"
# Answers that are so many times as long as production's are pointed at.
LONGER_TIMES = 2
_BOUND_STEP = 100

_COLUMNS = (
    Column("feature", "Feature"),
    Column("environment", "Environment"),
    Column("answered", "Answered calls", Kind.COUNT),
    Column("input_tokens_per_call", "Input tokens a call", Kind.NUMBER),
    Column("input_times_production", "times production's", Kind.TIMES),
    Column("output_tokens_per_call", "Output tokens a call", Kind.NUMBER),
    Column("output_times_production", "times production's output", Kind.TIMES),
)


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What a call of one feature takes in and gives out in one environment, in the mean."""

    feature: str
    environment: str
    answered: int
    input_tokens: Fraction | None
    output_tokens: Fraction | None


def report(asked: Question) -> Sheet:
    """Tell the mean tokens of a call for each feature, where it is developed and where it serves."""
    title = "Tokens of a call"
    span = asked.span
    # Production is asked for too where one environment alone is: it is what that one is held against.
    rows = complete_spend(
        asked.store, [FEATURE, "environment"], since_us=span.since_us, until_us=span.until_us
    )
    profiles = _profiles([row for row in rows if row.calls], asked.top)
    shown = [one for one in profiles if asked.environment in (None, one.environment)]
    if not shown:
        return nothing_yet("tokens", title, asked)
    production = {one.feature: one for one in profiles if one.environment == PRODUCTION}
    table = Table(
        name="tokens",
        title="Mean tokens of a call that was answered by a provider",
        columns=_COLUMNS,
        rows=tuple(_row(one, production.get(one.feature)) for one in shown),
        chart="output_tokens_per_call",
    )
    return Sheet(
        name="tokens",
        title=title,
        span=span,
        provisional=asked.is_provisional,
        tables=(table,),
        flags=tuple(_longer(shown, production)),
        notes=tuple(_notes(profiles)),
    )


def _profiles(rows: Sequence[SpendRow], top: int) -> list[Profile]:
    """Features by falling cost, each with its environments; the others of an environment are together."""
    by_feature: dict[str, list[SpendRow]] = {}
    for row in rows:
        by_feature.setdefault(row.by[FEATURE] or NONE, []).append(row)
    ranked = sorted(by_feature, key=lambda name: (-total_of(by_feature[name]).cost_nanodollars, name))
    if len(ranked) > top + 1:
        by_feature[OTHERS] = _by_environment([row for name in ranked[top:] for row in by_feature[name]])
        ranked = [*ranked[:top], OTHERS]
    return [_profile(name, row) for name in ranked for row in _in_order(by_feature[name])]


def _by_environment(rows: Iterable[SpendRow]) -> list[SpendRow]:
    inside: dict[str | None, list[SpendRow]] = {}
    for row in rows:
        inside.setdefault(row.by["environment"], []).append(row)
    return [
        msgspec.structs.replace(total_of(found), by={"environment": environment})
        for environment, found in inside.items()
    ]


def _in_order(rows: Iterable[SpendRow]) -> list[SpendRow]:
    return sorted(rows, key=lambda row: environment_place(row.by["environment"]))


def _profile(feature: str, row: SpendRow) -> Profile:
    # A hit used no tokens, and the tokens of a call that was assumed are not known.
    answered = max(row.paid - row.assumed, 0)
    return Profile(
        feature=feature,
        environment=row.by["environment"] or NONE,
        answered=answered,
        input_tokens=part(row.input_tokens, answered),
        output_tokens=part(row.output_tokens, answered),
    )


def _row(one: Profile, production: Profile | None) -> tuple[Value, ...]:
    return (
        one.feature,
        one.environment,
        one.answered,
        one.input_tokens,
        _times(one.input_tokens, production.input_tokens if production else None),
        one.output_tokens,
        _times(one.output_tokens, production.output_tokens if production else None),
    )


def _times(of: Fraction | None, production: Fraction | None) -> Fraction | None:
    return of / production if of is not None and production else None


def _longer(shown: Iterable[Profile], production: dict[str, Profile]) -> Iterator[Flag]:
    """Environments with answers much longer than production's: one flag each, with the worst feature."""
    longer: dict[str, list[tuple[Fraction, Profile, Profile]]] = {}
    for one in shown:
        there = production.get(one.feature)
        times = _times(one.output_tokens, there.output_tokens if there else None)
        if there and times and times >= LONGER_TIMES and one.environment != PRODUCTION:
            longer.setdefault(one.environment, []).append((times, one, there))
    for environment, found in longer.items():
        times, worst, there = max(found, key=lambda each: (each[0], each[1].feature))
        most = max(served.output_tokens or Fraction(0) for _, _, served in found)
        bound = -(-LONGER_TIMES * most // _BOUND_STEP) * _BOUND_STEP
        number = f", one of {len(found)} such features" if len(found) > 1 else ""
        yield Flag(
            name="longer_answers",
            level=Level.NOTE,
            text=(
                f"Answers in {environment} are {rounded(times, 1)} times as long as in production for "
                f"{worst.feature}{number}: {_whole(worst.output_tokens)} tokens against "
                f"{_whole(there.output_tokens)}."
            ),
            fix=(
                "send max_tokens there too, or in the policy,  "
                f"environments: {{{environment}: {{output_bound: {bound}}}}}"
            ),
        )


def _whole(tokens: Fraction | None) -> str:
    return f"{rounded(tokens or Fraction(0), 0):,}"


def _notes(profiles: Iterable[Profile]) -> Iterator[str]:
    if all(one.feature == NONE for one in profiles):
        yield (
            'No call says which feature it is for: send X-Metering-Tags: {"feature": "search"} through the '
            'gateway, or guard(client, labels={"feature": "search"}).'
        )
