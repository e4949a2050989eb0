"""Alerts as people see them: which share of which budget was spent, when, and what followed."""

from farthing.domain.alert import Alert
from farthing.domain.period import iso_utc


def alert_json(alert: Alert) -> dict[str, object]:
    """Show an alert."""
    return {
        "at": iso_utc(alert.at_us),
        "account": alert.account,
        "budget": alert.budget,
        "value": alert.value,
        "window": alert.window,
        "threshold_percent": alert.threshold_percent,
        "action": alert.action,
        "spent_nanodollars": alert.spent_nanodollars,
        "limit_nanodollars": alert.limit_nanodollars,
        "refused": alert.refused,
        "environment": alert.environment,
        "group": alert.group,
        "call_id": alert.call_id,
    }
