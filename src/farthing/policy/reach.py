"""Find the targets that can answer a dialect, and the models that each of them serves."""

from collections.abc import Callable, Iterator

from farthing.domain.names import is_pattern, names_model
from farthing.policy.kinds import HOME_PROVIDERS, may_offer
from farthing.policy.rules import Candidate, Environment, Policy, Target

Dearness = Callable[[Target, str], int | None]

# Other words for a provider, as people write them in paths and files.
PROVIDER_ALIASES = {"gemini": "google", "x-ai": "xai", "mistralai": "mistral", "azure-openai": "azure"}


# Callers may ask for any name, so what is remembered of names is bounded.
_MODELS_REMEMBERED = 4_096


class Reach:
    """The targets that one dialect family can use from one environment, in the order of the policy.

    only: the ids of the targets that a route leads to, in its own order; empty leaves all.
    """

    def __init__(
        self,
        policy: Policy,
        environment: Environment,
        family: str,
        provider: str | None,
        only: tuple[str, ...] = (),
    ) -> None:
        self.family = family
        self.targets = tuple(
            target
            for target in _in_order(policy.targets, only)
            if family in target.families
            and (not target.environments or environment.name in target.environments)
            and (provider is None or _is_of(target, PROVIDER_ALIASES.get(provider, provider)))
        )
        self._places = {target.id: place for place, target in enumerate(self.targets)} if only else {}
        self.open_targets = tuple(target for target in self.targets if target.model is None)
        self._by_model: dict[str, list[Target]] = {}
        self._by_id: dict[str, Target] = {}
        self._by_name: dict[str, list[Target]] = {}
        self._open_by_model: dict[str, tuple[Target, ...]] = {}
        for target in self.targets:
            if target.model is not None:
                self._by_model.setdefault(target.model, []).append(target)
                self._by_id[target.id] = target
                if target.name is not None:
                    self._by_name.setdefault(target.name, []).append(target)
        self.models = self._models_to_choose(environment)

    def targets_called(self, name: str) -> tuple[Target, ...]:
        """The targets asked for by id or by the name they share, where no model is called that."""
        if name in self._by_model:
            return ()
        named = self._by_id.get(name)
        return (named,) if named is not None else tuple(self._by_name.get(name, ()))

    def serving(self, model: str, dearness: Dearness) -> tuple[Candidate, ...]:
        """Who serves a model; without any who surely does, open targets of unknown price.

        Whether those may be tried is for the rule on unpriced models to judge.
        """
        return self.surely_serving(model, dearness) or tuple(
            Candidate(target=target, model=model) for target in self._open_to(model)
        )

    def surely_serving(self, model: str, dearness: Dearness) -> tuple[Candidate, ...]:
        """Who is known to serve a model: targets made for it, then providers with a price for it.

        Where there are neither: a target made for the allowed model of which this is a dated snapshot.
        """
        found = [Candidate(target=target, model=model) for target in self._by_model.get(model, ())]
        found += [
            Candidate(target=target, model=model)
            for target in self._open_to(model)
            if price_of(target, model, dearness) is not None
        ]
        if self._places:
            found.sort(key=lambda one: self._places[one.target.id])
        return tuple(found) or tuple(
            Candidate(target=target, model=name, rules=(f"{target.id} serves {name} for {model}",))
            for name, targets in self._by_model.items()
            if name in self.models and names_model(name, model)
            for target in targets
        )

    def _open_to(self, model: str) -> tuple[Target, ...]:
        """Targets without a model of their own that may have this one."""
        targets = self._open_by_model.get(model)
        if targets is None:
            home = HOME_PROVIDERS.get(self.family, "")
            targets = tuple(
                target
                for target in self.open_targets
                if may_offer(home if stands_for_any(target) else target.billed_as, model)
            )
            if len(self._open_by_model) >= _MODELS_REMEMBERED:
                self._open_by_model.clear()
            self._open_by_model[model] = targets
        return targets

    def _models_to_choose(self, environment: Environment) -> tuple[str, ...]:
        """Allowed models with a name of their own: those a downgrade may pick without being told."""
        allow = environment.allow
        names = dict.fromkeys(name for name in allow or () if not is_pattern(name))
        names |= dict.fromkeys(
            name
            for name in self._by_model
            if allow is None or any(names_model(pattern, name) for pattern in allow)
        )
        return tuple(names)

    def priced(self, dearness: Dearness) -> Iterator[tuple[int, str]]:
        """The models a downgrade may pick that someone here serves at a known price, with the lowest."""
        for model in self.models:
            prices = [
                price
                for target in (*self._by_model.get(model, ()), *self._open_to(model))
                if (price := price_of(target, model, dearness)) is not None
            ]
            if prices:
                yield min(prices), model


def price_of(target: Target, model: str, dearness: Dearness) -> int | None:
    """How dear a model is at a target; a mock answers for nothing."""
    return 0 if target.mock else dearness(target, model)


def stands_for_any(target: Target) -> bool:
    """Tell whether a target answers in the place of whichever provider is asked for."""
    return (target.simulated or target.mock) and target.stands_for is None


def _in_order(targets: tuple[Target, ...], only: tuple[str, ...]) -> Iterator[Target]:
    if not only:
        yield from targets
        return
    known = {target.id: target for target in targets}
    yield from (known[name] for name in dict.fromkeys(only) if name in known)


def _is_of(target: Target, provider: str) -> bool:
    return target.billed_as == provider or stands_for_any(target)
