"""Prompts that developers sent again and again within a day, and what a few runs would have cost."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from farthing.domain.money import nearest_whole
from farthing.ledger.report_store import LEAST_SENT, PromptRow
from farthing.reports.asking import Question
from farthing.reports.environments import nothing_yet
from farthing.reports.ranking import together, top_of
from farthing.reports.sheet import Column, Flag, Kind, Level, Sheet, Table, Value
from farthing.reports.telling import rounded_dollars

# So many runs of a prompt in a day are enough to see whether it is better.
ENOUGH = 3
NAMED_MAX = 3

_COLUMNS = (
    Column("developer", "Developer"),
    Column("environment", "Environment"),
    Column("prompt_hash", "Prompt (hash)"),
    Column("calls", "Sent", Kind.COUNT),
    Column("days", "Days", Kind.COUNT),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("three_runs_nanodollars", "Three runs a day", Kind.MONEY),
    Column("avoidable_nanodollars", "Avoidable", Kind.MONEY),
)

_SUMMED = ("calls", "cost_nanodollars", "three_runs_nanodollars", "avoidable_nanodollars")


def report(asked: Question) -> Sheet:
    """Tell prompts that were repeated, by developer; only their hashes are known."""
    title = "Repeated prompts"
    least = max(asked.least, LEAST_SENT)
    prompts = prompts_of(asked)
    if not prompts:
        return nothing_yet(
            "prompts",
            title,
            asked,
            f"No developer sent one prompt {least} times or more on a day of that span. Prompts are compared "
            "by their hashes, for calls through farthing serve that have a developer; no text is kept.",
        )
    return Sheet(
        name="prompts",
        title=title,
        span=asked.span,
        provisional=asked.is_provisional,
        tables=(prompts_table(prompts, asked.top),),
        flags=tuple(flags_of_prompts(prompts, asked)),
        notes=(f"Counted are days on which a prompt was sent {least} times or more. No text is kept.",),
    )


def prompts_of(asked: Question) -> list[PromptRow]:
    """Repeated prompts, the most avoidable first."""
    rows = asked.store.prompts(
        least=asked.least,
        since_us=asked.span.since_us,
        until_us=asked.span.until_us,
        where=asked.where,
    )
    return sorted(
        rows, key=lambda row: (-avoidable_nanodollars(row), -row.calls, row.developer, row.prompt_hash)
    )


def enough_nanodollars(row: PromptRow) -> int:
    """What a prompt would have cost had it been sent a few times on each of its days."""
    runs = min(ENOUGH * row.days, row.calls)
    return nearest_whole(Fraction(row.cost_nanodollars * runs, row.calls))


def avoidable_nanodollars(row: PromptRow) -> int:
    """What was spent beyond that."""
    return row.cost_nanodollars - enough_nanodollars(row)


def prompts_table(prompts: Sequence[PromptRow], top: int) -> Table:
    """Repeated prompts, one by one."""
    cost = sum(row.cost_nanodollars for row in prompts)
    enough = sum(enough_nanodollars(row) for row in prompts)
    ranked = [_row(row) for row in prompts]
    return Table(
        name="prompts",
        title="Prompts sent again and again",
        columns=_COLUMNS,
        rows=tuple(top_of(ranked, top, together(_COLUMNS, *_SUMMED))),
        footer=("total", None, None, sum(row.calls for row in prompts), None, cost, enough, cost - enough),
        chart="calls",
    )


def _row(row: PromptRow) -> tuple[Value, ...]:
    return (
        row.developer,
        row.environment,
        row.prompt_hash,
        row.calls,
        row.days,
        row.cost_nanodollars,
        enough_nanodollars(row),
        avoidable_nanodollars(row),
    )


def flags_of_prompts(prompts: Sequence[PromptRow], asked: Question) -> Iterator[Flag]:
    """The prompts that cost the most beyond a few runs."""
    for row in prompts[:NAMED_MAX]:
        if not avoidable_nanodollars(row):
            continue
        days = "a day" if row.days == 1 else f"{row.days} days"
        yield Flag(
            name="repeated_prompt",
            level=Level.NOTE,
            text=(
                f"{row.developer} sent one prompt {row.calls:,} times in {days} in {row.environment} for "
                f"{rounded_dollars(row.cost_nanodollars)}; {ENOUGH} runs a day would have cost "
                f"{rounded_dollars(enough_nanodollars(row))}."
            ),
            fix=_fix(row.environment, asked),
        )


def _fix(environment: str, asked: Question) -> str:
    rules = asked.policy.environments.get(environment) if asked.policy is not None else None
    if rules is not None and rules.caching is not None:
        return f"answers are kept in {environment}: the same request with temperature 0 costs nothing there"
    return (
        f"keep answers:  environments: {{{environment}: {{cache: {{enabled: true, ttl_seconds: 7200}}}}}}  "
        "in the policy"
    )
