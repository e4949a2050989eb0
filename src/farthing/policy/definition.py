"""What a budget counts, as a ledger remembers it: one name never counts two different things. Pure."""

import msgspec

from farthing.domain.period import Period
from farthing.policy.payers import FIXED_FACTS
from farthing.policy.rules import Budget


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What decides which money an account of a budget counts."""

    match: dict[str, list[str]]
    per: str | None
    period: str
    zone: str

    @property
    def is_of_one_task(self) -> bool:
        """Whether its accounts are single runs, branches or workflows: what callers name themselves."""
        return self.period == Period.RUN.value or (self.per is not None and self.per not in FIXED_FACTS)


read_definition = msgspec.json.Decoder(Definition).decode


def definition_of(budget: Budget) -> Definition:
    """What a budget counts."""
    return Definition(
        match={name: sorted(values) for name, values in budget.match.items()},
        per=budget.per,
        period=budget.period.value,
        zone=budget.zone,
    )


def definition_name(budget: str) -> str:
    """The name that a ledger remembers the definition of a budget by."""
    return f"budget:{budget}"
