"""What serve shows once calls are answered: where, for whom, within which limits, and what is simulated."""

from typing import TYPE_CHECKING

import msgspec

from farthing import __version__
from farthing.cli import screen
from farthing.cli.program import program
from farthing.cli.trial import Trial, trial_json, trial_lines
from farthing.domain.money import dollars
from farthing.domain.period import Period

if TYPE_CHECKING:
    from farthing.config.load import Loaded
    from farthing.policy.rules import Budget, Environment, Policy

_MODELS_SHOWN = 4


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Everything there is to say about a gateway that begins to serve.

    admin_token: set only where it was made just now; it is never shown again.
    options: --policy and --ledger, as commands beside it must be given them.
    """

    url: str
    ledger: str
    loaded: "Loaded"
    admin_token: str | None = None
    trial: Trial | None = None
    options: str = ""


def show_start(start: Start) -> None:
    """Print the start screen."""
    rules = start.loaded.policy
    screen.line()
    screen.line(f"farthing {__version__} answers at {start.url}", "bold green")
    screen.line(f"  ledger {start.ledger}, policy {rules.digest}", "dim")
    columns = {"environment": "left", "models": "text", "at the limit": "left", "budgets": "text"}
    screen.table(
        columns,
        [
            (row.name, _models(row), row.at_limit.value, _budgets(row, rules.budgets))
            for row in rules.environments.values()
        ],
    )
    for notice in start.loaded.notices:
        screen.line(f"  note: {notice}", "yellow")
    if start.admin_token is not None:
        screen.line(f"  Admin token, shown this once: {start.admin_token}")
    screen.line(f"  API: {start.url}/api/docs   Stop: Ctrl-C")
    if start.trial is None:
        screen.line("  Make a key to call it with:")
        screen.line(f"  {program()} key create --environment {_any_name(rules)} --label NAME{start.options}")
    else:
        for text in trial_lines(start.trial, start.url):
            screen.line(text)


def start_json(start: Start) -> dict[str, object]:
    """The same for programs."""
    rules = start.loaded.policy
    return {
        "url": start.url,
        "ledger": start.ledger,
        "policy_digest": rules.digest,
        "environments": {
            row.name: {
                "allow": list(row.allow) if row.allow is not None else None,
                "at_limit": row.at_limit.value,
                "budgets": [budget.name for budget in rules.budgets if _pays(budget, row)],
            }
            for row in rules.environments.values()
        },
        "simulated": [target.id for target in rules.targets if target.simulated or target.mock],
        "notices": list(start.loaded.notices),
        "admin_token": start.admin_token,
        "trial": trial_json(start.trial),
    }


def _any_name(rules: "Policy") -> str:
    """An environment that exists, so that the line can be pasted."""
    return next(iter(rules.environments), "NAME")


def _models(environment: "Environment") -> str:
    if environment.allow is None:
        return "any"
    more = len(environment.allow) - _MODELS_SHOWN
    shown = ", ".join(environment.allow[:_MODELS_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown or "none"


def _budgets(environment: "Environment", budgets: "tuple[Budget, ...]") -> str:
    told = [_limit(budget) for budget in budgets if _pays(budget, environment)]
    return "\n".join(told) or "none: its calls have no limit"


def _limit(budget: "Budget") -> str:
    """A limit in a few words: dev-month $750.00 monthly."""
    text = f"{budget.name} {dollars(budget.limit_nanodollars)}"
    if budget.period is Period.RUN:
        return f"{text} for each run"
    return f"{text} {budget.period.value}" + (f" for each {budget.per}" if budget.per else "")


def _pays(budget: "Budget", environment: "Environment") -> bool:
    from farthing.domain.names import matches

    wanted = budget.match.get("environment")
    return wanted is None or any(matches(pattern, environment.name) for pattern in wanted)
