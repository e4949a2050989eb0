"""Scenarios about limits: calls that hit one, attempts that repeat, answers that need not be bought twice."""

from collections.abc import Iterator

from farthing.domain.usage import Usage
from farthing.ledger.entries import AtShort, Claim, Unit, account_name
from farthing.scenarios.moments import DAY_US, HOUR_US, MONTH_STARTS_AT_US, evenly, some_of
from farthing.scenarios.pricing import cost_of
from farthing.scenarios.rows import Row

_CALL_LIMIT = 20_000_000  # two cents


def g11(at_cap: int = 51, *, refused: int = 0) -> Iterator[Row]:
    """A thousand requests of one day, so many of them at the cap of two cents on each.

    refused: so many of those were refused because their run had spent its limit; the others were clamped.
    """
    usage, clamped_usage = (
        Usage(input_tokens=1_200, output_tokens=500), Usage(input_tokens=4_000, output_tokens=1_000),
    )  # fmt: skip
    cost, clamped_cost = cost_of("gpt-4o", 1_200, 500), cost_of("gpt-4o", 4_000, 1_000)
    labels = {"feature": "agents"}
    hits, left = 0, refused
    moments = evenly(1_000, MONTH_STARTS_AT_US, MONTH_STARTS_AT_US + DAY_US)
    for number, (at_us, hit) in enumerate(zip(moments, some_of(at_cap, 1_000), strict=True)):
        row = Row(
            at_us=at_us,
            environment="production",
            key="production-app",
            labels=labels,
            run=f"request-{number:04}",
            model_asked="gpt-4o",
            model_served="gpt-4o",
            usage=usage,
            cost_nanodollars=cost,
            call_limit_nanodollars=_CALL_LIMIT,
        )
        hits += hit
        if hit and left:
            left -= 1
            row = row._replace(
                model_served=None, usage=None, cost_nanodollars=0, call_limit_nanodollars=None,
                refused="budget_exceeded", status=429, account=_account_of_run(row.run or ""),
            )  # fmt: skip
        elif hit:
            row = row._replace(usage=clamped_usage, cost_nanodollars=clamped_cost, clamped_to=1_000)
        yield row


def _account_of_run(run: str, limit: int = _CALL_LIMIT) -> Claim:
    window = f"run:{run}"
    return Claim(
        account=account_name("per-run", run, window),
        unit=Unit.NANODOLLARS,
        limit=limit,
        at_short=AtShort.REFUSE,
        budget="per-run",
        value=run,
        window=window,
    )


# ── attempts that repeat ────────────────────────────────────────────────────────────────────────

_ATTEMPT = 150_000_000  # fifteen cents
_DEAR_ATTEMPT = 300_000_000
STORM_LIMIT = 1_000_000_000


def g7() -> Iterator[Row]:
    """One task, tried again and again: fifty times, four times, and until a dollar would not do.

    The last run is the only one with a limit; its fourth attempt is refused.
    """
    yield from _attempts("storm", 50, _ATTEMPT, MONTH_STARTS_AT_US)
    yield from _attempts("four-attempts", 4, _ATTEMPT, MONTH_STARTS_AT_US + HOUR_US)
    yield from _attempts("one-dollar", 3, _DEAR_ATTEMPT, MONTH_STARTS_AT_US + 2 * HOUR_US, STORM_LIMIT)
    account = _account_of_run("one-dollar", STORM_LIMIT)
    yield _attempt("one-dollar", MONTH_STARTS_AT_US + 3 * HOUR_US)._replace(
        refused="budget_exceeded", status=429, model_served=None, usage=None, account=account
    )


def _attempts(
    run: str, attempts: int, cost_nanodollars: int, starts_at_us: int, limit: int | None = None
) -> Iterator[Row]:
    account = None if limit is None else _account_of_run(run, limit)
    for at_us in evenly(attempts, starts_at_us, starts_at_us + HOUR_US):
        yield _attempt(run, at_us)._replace(cost_nanodollars=cost_nanodollars, account=account)


def _attempt(run: str | None, at_us: int) -> Row:
    """Thirty thousand tokens in, seven and a half out: fifteen cents of gpt-4o."""
    return Row(
        at_us=at_us,
        environment="production",
        key="production-app",
        labels={"feature": "agents"},
        run=run,
        model_asked="gpt-4o",
        model_served="gpt-4o",
        usage=Usage(input_tokens=30_000, output_tokens=7_500),
    )


# ── a limit for everybody ───────────────────────────────────────────────────────────────────────

ORGANIZATION_LIMIT = 500_000_000_000
WRITERS = 10


def g13() -> Iterator[Row]:
    """Five hundred dollars a day for all: ten writers spend them, and one more call is refused."""
    account = Claim(
        account=account_name("organization", None, "2026-09-01"),
        unit=Unit.NANODOLLARS,
        limit=ORGANIZATION_LIMIT,
        at_short=AtShort.REFUSE,
        budget="organization",
        window="2026-09-01",
        starts_at_us=MONTH_STARTS_AT_US,
        ends_at_us=MONTH_STARTS_AT_US + DAY_US,
    )
    calls = 1_000
    moments = evenly(calls, MONTH_STARTS_AT_US, MONTH_STARTS_AT_US + DAY_US - HOUR_US)
    for number, at_us in enumerate(moments):
        row = _attempt(None, at_us)._replace(key=f"writer-{number % WRITERS}", account=account)
        yield row._replace(cost_nanodollars=ORGANIZATION_LIMIT // calls)
    yield _attempt(None, MONTH_STARTS_AT_US + DAY_US - 1)._replace(
        key="writer-0", account=account, refused="budget_exceeded", status=429, model_served=None, usage=None
    )


# ── answers that are kept ───────────────────────────────────────────────────────────────────────

BODIES = 200


def g14() -> Iterator[Row]:
    """A thousand calls of development within an hour, two hundred of them different: the rest are hits."""
    usage = Usage(input_tokens=1_200, output_tokens=500)
    cost = cost_of("gpt-4o", 1_200, 500)
    labels = {"feature": "search"}
    for number, at_us in enumerate(evenly(1_000, MONTH_STARTS_AT_US, MONTH_STARTS_AT_US + HOUR_US)):
        hit = number >= BODIES
        yield Row(
            at_us=at_us,
            environment="development",
            key="alice",
            developer="alice",
            labels=labels,
            model_asked="gpt-4o",
            model_served="gpt-4o",
            prompt_hash=f"{number % BODIES:016x}",
            cached=hit,
            usage=None if hit else usage,
            cost_nanodollars=0 if hit else cost,
            avoided_nanodollars=cost if hit else 0,
        )
