"""Pick the store, the prices and the clock; hand out a running governor."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from farthing.cache.response_cache import ResponseCache
from farthing.config.definitions import check_definitions
from farthing.config.load import Loaded, load_policy
from farthing.config.rulings import keep_ruling
from farthing.config.secrets import resolve_secrets
from farthing.config.source import Stamp, stamp_of
from farthing.config.stores import open_cache, open_store
from farthing.domain.errors import LedgerUnavailable
from farthing.engine.governor import Governor
from farthing.ledger.committer import Committer
from farthing.ledger.memory import MemoryStore
from farthing.ledger.store import Store
from farthing.policy.rules import Policy
from farthing.prices.book import PriceBook, load_book

DEFAULT_LEDGER = "farthing.db"


def clock() -> int:
    """Microseconds since 1970, UTC."""
    return time.time_ns() // 1_000


class Running:
    """A governor with everything it stands on, for one process.

    A policy may be succeeded by another one while calls are made: then policy, prices, notices, secrets
    and governor change together (``farthing.config.reload``).
    """

    def __init__(
        self,
        *,
        loaded: Loaded,
        store: Store,
        cache: ResponseCache,
        committer: Committer,
        prices: PriceBook,
        governor: Governor,
        secrets: Mapping[str, str],
        prompt_salt: bytes,
        policy_paths: Sequence[Path] = (),
        policy_seen: Stamp = (),
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.policy: Policy = loaded.policy
        self.notices = loaded.notices
        self.files = loaded.files
        self.ledger_of_policy = loaded.ledger
        self.policy_paths = tuple(policy_paths)
        self.policy_seen = policy_seen
        self.environ = environ
        self.in_force_since_us = clock()
        self.store = store
        self.cache = cache
        self.committer = committer
        self.prices = prices
        self.governor = governor
        self.secrets = secrets
        self.prompt_salt = prompt_salt
        self.clock = clock

    def ledger_answers(self) -> bool:
        """Whether the ledger can be written now; a full disk can still be read."""
        try:
            self.committer.start()
        except LedgerUnavailable:
            return False
        return True

    def close(self) -> None:
        """Write what is queued, and what the ledger missed, and let go of it."""
        self.governor.finish()
        self.committer.stop()
        self.cache.close()
        self.store.close()


def ledger_url(
    given: str | None,
    policy_paths: Sequence[Path],
    environ: Mapping[str, str],
    *,
    of_policy: str | None = None,
) -> str:
    """The ledger in use: the argument, FARTHING_LEDGER, the policy's, else a file beside the policy."""
    named = given or environ.get("FARTHING_LEDGER") or of_policy
    if named:
        return named
    folder = policy_paths[0].parent if policy_paths else Path()
    return (
        f"sqlite:///{folder / DEFAULT_LEDGER}"
        if not folder.is_absolute()
        else f"sqlite:///{folder}/{DEFAULT_LEDGER}"
    )


def build(
    policy_paths: Sequence[Path], *, ledger: str | None = None, environ: Mapping[str, str] | None = None
) -> Running:
    """Load the policy, open the ledger, start the committer.

    Raises PolicyError with every problem of the files, LedgerUnavailable where the ledger cannot open.
    """
    environ = os.environ if environ is None else environ
    seen = stamp_of(policy_paths)
    loaded = load_policy(policy_paths, environ)
    secrets = resolve_secrets(loaded.policy, environ)
    url = ledger_url(ledger, policy_paths, environ, of_policy=loaded.ledger)
    store = open_store(url)
    check_definitions(loaded.policy, store)
    keep_ruling(loaded, store, clock())
    prices = load_book().with_overrides(loaded.prices)
    # A store in memory never waits and dies with us: there is nothing to gather commits for.
    committer = Committer(store, clock=clock, inline=isinstance(store, MemoryStore))
    committer.start()
    governor = Governor(policy=loaded.policy, prices=prices, committer=committer, clock=clock)
    salt = bytes.fromhex(store.remember("prompt_salt", os.urandom(32).hex()))
    return Running(
        loaded=loaded,
        store=store,
        cache=open_cache(url),
        committer=committer,
        prices=prices,
        governor=governor,
        secrets=secrets,
        prompt_salt=salt,
        policy_paths=policy_paths,
        policy_seen=seen,
        environ=environ,
    )
