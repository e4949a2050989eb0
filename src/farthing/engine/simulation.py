"""Add up what another policy would have changed: where, what would have happened, and by which rule."""

import msgspec

from farthing.engine.replay import Replayed


class Changed(msgspec.Struct, kw_only=True):
    """Calls of one environment that would have been decided differently, for one reason.

    cost_nanodollars: what they cost; would_cost_nanodollars: what they would have cost, of which
    assumed_nanodollars counts calls at the most they can cost, because they were never made.
    """

    environment: str
    change: str
    rule: str
    calls: int = 0
    cost_nanodollars: int = 0
    would_cost_nanodollars: int = 0
    assumed_nanodollars: int = 0

    @property
    def saved_nanodollars(self) -> int:
        """What would not have been spent; negative where more would."""
        return self.cost_nanodollars - self.would_cost_nanodollars


class Simulation:
    """The sums of a replay.

    totals: of each environment all its calls, changed or not; their rule is empty.
    """

    def __init__(self) -> None:
        self.totals: dict[str, Changed] = {}
        self._changes: dict[tuple[str, str, str], Changed] = {}

    def add(self, replayed: Replayed) -> None:
        """Add one call."""
        environment = replayed.entry.facts.environment
        total = self.totals.setdefault(
            environment, Changed(environment=environment, change="all calls", rule="")
        )
        _add(total, replayed)
        if replayed.change is None:
            return
        rule = (replayed.was if replayed.change == "let through" else replayed.now).rule
        key = (environment, replayed.change, rule or replayed.now.reason)
        row = self._changes.setdefault(key, Changed(environment=key[0], change=key[1], rule=key[2]))
        _add(row, replayed)

    @property
    def changes(self) -> list[Changed]:
        """What would have changed, most calls first."""
        return sorted(self._changes.values(), key=lambda row: (row.environment, -row.calls, row.rule))

    @property
    def changed_calls(self) -> int:
        """How many calls would have been decided differently."""
        return sum(row.calls for row in self._changes.values())


def _add(row: Changed, replayed: Replayed) -> None:
    entry, now = replayed.entry, replayed.now
    row.calls += entry.count
    row.cost_nanodollars += entry.cost_nanodollars
    row.would_cost_nanodollars += now.cost_nanodollars
    if now.assumed and not replayed.was.assumed:
        row.assumed_nanodollars += now.cost_nanodollars
