"""Load policy files: text becomes the rules in force, or every problem found, with its line."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from farthing.config.environments import Environments
from farthing.config.notices import unenforced
from farthing.config.routes import routes_of
from farthing.config.source import Source, read_sources
from farthing.config.targets import in_force, prices_of, targets_of
from farthing.domain.errors import PolicyError, Problem
from farthing.domain.period import Period
from farthing.policy.rules import Budget, Policy, Threshold, Wallet
from farthing.prices.override import Override

DEFAULT_ZONE = "UTC"


class RulingFile(msgspec.Struct, frozen=True, kw_only=True):
    """One of the files that make a policy, as it was read; environment is the only one it speaks for."""

    name: str
    sha256: str
    environment: str | None = None


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A policy as its files say it, without any secret.

    prices: declared prices by model, to stand before the bundled ones.
    notices: what a person should know: what was inferred, and what is read but not yet enforced.
    ledger: where the files say the ledger is.
    """

    policy: Policy
    prices: Mapping[str, Override]
    notices: tuple[str, ...]
    ledger: str | None = None
    files: tuple[RulingFile, ...] = ()


def load_policy(paths: Sequence[Path], environ: Mapping[str, str]) -> Loaded:
    """Load one policy from one file or several side by side.

    environ: decides which simulators stand in for providers without a key, and gives keys that
        groups refer to. Provider secrets are not read here.

    Raises PolicyError with all problems of all files.
    """
    sources, problems = read_sources(paths)
    if not paths:
        message, fix = "no policy file was named", "write one with  farthing init"
        problems.append(Problem(file="farthing.yaml", line=None, key="(file)", message=message, fix=fix))
    if problems:
        raise PolicyError(tuple(problems))
    notices: list[str] = []
    environments = Environments(sources, problems, notices)
    zone = _agreed(sources, ("timezone",), problems) or DEFAULT_ZONE
    targets = targets_of(sources, problems)
    groups = tuple(environments.groups(sources, environ))
    for one in targets:
        for name in one.section.environments:
            environments.know(name, one.source, (*one.place, "environments"))
    written = Policy(
        digest="",
        environments=environments.rules(),
        budgets=tuple(_budgets(sources, str(zone), problems)),
        targets=tuple(one.target for one in targets),
        routes=routes_of(sources, (one.target.id for one in targets), problems),
        groups=groups,
        wallets=tuple(_wallets(sources, problems)),
        organization=str(_agreed(sources, ("organization",), problems) or ""),
        zone=str(zone),
        cost_tracked=_agreed(sources, ("cost_tracking", "enabled"), problems) is not False,
    )
    prices = prices_of(sources, targets, problems)
    ledger = _agreed(sources, ("ledger",), problems)
    if problems:
        raise PolicyError(tuple(sorted(problems, key=lambda problem: (problem.file, problem.line or 0))))
    answering, stand_ins = in_force(targets, environ)
    policy = msgspec.structs.replace(written, digest=_digest(written, prices), targets=answering)
    return Loaded(
        policy=policy,
        prices=prices,
        notices=(*notices, *stand_ins, *unenforced(sources)),
        ledger=str(ledger) if ledger else None,
        files=tuple(
            RulingFile(name=str(one.path), sha256=one.sha256, environment=one.environment) for one in sources
        ),
    )


def _agreed(sources: Sequence[Source], path: tuple[str, ...], problems: list[Problem]) -> object:
    """What the files say about a thing that holds for all of them; None where none says anything."""
    agreed: object = None
    for source in sources:
        section: object = source.section
        said = True
        for step in path:
            said = said and step in getattr(section, "model_fields_set", ())
            section = getattr(section, step)
        if not said:
            continue
        if agreed is not None and section != agreed:
            message = f"{section} here and {agreed} in another file, and it holds for all"
            problems.append(source.problem(path, message, "say it once"))
        agreed = section
    return agreed


def _budgets(sources: Sequence[Source], zone: str, problems: list[Problem]) -> Iterator[Budget]:
    names: set[str] = set()
    for source in sources:
        for number, section in enumerate(source.section.budgets):
            if section.name in names:
                place = ("budgets", number, "name")
                problems.append(
                    source.problem(place, f"{section.name} names two budgets", "give each its own name")
                )
            names.add(section.name)
            yield Budget(
                name=section.name,
                limit_nanodollars=section.limit,
                period=Period(section.period),
                zone=section.timezone or zone,
                match=section.match,
                per=section.per,
                at_limit=section.manner,
                months=tuple(sorted(section.months.items())),
                call_limit_nanodollars=section.call_limit,
                thresholds=tuple(Threshold(percent=percent) for percent in section.alerts),
                owner=section.owner,
            )


def _wallets(sources: Sequence[Source], problems: list[Problem]) -> Iterator[Wallet]:
    names: set[str] = set()
    for source in sources:
        for number, section in enumerate(source.section.wallets):
            if section.team_id in names:
                place = ("wallets", number, "team_id")
                problems.append(
                    source.problem(place, f"{section.team_id} names two wallets", "give each its own name")
                )
            names.add(section.team_id)
            yield Wallet(
                team_id=section.team_id,
                owner=section.owner,
                allocation_nanodollars=section.allocation,
                period=Period(section.period) if section.period else None,
            )


def _digest(policy: Policy, prices: Mapping[str, Override]) -> str:
    """Name exactly these rules: the same for every file that says the same, whatever keys are set."""
    replace = msgspec.structs.replace
    rules = replace(
        policy,
        budgets=tuple(sorted(policy.budgets, key=lambda budget: budget.name)),
        groups=tuple(replace(group, key_sha256=None, key_in_clear_text=False) for group in policy.groups),
    )
    return hashlib.sha256(msgspec.json.encode([rules, prices], order="sorted")).hexdigest()[:16]
