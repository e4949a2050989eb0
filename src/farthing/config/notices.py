"""Say plainly what a policy file asks for and this version does not yet do."""

from collections.abc import Iterator, Sequence

from farthing.config.schema import PolicyFile
from farthing.config.source import Source


def unenforced(sources: Sequence[Source]) -> Iterator[str]:
    """What is read and checked, but not yet enforced; each thing once."""
    sections = [source.section for source in sources]
    if any(map(_wants_alerts, sections)):
        yield "alerts are listed by  farthing alert list  and not yet sent anywhere"


def _wants_alerts(section: PolicyFile) -> bool:
    return bool(
        section.notifications.channels
        or section.cost_tracking.budget_alerts
        or section.budget_alerts
        or any(environment.alerts for environment in section.environments.values())
        or any(budget.alerts for budget in section.budgets)
        or any(group.budget_alerts for group in section.consumer_groups)
    )
