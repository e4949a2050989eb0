"""What is archived: months, the partitions their entries went to, and fingerprints of calls. Pure."""

import enum
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import msgspec

from farthing.domain.period import from_microseconds, to_microseconds

# What is being done, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]


def tell_nobody(_what: str, _done: int, _whole: int) -> None:
    """Where no progress is shown."""


class PartitionState(enum.StrEnum):
    """How far a partition has come.

    WRITING: its file is being written; the entries are all in the ledger file.
    LEAVING: the partition counts, and the ledger file's own copies of its entries are being deleted.
    ARCHIVED: its entries are in its file alone.
    FORGOTTEN: its file was deleted on purpose; what it added to the sums stays.
    """

    WRITING = "writing"
    LEAVING = "leaving"
    ARCHIVED = "archived"
    FORGOTTEN = "forgotten"


class Partition(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """One file of archived entries. A month has one, and another for each time that late entries follow.

    since_us, until_us: the month; through_entry_id: later entries of the month are not in this partition.
    entries, cost_nanodollars, file_bytes, sha256: what the file holds and is.
    """

    number: int
    month: str
    state: PartitionState
    since_us: int
    until_us: int
    file: str
    through_entry_id: int
    entries: int = 0
    cost_nanodollars: int = 0
    file_bytes: int = 0
    sha256: str = ""
    archived_at_us: int = 0
    archived_by: str = ""
    forgotten_at_us: int | None = None
    forgotten_by: str | None = None
    forgotten_reason: str | None = None


class Month(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """A month of which entries are in the ledger file; entries count corrections too."""

    month: str
    since_us: int
    until_us: int
    entries: int
    open_holds: int


def month_name(at_us: int) -> str:
    """The month of a moment, in UTC: 2026-08."""
    return f"{from_microseconds(at_us):%Y-%m}"


def month_bounds(month: str) -> tuple[int, int]:
    """When a month begins and ends, in UTC. Raises ValueError for what is no month."""
    begins = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    ends = (begins + timedelta(days=32)).replace(day=1)
    return to_microseconds(begins), to_microseconds(ends)


def month_before(month: str, months: int) -> str:
    """The month so many months earlier."""
    year, number = (int(digits) for digits in month.split("-"))
    count = year * 12 + number - 1 - months
    return f"{count // 12:04}-{count % 12 + 1:02}"


def fingerprint(call_id: str) -> int:
    """64 bits of a call's id, signed: kept of archived calls so that none is held or settled again."""
    digest = blake2b(call_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
