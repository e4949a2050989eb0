"""Premium passes: grant them, and know which of them a caller holds."""

from collections.abc import Callable, Iterable
from contextlib import suppress

from farthing.domain.call import Identity
from farthing.domain.errors import LedgerUnavailable
from farthing.domain.period import MICROSECONDS
from farthing.domain.premium_pass import BadPass, PremiumPass, new_pass
from farthing.ledger.store import Store
from farthing.policy.rules import Policy

REFRESH_US = MICROSECONDS // 2


def passes_of(passes: Iterable[PremiumPass], identity: Identity) -> tuple[PremiumPass, ...]:
    """Those of the passes that a caller holds."""
    return tuple(
        [
            held
            for held in passes
            if held.is_of(
                identity.environment,
                key=identity.key,
                key_id=identity.key_id,
                developer=identity.developer,
            )
        ]
    )


class KnownPasses:
    """What a process knows of the passes of a ledger: looked up again when it is older than half a second."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock
        self._read_at_us: int | None = None
        self._open: list[PremiumPass] = []

    def of(self, identity: Identity) -> tuple[PremiumPass, ...]:
        """The passes that a caller holds."""
        now_us = self._clock()
        if self._read_at_us is None or not 0 <= now_us - self._read_at_us < REFRESH_US:
            self._read_at_us = now_us
            # What is known stays known; whether money can be held is the next question.
            with suppress(LedgerUnavailable):
                self._open = self._store.passes(only_open=True)
        return passes_of(self._open, identity) if self._open else ()


def grant_pass(
    store: Store,
    policy: Policy,
    *,
    model: str,
    budget_nanodollars: int,
    at_us: int,
    until_us: int,
    by: str,
    reason: str,
    environment: str | None = None,
    key: str | None = None,
    developer: str | None = None,
) -> PremiumPass:
    """Grant a pass. A key says its environment itself where it is the only one of its label.

    Raises BadPass, LedgerUnavailable.
    """
    if environment is None and key is not None:
        environment = _environment_of(store, policy, key, at_us)
    if environment is None:
        raise BadPass("name the environment in which the developer calls")
    if environment not in policy.environments:
        raise BadPass(f"there is no environment {environment}; there are {', '.join(policy.environments)}")
    granted = new_pass(
        model=model,
        environment=environment,
        key=key,
        developer=developer,
        budget_nanodollars=budget_nanodollars,
        at_us=at_us,
        until_us=until_us,
        by=by,
        reason=reason,
    )
    store.note_lapses(at_us)
    store.add_pass(granted)
    return granted


def _environment_of(store: Store, policy: Policy, key: str, at_us: int) -> str:
    rows = store.keys()
    named = {row.environment for row in rows if row.is_good(at_us) and key in (row.label, row.key_id)}
    named |= {group.environment for group in policy.groups if group.key_sha256 and group.name == key}
    if len(named) != 1:
        many = f"{key} is a key of {', '.join(sorted(named))}: name the environment"
        raise BadPass(many if named else f"there is no living key {key}")
    return named.pop()
