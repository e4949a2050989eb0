"""Find the budgets and the wallet that must pay for a call, and the limits that it counts against."""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from farthing.domain.call import Call, Identity
from farthing.domain.money import divide_up
from farthing.domain.names import matches, names_model
from farthing.domain.period import Period, window_of
from farthing.domain.premium_pass import PremiumPass
from farthing.policy.covering import Covering
from farthing.policy.rules import (
    Action,
    AtLimit,
    Budget,
    Candidate,
    Counted,
    Environment,
    Group,
    Kept,
    Limit,
    Payer,
    Policy,
    Threshold,
)
from farthing.policy.wallets import manner_of_wallet, wallet_budget, wallet_of

# All calls that lack a fact share this one value of it.
NO_VALUE = "(none)"
# Facts that a caller cannot choose: they come from its key and from the target.
FIXED_FACTS = ("environment", "group", "key", "developer", "provider", "model")
_RUN = "run"
_NO_ZONE = "UTC"  # a window without end needs none
_LIMIT_NAMES = {Counted.REQUESTS: "rate", Counted.TOKENS: "tokens", Counted.CALLS_OPEN: "open"}
# Distinct kinds of caller remembered for one policy; beyond, the memory starts anew.
_REMEMBERED_MAX = 10_000


class _Share(msgspec.Struct, frozen=True):
    """A budget that covers one kind of caller, with what still depends on the single call."""

    place: int
    budget: Budget
    at_limit: AtLimit
    value: str | None
    per_label: str | None
    label_matches: tuple[tuple[str, tuple[str, ...]], ...]
    thresholds: tuple[Threshold, ...]
    block_percent: int
    fallback_percent: int | None


class Payers:
    """The budgets of one policy, worked out once for each kind of caller."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._covering = Covering(policy.budgets, FIXED_FACTS)
        self._shares: dict[tuple[str | None, ...], tuple[_Share, ...]] = {}
        self._label_shares: dict[tuple[tuple[str | None, ...], int], _Share | None] = {}
        self._groups: Mapping[str | None, Group] = {group.name: group for group in policy.groups}
        self._limits: dict[tuple[str, str | None], tuple[tuple[Limit, str], ...]] = {}

    def of(self, call: Call, candidate: Candidate) -> tuple[Payer, ...]:
        """Who must pay for a call if it goes to this candidate: budgets in order, its wallet, its pass."""
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
        if self._covering.by_label and (more := self._by_label(call, caller)):
            shares = tuple(sorted((*shares, *more), key=lambda share: share.place))
        paying = tuple(
            _payer(call, share)
            for share in shares
            if not share.label_matches or _labels_match(call, share.label_matches)
        )
        return paying if candidate.by_pass is None else (*paying, _payer_of_pass(candidate.by_pass))

    def limits(self, call: Call) -> tuple[Kept, ...]:
        """The limits on requests, tokens and open calls that a call must keep, wherever it goes."""
        identity = call.identity
        scope = (identity.environment, identity.group)
        named = self._limits.get(scope)
        if named is None:
            named = self._limits[scope] = tuple(self._named_limits(*scope))
        return tuple([
            Kept(
                limit=limit,
                name=name,
                value=_value_of(limit.per, identity),
                window=window_of(limit.period, call.at_us, "UTC"),
            )
            for limit, name in named
        ])  # fmt: skip

    def _named_limits(self, environment_name: str, group_name: str | None) -> Iterator[tuple[Limit, str]]:
        """Each limit with the name of its accounts, which no other limit or budget has."""
        environment = self._policy.environments.get(environment_name)
        for limit in environment.limits if environment else ():
            per = "" if limit.per == "key" else f":{limit.per}"
            yield limit, f"{_LIMIT_NAMES[limit.counts]}:{environment_name}{per}"
        group = self._groups.get(group_name)
        for limit in group.limits if group else ():
            yield limit, f"{_LIMIT_NAMES[limit.counts]}:group:{group_name}:{limit.per}"

    def _work_out(self, caller: tuple[str | None, ...]) -> tuple[_Share, ...]:
        facts = dict(zip(FIXED_FACTS, caller, strict=True))
        found = [self._share(place, facts) for place in self._covering.places(facts, NO_VALUE)]
        shares = tuple([share for share in found if share is not None])
        shares += self._wallet_share(facts, is_alone=not shares and not self._a_label_may_match(facts))
        if len(self._shares) >= _REMEMBERED_MAX:
            self._shares.clear()
        self._shares[caller] = shares
        return shares

    def _by_label(self, call: Call, caller: tuple[str | None, ...]) -> list[_Share]:
        """The budgets of this caller that want a label of this call."""
        found: list[_Share] = []
        for name, by_value in self._covering.by_label.items():
            for place in by_value.get(_label(call, name) or NO_VALUE, ()):
                share = self._label_share(place, caller)
                if share is not None:
                    found.append(share)
        return found

    def _label_share(self, place: int, caller: tuple[str | None, ...]) -> _Share | None:
        key = (caller, place)
        if key in self._label_shares:
            return self._label_shares[key]
        if len(self._label_shares) >= _REMEMBERED_MAX:
            self._label_shares.clear()
        share = self._share(place, dict(zip(FIXED_FACTS, caller, strict=True)))
        self._label_shares[key] = share
        return share

    def _a_label_may_match(self, facts: Mapping[str, str | None]) -> bool:
        places = [place for values in self._covering.by_label.values() for place in values.values()]
        return any(_fixed_match(self._policy.budgets[one], facts) for found in places for one in found)

    def _share(self, place: int, facts: Mapping[str, str | None]) -> _Share | None:
        """The budget at a place, as far as it covers such a caller; None where it does not."""
        budget = self._policy.budgets[place]
        if not _fixed_match(budget, facts):
            return None
        environment = self._policy.environments.get(facts["environment"] or "")
        group = self._groups.get(facts["group"])
        inherited = environment.at_limit if environment else AtLimit.REFUSE
        at_limit = budget.at_limit or (group and group.at_limit) or inherited
        return _share_of(place, budget, facts, at_limit, thresholds_of(environment, group, budget))

    def _wallet_share(self, facts: Mapping[str, str | None], *, is_alone: bool) -> tuple[_Share, ...]:
        """The wallet of the caller's group; the thresholds are its own where no budget stands beside it."""
        group = self._groups.get(facts["group"])
        if group is None or group.wallet is None:
            return ()
        environment = self._policy.environments.get(facts["environment"] or "")
        wallet = wallet_of(group.wallet, self._policy)
        thresholds = (
            thresholds_of(environment, group, None) if is_alone and wallet.allocation_nanodollars else ()
        )
        at_limit = manner_of_wallet(
            environment, group.at_limit, blocks=_lowest(thresholds, Action.BLOCK) is not None
        )
        last, budget = len(self._policy.budgets), wallet_budget(wallet, self._policy.zone)
        return (_share_of(last, budget, facts, at_limit, thresholds),)


