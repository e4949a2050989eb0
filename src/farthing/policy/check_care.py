"""Check what somebody must care for: owners, percentages of nothing, rules that come too late."""

from collections.abc import Iterator

from farthing.domain.names import matches, nearest
from farthing.policy.check_budgets import DEVELOPMENT, PRODUCTION
from farthing.policy.finding import Finding, error, warning
from farthing.policy.rules import Budget, Policy, Route


def care_findings(policy: Policy, process_environment: str | None) -> Iterator[Finding]:
    """What nobody seems to care for.

    process_environment: where this very machine belongs; None where that is not asked.
    """
    yield from _owner_findings(policy)
    yield from _threshold_findings(policy)
    yield from _route_findings(policy)
    if process_environment == DEVELOPMENT and is_for_production_alone(policy):
        yield warning(
            f"environments.{PRODUCTION}",
            "this is a policy for production alone, and this machine is development",
            "use the policy of development here; a production machine says so with  FARTHING_ENV=production",
        )


def is_for_production_alone(policy: Policy) -> bool:
    """Tell whether a policy rules production and nothing else."""
    return set(policy.environments) == {PRODUCTION}


def _owner_findings(policy: Policy) -> Iterator[Finding]:
    for budget in policy.budgets:
        if budget.owner is None and _is_of_production(budget):
            yield error(
                f"budgets.{budget.name}",
                "limits production and has no owner to ask when it is spent",
                "add  owner: NAME",
            )
    declared = {wallet.team_id: wallet for wallet in policy.wallets}
    paying = dict.fromkeys(group.wallet for group in policy.groups if group.environment == PRODUCTION)
    for team_id in paying:
        if team_id is not None and (team_id not in declared or declared[team_id].owner is None):
            yield error(
                f"wallets.{team_id}",
                "pays for production and has no owner",
                "add  owner: NAME"
                if team_id in declared
                else f"declare it:  wallets: [{{team_id: {team_id}, owner: NAME}}]",
            )


def _is_of_production(budget: Budget) -> bool:
    values = budget.match.get("environment", ())
    return any(matches(value, PRODUCTION) for value in values)


def _threshold_findings(policy: Policy) -> Iterator[Finding]:
    """Percentages want an amount: a budget that covers the calls, or a wallet with an allocation."""
    allocated = {wallet.team_id for wallet in policy.wallets if wallet.allocation_nanodollars}
    for environment in policy.environments.values():
        wallets = {group.wallet for group in policy.groups if group.environment == environment.name}
        if environment.thresholds and not _may_pay(environment.name, policy) and not wallets & allocated:
            yield _nothing_to_apply_to("budget_alerts", f"in {environment.name}")
    for group in policy.groups:
        if group.thresholds and not _may_pay(group.environment, policy) and group.wallet not in allocated:
            yield _nothing_to_apply_to(f"consumer_groups.{group.name}.budget_alerts", f"for {group.name}")


def _may_pay(environment: str, policy: Policy) -> bool:
    return any(
        any(matches(value, environment) for value in budget.match.get("environment", ("*",)))
        for budget in policy.budgets
    )


def _nothing_to_apply_to(where: str, whose: str) -> Finding:
    return warning(
        where,
        f"the percentages apply to nothing {whose}: there is no budget, and no wallet with an allocation",
        "add a budget, or an  allocation:  to the wallet",
    )


def _route_findings(policy: Policy) -> Iterator[Finding]:
    """A rule of routing that no call reaches, or whose facts no call has."""
    taken_by: str | None = None
    for route in policy.routes:
        if taken_by is not None:
            yield warning(
                route.name,
                f"no call comes so far: {taken_by} before it takes every call",
                "put the rule for all calls last",
            )
        elif not route.match:
            taken_by = route.name
        yield from _unmatched(route, policy)


def _unmatched(route: Route, policy: Policy) -> Iterator[Finding]:
    known = {"environment": tuple(policy.environments), "group": tuple(one.name for one in policy.groups)}
    for fact, values in route.match.items():
        there = known.get(fact)
        if not there or any(matches(value, one) for value in values for one in there):
            continue
        meant = nearest(values[0], there)
        yield error(
            f"{route.name}.match.{fact}",
            f"matches nothing: there is no {fact} {' or '.join(values)}",
            f"did you mean {meant}?" if meant else f"use one of: {', '.join(there)}",
        )
