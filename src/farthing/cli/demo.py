"""Try everything without a key: a folder with a policy, a month of made-up traffic, and a gateway on top."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.door import CommandError, command
from farthing.cli.opening import POLICY, open_ledger, read_policy
from farthing.cli.program import program
from farthing.cli.progress import progress_of
from farthing.cli.serve import options_beside, run_gateway

if TYPE_CHECKING:
    from farthing.config.starter import Split
    from farthing.ledger.store import Store
    from farthing.policy.rules import Policy

app = typer.Typer()

FOLDER = Path("farthing-demo")
_DAYS = 30
_DEVELOPERS = 12
_MARK = "demo"  # kept by a ledger whose month is whole


@command(app, "demo", example="farthing demo --entries 50000")
def demo(
    folder: Annotated[Path, typer.Option(help="Where to put the policy and the ledger.")] = FOLDER,
    entries: Annotated[int, typer.Option(min=100, help="How many calls the month has.")] = 20_000,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one.")] = 8787,
    serves: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Start the gateway once the ledger is filled.")
    ] = True,
    as_json: options.AsJson = False,
) -> None:
    """Fill a ledger with a month of made-up traffic and start a gateway with simulated providers.

    It needs no key and calls nobody: keys of providers that are set are passed over. The second time
    the same folder is used as it is. With --json one document is printed, once calls are answered.
    """
    policy, url = folder / POLICY.name, f"sqlite:///{folder / 'farthing.db'}"
    with _without_provider_keys() as passed_over:
        if not _is_there(folder, policy, url):
            _make(folder, policy, url, entries)
        beside = options_beside([policy], url)
        if as_json and not serves:
            _tell_json(folder, policy, url, beside)
        elif not as_json:
            if passed_over:
                screen.remark(f"A demo calls nobody, so these are passed over: {', '.join(passed_over)}")
            _tell(folder, beside, elsewhere=", in another terminal" if serves else "")
        if serves:
            run_gateway([policy], url, host=host, port=port, with_trial=True, as_json=as_json)


@contextmanager
def _without_provider_keys() -> Iterator[list[str]]:
    """Make every provider of the starter policy a simulated one, whatever keys this computer has."""
    from farthing.config.providers import PROVIDERS

    secrets = {known.secret_env for known in PROVIDERS.values() if known.secret_env is not None}
    kept = {name: os.environ.pop(name) for name in secrets & os.environ.keys()}
    try:
        yield sorted(kept)
    finally:
        os.environ.update(kept)


def _is_there(folder: Path, policy: Path, url: str) -> bool:
    """Whether an earlier demo made the folder. Raises CommandError where it holds something else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    if policy.is_file() and (folder / "farthing.db").is_file():
        with open_ledger(url, [policy]) as store:
            if store.recall(_MARK) is not None:
                return True
    raise CommandError(
        f"{folder} is there, and is not the folder of a demo that came to its end",
        why="a demo writes into a folder of its own, and over nothing",
        fix=f"name another with --folder, or remove {folder}",
    )


# ── making ──────────────────────────────────────────────────────────────────────────────────────


def _make(folder: Path, policy: Path, url: str, entries: int) -> None:
    """Write the policy and the month; leave nothing of it where that fails."""
    from farthing.config.starter import starter_policy

    folder.mkdir(parents=True, exist_ok=True)
    try:
        policy.write_text(starter_policy(organization="demo", split=_split(entries)), encoding="utf-8")
        with open_ledger(url, [policy], make=True) as store:
            _fill(store, read_policy([policy]).policy, entries)
    except BaseException:  # Ctrl-C too: half a month would be taken for a demo; the folder was new or empty
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _split(entries: int) -> "Split":
    """Budgets of a size that the month uses a part of: two dollars a developer for twenty thousand calls."""
    from farthing.config.starter import split_of

    per_developer = max(entries // 100, 200) * 10_000_000
    return split_of(50 * per_developer, _DEVELOPERS, per_developer=per_developer)


def _fill(store: "Store", policy: "Policy", entries: int) -> None:
    from farthing.config.definitions import check_definitions
    from farthing.scenarios.paying import paid_by
    from farthing.scenarios.writing import write
    from farthing.scenarios.year import Year

    check_definitions(policy, store)
    month = Year(entries, ends_at_us=time.time_ns() // 1_000, days=_DAYS)
    with progress_of("calls", entries) as progress:
        write(paid_by(month.rows(), policy), store, name=_MARK, progress=progress)
    for outcome in month.outcomes:
        store.add_outcome(outcome)
    store.remember(_MARK, str(entries))


# ── telling ─────────────────────────────────────────────────────────────────────────────────────


def _next(beside: str) -> dict[str, str]:
    """What to look at, and what it answers."""
    return {
        f"{program()} report environments{beside}": "what each environment spends, and a call costs there",
        f"{program()} report models{beside}": "who uses which model, and what a cheaper one would save",
        f"{program()} report --help": "all reports",
        f"{program()} spend --by environment --by model{beside}": "the plain sums",
        f"{program()} budget list{beside}": "what of each budget is spent",
        f"{program()} ledger verify{beside}": "that every sum is the sum of its entries",
    }


def _tell(folder: Path, beside: str, *, elsewhere: str) -> None:
    screen.line(f"{folder} has a policy and a month of made-up traffic. Look at it{elsewhere}:")
    for step, purpose in _next(beside).items():
        screen.line(f"  {step}")
        screen.line(f"      {purpose}", "dim")


def _tell_json(folder: Path, policy: Path, url: str, beside: str) -> None:
    with open_ledger(url, [policy]) as store:
        entries = int(store.recall(_MARK) or 0)
    screen.print_json(
        {
            "folder": str(folder),
            "policy": str(policy),
            "ledger": url,
            "entries": entries,
            "next": list(_next(beside)),
        }
    )
