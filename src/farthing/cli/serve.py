"""Start the gateway, with its simulator where the policy needs one, and say when it answers."""

import os
import shlex
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict, Unpack

import typer

from farthing.cli import options, screen
from farthing.cli.announcement import Announcement
from farthing.cli.door import ANSWER_IS_NO, CommandError, command
from farthing.cli.opening import POLICY, ledger_in_use, open_ledger, policy_paths, read_policy
from farthing.cli.start_screen import Start, show_start, start_json
from farthing.cli.trial import make_trial

if TYPE_CHECKING:
    from farthing.config.load import Loaded
    from farthing.policy.rules import Policy

app = typer.Typer()

LogLevel = Literal["critical", "error", "warning", "info", "debug"]
UpstreamClient = Literal["own", "aiohttp"]


@command(app, "serve", example="farthing serve --policy farthing.yaml --port 8787")
def serve(
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one.")] = 8787,
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the ledger.")] = 1,
    body_limit_mib: Annotated[int, typer.Option(min=1, help="Largest request body, in MiB.")] = 32,
    answer_timeout: Annotated[float, typer.Option(min=1, help="Seconds until a provider must answer.")] = 600,
    drain_timeout: Annotated[
        float, typer.Option(min=0, help="Seconds to read on, to the usage, when a caller has left.")
    ] = 60,
    upstream_client: Annotated[
        UpstreamClient, typer.Option(help="What speaks HTTP to providers: our own client, or aiohttp.")
    ] = "own",
    log_level: Annotated[LogLevel, typer.Option(help="How much the server says on stderr.")] = "warning",
    with_trial: Annotated[
        bool, typer.Option("--try", help="Make two keys and print commands to call it with.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Start the gateway and serve until Ctrl-C; open calls may end.

    The admin token is made and shown at the first start, unless FARTHING_ADMIN_TOKEN sets it. With
    --json one document with the address is printed once calls are answered.
    """
    paths = policy_paths(policy)
    run_gateway(
        paths,
        ledger_in_use(ledger, paths),
        host=host,
        port=port,
        with_trial=with_trial,
        as_json=as_json,
        workers=workers,
        body_limit_mib=body_limit_mib,
        answer_seconds=answer_timeout,
        drain_seconds=drain_timeout,
        upstream_client=upstream_client,
        log_level=log_level,
    )


class GatewayManner(TypedDict, total=False):
    """How a gateway serves, where it is not as usual."""

    workers: int
    body_limit_mib: int
    answer_seconds: float
    drain_seconds: float
    upstream_client: UpstreamClient
    log_level: LogLevel


def run_gateway(
    paths: Sequence[Path],
    url: str,
    *,
    host: str,
    port: int,
    with_trial: bool,
    as_json: bool,
    **manner: Unpack[GatewayManner],
) -> None:
    """Serve until Ctrl-C, with the simulator where the policy needs one; say when calls are answered."""
    try:
        from farthing.gateway.serve import ServeOptions
        from farthing.gateway.serve import serve as serve_gateway
    except ModuleNotFoundError as error:
        raise CommandError(
            f"the gateway needs {error.name}, which is not installed",
            fix="install farthing with its gateway:  pip install 'farthing[gateway]'",
        ) from error
    loaded = read_policy(paths)
    port = _usable_port(host, port)
    start = _prepare(loaded, paths, url, f"http://{f'[{host}]' if ':' in host else host}:{port}", with_trial)
    with (
        _simulator(loaded.policy) as simulator_url,
        _announced(start, host, port, as_json=as_json) as announcement,
        suppress(KeyboardInterrupt),  # to stop when asked is a success
    ):
        serve_gateway(
            ServeOptions(
                policy=tuple(str(path) for path in paths),
                ledger=url,
                host=host,
                port=port,
                simulator_url=simulator_url,
                **manner,
            )
        )
    if not announcement.made:
        raise CommandError(
            "the gateway stopped before it could answer", why="its log is above", exit_code=ANSWER_IS_NO
        )


def _prepare(loaded: "Loaded", paths: Sequence[Path], url: str, address: str, with_trial: bool) -> Start:
    """Find out, before anything listens, whether policy, secrets and ledger fit together."""
    from farthing.config.definitions import check_definitions
    from farthing.config.secrets import resolve_secrets
    from farthing.gateway.api import admin_sha256

    resolve_secrets(loaded.policy, os.environ)
    with open_ledger(url, paths, make=True) as store:
        check_definitions(loaded.policy, store)
        _, admin_token = admin_sha256(store, os.environ.get("FARTHING_ADMIN_TOKEN"))
        beside = options_beside(paths, url)
        now_us = time.time_ns() // 1_000
        trial = make_trial(store, loaded, at_us=now_us, options=beside) if with_trial else None
    return Start(url=address, ledger=url, loaded=loaded, admin_token=admin_token, trial=trial, options=beside)


def options_beside(paths: Sequence[Path], url: str) -> str:
    """What other commands must be told to find the same policy and ledger."""
    told = "".join(f" --policy {shlex.quote(str(path))}" for path in paths if list(paths) != [POLICY])
    return told + (f" --ledger {shlex.quote(url)}" if url != ledger_in_use(None, paths) else "")


def _usable_port(host: str, port: int) -> int:
    """Make sure that the port can be listened at. 0 finds a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family) as listening:
            found: int = listening.getsockname()[1]
    except OSError as error:
        raise CommandError(
            f"cannot listen at {host} port {port}",
            why=os.strerror(error.errno) if error.errno else str(error),
            fix="choose another --port or --host; 0 takes a free port",
        ) from error
    return found


@contextmanager
def _simulator(rules: "Policy") -> Iterator[str | None]:
    """Simulated providers beside the gateway, where the policy has any."""
    if not any(target.simulated or target.mock for target in rules.targets):
        yield None
        return
    from farthing.simulator.server import start_in_thread

    simulator = start_in_thread()
    try:
        yield simulator.url
    finally:
        simulator.close()


@contextmanager
def _announced(start: Start, host: str, port: int, *, as_json: bool) -> Iterator[Announcement]:
    """Show the start screen as soon as calls are answered."""

    def tell() -> None:
        if as_json:
            screen.print_json(start_json(start))
        else:
            show_start(start)

    announcement = Announcement(host, port, tell)
    announcement.start()
    try:
        yield announcement
    finally:
        announcement.stop()
