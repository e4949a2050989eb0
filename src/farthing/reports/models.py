"""Who uses which model where, week by week, and what the dear ones among them could save."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

import msgspec

from farthing.domain.money import NANODOLLARS_PER_DOLLAR
from farthing.ledger.slices import SpendRow
from farthing.reports.asking import Question
from farthing.reports.cheaper import CheaperModels, cheaper_models
from farthing.reports.downgrading import line_that_downgrades
from farthing.reports.environments import PRODUCTION, environment_place, nothing_yet
from farthing.reports.ranking import NONE, OTHERS, top_of
from farthing.reports.sheet import Column, Flag, Kind, Level, Sheet, Table, Value, part
from farthing.reports.spans import Span
from farthing.reports.telling import percent, rounded_dollars

# A longer span is told by the month: nobody reads twenty weeks of rows.
WEEKS_MAX = 6
NAMED_MAX = 5
# More than so much of all calls on one premium model is a habit and no choice.
HABIT_PERCENT = 90
PREMIUM = "premium"
# Less than a dollar is worth a note.
WORTH_IT_NANODOLLARS = NANODOLLARS_PER_DOLLAR

_USE = (
    Column("environment", "Environment"),
    Column("developer", "Developer"),
    Column("model", "Model"),
    Column("premium", "Premium"),
    Column("calls", "Calls", Kind.COUNT),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("cost_percent", "of cost", Kind.SHARE),
)
_AVOIDABLE = (
    Column("environment", "Environment"),
    Column("developer", "Developer"),
    Column("model", "Model"),
    Column("calls", "Calls", Kind.COUNT),
    Column("cost_nanodollars", "Spent", Kind.MONEY),
    Column("cheaper_model", "Cheaper model"),
    Column("cost_there_nanodollars", "Cost there", Kind.MONEY),
    Column("avoidable_nanodollars", "Avoidable", Kind.MONEY),
    Column("rule", "Named by"),
)


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of one developer to one model in one environment, and what they could save.

    period: the ISO week, or the month.
    cheaper, rule: the cheaper model and what names it; None where the model is not premium.
    """

    period: str
    environment: str
    developer: str
    model: str
    calls: int
    cost_nanodollars: int
    cheaper: str | None = None
    rule: str | None = None
    avoidable_nanodollars: int = 0

    def plus(self, other: "Use") -> "Use":
        """Both together; this one's names hold."""
        return msgspec.structs.replace(
            self,
            calls=self.calls + other.calls,
            cost_nanodollars=self.cost_nanodollars + other.cost_nanodollars,
            cheaper=self.cheaper or other.cheaper,
            rule=self.rule or other.rule,
            avoidable_nanodollars=self.avoidable_nanodollars + other.avoidable_nanodollars,
        )


def report(asked: Question) -> Sheet:
    """Tell the models in use, premium ones marked, and outside production what those cost too much."""
    title = "Models in use"
    uses = uses_of(asked)
    if not uses:
        return nothing_yet("models", title, asked)
    avoidable = avoidable_of(uses)
    tables = [use_table(uses, asked.span, asked.top)]
    if avoidable:
        tables.append(avoidable_table(avoidable, asked.top))
    return Sheet(
        name="models",
        title=title,
        span=asked.span,
        provisional=asked.is_provisional,
        tables=tuple(tables),
        flags=(*flags_of_people(avoidable, uses, asked), *flags_of_habits(uses, asked)),
        notes=tuple(_notes(uses, avoidable)),
    )


# ── what was used ───────────────────────────────────────────────────────────────────────────────


def uses_of(asked: Question) -> list[Use]:
    """All calls of the span, by week or month, environment, developer and model."""
    models = cheaper_models(asked)
    _, periods = _periods(asked.span)
    return [use for period, span in periods for use in _uses_in(period, span, asked, models)]


