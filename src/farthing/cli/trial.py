"""Keys to try a gateway with, and commands that work exactly as they are pasted."""

import importlib.util
import json
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from farthing.cli.author import author
from farthing.cli.opening import read_prices
from farthing.cli.program import program

if TYPE_CHECKING:
    from farthing.config.load import Loaded
    from farthing.ledger.store import Store
    from farthing.policy.rules import Environment, Policy, Target
    from farthing.prices.book import PriceBook

LABEL = "try"
_ENVIRONMENTS = ("development", "production")


class TrialKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of one environment, and a model that it may ask for."""

    environment: str
    model: str
    secret: str


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What --try made. options: --policy and --ledger, as commands beside it must be given them."""

    keys: tuple[TrialKey, ...]
    options: str = ""


def make_trial(store: "Store", loaded: "Loaded", *, at_us: int, options: str) -> Trial:
    """Make a key for development and one for production; keys of earlier trials are revoked."""
    policy, prices = loaded.policy, read_prices(loaded)
    names = [name for name in _ENVIRONMENTS if name in policy.environments] or list(policy.environments)[:2]
    rows = store.keys()
    for row in rows:
        if row.label == LABEL and row.environment in names:
            store.revoke_key(row.key_id, at_us, by=author(None))
    keys = tuple(
        TrialKey(
            environment=name,
            model=_model(policy, policy.environments[name], prices),
            secret=_key(store, policy, name, at_us),
        )
        for name in names
    )
    return Trial(keys=keys, options=options)


def _key(store: "Store", policy: "Policy", environment: str, at_us: int) -> str:
    from farthing.gateway.key_admin import create_key

    secret, _ = create_key(store, policy, environment=environment, label=LABEL, by=author(None), at_us=at_us)
    return secret


def _model(policy: "Policy", environment: "Environment", prices: "PriceBook") -> str:
    """A model that the environment may ask for in OpenAI's dialect; auto where none is sure to be served."""
    from farthing.domain.names import names_model

    allow = environment.allow
    for target in policy.targets:
        elsewhere = target.environments and environment.name not in target.environments
        if elsewhere or "openai" not in target.families:
            continue
        served = (
            [target.model] if target.model else [name for name in allow or () if _lists(prices, target, name)]
        )
        for name in served:
            if allow is None or any(names_model(entry, name) for entry in allow):
                return name
    return "auto"


def _lists(prices: "PriceBook", target: "Target", model: str) -> bool:
    return target.billed_as in prices.known(model)


def trial_lines(trial: Trial, url: str) -> Iterator[str]:
    """Commands to paste, and where to look afterwards."""
    for key in trial.keys:
        yield ""
        yield f"Call it as {key.environment}:"
        yield f"  {curl_line(key, url)}"
        yield f"  {python_line(key, url)}"
    yield ""
    yield "Then look what it cost:"
    yield f"  {program()} spend --by environment --by model{trial.options}"
    yield f"  {program()} budget list{trial.options}"
    yield f"  {program()} report environments{trial.options}"
    yield f"  {url}/api/docs"


def curl_line(key: TrialKey, url: str) -> str:
    """One call with curl."""
    body = json.dumps({"model": key.model, "messages": [{"role": "user", "content": "Say hello."}]})
    return shlex.join(
        [
            "curl", "-s", f"{url}/v1/chat/completions", "-H", f"Authorization: Bearer {key.secret}",
            "-H", "Content-Type: application/json", "-d", body,
        ]
    )  # fmt: skip


def python_line(key: TrialKey, url: str) -> str:
    """One call with OpenAI's own client, by the interpreter that has it."""
    code = (
        f'import openai; client = openai.OpenAI(base_url="{url}/v1", api_key="{key.secret}"); '
        f'print(client.chat.completions.create(model="{key.model}", '
        'messages=[{"role": "user", "content": "Say hello."}]).choices[0].message.content)'
    )
    return shlex.join([_python(), "-c", code])


def _python() -> str:
    if importlib.util.find_spec("openai") is None:
        return "python"
    running = Path(sys.executable)
    here = Path.cwd()
    return os.fspath(running.relative_to(here)) if running.is_relative_to(here) else os.fspath(running)


def trial_json(trial: Trial | None) -> list[dict[str, object]] | None:
    """The keys for programs."""
    return [msgspec.structs.asdict(key) for key in trial.keys] if trial is not None else None
