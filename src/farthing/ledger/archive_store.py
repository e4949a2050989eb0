"""The part of the store interface that moves old entries out of the ledger, and forgets them."""

from pathlib import Path
from typing import Protocol

from farthing.ledger.archiving import Month, Partition, Progress


class ArchiveStore(Protocol):
    """Entries of closed months may move to files; every question is answered from both.

    An entry is in the ledger or in the archive, never in both or neither, whatever is killed when.
    Balances and roll-ups stay.
    """

    def months(self) -> list[Month]:
        """The months of which entries are in the ledger itself, oldest first."""
        ...

    def partitions(self) -> list[Partition]:
        """What was archived, by month."""
        ...

    def archive(
        self, folder: Path, *, until_us: int, at_us: int, by: str, progress: Progress | None = None
    ) -> list[Partition]:
        """Move the entries of every month that ends by a moment, and finish what was interrupted.

        A month with calls in flight is left out. Raises LedgerUnavailable where that cannot be.
        """
        ...

    def forget_partitions(self, *, until_us: int, at_us: int, by: str, reason: str) -> list[Partition]:
        """Delete the files of archived months that end by a moment; the sums stay, taken on trust."""
        ...

    def shrink(self) -> None:
        """Give the room of deleted entries back to the disk; nobody else may write meanwhile."""
        ...
