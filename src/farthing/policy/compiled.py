"""Keep what can be worked out once for a policy, so that a decision is a few look-ups."""

from collections.abc import Iterator

from farthing.domain.names import names_model
from farthing.policy.payers import Payers
from farthing.policy.reach import Reach
from farthing.policy.rules import Action, AtLimit, Environment, Policy, Threshold

# Policies in use at once in one process, and names that callers made up: both are bounded.
_POLICIES_MAX = 8
_NAMES_MAX = 4_096


class Compiled:
    """One policy and what follows from it alone."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.payers = Payers(policy)
        self.a_budget_downgrades = any(
            budget.at_limit is AtLimit.DOWNGRADE for budget in policy.budgets
        ) or any(threshold.action is Action.DOWNGRADE for threshold in _listed_thresholds(policy))
        self._reach: dict[tuple[str, str, str | None, tuple[str, ...]], Reach] = {}
        self._allowed: dict[tuple[str, str], bool] = {}

    def reach(
        self, environment: Environment, family: str, provider: str | None, only: tuple[str, ...] = ()
    ) -> Reach:
        """The targets of a dialect family for an environment, of one provider where one was named.

        only: the ids of the targets that a route leads to; empty leaves all.
        """
        key = (environment.name, family, provider, only)
        reach = self._reach.get(key)
        if reach is None:
            reach = Reach(self.policy, environment, family, provider, only)
            if len(self._reach) >= _NAMES_MAX:
                self._reach.clear()
            self._reach[key] = reach
        return reach

    def allows(self, environment: Environment, model: str) -> bool:
        """Tell whether a model is on the allowlist of an environment."""
        if environment.allow is None:
            return True
        key = (environment.name, model)
        allowed = self._allowed.get(key)
        if allowed is None:
            allowed = any(names_model(entry, model) for entry in environment.allow)
            if len(self._allowed) >= _NAMES_MAX:
                self._allowed.clear()
            self._allowed[key] = allowed
        return allowed


def _listed_thresholds(policy: Policy) -> Iterator[Threshold]:
    for environment in policy.environments.values():
        yield from environment.thresholds
    for group in policy.groups:
        yield from group.thresholds or ()


_compiled: dict[int, Compiled] = {}


def compiled(policy: Policy) -> Compiled:
    """The compiled form of this very policy; made at first use."""
    known = _compiled.get(id(policy))
    if known is not None and known.policy is policy:
        return known
    if len(_compiled) >= _POLICIES_MAX:
        _compiled.clear()
    made = Compiled(policy)
    _compiled[id(policy)] = made
    return made
