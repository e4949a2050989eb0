"""Who holds money: this process, named so that others can tell whether it still lives. Linux first."""

import os
import socket
import sys
import uuid
from functools import lru_cache
from pathlib import Path

import msgspec

from farthing.ledger.entries import Owner, Renew

LEASE_US = 30_000_000


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A process as an owner of holds.

    host: this boot of this machine and this space of process ids; equal only where ids compare.
    process: the process id and the moment it started, since ids are used again.
    """

    owner: str
    host: str
    process: str

    def renew(self, at_us: int) -> Renew:
        """Say that this process lives for another lease."""
        return Renew(
            owner=self.owner, at_us=at_us, until_us=at_us + LEASE_US, host=self.host, process=self.process
        )


def this_process() -> Identity:
    """A new identity for this process; a forked child needs its own."""
    pid = os.getpid()
    return Identity(owner=uuid.uuid4().hex, host=_this_host(), process=f"{pid}:{_started(pid)}")


def is_gone(owner: Owner, now_us: int) -> bool:
    """Whether an owner is dead, so that its holds must be settled by someone else.

    On the same host the process itself is looked for: one that is merely stopped lives on, one that
    died is found at once. Of another host only the lease is known.
    """
    if owner.host != _this_host():
        return now_us >= owner.until_us
    pid, _, started = owner.process.partition(":")
    return _started(int(pid)) != started


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks since boot; empty when there is none."""
    if sys.platform != "linux":
        return "alive" if _exists(pid) else ""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The name of the program stands in brackets and may hold anything, brackets included.
    fields = status.rpartition(")")[2].split()
    state, ticks = fields[0], fields[19]
    return "" if state in "ZX" else ticks  # a zombie will never settle anything


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@lru_cache(maxsize=1)
def _this_host() -> str:
    name = socket.gethostname()
    if sys.platform != "linux":
        return name
    boot = _read(Path("/proc/sys/kernel/random/boot_id"))
    try:
        pids = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        pids = ""
    return f"{name}/{boot}/{pids}"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
