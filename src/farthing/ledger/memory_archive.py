"""What a ledger in memory says to those who would archive it: it ends with its process."""

from pathlib import Path

from farthing.domain.errors import LedgerUnavailable
from farthing.ledger.archiving import Month, Partition, Progress


class NothingToArchive:
    """A store whose entries go nowhere."""

    def months(self) -> list[Month]:
        """None that could be archived."""
        return []

    def partitions(self) -> list[Partition]:
        """None."""
        return []

    def archive(
        self, folder: Path, *, until_us: int, at_us: int, by: str, progress: Progress | None = None
    ) -> list[Partition]:
        """Refuse."""
        raise _in_memory()

    def forget_partitions(self, *, until_us: int, at_us: int, by: str, reason: str) -> list[Partition]:
        """Refuse."""
        raise _in_memory()

    def shrink(self) -> None:
        """Refuse."""
        raise _in_memory()


def _in_memory() -> LedgerUnavailable:
    return LedgerUnavailable(
        "a ledger in memory ends with its process, so nothing of it is archived, forgotten or shrunk",
        fix="name a ledger file with --ledger sqlite:///farthing.db",
    )
