"""Decide which targets a call may go to, in which order, and which budgets must pay."""

from collections.abc import Iterator

import msgspec

from farthing.domain.call import Call
from farthing.domain.errors import Reason, Refusal
from farthing.domain.names import names_model, nearest
from farthing.domain.premium_pass import PremiumPass
from farthing.policy.compiled import Compiled, compiled
from farthing.policy.kinds import same_kind
from farthing.policy.reach import Dearness, Reach, price_of
from farthing.policy.routing import ROUTED, route_of
from farthing.policy.rules import AtLimit, Candidate, Environment, Kept, Otherwise, Payer, Policy, Route

__all__ = ["AUTO", "Proposal", "decide", "limits", "payers"]

# A caller that leaves the choice to the policy gets the cheapest model it may use.
AUTO = "auto"
_LISTED_MAX = 20
# Begins the rule of a call that passes only because nothing is blocked.
OBSERVED = "observed: "


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """Where a call may go: candidates as the policy lists them. Whether there is money, the ledger knows.

    route: how they are put in order, and how often one of them may fail.
    fixed: they keep their order, because the caller's own client has chosen where it speaks to.
    """

    environment: Environment
    candidates: tuple[Candidate, ...]
    route: Route = Route()
    fixed: bool = False


def payers(call: Call, policy: Policy, candidate: Candidate) -> tuple[Payer, ...]:
    """The budgets that must pay for a call if it goes to this candidate, with their windows."""
    return compiled(policy).payers.of(call, candidate)


def limits(call: Call, policy: Policy) -> tuple[Kept, ...]:
    """The limits on requests, tokens and open calls that a call must keep, with their windows."""
    return compiled(policy).payers.limits(call)


def decide(
    call: Call, policy: Policy, *, dearness: Dearness, provider_hint: str | None = None
) -> Proposal | Refusal:
    """Propose targets for a call, or refuse it with the reason.

    Pure: no clock, no store. Whether a budget has room is not asked here; the ledger answers that
    in the same step that takes the room.

    dearness: a comparable price of a model at a target, None where it has none.
    provider_hint: the provider that the path names; only its targets are candidates.
    """
    rules = compiled(policy)
    environment = policy.environments.get(call.identity.environment)
    if environment is None:
        return _unknown_environment(call, policy)
    family = call.facts.dialect.partition(".")[0]
    route = route_of(call, policy)
    reach = rules.reach(environment, family, provider_hint, route.targets)
    question = _Question(call, rules, environment, reach, route, dearness)
    allowed = question.allowed()
    if allowed is None:
        return question.by_pass(question.instead())
    if not allowed:
        return question.nobody_serves(call.facts.model, provider_hint)
    return question.proposal(allowed)


