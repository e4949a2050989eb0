"""Every report there is: its name, the question it answers, and what it may be asked."""

from collections.abc import Callable
from importlib import import_module

import msgspec

from farthing.reports.asking import Question
from farthing.reports.sheet import Sheet
from farthing.reports.spans import BadMoment, Span, last_months, month_of, span_between, week_of


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One report; the command line, the API and the pages are made from this.

    name: what it is called; its module in farthing.reports has the function report(asked).
    help: the question it answers, in a sentence. module: where it is, if not under its name.
    takes: what it understands besides a span, of the OPTIONS below.
    span: what it covers unless told otherwise: days back, "month", "week" or "year".
    top: how many rows its rankings show unless told otherwise.
    """

    name: str
    help: str
    example: str
    module: str = ""
    takes: tuple[str, ...] = ()
    span: int | str = 30
    top: int = 20

    def usual_span(self, now_us: int) -> Span:
        """What it covers unless told otherwise."""
        match self.span:
            case "month":
                return month_of("this", now_us)
            case "week":
                return week_of("this", now_us)
            case "year":
                return last_months(12, now_us)
            case _:
                return span_between(None, None, now_us, days=int(self.span))

    def span_asked(
        self, since: str | None, until: str | None, month: str | None, week: str | None, *, now_us: int
    ) -> Span:
        """The span that is asked for, or the one it usually covers. Raises BadMoment."""
        if sum(bool(one) for one in (since or until, month, week)) > 1:
            raise BadMoment("a month, a week and since exclude each other: give one of them")
        if month:
            return month_of(month, now_us)
        if week:
            return week_of(week, now_us)
        return span_between(since, until, now_us, days=30) if since or until else self.usual_span(now_us)

    def build(self, asked: Question) -> Sheet:
        """Make the sheet. Raises BadQuestion where it cannot be told like that."""
        module = import_module(f"farthing.reports.{self.module or self.name}")
        build: Callable[[Question], Sheet] = module.report
        return build(asked)


# What an option of a report means; each report says which it takes.
OPTIONS = {
    "environment": "Only this environment.",
    "by": "Tell it further by this: a label as label:NAME; repeatable.",
    "top": "How many rows a ranking shows.",
    "least": "From how many on something counts as repeated.",
    "name": "Only what has this name.",
    "at": "The day that parts before from after, such as 2026-11-01.",
}

REPORTS = (
    Report(
        name="environments",
        help="What does each environment spend, what does a call cost there, and what does its cache save?",
        example="farthing report environments --month last",
    ),
    Report(
        name="ratio",
        help="What does development cost beside production, month by month, and is it getting better?",
        example="farthing report ratio --since 2026-01-01",
        span="year",
    ),
    Report(
        name="mix",
        help="What made spend change since the month before: volume, models, tokens, caches or prices?",
        example="farthing report mix --month last",
        takes=("environment", "top"),
        span="month",
    ),
    Report(
        name="impact",
        help="What did a change save: spend, calls, cost per call and incidents, before a day and after it?",
        example="farthing report impact --since 28d --at 14d",
        takes=("environment", "at"),
        span=60,
    ),
    Report(
        name="forecast",
        help="What will each environment have spent when the month ends, and which budgets will not last?",
        example="farthing report forecast",
        takes=("environment", "top"),
        span="month",
    ),
    Report(
        name="planning",
        help="What part of a month earned money, and what part was development and evaluation?",
        example="farthing report planning --month last",
        span="month",
    ),
    Report(
        name="percentiles",
        help="What does a call cost that is usual, dear (95 in 100 cost less), or very dear (99 in 100)?",
        example="farthing report percentiles --environment production --month last",
        takes=("environment", "top"),
    ),
    Report(
        name="runs",
        help="What does a run of an agent or workflow cost, and which runs were the dearest?",
        example="farthing report runs --environment production --top 10",
        takes=("environment", "top"),
    ),
    Report(
        name="tiers",
        help="Which share of requests goes to cheap and to premium models, and what does the mix save?",
        example="farthing report tiers --environment production --since 60d",
        takes=("environment", "top"),
    ),
    Report(
        name="caps",
        help="How often do calls hit a cap, which tasks ran away, and how much of production has no cap?",
        example="farthing report caps --month last",
        takes=("environment", "top"),
    ),
    Report(
        name="outcomes",
        help="What does an outcome cost: a conversion, a ticket resolved, by workflow, user or feature?",
        example="farthing report outcomes --name conversion --by label:workflow --month last",
        takes=("environment", "by", "name", "top"),
    ),
    Report(
        name="models",
        help="Who uses which model where, and what would the same tokens cost on a cheaper one?",
        example="farthing report models --week last",
        takes=("environment", "top"),
        span="week",
    ),
    Report(
        name="developers",
        help="What did each developer spend, and what is left of the budget of each?",
        example="farthing report developers --month this",
        takes=("environment", "top"),
        span="month",
    ),
    Report(
        name="teams",
        help="What does each team spend and try out, how cheaply, and which limits does it meet?",
        example="farthing report teams --environment development --week last",
        takes=("environment", "top"),
        span="week",
    ),
    Report(
        name="users",
        help="What do users cost, by day and tier, and does cost grow faster than they do?",
        example="farthing report users --environment production --month last",
        takes=("environment", "top"),
        span="month",
    ),
    Report(
        name="tokens",
        help="How long are prompts and answers for each feature, beside production's?",
        example="farthing report tokens --month last",
        takes=("environment", "top"),
    ),
    Report(
        name="deployments",
        help="What did each rollout spend, by its label deployment: the tests of staging, for instance?",
        example="farthing report deployments --environment staging --since 30d",
        takes=("environment", "top"),
    ),
    Report(
        name="sessions",
        help="When did developers work with models, and what did each session cost?",
        example="farthing report sessions --week last",
        takes=("environment", "top"),
        span="week",
    ),
    Report(
        name="prompts",
        help="Which prompts did a developer send again and again, and what would a few runs have cost?",
        example="farthing report prompts --week last --least 15",
        takes=("environment", "least", "top"),
        span="week",
    ),
    Report(
        name="weekly",
        help="What happened in development this week: spend, premium models, experiments, limits, prompts?",
        example="farthing report weekly --week last --format html --output week.html",
        takes=("environment", "least", "top"),
        span="week",
        top=10,
    ),
    Report(
        name="monthly",
        help="How did production's month go: burn against plan, what changed and why, will the money last?",
        example="farthing report monthly --month last",
        takes=("environment", "top"),
        span="month",
        top=10,
    ),
)

BY_NAME = {report.name: report for report in REPORTS}
