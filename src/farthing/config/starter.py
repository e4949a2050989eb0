"""Write the policy file that a new user begins with: it works without any key, and governs with one."""

import re
from collections.abc import Sequence
from importlib.resources import files

import msgspec

from farthing.domain.money import NANODOLLARS_PER_DOLLAR, dollars

ORGANIZATION, TIMEZONE = "my-company", "UTC"
ENVIRONMENTS = ("development", "staging", "ci", "production")

_CENT = NANODOLLARS_PER_DOLLAR // 100
PER_DEVELOPER_NANODOLLARS = 150 * NANODOLLARS_PER_DOLLAR
# Of what development leaves: production 3,750, staging 400, CI 100 of 4,250.
_STAGING_SHARE, _CI_SHARE, _ALL_SHARES = 8, 2, 85
_CI_RUN_MAX = 3 * NANODOLLARS_PER_DOLLAR


class BadSplit(ValueError):
    """The developers' money leaves nothing for the others."""


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """What each environment may spend in a month, in nanodollars."""

    production: int
    development: int
    staging: int
    ci: int
    per_developer: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.production + self.development + self.staging + self.ci

    @property
    def non_production_percent(self) -> str:
        """The share of all that is not production, with one decimal."""
        permille = (2_000 * (self.total - self.production) + self.total) // (2 * self.total)
        return f"{permille // 10}.{permille % 10}"

    @property
    def ratio(self) -> str:
        """Development to production, as 1:5."""
        tenths = (20 * self.production + self.development) // (2 * self.development)
        return f"1:{tenths // 10}" + (f".{tenths % 10}" if tenths % 10 else "")


def split_of(total: int, developers: int, *, per_developer: int = PER_DEVELOPER_NANODOLLARS) -> Split:
    """Split a month's money: so much for each developer, the rest for production, staging and CI.

    To the cent; the parts are exactly the total. Raises BadSplit where nothing is left to split.
    """
    development = developers * per_developer
    left = total - development
    staging = left * _STAGING_SHARE // _ALL_SHARES // _CENT * _CENT
    ci = left * _CI_SHARE // _ALL_SHARES // _CENT * _CENT
    if ci < _CENT or per_developer < _CENT:
        raise BadSplit(
            f"{developers} developers with {dollars(per_developer)} each leave too little of {dollars(total)}"
        )
    return Split(
        production=left - staging - ci,
        development=development,
        staging=staging,
        ci=ci,
        per_developer=per_developer,
    )


USUAL_SPLIT = split_of(5_000 * NANODOLLARS_PER_DOLLAR, 5)


def starter_policy(
    *,
    organization: str = ORGANIZATION,
    timezone: str = TIMEZONE,
    split: Split = USUAL_SPLIT,
    environments: Sequence[str] = ENVIRONMENTS,
) -> str:
    """The text of a commented farthing.yaml for development, staging, CI and production, or some of them."""
    text = files("farthing.config").joinpath("starter.yaml").read_text("utf-8")
    text = _only(environments, text)
    text = text.replace(f"organization: {ORGANIZATION}", f"organization: {_quoted(organization)}", 1)
    text = text.replace(f"timezone: {TIMEZONE}", f"timezone: {timezone}", 1)
    alone = f"environment: {environments[0]}      # the only one that this file speaks for\n"
    places = {name: _written(amount) for name, amount in _amounts(split).items()}
    places["environment"] = alone if len(environments) == 1 else ""
    return re.sub(r"@\{(\w+)\}", lambda place: places[place[1]], text)


def _only(environments: Sequence[str], text: str) -> str:
    """Leave out what belongs to other environments; lines after  #: NAME  belong to it, until the next."""
    kept, owner = [], "all"
    for line in text.splitlines(keepends=True):
        if line.startswith("#: "):
            owner = line.removeprefix("#: ").strip()
        elif owner == "all" or owner in environments:
            kept.append(line)
    return "".join(kept)


def _amounts(split: Split) -> dict[str, int]:
    """Every amount of the policy: shorter windows may take more than their share of a month."""
    return {
        "development": split.development,
        "development_week": _part(split.development, 3),
        "development_day": _part(split.development, 10),
        "developer": split.per_developer,
        "developer_day": _part(split.per_developer, 10),
        "branch_day": _part(split.per_developer, 30),
        "evaluation": _part(split.development, 15),
        "staging": split.staging,
        "staging_day": _part(split.staging, 10),
        "ci": split.ci,
        "ci_run": min(_CI_RUN_MAX, split.ci),
        "production": split.production,
        "production_week": _part(split.production, 3),
        "production_day": _part(split.production, 15),
        "production_hour": _part(split.production, 75),
        "key_day": _part(split.production, 20),
        "feature_day": _part(split.production, 25),
    }


def _part(amount: int, parts: int) -> int:
    return max(amount // parts // _CENT * _CENT, _CENT)


def _written(nanodollars: int) -> str:
    """An amount as YAML reads it back within braces, where a comma would end it."""
    text = dollars(nanodollars).removesuffix(".00")
    return f'"{text}"' if "," in text else text


def _quoted(text: str) -> str:
    """Text as YAML reads it back: in quotes where a bare word would mean something else."""
    if text.replace("-", "").isalpha() and text.lower() not in ("true", "false", "null"):
        return text
    return "'" + text.replace("'", "''") + "'"
