"""A premium pass: who may ask for a model past the rules on models, until when, with how much money."""

import secrets

import msgspec

from farthing.domain.names import names_model
from farthing.domain.period import iso_utc

# Begins the name of the own money of a pass.
ACCOUNT_PREFIX = "pass:"


class BadPass(ValueError):
    """A pass says too little, or what cannot be."""


class PremiumPass(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """One caller of one environment may ask for a model, or for a pattern of models. It is kept for good.

    key: the label or id of a key; None where a developer is named.
    until_us: the first moment at which it is over; ended_at_us: when somebody ended it, or noted its lapse.
    """

    pass_id: str
    model: str
    environment: str
    key: str | None
    developer: str | None
    budget_nanodollars: int
    at_us: int
    until_us: int
    by: str
    reason: str
    ended_at_us: int | None = None
    ended_by: str | None = None
    ended_reason: str | None = None

    @property
    def account(self) -> str:
        """The name of its own money among budgets; no budget of a policy file can have it."""
        return ACCOUNT_PREFIX + self.pass_id

    @property
    def holder(self) -> str:
        """Who holds it, in words."""
        whose = f"key {self.key}" if self.key is not None else f"developer {self.developer}"
        return f"{whose} in {self.environment}"

    def is_live(self, at_us: int) -> bool:
        """Whether it lets anything pass at a moment."""
        over_us = self.until_us if self.ended_at_us is None else min(self.until_us, self.ended_at_us)
        return self.at_us <= at_us < over_us

    def is_of(self, environment: str, *, key: str | None, key_id: str | None, developer: str | None) -> bool:
        """Whether a caller holds it. A name of a key counts only where a key was shown."""
        if environment != self.environment:
            return False
        if self.key is not None:
            return key_id is not None and self.key in (key, key_id)
        return developer == self.developer

    def covers(self, model: str, at_us: int) -> bool:
        """Whether it lets a model pass at a moment."""
        return self.is_live(at_us) and names_model(self.model, model)


def new_pass(
    *,
    model: str,
    environment: str,
    key: str | None,
    developer: str | None,
    budget_nanodollars: int,
    at_us: int,
    until_us: int,
    by: str,
    reason: str,
) -> PremiumPass:
    """Make a pass that is not kept anywhere yet. Raises BadPass."""
    named = {"model": model, "environment": environment, "reason": reason, "by": by}
    for name, text in named.items():
        if not text.strip():
            raise BadPass(f"a pass needs a {name!r}: it is kept for good")
    if (key is None) == (developer is None) or not (key or developer or "").strip():
        raise BadPass("a pass is for one key or for one developer: name one of them")
    if budget_nanodollars <= 0:
        raise BadPass("a pass needs a budget of its own, of more than nothing")
    if until_us <= at_us:
        raise BadPass(f"it would end at {iso_utc(until_us)}, before it begins")
    return PremiumPass(
        pass_id=secrets.token_hex(4),
        model=model.strip(),
        environment=environment,
        key=key,
        developer=developer,
        budget_nanodollars=budget_nanodollars,
        at_us=at_us,
        until_us=until_us,
        by=by.strip(),
        reason=reason.strip(),
    )
