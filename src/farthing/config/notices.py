"""Say plainly what a policy file asks for and this version does not yet do."""

from collections.abc import Iterator, Sequence

from farthing.config.schema import BudgetAlert, PolicyFile
from farthing.config.source import Source


def unenforced(sources: Sequence[Source]) -> Iterator[str]:
    """What is read and checked, but not yet enforced; each thing once."""
    sections = [source.section for source in sources]
    if any(map(_wants_wallets, sections)):
        yield "wallets are read but not yet enforced: none is debited, and an empty one refuses nothing"
    if any(map(_wants_cache, sections)):
        yield "cache is read but not yet enforced: every call goes to a target"
    if any(map(_wants_alerts, sections)):
        yield "alerts are read but not yet delivered: thresholds, severities and channels do nothing"
    if any(map(_blocks_elsewhere, sections)):
        yield "a block of one group or at other than 100 percent is read but not yet enforced"
    if any(map(_wants_routing, sections)):
        yield "routing strategies and weights are read but not yet enforced: targets are tried in order"


def _wants_wallets(section: PolicyFile) -> bool:
    return bool(
        section.wallets
        or section.cost_tracking.wallet_enforcement
        or any(group.wallet_team_id for group in section.consumer_groups)
    )


def _wants_cache(section: PolicyFile) -> bool:
    caches = [section.cache, *(environment.cache for environment in section.environments.values())]
    return any(cache is not None and cache.enabled for cache in caches)


def _wants_alerts(section: PolicyFile) -> bool:
    alerts = [*_group_alerts(section), *section.cost_tracking.budget_alerts, *section.budget_alerts]
    return bool(
        section.notifications.channels
        or any(environment.alerts for environment in section.environments.values())
        or any(budget.alerts for budget in section.budgets)
        or any(alert.action == "notify" for alert in alerts)
    )


def _blocks_elsewhere(section: PolicyFile) -> bool:
    files = [*section.cost_tracking.budget_alerts, *section.budget_alerts]
    return any(alert.action == "block" for alert in _group_alerts(section)) or any(
        alert.action == "block" and alert.threshold_percent != 100 for alert in files
    )


def _group_alerts(section: PolicyFile) -> list[BudgetAlert]:
    return [alert for group in section.consumer_groups for alert in group.budget_alerts]


def _wants_routing(section: PolicyFile) -> bool:
    return section.providers.routing.strategy != "ordered" or any(
        target.weight != 1 for target in section.providers.targets
    )
