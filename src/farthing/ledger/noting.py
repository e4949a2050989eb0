"""Alerts as the ledger keeps them: each once, however many processes note it."""

from collections.abc import Iterator
from itertools import islice

import msgspec

from farthing.domain.alert import Alert


class Note(msgspec.Struct, gc=False, frozen=True, kw_only=True, tag=True):
    """Keep an alert; one with the same account, threshold and action changes nothing."""

    at_us: int
    alert: Alert


class AlertsInMemory:
    """The alerts of a store that ends with its process; the oldest make way."""

    def __init__(self, kept_max: int) -> None:
        self._kept_max = kept_max
        self._alerts: dict[tuple[str, int, str], Alert] = {}

    def add(self, alert: Alert) -> None:
        """Keep an alert, unless it was noted before."""
        self._alerts.setdefault(alert.key, alert)
        if len(self._alerts) > self._kept_max:
            del self._alerts[next(iter(self._alerts))]

    def newest(self, budget: str | None, limit: int) -> Iterator[Alert]:
        """Alerts of a budget or of all, newest first."""
        wanted = (alert for alert in reversed(self._alerts.values()) if budget in (None, alert.budget))
        return islice(wanted, limit)
