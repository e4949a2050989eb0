"""What guards of a process share: the ledger, the prices, the policy. Opened at the first guarded call."""

import atexit
import logging
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from farthing.cache.response_cache import ResponseCache
from farthing.config.build import clock
from farthing.config.definitions import check_definitions
from farthing.config.load import load_policy
from farthing.config.providers import PROVIDERS
from farthing.config.rulings import keep_ruling
from farthing.config.stores import open_cache, open_store
from farthing.config.surroundings import environment_of_process, group_of_process
from farthing.domain.errors import LedgerUnavailable
from farthing.engine.governor import Governor
from farthing.engine.passes import KnownPasses
from farthing.engine.terms import Freed
from farthing.ledger.committer import Committer
from farthing.ledger.store import Store
from farthing.policy.rules import Environment, Group, Policy, Target
from farthing.prices.book import PriceBook, load_book
from farthing.sdk.ci import RUN

MEMORY = "memory://"
# The environments that a guard without a policy knows.
ENVIRONMENTS = ("development", "staging", "ci", "production")
_log = logging.getLogger("farthing")


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a guarded call needs, once for all guards that say the same."""

    governor: Governor
    store: Store
    cache: ResponseCache
    url: str
    environment: str
    prompt_salt: bytes
    passes: KnownPasses
    group: Group | None = None


class _Ledger:
    """A store with its committer; one for each address in a process."""

    def __init__(self, url: str) -> None:
        self.store = open_store(url)
        self.cache = open_cache(url)
        self.committer = Committer(self.store, clock=clock, inline=url == MEMORY)
        self.committer.start()
        self.freed = Freed()
        self.passes = KnownPasses(self.store, clock)
        self.salt = bytes.fromhex(self.store.remember("prompt_salt", os.urandom(32).hex()))

    def close(self) -> None:
        self.committer.stop()
        self.cache.close()
        self.store.close()


_lock = threading.Lock()
_ledgers: dict[str, _Ledger] = {}
_runtimes: dict[tuple[str, str | None, str, tuple[str, ...]], Runtime] = {}
_warned: set[str] = set()


def runtime_for(
    *, environment: str | None, ledger: str | None, policy: Sequence[Path], shared: bool
) -> Runtime:
    """Find or open what a guard stands on.

    ledger: None leaves the choice to FARTHING_LEDGER, the policy, and whether the budget is shared.
    shared: the budget outlives the process, so the ledger must.

    Raises PolicyError for a wrong policy, LedgerUnavailable where the ledger cannot be opened.
    """
    environ = dict(os.environ)
    with _lock:
        loaded = load_policy(policy, environ) if policy else None
        rules = _with_targets(loaded.policy) if loaded else _RULES
        name, warning = environment_of_process(environ, rules.environments, asked=environment)
        url = ledger or environ.get("FARTHING_LEDGER") or (loaded.ledger if loaded else None)
        url = url or (state_file_url(environ) if shared or name == "ci" or environ.get(RUN) else MEMORY)
        group, group_warning = group_of_process(environ, rules, name)
        key = (name, group.name if group else None, url, tuple(str(path) for path in policy))
        for said in (warning, group_warning):
            if said is not None and said not in _warned:
                _warned.add(said)
                _log.warning("farthing: %s", said)
        known = _runtimes.get(key)
        if known is not None and known.governor.policy.digest == rules.digest:
            return known
        opened = _ledgers.get(url)
        if opened is None:
            opened = _ledgers[url] = _Ledger(url)
        if loaded is not None:
            check_definitions(rules, opened.store)
            keep_ruling(loaded, opened.store, clock())
        prices = load_book().with_overrides(loaded.prices) if loaded else _book()
        if known is None:
            governor = Governor(
                policy=rules, prices=prices, committer=opened.committer, clock=clock, freed=opened.freed
            )
        else:
            governor = known.governor.succeeded_by(rules, prices)
        runtime = Runtime(
            governor=governor,
            store=opened.store,
            cache=opened.cache,
            url=url,
            environment=name,
            prompt_salt=opened.salt,
            passes=opened.passes,
            group=group,
        )
        _runtimes[key] = runtime
        return runtime


def store_in_use(url: str) -> Store | None:
    """The store that guards of this process have open at an address."""
    opened = _ledgers.get(url)
    return None if opened is None else opened.store


def url_of(*, ledger: str | None, shared: bool) -> str:
    """The ledger that a fence means, as long as no policy names one."""
    return ledger or os.environ.get("FARTHING_LEDGER") or (state_file_url(os.environ) if shared else MEMORY)


def state_file_url(environ: Mapping[str, str]) -> str:
    """The ledger file of this user, for budgets that processes share; its folder is made."""
    if sys.platform == "win32":
        folder = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        folder = Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    file = folder / "farthing" / "farthing.db"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerUnavailable(f"cannot make the folder {file.parent}: {error.strerror}") from error
    return f"sqlite:///{file}"


def _with_targets(policy: Policy) -> Policy:
    """A policy that names no target leaves the choice of a provider to the clients that are guarded."""
    return policy if policy.targets else msgspec.structs.replace(policy, targets=_targets())


def _book() -> PriceBook:
    if not _books:
        _books.append(load_book())
    return _books[0]


def _targets() -> tuple[Target, ...]:
    """Every provider known, whichever client speaks to it; the client knows the address and the key."""
    return tuple(
        Target(id=name, provider=name, families=tuple(known.base_urls)) for name, known in PROVIDERS.items()
    )


_books: list[PriceBook] = []
_RULES = Policy(
    digest="guard",
    environments={name: Environment(name=name) for name in ENVIRONMENTS},
    targets=_targets(),
)


def _open_anew() -> None:
    """In a forked child: a lock that another thread of the parent held is nobody's."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open_anew)


@atexit.register
def _close_all() -> None:
    """Settle what is still held as assumed, so that nobody has to find out that we are gone."""
    for runtime in _runtimes.values():
        runtime.governor.finish()
    for ledger in _ledgers.values():
        try:
            ledger.close()
        except LedgerUnavailable as error:
            _log.warning("farthing: the ledger could not be closed: %s", error)