def avoidable_of(uses: Iterable[Use]) -> list[Use]:
    """Premium models outside production over the whole span, the most avoidable first."""
    premium = _together(use for use in uses if use.avoidable_nanodollars and use.environment != PRODUCTION)
    return sorted(premium, key=lambda use: (-use.avoidable_nanodollars, use.developer, use.model))


def _periods(span: Span) -> tuple[str, list[tuple[str, Span]]]:
    return span.weeks_or_months(weeks_max=WEEKS_MAX)


def _uses_in(period: str, span: Span, asked: Question, models: CheaperModels) -> list[Use]:
    rows = asked.store.spend(
        by=["environment", "developer", "provider", "model"],
        since_us=span.since_us,
        until_us=span.until_us,
        where=asked.where,
    )
    return _together(_use(period, row, models) for row in rows if row.calls)


def _use(period: str, row: SpendRow, models: CheaperModels) -> Use:
    provider, model = row.by["provider"] or "", row.by["model"] or ""
    cheaper = models.of(row.by["environment"], provider, model)
    avoidable = 0
    if cheaper is not None:
        there = models.cost_there(row, provider, model, cheaper)
        avoidable = max(row.cost_nanodollars - there, 0)
    return Use(
        period=period,
        environment=row.by["environment"] or NONE,
        developer=row.by["developer"] or NONE,
        model=model or NONE,
        calls=row.calls,
        cost_nanodollars=row.cost_nanodollars,
        cheaper=cheaper.model if cheaper else None,
        rule=cheaper.rule if cheaper else None,
        avoidable_nanodollars=avoidable,
    )


def _together(uses: Iterable[Use]) -> list[Use]:
    """Sum what several providers, or several weeks, have of the same."""
    sums: dict[tuple[str, str, str], Use] = {}
    for use in uses:
        name = (use.environment, use.developer, use.model)
        sums[name] = sums[name].plus(use) if name in sums else use
    return list(sums.values())


# ── tables ──────────────────────────────────────────────────────────────────────────────────────


def use_table(uses: Sequence[Use], span: Span, top: int) -> Table:
    """Every use with its share of the cost of the whole; the dearest ones, in the order of time."""
    unit, _ = _periods(span)
    total = sum(use.cost_nanodollars for use in uses)
    dearest = sorted(uses, key=lambda use: (-use.cost_nanodollars, -use.calls, use.developer, use.model))
    shown = sorted(top_of(dearest, top, _others), key=_place)
    return Table(
        name="use",
        title="Which models, by whom",
        columns=(Column("period", unit.capitalize()), *_USE),
        rows=tuple(_use_row(use, total) for use in shown),
        footer=("total", None, None, None, None, sum(use.calls for use in uses), total, None),
        chart="cost_nanodollars",
    )


def avoidable_table(avoidable: Sequence[Use], top: int) -> Table:
    """Premium models outside production, with what the same tokens cost on the cheaper model."""
    spent = sum(use.cost_nanodollars for use in avoidable)
    saved = sum(use.avoidable_nanodollars for use in avoidable)
    calls = sum(use.calls for use in avoidable)
    return Table(
        name="avoidable",
        title="Premium models outside production, and what the same tokens cost on a cheaper one",
        columns=_AVOIDABLE,
        rows=tuple(_avoidable_row(use) for use in top_of(avoidable, top, _others)),
        footer=("total", None, None, calls, spent, None, spent - saved, saved, None),
    )


def _others(uses: Sequence[Use]) -> Use:
    return Use(
        period=OTHERS,
        environment=OTHERS,
        developer="",
        model="",
        calls=sum(use.calls for use in uses),
        cost_nanodollars=sum(use.cost_nanodollars for use in uses),
        avoidable_nanodollars=sum(use.avoidable_nanodollars for use in uses),
    )


def _place(use: Use) -> tuple[bool, str, tuple[int, str], int]:
    others = use.period == OTHERS
    return (others, use.period, environment_place(use.environment), -use.cost_nanodollars)