def _share_of(
    place: int,
    budget: Budget,
    facts: Mapping[str, str | None],
    at_limit: AtLimit,
    thresholds: tuple[Threshold, ...],
) -> _Share:
    per = budget.per
    return _Share(
        place=place,
        budget=budget,
        at_limit=at_limit,
        thresholds=thresholds,
        block_percent=_lowest(thresholds, Action.BLOCK) or 100,
        fallback_percent=None if at_limit is AtLimit.OBSERVE else _lowest(thresholds, Action.DOWNGRADE),
        value=(facts[per] or NO_VALUE) if per is not None and per in facts else None,
        per_label=None if per is None or per in facts else per,
        label_matches=tuple((name, names) for name, names in budget.match.items() if name not in facts),
    )


def thresholds_of(
    environment: Environment | None, group: Group | None, budget: Budget | None
) -> tuple[Threshold, ...]:
    """All that happens at shares of a budget for one kind of caller, lowest share first.

    A group's list takes the place of the environment's; the budget's own alerts come on top.
    """
    listed = environment.thresholds if environment else ()
    if group is not None and group.thresholds is not None:
        listed = group.thresholds
    own = budget.thresholds if budget else ()
    return tuple(sorted({*listed, *own}, key=lambda threshold: (threshold.percent, threshold.action)))


def _lowest(thresholds: tuple[Threshold, ...], action: Action) -> int | None:
    return min((threshold.percent for threshold in thresholds if threshold.action is action), default=None)


def _payer(call: Call, share: _Share) -> Payer:
    budget = share.budget
    window = window_of(budget.period, call.at_us, budget.zone, run=call.run)
    percent = share.fallback_percent
    return Payer(
        budget=budget,
        value=share.value if share.per_label is None else _label(call, share.per_label) or NO_VALUE,
        window=window,
        at_limit=share.at_limit,
        fallback_from=None if percent is None else divide_up(budget.limit_in(window) * percent, 100),
        block_percent=share.block_percent,
        thresholds=share.thresholds,
    )


def _payer_of_pass(held: PremiumPass) -> Payer:
    """The own money of a premium pass: hard, and in one window from its grant to its end."""
    budget = Budget(
        name=held.account, limit_nanodollars=held.budget_nanodollars, period=Period.TOTAL, zone=_NO_ZONE
    )
    window = window_of(Period.TOTAL, held.at_us, _NO_ZONE)
    return Payer(budget=budget, value=None, window=window, at_limit=AtLimit.REFUSE)


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


def _value_of(per: str, identity: Identity) -> str:
    if per == "key":
        return identity.key or identity.key_id or NO_VALUE
    return getattr(identity, per) or NO_VALUE
