"""Find out which environments there are, and to which one each group belongs."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from farthing.config.caching import Caches
from farthing.config.schema import BudgetAlert, ConsumerGroup, EnvironmentSection
from farthing.config.source import Source, environment_in_group_name
from farthing.domain.errors import Problem
from farthing.domain.names import nearest
from farthing.policy.rules import Action, AtLimit, Environment, Group, Threshold

DEFAULT_ENVIRONMENT = "development"


class Environments:
    """The environments of all files together. Declared once, or implied where none is declared."""

    def __init__(self, sources: Sequence[Source], problems: list[Problem], notices: list[str]) -> None:
        self._problems = problems
        self._notices = notices
        self._declared: dict[str, EnvironmentSection] = {}
        self._implied: dict[str, None] = {}
        self._caches = Caches(sources, problems)
        for source in sources:
            self._declare(source)
        for source in sources:
            if source.environment is not None:
                self._speak_for(source, source.environment)
        self._listing = [source for source in sources if _listed(source)]
        self._wallets_enforced = self._enforcement(sources)

    def _declare(self, source: Source) -> None:
        for name, section in source.section.environments.items():
            earlier = self._declared.get(name)
            if earlier is None:
                self._declared[name] = section
                continue
            twice = sorted(earlier.model_fields_set & section.model_fields_set)
            for key in twice:
                self._problems.append(
                    source.problem(
                        ("environments", name, key), f"{name} has {key} in two files", "keep one of them"
                    )
                )
            said = {key: getattr(section, key) for key in section.model_fields_set}
            self._declared[name] = earlier.model_copy(update=said)

    def _speak_for(self, source: Source, name: str) -> None:
        if source.inferred:
            self._notices.append(
                f"{source.path.name} speaks for {name}, by its name; say so with  environment: {name}"
            )
        self.know(name, source, ("environment",))

    def know(self, name: str, source: Source, place: tuple[str | int, ...]) -> None:
        """Accept a name that a file uses, or say that it is declared nowhere."""
        if not self._declared:
            self._implied[name] = None
        elif name not in self._declared:
            meant = nearest(name, self._declared)
            question = f"did you mean {meant}? Or " if meant else ""
            self._problems.append(
                source.problem(
                    place, f"{name} is not among the environments", f"{question}declare it under environments"
                )
            )

    def rules(self) -> dict[str, Environment]:
        """Every environment as the rules know it."""
        if not self._declared and not self._implied:
            self._implied[DEFAULT_ENVIRONMENT] = None
            self._notices.append(f"no environment is declared: all calls are {DEFAULT_ENVIRONMENT}")
        sections = {**{name: EnvironmentSection() for name in self._implied}, **self._declared}
        return {name: self._rule(name, section) for name, section in sections.items()}

    def _rule(self, name: str, section: EnvironmentSection) -> Environment:
        models = section.models
        thresholds = self._thresholds(name)
        return Environment(
            name=name,
            allow=tuple(models.allow) if models else None,
            **({"otherwise": models.otherwise} if models else {}),
            downgrade=tuple(section.downgrade.items()),
            limits=section.limits,
            at_limit=section.at_limit if _says_at_limit(section) else _manner(thresholds),
            output_bound=section.output_bound,
            unbounded=section.unbounded,
            unpriced=section.unpriced,
            on_disconnect=section.on_disconnect,
            on_ledger_failure=section.on_ledger_failure,
            caching=self._caches.rule(name, section.cache),
            call_limit_nanodollars=section.call_limit,
            thresholds=thresholds,
            wallets_enforced=self._wallets_enforced.get(name, self._wallets_enforced.get(None, False)),
        )

    def _enforcement(self, sources: Sequence[Source]) -> dict[str | None, bool]:
        """Whether wallets are hard, as files for one environment say, and those for all of them (None)."""
        said: dict[str | None, bool] = {}
        for source in sources:
            section = source.section.cost_tracking
            if "wallet_enforcement" not in section.model_fields_set:
                continue
            here = section.wallet_enforcement
            if said.setdefault(source.environment, here) != here:
                place = ("cost_tracking", "wallet_enforcement")
                message = f"is {str(here).lower()} here and not so in another file that speaks for the same"
                self._problems.append(source.problem(place, message, "say it once"))
        return said

    def _thresholds(self, name: str) -> tuple[Threshold, ...]:
        """What the files that speak for an environment do at shares of its budgets."""
        return tuple(
            dict.fromkeys(
                alert.rule
                for source in self._listing
                if source.environment in (None, name)
                for alert in _listed(source)
            )
        )

    # ── groups ──────────────────────────────────────────────────────────────────────────────────

    def groups(self, sources: Sequence[Source], environ: Mapping[str, str]) -> Iterator[Group]:
        """Every group with its environment: its own word, its file's, or what its name says."""
        names: set[str] = set()
        keys: set[bytes] = set()
        for source in sources:
            for number, section in enumerate(source.section.consumer_groups):
                place = ("consumer_groups", number)
                if section.name in names:
                    message = f"{section.name} names two groups"
                    self._problems.append(source.problem((*place, "name"), message, "give each its own name"))
                names.add(section.name)
                environment = self._environment_of(section, source, place)
                digest = self._key_hash(section, source, place, environ)
                if digest is not None and digest in keys:
                    message = "is the key of another group too; a key belongs to one group"
                    self._problems.append(source.problem((*place, "api_key"), message, "make a second key"))
                keys |= {digest} if digest is not None else set()
                if environment is not None:
                    thresholds = _own_thresholds(section)
                    said = _says_at_limit(self._declared.get(environment))
                    yield Group(
                        name=section.name,
                        environment=environment,
                        wallet=section.wallet_team_id,
                        key_sha256=digest,
                        key_env=section.api_key_ref.env if section.api_key_ref else None,
                        key_in_clear_text=section.api_key is not None,
                        limits=section.limits,
                        thresholds=thresholds,
                        at_limit=None if thresholds is None or said else _manner(thresholds),
                    )

    def _environment_of(
        self, section: ConsumerGroup, source: Source, place: tuple[str | int, ...]
    ) -> str | None:
        name = section.environment or source.environment
        if name is None:
            name = environment_in_group_name(section.name)
            if name is not None:
                self._notices.append(
                    f"group {section.name} belongs to {name}, by its name; say so with  environment: {name}"
                )
        if name is None:
            self._problems.append(
                source.problem(
                    place,
                    f"group {section.name} names no environment",
                    "add  environment: NAME  to the group or the file",
                )
            )
            return None
        self.know(name, source, (*place, "environment"))
        return name

    def _key_hash(
        self, section: ConsumerGroup, source: Source, place: tuple[str | int, ...], environ: Mapping[str, str]
    ) -> bytes | None:
        key = section.api_key
        reference = section.api_key_ref
        if key is not None:
            self._notices.append(
                f"{source.path.name} holds the key of group {section.name} in clear text; only its hash is "
                "kept, and  api_key_ref: {env: NAME}  would keep it out of the file"
            )
        elif reference is not None and reference.env is not None:
            key = environ.get(reference.env)
        elif reference is not None and reference.file is not None:
            try:
                key = (source.path.parent / reference.file).read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                self._problems.append(
                    source.problem(
                        (*place, "api_key_ref", "file"),
                        f"{reference.file} cannot be read ({type(error).__name__})",
                        "write the key into this file",
                    )
                )
        return hashlib.sha256(key.encode()).digest() if key else None


def _listed(source: Source) -> list[BudgetAlert]:
    """What a file does at shares of all budgets, wherever it says so."""
    return [*source.section.cost_tracking.budget_alerts, *source.section.budget_alerts]


def _own_thresholds(section: ConsumerGroup) -> tuple[Threshold, ...] | None:
    """A group's own list; None where it has none, and an empty one says that nothing happens."""
    if "budget_alerts" not in section.model_fields_set:
        return None
    return tuple(dict.fromkeys(alert.rule for alert in section.budget_alerts))


def _says_at_limit(section: EnvironmentSection | None) -> bool:
    return section is not None and "at_limit" in section.model_fields_set


def _manner(thresholds: tuple[Threshold, ...]) -> AtLimit:
    """What happens at a limit where only a list of thresholds speaks: to block is to refuse."""
    blocks = any(threshold.action is Action.BLOCK for threshold in thresholds)
    return AtLimit.REFUSE if blocks else AtLimit.CLAMP
