"""Find and open what a command works on: the policy files, the prices and the ledger."""

import difflib
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from farthing.cli.door import CommandError

if TYPE_CHECKING:
    from farthing.config.load import Loaded
    from farthing.ledger.store import Store
    from farthing.prices.book import PriceBook

POLICY = Path("farthing.yaml")


def policy_paths(given: Sequence[Path] | None) -> list[Path]:
    """The policy files in use. Raises CommandError for one that is not there."""
    paths = list(given or [POLICY])
    for path in paths:
        if path.is_dir():
            raise CommandError(
                f"{path} is a folder, not a policy file", fix=f"name the file:  --policy {path / POLICY}"
            )
        if not path.is_file():
            raise CommandError(
                f"there is no policy file {path}",
                why=f"looked in {Path.cwd()}" if not path.is_absolute() else "",
                fix=f"write one with  farthing init --path {shlex.quote(str(path))}  or name yours with "
                "--policy FILE",
            )
    return paths


def read_policy(given: Sequence[Path] | None) -> "Loaded":
    """Load the policy; says nothing about the secrets of its targets."""
    from farthing.config.load import load_policy

    return load_policy(policy_paths(given), os.environ)


def read_prices(loaded: "Loaded | None") -> "PriceBook":
    """The price book, with the prices of the policy over it."""
    from farthing.prices.book import load_book

    book = load_book()
    return book.with_overrides(loaded.prices) if loaded is not None else book


def ledger_in_use(given: str | None, policies: Sequence[Path] | None) -> str:
    """The URL of the ledger: the option, FARTHING_LEDGER, the policy's, else the file beside it."""
    from farthing.config.build import ledger_url

    paths = list(policies or [POLICY])
    named = given or os.environ.get("FARTHING_LEDGER")  # then the policy need not be read
    return ledger_url(given, paths, os.environ, of_policy=None if named else _ledger_of(paths))


def _ledger_of(paths: Sequence[Path]) -> str | None:
    """The ledger that the policy names; what else is wrong with it is for others to say."""
    from farthing.config.load import load_policy
    from farthing.domain.errors import PolicyError

    if not all(path.is_file() for path in paths):
        return None
    try:
        return load_policy(paths, os.environ).ledger
    except PolicyError:
        return None


@contextmanager
def open_ledger(
    given: str | None, policies: Sequence[Path] | None, *, make: bool = False, empty: bool = False
) -> "Iterator[Store]":
    """Open the ledger for one command.

    make: create the file where there is none. empty: where the ledger of the policy was not made yet,
    go on with an empty one in memory; a ledger that was named and is not there stays an error.
    """
    from farthing.config.stores import open_store

    url = ledger_in_use(given, policies)
    file = file_of(url)
    if file is not None and not make and not file.exists():
        named = bool(given or os.environ.get("FARTHING_LEDGER"))
        if named or not empty:
            raise CommandError(
                f"there is no ledger at {file}",
                why="farthing serve and farthing key create make it; nothing else does",
                fix="start  farthing serve  once, or name the ledger in use with --ledger URL",
            )
        url = "memory://"
    store = open_store(url)
    try:
        yield store
    finally:
        store.close()


def file_of(url: str) -> Path | None:
    """The file of an embedded ledger: sqlite:///relative, sqlite:////absolute, or a plain path."""
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///"))
    return None if "://" in url else Path(url)


def did_you_mean(wanted: str, known: Iterable[str]) -> str:
    """A question for a misspelt name; empty where nothing is like it."""
    close = difflib.get_close_matches(wanted, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else ""


def policy_or_none(given: Sequence[Path] | None, ledger: str | None) -> "Loaded | None":
    """The policy; None where only a ledger was named and there is no policy file to go with it."""
    if given is None and not POLICY.is_file() and (ledger or os.environ.get("FARTHING_LEDGER")):
        return None
    return read_policy(given)