def _use_row(use: Use, total: int) -> tuple[Value, ...]:
    return (
        use.period,
        use.environment if use.environment != OTHERS else None,
        use.developer,
        use.model,
        PREMIUM if use.cheaper else None,
        use.calls,
        use.cost_nanodollars,
        part(use.cost_nanodollars, total),
    )


def _avoidable_row(use: Use) -> tuple[Value, ...]:
    return (
        use.environment,
        use.developer,
        use.model,
        use.calls,
        use.cost_nanodollars,
        use.cheaper,
        use.cost_nanodollars - use.avoidable_nanodollars,
        use.avoidable_nanodollars,
        use.rule,
    )


# ── what stands out ─────────────────────────────────────────────────────────────────────────────


def flags_of_people(avoidable: Sequence[Use], uses: Sequence[Use], asked: Question) -> Iterator[Flag]:
    """Who uses a premium model outside production, and the line that leads those calls elsewhere."""
    for use in avoidable[:NAMED_MAX]:
        who = "Calls without a developer" if use.developer == NONE else use.developer
        yield Flag(
            name="premium_in_development",
            level=Level.WARNING if use.avoidable_nanodollars >= WORTH_IT_NANODOLLARS else Level.NOTE,
            text=(
                f"{who} spent {rounded_dollars(use.cost_nanodollars)} on {use.model} in {use.environment} "
                f"({use.calls:,} calls); the same tokens cost "
                f"{rounded_dollars(use.cost_nanodollars - use.avoidable_nanodollars)} on {use.cheaper}: "
                f"{rounded_dollars(use.avoidable_nanodollars)} avoidable."
            ),
            fix=_line(use.environment, uses, asked),
        )


def flags_of_habits(uses: Iterable[Use], asked: Question) -> Iterator[Flag]:
    """Environments in which one premium model answers nearly all calls."""
    by_environment: dict[str, list[Use]] = {}
    for use in uses:
        by_environment.setdefault(use.environment, []).append(use)
    for environment in sorted(by_environment, key=environment_place):
        inside = by_environment[environment]
        calls = sum(use.calls for use in inside)
        for use in _together(msgspec.structs.replace(one, developer="") for one in inside if one.cheaper):
            if use.calls * 100 > HABIT_PERCENT * calls:
                yield _habit(use, calls, inside, asked)


def _habit(use: Use, calls: int, inside: Sequence[Use], asked: Question) -> Flag:
    fix = _line(use.environment, inside, asked)
    if use.environment == PRODUCTION:
        fix = (
            f"ask for {use.cheaper} where the task is simple; "
            "farthing policy simulate NEW.yaml tells what a policy would have saved"
        )
    return Flag(
        name="premium_for_everything",
        level=Level.WARNING,
        text=(
            f"{use.model} serves {percent(Fraction(use.calls, calls))} % of the calls in {use.environment}; "
            f"all of them on {use.cheaper} would save {rounded_dollars(use.avoidable_nanodollars)} "
            f"of {rounded_dollars(use.cost_nanodollars)}."
        ),
        fix=fix,
    )


def _line(environment: str, uses: Iterable[Use], asked: Question) -> str:
    """The line for all premium models of an environment together."""
    inside = sorted(
        (use for use in uses if use.environment == environment and use.model != NONE),
        key=lambda use: (-use.avoidable_nanodollars, use.model),
    )
    downgrades = {use.model: use.cheaper for use in inside if use.cheaper is not None}
    others = sorted({use.model for use in inside} - {*downgrades})
    return line_that_downgrades(environment, downgrades, policy=asked.policy, others=others)


def _notes(uses: Iterable[Use], avoidable: Sequence[Use]) -> Iterator[str]:
    if any(use.cheaper for use in uses):
        yield (
            "Premium: there is a cheaper model for the same calls. It is named by the downgrade map of the "
            "environment, else by its allowlist, else by the family of the model: the small one of the same "
            "provider in the price book, at half the price or less."
        )
    if len(avoidable) > NAMED_MAX:
        yield f"{len(avoidable) - NAMED_MAX} more uses of premium models are in the table, without a flag."
