"""Scenarios about limits: calls that hit one, attempts that repeat, answers that need not be bought twice."""

from collections.abc import Iterator

from farthing.domain.usage import Usage
from farthing.ledger.entries import AtShort, Claim, Unit, account_name
from farthing.scenarios.moments import DAY_US, MONTH_STARTS_AT_US, evenly, some_of
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


def _account_of_run(run: str) -> Claim:
    window = f"run:{run}"
    return Claim(
        account=account_name("per-run", None, window),
        unit=Unit.NANODOLLARS,
        limit=_CALL_LIMIT,
        at_short=AtShort.REFUSE,
        budget="per-run",
        window=window,
    )
