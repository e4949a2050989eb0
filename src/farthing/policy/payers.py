"""Find the budgets that must pay for a call, and the rate limit it counts against."""

from collections.abc import Callable, Mapping

import msgspec

from farthing.domain.call import Call
from farthing.domain.names import matches, names_model
from farthing.domain.period import Window, window_of
from farthing.policy.rules import AtLimit, Budget, Candidate, Environment, Payer, Policy, RateLimit

# All calls that lack a fact share this one value of it.
NO_VALUE = "(none)"
# Facts that a caller cannot choose: they come from its key and from the target.
FIXED_FACTS = ("environment", "group", "key", "developer", "provider", "model")
_RUN = "run"
# Distinct kinds of caller remembered for one policy; beyond, the memory starts anew.
_REMEMBERED_MAX = 10_000


class _Share(msgspec.Struct, frozen=True):
    """A budget that covers one kind of caller, with what still depends on the single call."""

    budget: Budget
    at_limit: AtLimit
    value: str | None
    per_label: str | None
    label_matches: tuple[tuple[str, tuple[str, ...]], ...]


class Payers:
    """The budgets of one policy, worked out once for each kind of caller."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._shares: dict[tuple[str | None, ...], tuple[_Share, ...]] = {}

    def of(self, call: Call, candidate: Candidate) -> tuple[Payer, ...]:
        """The budgets that must pay for a call if it goes to this candidate, in policy order."""
        identity, target = call.identity, candidate.target
        caller = (
            identity.environment,
            identity.group,
            identity.key,
            identity.developer,
            target.billed_as,
            candidate.model,
        )
        shares = self._shares.get(caller)
        if shares is None:
            shares = self._work_out(caller)
        return tuple(
            Payer(
                budget=share.budget,
                value=share.value if share.per_label is None else _label(call, share.per_label) or NO_VALUE,
                window=window_of(share.budget.period, call.at_us, share.budget.zone, run=call.run),
                at_limit=share.at_limit,
            )
            for share in shares
            if not share.label_matches or _labels_match(call, share.label_matches)
        )

    def _work_out(self, caller: tuple[str | None, ...]) -> tuple[_Share, ...]:
        facts = dict(zip(FIXED_FACTS, caller, strict=True))
        shares = tuple(
            self._share(budget, facts) for budget in self._policy.budgets if _fixed_match(budget, facts)
        )
        if len(self._shares) >= _REMEMBERED_MAX:
            self._shares.clear()
        self._shares[caller] = shares
        return shares

    def _share(self, budget: Budget, facts: Mapping[str, str | None]) -> _Share:
        environment = self._policy.environments.get(facts["environment"] or "")
        inherited = environment.at_limit if environment else AtLimit.REFUSE
        per = budget.per
        return _Share(
            budget=budget,
            at_limit=budget.at_limit or inherited,
            value=(facts[per] or NO_VALUE) if per is not None and per in facts else None,
            per_label=None if per is None or per in facts else per,
            label_matches=tuple((name, names) for name, names in budget.match.items() if name not in facts),
        )


def _fixed_match(budget: Budget, facts: Mapping[str, str | None]) -> bool:
    return all(
        any(_matcher(name)(pattern, facts[name] or NO_VALUE) for pattern in patterns)
        for name, patterns in budget.match.items()
        if name in facts
    )


def _matcher(fact: str) -> Callable[[str, str], bool]:
    return names_model if fact == "model" else matches


def _labels_match(call: Call, wanted: tuple[tuple[str, tuple[str, ...]], ...]) -> bool:
    for name, patterns in wanted:
        value = _label(call, name) or NO_VALUE
        if not any(matches(pattern, value) for pattern in patterns):
            return False
    return True


def _label(call: Call, name: str) -> str | None:
    return call.run if name == _RUN else call.labels.get(name)


def rate_window(call: Call, environment: Environment) -> tuple[RateLimit, Window, str] | None:
    """The rate limit of an environment with the window the call falls into and the key that counts."""
    limit = environment.rate_limit
    if limit is None:
        return None
    value = call.identity.key or call.identity.key_id or NO_VALUE
    return limit, window_of(limit.period, call.at_us, "UTC"), value
