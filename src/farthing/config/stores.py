"""Open the ledger that a URL or path names, and the cache beside it; only here is known what there is."""

from pathlib import Path

from farthing.cache.kept import Answers
from farthing.cache.memory import MemoryAnswers
from farthing.cache.response_cache import ResponseCache
from farthing.cache.sqlite import SqliteAnswers, remove
from farthing.domain.errors import LedgerUnavailable
from farthing.ledger.fork_gate import ForkGate
from farthing.ledger.memory import MemoryStore
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import Store

_SQLITE = "sqlite:///"
_inside_cache = ForkGate()


def open_store(url_or_path: str) -> Store:
    """Open a ledger: sqlite:///relative, sqlite:////absolute, a plain path, or memory://.

    Raises LedgerUnavailable for any other kind, and where the file cannot be opened.
    """
    scheme, separator, _ = url_or_path.partition("://")
    if not url_or_path.strip():
        raise LedgerUnavailable("no ledger was named; use sqlite:///farthing.db or a path")
    if not separator:
        return SqliteStore(Path(url_or_path))
    if url_or_path == "memory://":
        return MemoryStore()
    if url_or_path.startswith(_SQLITE) and len(url_or_path) > len(_SQLITE):
        return SqliteStore(Path(url_or_path.removeprefix(_SQLITE)))
    if scheme in ("postgresql", "postgres"):
        raise LedgerUnavailable("this build has no PostgreSQL store yet; use sqlite:///farthing.db")
    raise LedgerUnavailable(
        f"{scheme}:// is not a ledger known here; use sqlite:///relative, sqlite:////absolute or memory://"
    )


def open_cache(ledger: str) -> ResponseCache:
    """The answers kept beside a ledger; nothing is opened before the first question.

    Processes on one ledger file share them; beside any other ledger each keeps its own, in memory.
    """
    path = cache_file(ledger)
    return ResponseCache(MemoryAnswers if path is None else lambda: open_answers(path))


def open_answers(path: Path) -> Answers:
    """Open the file of a cache, or make it. Raises CacheUnavailable."""
    return SqliteAnswers(path, inside=_inside_cache)


def remove_answers(path: Path) -> None:
    """Remove the file of a cache that cannot be opened."""
    remove(path)


def cache_file(ledger: str) -> Path | None:
    """Where answers are kept beside a ledger file: farthing.db has farthing-cache.db."""
    _, separator, _ = ledger.partition("://")
    if separator and not ledger.startswith(_SQLITE):
        return None
    path = Path(ledger.removeprefix(_SQLITE))
    return path.with_name(f"{path.stem}-cache{path.suffix}")
