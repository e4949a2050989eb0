"""Read the files of a policy again while calls are made, and put what they say in force."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from farthing.config.build import Running
from farthing.config.definitions import check_definitions
from farthing.config.load import Loaded, load_policy
from farthing.config.rulings import keep_ruling
from farthing.config.secrets import resolve_secrets
from farthing.domain.errors import PolicyError, Problem
from farthing.engine.governor import Governor
from farthing.prices.book import load_book


class Following(msgspec.Struct, frozen=True, kw_only=True):
    """A policy that was read and can follow the one in force."""

    loaded: Loaded
    secrets: Mapping[str, str]


def watched_files(running: Running) -> list[Path]:
    """The files that decide: those of the policy, and those that hold keys."""
    keys = {Path(target.secret_file) for target in running.policy.targets if target.secret_file}
    return [*running.policy_paths, *sorted(keys)]


def read_following(running: Running) -> Following:
    """Read the files anew. Raises PolicyError with every problem; nothing has changed then."""
    loaded = load_policy(running.policy_paths, running.environ)
    if loaded.ledger != running.ledger_of_policy:
        raise PolicyError((_other_ledger(loaded.ledger, running),))
    return Following(loaded=loaded, secrets=resolve_secrets(loaded.policy, running.environ))


def _other_ledger(named: str | None, running: Running) -> Problem:
    return Problem(
        file=str(running.policy_paths[0]),
        line=None,
        key="ledger",
        message=f"was {running.ledger_of_policy or 'not set'} and is {named or 'not set'}, "
        "and a running gateway keeps its ledger",
        fix="start the gateway anew, or set it back",
    )


def put_on_record(following: Following, running: Running) -> None:
    """Hold the budgets to what they once meant, and keep which files say these rules.

    Raises PolicyError, LedgerUnavailable.
    """
    check_definitions(following.loaded.policy, running.store)
    keep_ruling(following.loaded, running.store, running.clock())


def put_in_force(following: Following, running: Running) -> Governor:
    """Let the next call be decided by the new policy; answers the governor that no call begins with now."""
    former, loaded = running.governor, following.loaded
    running.prices = load_book().with_overrides(loaded.prices)
    running.policy, running.notices, running.files = loaded.policy, loaded.notices, loaded.files
    running.secrets = following.secrets
    running.governor = former.succeeded_by(loaded.policy, running.prices)
    running.in_force_since_us = running.clock()
    return former
