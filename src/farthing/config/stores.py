"""Open the ledger that a URL or path names; the only place that knows which stores there are."""

from pathlib import Path

from farthing.domain.errors import LedgerUnavailable
from farthing.ledger.memory import MemoryStore
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import Store

_SQLITE = "sqlite:///"


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
