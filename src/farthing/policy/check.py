"""Check what a policy means: rules that can never apply, do harm, or leave money without a limit."""

from collections.abc import Mapping

from farthing.policy.check_budgets import budget_findings
from farthing.policy.check_care import care_findings
from farthing.policy.check_models import model_findings
from farthing.policy.check_secrets import secret_findings
from farthing.policy.finding import Finding, Severity
from farthing.policy.price_list import PriceList, Prices
from farthing.policy.rules import Policy

__all__ = ["Finding", "Severity", "check_policy"]

# Prices are compared as they stand last: a policy is written for the future.
LAST_US = 4_000_000_000_000_000


def check_policy(
    policy: Policy,
    prices: PriceList,
    *,
    secrets: Mapping[str, str] | None = None,
    process_environment: str | None = None,
    at_us: int = LAST_US,
) -> tuple[Finding, ...]:
    """Find what a policy says and hardly means, errors first.

    secrets: the variables that are set; None leaves out whether they are.
    process_environment: where this machine belongs; None leaves out whether the policy is for it.
    """
    found = [
        *model_findings(policy, Prices(prices, at_us), secrets),
        *budget_findings(policy),
        *secret_findings(policy, secrets),
        *care_findings(policy, process_environment),
    ]
    return tuple(sorted(found, key=lambda finding: finding.severity is not Severity.ERROR))
