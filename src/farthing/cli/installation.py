"""Look at the user's own set-up: policy, secrets, ledger, disk, lock and clock."""

import fcntl
import os
import platform
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from farthing.cli import screen
from farthing.cli.door import explained
from farthing.cli.examination import Check, bad, good, note
from farthing.cli.opening import POLICY, file_of, ledger_in_use, read_policy
from farthing.domain.errors import FarthingError, LedgerUnavailable, PolicyError

if TYPE_CHECKING:
    from farthing.config.load import Loaded
    from farthing.ledger.store import Store

SQLITE_OLDEST = (3, 37, 0)
FREE_BYTES_MIN = 256 * 1024 * 1024
_CLOCK_SLACK_US = 60 * 1_000_000
_DAYS_LOOKED_AT = 30


def examine_installation(policies: Sequence[Path] | None, ledger: str | None) -> Iterator[Check]:
    """Check everything that serve will need."""
    yield good("Python", platform.python_version())
    yield _sqlite()
    if policies is None and not POLICY.is_file():
        yield note(f"no {POLICY} here", fix="farthing init  writes one")
    else:
        yield from _policy(policies)
    yield from _ledger(ledger_in_use(ledger, policies))
    yield _clock()


def _sqlite() -> Check:
    if sqlite3.sqlite_version_info < SQLITE_OLDEST:
        wanted = ".".join(str(part) for part in SQLITE_OLDEST)
        return bad("SQLite", sqlite3.sqlite_version, fix=f"use a Python with SQLite {wanted} or later")
    return good("SQLite", sqlite3.sqlite_version)


def _policy(policies: Sequence[Path] | None) -> Iterator[Check]:
    from farthing.cli.policy import findings

    try:
        loaded = read_policy(policies)
    except FarthingError as error:
        told = explained(error)
        yield bad("the policy loads", f"{told.message}: {told.why}", fix=told.fix)
        return
    rules = loaded.policy
    counts = (
        screen.count(len(rules.environments), "environment"),
        screen.count(len(rules.budgets), "budget"),
    )
    yield good("the policy loads", ", ".join(counts))
    found = findings(loaded)
    errors = [finding for finding in found if finding.severity == "error"]
    figure = f"{len(errors)} errors, {len(found) - len(errors)} remarks"
    yield (
        bad("the policy makes sense", figure, fix="farthing policy check")
        if errors
        else good("the policy makes sense", figure)
    )
    yield _secrets(loaded)
    simulated = [target.id for target in rules.targets if target.simulated or target.mock]
    if simulated:
        yield note("simulated targets", ", ".join(simulated), fix="set the variables that policy check names")


def _secrets(loaded: "Loaded") -> Check:
    from farthing.config.secrets import resolve_secrets

    try:
        secrets = resolve_secrets(loaded.policy, os.environ)
    except PolicyError as error:
        return bad("secrets are present", str(error), fix="set the variables named, or remove the targets")
    return good("secrets are present", f"{len(secrets)} of {len(secrets)}")


def _ledger(url: str) -> Iterator[Check]:
    file = file_of(url)
    if file is None:
        yield note("the ledger is not a file", url)
        return
    folder = file.parent
    if not folder.is_dir():
        yield bad("the folder of the ledger", f"{folder} is not there", fix=f"mkdir -p {folder}")
        return
    yield _disk(folder)
    yield _lock(folder)
    if not file.exists():
        yield note(f"no ledger at {file} yet", fix="farthing serve  makes it")
        return
    yield from _inside(url)


def _inside(url: str) -> Iterator[Check]:
    from farthing.config.stores import open_store

    try:
        store = open_store(url)
        try:
            accounts, newest = len(store.balances()), store.entries(limit=1)
            uncapped = _uncapped(store)
        finally:
            store.close()
    except LedgerUnavailable as error:
        yield bad("the ledger opens", str(error), fix="look at the file's owner, mode and disk")
        return
    if newest and newest[0].at_us > time.time_ns() // 1_000 + _CLOCK_SLACK_US:
        yield bad("the ledger is not ahead of the clock", "an entry lies in the future", fix="set the clock")
    else:
        yield good("the ledger opens", f"{accounts} accounts")
    if uncapped is not None:
        yield uncapped


def _uncapped(store: "Store") -> Check | None:
    """Whether each call of production in the last days had a limit of its own or on its run."""
    from farthing.reports.asking import Question
    from farthing.reports.caps import cap_hits, uncapped_flag
    from farthing.reports.environments import PRODUCTION
    from farthing.reports.spans import span_between

    now_us = time.time_ns() // 1_000
    span = span_between(None, None, now_us, days=_DAYS_LOOKED_AT)
    hits = cap_hits(Question(store=store, span=span, now_us=now_us, environment=PRODUCTION), ())
    if not any(row.upstream for row in hits):
        return None
    if flag := uncapped_flag(hits):
        return note("production calls without a cap", flag.text, fix=flag.fix)
    return good("every production call has a cap", f"in the last {_DAYS_LOOKED_AT} days")


def _disk(folder: Path) -> Check:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"farthing")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return bad(
            "the disk can be written", f"{folder}: {os.strerror(error.errno or 0)}", fix="look at its mode"
        )
    free = shutil.disk_usage(folder).free
    figure = f"{free // 1024**3:,} GiB free" if free >= 1024**3 else f"{free // 1024**2:,} MiB free"
    if free < FREE_BYTES_MIN:
        return bad("the disk has room", figure, fix="a full disk closes the gateway: make room")
    return good("the disk can be written", figure)


def _lock(folder: Path) -> Check:
    """Two openings of one file must not both get the lock: some network disks let them."""
    with tempfile.NamedTemporaryFile(dir=folder) as first, Path(first.name).open("rb") as second:
        fcntl.flock(first, fcntl.LOCK_EX)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return good("the kernel's file lock holds")
    return bad(
        "the kernel's file lock holds", f"{folder} gave it twice", fix="put the ledger on a local disk"
    )


def _clock() -> Check:
    from farthing.prices.records import read_book

    now, prices_of = datetime.now(UTC), read_book()[0].checked
    if now.date() < date.fromordinal(prices_of.toordinal() - 1):
        return bad(
            "the clock is sane", f"{now:%Y-%m-%d} is before the prices of {prices_of}", fix="set the clock"
        )
    return good("the clock is sane", f"{now:%Y-%m-%d %H:%M} UTC")
