"""The policy: check what it says, and the schema it must follow."""

import os
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from farthing.cli import options, screen
from farthing.cli.door import ANSWER_IS_NO, command, noun
from farthing.cli.opening import read_policy, read_prices
from farthing.cli.policy_diff import diff
from farthing.cli.policy_explain import explain
from farthing.cli.policy_observed import observed
from farthing.cli.policy_simulate import simulate

if TYPE_CHECKING:
    from farthing.config.load import Loaded
    from farthing.policy.check import Finding

app = noun("policy", "The policy: check it, explain it, compare it, try another one on past calls.")

_STYLES = {"error": "red", "warning": "yellow"}


@command(app, "check", example="farthing policy check --policy farthing.yaml")
def check(
    policy: options.Policies = None,
    strict: Annotated[bool, typer.Option(help="Exit 1 on warnings too.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Check what the policy means, not only how it is written; exit 1 on errors."""
    loaded = read_policy(policy)
    found = findings(loaded)
    errors = sum(strict or finding.severity == "error" for finding in found)
    if as_json:
        told = [{"severity": str(row.severity), "where": row.where, "message": row.message, "fix": row.fix}
                for row in found]  # fmt: skip
        screen.print_json(
            {
                "ok": not errors,
                "digest": loaded.policy.digest,
                "findings": told,
                "notices": list(loaded.notices),
            }
        )
    else:
        _draw(loaded, found)
    if errors:
        raise typer.Exit(ANSWER_IS_NO)


@command(app, "schema", example="farthing policy schema --json > farthing.schema.json")
def schema(as_json: options.AsJson = False) -> None:
    """Print the JSON Schema of policy files, for editors."""
    from farthing.config.schema import policy_schema

    screen.print_json(policy_schema())
    if not as_json:
        screen.remark("Point your editor's YAML support at this schema to have keys completed and checked.")


command(app, "diff", example="farthing policy diff development production")(diff)
command(app, "simulate", example="farthing policy simulate stricter.yaml --since 30d")(simulate)
command(app, "observed", example="farthing policy observed --since 7d")(observed)
command(app, "explain", example="farthing policy explain --environment development --model gpt-4o")(explain)


def findings(loaded: "Loaded") -> "list[Finding]":
    """What there is to say about a policy, the worst first."""
    from farthing.config.surroundings import environment_of_process
    from farthing.policy.check import check_policy

    order = {"error": 0, "warning": 1}
    here, _ = environment_of_process(os.environ, ("development", "staging", "ci", "production"))
    found = check_policy(loaded.policy, read_prices(loaded), secrets=os.environ, process_environment=here)
    return sorted(found, key=lambda finding: (order.get(finding.severity, 2), finding.where))


def _draw(loaded: "Loaded", found: "list[Finding]") -> None:
    rules = loaded.policy
    counts = (
        screen.count(len(rules.environments), "environment"),
        screen.count(len(rules.budgets), "budget"),
        screen.count(len(rules.targets), "target"),
    )
    screen.line(f"{', '.join(counts)}; digest {rules.digest}")
    for notice in loaded.notices:
        screen.line(f"  note: {notice}", "dim")
    if not found:
        screen.line("✓ Nothing to mend.", "green")
        return
    columns = {"severity": "left", "where": "left", "what": "text", "fix": "text"}
    rows = [
        (Text(row.severity, style=_STYLES.get(row.severity, "")), row.where, row.message, row.fix)
        for row in found
    ]
    screen.table(columns, rows)
