"""One call of a scenario, before it is an entry: who asked for what, when, and what it cost."""

from collections.abc import Mapping
from typing import NamedTuple

from farthing.domain.usage import Usage
from farthing.ledger.entries import Claim

NO_LABELS: Mapping[str, str] = {}


class Row(NamedTuple):
    """One call that never was. It can be written as it stands: nothing is worked out any more.

    model_served: None where nothing was served, as for a refusal.
    cached: answered from the response cache; then avoided_nanodollars is what that saved.
    refused: why it was refused; None where it was not.
    decision: why this model was served, where that is not plain from the models: fallback, cheaper.
    account: what paid for the call, or was too short to. payers: what else paid for it.
    call_limit_nanodollars: the limit on this one call; None where it had none.
    clamped_to: the output cap that was sent, where the limit on the call lowered the one asked for.
    assumed_rule: why the cost had to be assumed.
    """

    at_us: int
    environment: str
    model_asked: str
    model_served: str | None = None
    provider: str = "openai"
    usage: Usage | None = None
    cost_nanodollars: int = 0
    key: str | None = None
    developer: str | None = None
    group: str | None = None
    labels: Mapping[str, str] = NO_LABELS
    run: str | None = None
    cached: bool = False
    refused: str | None = None
    decision: str | None = None
    cost_asked_nanodollars: int | None = None
    avoided_nanodollars: int = 0
    status: int = 200
    price_version: str | None = None
    prompt_hash: str | None = None
    account: Claim | None = None
    call_limit_nanodollars: int | None = None
    clamped_to: int | None = None
    assumed_rule: str | None = None
    latency_ms: int = 800
    payers: tuple[Claim, ...] = ()
