"""Check money: limits that match nothing, limits a caller can slip past, environments without any."""

from collections.abc import Iterator, Sequence

from farthing.domain.names import matches, nearest
from farthing.policy.finding import Finding, error, warning
from farthing.policy.payers import FIXED_FACTS
from farthing.policy.rules import AtLimit, Budget, Policy

DEVELOPMENT, PRODUCTION = "development", "production"
_BLOCKING = frozenset({AtLimit.CLAMP, AtLimit.REFUSE, AtLimit.DOWNGRADE})


def budget_findings(policy: Policy) -> Iterator[Finding]:
    """What there is to say about budgets, wallets and who shares what."""
    for budget in policy.budgets:
        yield from _match_findings(budget, policy)
        yield from _slip_findings(budget, policy)
    yield from _limit_findings(policy)
    yield from _wallet_findings(policy)
    if not policy.cost_tracked:
        yield warning(
            "cost_tracking.enabled",
            "costs are not tracked, so no limit in money holds",
            "set it to true, unless this is meant",
        )


def _match_findings(budget: Budget, policy: Policy) -> Iterator[Finding]:
    """A budget that covers no call limits nothing, and nobody notices."""
    there: dict[str, Sequence[str]] = {
        "environment": tuple(policy.environments),
        "provider": tuple(target.billed_as for target in policy.targets),
    }
    if policy.groups:
        there["group"] = tuple(group.name for group in policy.groups)
    for fact, values in budget.match.items():
        known = there.get(fact)
        if known is None or any(matches(value, one) for value in values for one in known):
            continue
        meant = nearest(values[0], known)
        yield error(
            f"budgets.{budget.name}.match.{fact}",
            f"matches nothing: there is no {fact} {' or '.join(values)}",
            f"did you mean {meant}?"
            if meant
            else f"use one of: {', '.join(dict.fromkeys(known)) or 'none yet'}",
        )


def _slip_findings(budget: Budget, policy: Policy) -> Iterator[Finding]:
    """A caller chooses its labels, and each new value of one is a new account with a full limit."""
    if budget.per is None or budget.per in FIXED_FACTS:
        return
    if not any(_stands_above(other, budget) for other in policy.budgets):
        yield error(
            f"budgets.{budget.name}.per",
            f"callers choose {budget.per} themselves: with a new value each time they spend without end",
            f"add a budget above it that matches the same calls and has no  per: {budget.per}",
        )


def _stands_above(above: Budget, below: Budget) -> bool:
    """Tell whether a budget covers all that another covers, by facts that callers cannot choose."""
    if above is below or (above.per is not None and above.per not in FIXED_FACTS):
        return False
    for fact, values in above.match.items():
        covered = below.match.get(fact)
        if fact not in FIXED_FACTS and covered is None:
            return False
        if covered is None or not all(any(matches(one, value) for one in values) for value in covered):
            return False
    return True


def _limit_findings(policy: Policy) -> Iterator[Finding]:
    counts = {name: _blocking_limits(name, policy) for name in policy.environments}
    for name, count in counts.items():
        covered = any(_covers(budget, name) for budget in policy.budgets)
        if not covered:
            yield warning(
                f"environments.{name}",
                "no budget covers all of it, so nothing limits what it may spend",
                f"add a budget with  match: {{environment: {name}}}",
            )
        elif count == 0:
            yield warning(
                f"environments.{name}",
                "every budget that covers it lets calls pass at its limit",
                "set  at_limit: clamp  or  refuse  for one of them",
            )
    if counts.get(PRODUCTION, 0) < counts.get(DEVELOPMENT, 0) and PRODUCTION in counts:
        yield warning(
            f"environments.{PRODUCTION}",
            f"limits that stop a call: {counts[PRODUCTION]} here, {counts[DEVELOPMENT]} in {DEVELOPMENT}",
            "production should be the stricter one, even where its amounts are larger",
        )


def _covers(budget: Budget, environment: str) -> bool:
    """Tell whether a budget counts every call of an environment."""
    return all(
        fact == "environment" and any(matches(value, environment) for value in values)
        for fact, values in budget.match.items()
    )


def _blocking_limits(environment: str, policy: Policy) -> int:
    inherited = policy.environments[environment].at_limit
    return sum(
        _covers(budget, environment) and (budget.at_limit or inherited) in _BLOCKING
        for budget in policy.budgets
    )


def _wallet_findings(policy: Policy) -> Iterator[Finding]:
    declared = {wallet.team_id: wallet for wallet in policy.wallets}
    environments: dict[str, set[str]] = {}
    for group in policy.groups:
        if group.wallet is None:
            continue
        environments.setdefault(group.wallet, set()).add(group.environment)
        if group.wallet not in declared:
            meant = nearest(group.wallet, declared)
            yield warning(
                f"consumer_groups.{group.name}.wallet_team_id",
                f"no file declares the wallet {group.wallet}, so its balance is 0 until it is credited",
                f"did you mean {meant}?" if meant else "declare it under wallets",
            )
    for wallet, found in environments.items():
        if len(found) > 1:
            yield warning(
                f"wallets.{wallet}",
                f"is shared by {' and '.join(sorted(found))}, so one can use up the money of the other",
                "give each environment a wallet of its own",
            )