class _Question:
    """One call with everything that bears on the answer."""

    def __init__(
        self,
        call: Call,
        rules: Compiled,
        environment: Environment,
        reach: Reach,
        route: Route,
        dearness: Dearness,
    ) -> None:
        self.call = call
        self.rules = rules
        self.environment = environment
        self.reach = reach
        self.route = route
        self.dearness = dearness
        self.asked = call.facts.model
        self.asked_targets = reach.targets_called(self.asked)

    def allowed(self) -> tuple[Candidate, ...] | None:
        """Who can serve what was asked for, nobody included; None where it is not allowed."""
        if self.asked == AUTO and not self.asked_targets:
            rule = "auto: the cheapest model allowed"
            return self._served(self._cheapest(None), "as_asked", rule, None)
        if self.asked_targets:
            return tuple(one for one in self._as_asked() if self._allows(one.model)) or None
        if not self._allows(self.asked):
            return None
        return self._as_asked() or self._routed(self._price_asked())

    def by_pass(self, otherwise: Proposal | Refusal) -> Proposal | Refusal:
        """Put the model asked for first where the caller holds a pass for it.

        It is taken in full or not at all: without money for it, the environment's own rule holds.
        """
        call = self.call
        if not call.identity.passes:
            return otherwise
        passed = tuple(
            msgspec.structs.replace(
                one, whole=True, rules=(*one.rules, *self._named_route(), _rule_of(held)), by_pass=held
            )
            for held in call.identity.passes
            for one in self._as_asked()
            if held.covers(one.model, call.at_us) and held.environment == self.environment.name
        )
        if not passed:
            return otherwise
        if isinstance(otherwise, Refusal):
            return Proposal(environment=self.environment, candidates=passed, route=self.route)
        return msgspec.structs.replace(otherwise, candidates=passed + otherwise.candidates)

    def _named_route(self) -> tuple[str, ...]:
        return (self.route.name,) if self.route.targets else ()

    def _allows(self, model: str) -> bool:
        return self.rules.allows(self.environment, model)

    def _as_asked(self) -> tuple[Candidate, ...]:
        if not self.asked_targets:
            return self.reach.serving(self.asked, self.dearness)
        return tuple(
            Candidate(
                target=target,
                model=target.model or self.asked,
                rules=(
                    f"asked for target {target.id}"
                    if target.id == self.asked
                    else f"asked for {self.asked}: target {target.id}",
                ),
            )
            for target in self.asked_targets
        )

    def _model_asked(self) -> str:
        """The model that is meant, also where a target was asked for by its id or name."""
        return next((target.model for target in self.asked_targets if target.model), self.asked)

    # ── routes ──────────────────────────────────────────────────────────────────────────────────

    def proposal(self, candidates: tuple[Candidate, ...]) -> Proposal:
        """Who may serve: the candidates, others that the route names, and cheaper ones at a limit."""
        if self.route.targets:
            price = price_of(candidates[0].target, candidates[0].model, self.dearness)
            candidates += self._routed(price, besides=candidates)
            candidates = tuple(
                msgspec.structs.replace(one, rules=(*one.rules, self.route.name)) for one in candidates
            )
        return Proposal(
            environment=self.environment, candidates=self.with_cheaper(candidates), route=self.route
        )

    def _routed(self, price_max: int | None, besides: tuple[Candidate, ...] = ()) -> tuple[Candidate, ...]:
        """Targets that the route names and that serve another model, allowed and no dearer."""
        if not self.route.targets or price_max is None:
            return ()
        known = {one.target.id for one in besides}
        routed = (
            Candidate(
                target=target,
                model=target.model,
                reason=ROUTED,
                rules=(f"{target.id} serves {target.model} in place of {self.asked}",),
            )
            for target in self.reach.targets
            if target.model is not None
            and target.id not in known
            and self._allows(target.model)
            and same_kind(self.call.facts, target.model)
        )
        return tuple(one for one in routed if self._costs_at_most(one, price_max))

    def instead(self) -> Proposal | Refusal:
        """What becomes of a model that is not allowed: a cheaper one that is, or a refusal."""
        candidates: tuple[Candidate, ...] = ()
        why_not = ""
        if self.environment.otherwise is Otherwise.DOWNGRADE:
            candidates, why_not = self._replacement()
        if self.environment.at_limit is AtLimit.OBSERVE:
            return self._observed(candidates)
        if not candidates:
            return self._not_allowed(why_not)
        return self.proposal(candidates)

    def _observed(self, candidates: tuple[Candidate, ...]) -> Proposal | Refusal:
        """Let a model pass that is not allowed, and say what would have become of it."""
        would = f"would be downgraded to {candidates[0].model}" if candidates else "would be refused"
        rule = f"{OBSERVED}{self.asked} is not allowed in {self.environment.name} and {would}"
        found = self._as_asked()
        if not found:
            return self.nobody_serves(self.asked, None)
        return Proposal(
            environment=self.environment,
            candidates=tuple(
                Candidate(target=one.target, model=one.model, rules=(*one.rules, rule)) for one in found
            ),
            route=self.route,
        )

    # ── downgrades ──────────────────────────────────────────────────────────────────────────────

    def _replacement(self) -> tuple[tuple[Candidate, ...], str]:
        """Who serves in the place of a model that is not allowed, or why nobody does.

        The downgrade map speaks first; a model that it does not mention goes to the cheapest.
        """
        price_max = self._price_asked()
        entry = self._map_entry()
        if entry is None:
            rule = f"{self.asked} is not allowed in {self.environment.name}: the cheapest allowed model"
            found = self._served(self._cheapest(price_max), "downgraded", rule, price_max)
            return found, "" if found else "no allowed model of this dialect is as cheap and has a price"
        pattern, model = entry
        if not self._allows(model):
            return (), f"its downgrade, {model}, is not allowed either"
        found = self._served((model,), "downgraded", f"downgrade {pattern}: {model}", price_max)
        return found, "" if found else f"its downgrade, {model}, is dearer or has no price"

    def _map_entry(self) -> tuple[str, str] | None:
        """The first entry of the downgrade map that covers the model and leads to this dialect."""
        meant = self._model_asked()
        for pattern, model in self.environment.downgrade:
            if names_model(pattern, meant) and self.reach.surely_serving(model, self.dearness):
                return pattern, model
        return None

    def _price_asked(self) -> int | None:
        """The lowest price known for what was asked for, at any target of the policy."""
        meant = self._model_asked()
        prices = [
            price
            for target in self.rules.policy.targets
            if not target.mock and (price := self.dearness(target, meant)) is not None
        ]
        return min(prices, default=None)

    def _cheapest(self, price_max: int | None) -> tuple[str, ...]:
        """The cheapest model that may be chosen for this call, if it is cheap enough.

        Of equally cheap ones it is the first on the allowlist.
        """
        priced = [
            (price, model)
            for price, model in self.reach.priced(self.dearness)
            if same_kind(self.call.facts, model) and (price_max is None or price <= price_max)
        ]
        return (min(priced, key=lambda found: found[0])[1],) if priced else ()

    def _served(
        self, models: tuple[str, ...], reason: str, rule: str, price_max: int | None
    ) -> tuple[Candidate, ...]:
        return tuple(
            Candidate(target=one.target, model=one.model, reason=reason, rules=(*one.rules, rule))
            for model in models
            for one in self.reach.surely_serving(model, self.dearness)
            if price_max is None or self._costs_at_most(one, price_max)
        )

    def _costs_at_most(self, candidate: Candidate, price_max: int) -> bool:
        price = price_of(candidate.target, candidate.model, self.dearness)
        return price is not None and price <= price_max

    def with_cheaper(self, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
        """The candidates, and behind them cheaper models for when they do not fit a budget.

        Where a share of a budget makes way for those, the candidates are taken in full or not at all.
        """
        cheaper = self._cheaper_than(candidates)
        if cheaper and any(payer.fallback_from is not None for payer in self._payers(candidates)):
            candidates = tuple(msgspec.structs.replace(one, whole=True) for one in candidates)
        return candidates + cheaper

    def _cheaper_than(self, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
        """Cheaper models: the map's, then the dearest first."""
        if not self._downgrades_at_limit(candidates):
            return ()
        price = price_of(candidates[0].target, candidates[0].model, self.dearness)
        if price is None:
            return ()
        ladder = sorted(
            (
                (lower, model)
                for lower, model in self.reach.priced(self.dearness)
                if lower < price and same_kind(self.call.facts, model)
            ),
            key=lambda rung: (-rung[0], rung[1]),
        )
        entry = self._map_entry()
        mapped = [entry[1]] if entry and self._allows(entry[1]) else []
        models = dict.fromkeys((*mapped, *(model for _, model in ladder)))
        for candidate in candidates:
            models.pop(candidate.model, None)
        rule = "at the limit: the next cheaper model allowed"
        return self._served(tuple(models), "cheaper", rule, price - 1)

    def _downgrades_at_limit(self, candidates: tuple[Candidate, ...]) -> bool:
        if self.environment.at_limit is AtLimit.DOWNGRADE:
            return True
        return self.rules.a_budget_downgrades and any(
            payer.at_limit is AtLimit.DOWNGRADE or payer.fallback_from is not None
            for payer in self._payers(candidates)
        )

    def _payers(self, candidates: tuple[Candidate, ...]) -> Iterator[Payer]:
        return (payer for one in candidates for payer in self.rules.payers.of(self.call, one))

    # ── refusals ────────────────────────────────────────────────────────────────────────────────

    def _not_allowed(self, why_not: str) -> Refusal:
        environment = self.environment
        message = f"{self.asked} is not allowed in {environment.name}"
        if why_not:
            message = f"{message}, and {why_not}"
        if not environment.allow:
            return _refusal(
                message, f"add models to environments.{environment.name}.models.allow in the policy"
            )
        meant = nearest(self.asked, environment.allow)
        question = f" (did you mean {meant}?)" if meant else ""
        return _refusal(message, f"ask for one of: {_listed(environment.allow)}{question}")

    def nobody_serves(self, model: str, provider: str | None) -> Refusal:
        """Say which target is missing."""
        reach = self.reach
        whose = f" of {provider}" if provider else ""
        if model == AUTO:
            return _refusal(
                f"no model allowed in {self.environment.name} has a target and a price in the "
                f"{reach.family} dialect{whose}",
                "name a model, or add targets for the allowed models under providers.targets in the policy",
            )
        fix = (
            f"add a target under providers.targets that serves {model} and speaks the {reach.family} dialect"
        )
        if reach.models:
            served = dict.fromkeys(target.model for target in reach.targets if target.model)
            if served:
                fix = f"{fix}, or ask for one of: {_listed(tuple(served))}"
        return _refusal(f"no target{whose} serves {model} in the {reach.family} dialect", fix)


def _rule_of(held: PremiumPass) -> str:
    return f"premium pass {held.pass_id} by {held.by}: {held.reason}"


def _unknown_environment(call: Call, policy: Policy) -> Refusal:
    name = call.identity.environment
    meant = nearest(name, policy.environments)
    question = f" (did you mean {meant}?)" if meant else ""
    return _refusal(
        f"the policy has no environment {name}, so nothing is allowed in it",
        f"declare it under environments, or use one of: {_listed(tuple(policy.environments))}{question}",
    )


def _refusal(message: str, fix: str) -> Refusal:
    return Refusal(reason=Reason.MODEL_NOT_ALLOWED, message=message, fix=fix)


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_LISTED_MAX])
    return shown if len(names) <= _LISTED_MAX else f"{shown} and {len(names) - _LISTED_MAX} more"
