"""The kill switch: stop everything, or what matches, in every process; and let it go on."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.author import By, author
from farthing.cli.door import ANSWER_IS_NO, CommandError, command
from farthing.cli.opening import did_you_mean, ledger_in_use, open_ledger

if TYPE_CHECKING:
    from farthing.domain.stop import Stop

app = typer.Typer()

_EVERYTHING = Annotated[bool, typer.Option("--all", help="Every call.")]
_ENVIRONMENT = Annotated[str | None, typer.Option(help="Calls of this environment.")]
_KEY = Annotated[str | None, typer.Option(metavar="LABEL|ID", help="Calls of the key with this label or id.")]
_GROUP = Annotated[str | None, typer.Option(help="Calls of this consumer group.")]
_DEVELOPER = Annotated[str | None, typer.Option(help="Calls of this developer.")]
_WORKFLOW = Annotated[
    str | None, typer.Option(help="Calls of this budget, workflow_id, run, or label workflow.")
]
_LABEL = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="Calls with this label; repeatable.")
]
_PROVIDER = Annotated[str | None, typer.Option(help="Calls that would go to this provider.")]
_MODEL = Annotated[
    str | None, typer.Option(help="Calls that this model would serve, with its dated names; claude-* works.")
]


@command(app, "stop", example='farthing stop --environment ci --reason "runaway agent"')
def stop(
    everything: _EVERYTHING = False,
    environment: _ENVIRONMENT = None,
    key: _KEY = None,
    group: _GROUP = None,
    developer: _DEVELOPER = None,
    workflow: _WORKFLOW = None,
    label: _LABEL = None,
    provider: _PROVIDER = None,
    model: _MODEL = None,
    reason: Annotated[str | None, typer.Option(help="Why; whoever is refused is told.")] = None,
    by: By = None,
    list_stops: Annotated[
        bool, typer.Option("--list", help="List stops, with those that were lifted.")
    ] = False,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Refuse calls from now on, at once in every process on this ledger, until they are resumed.

    Several options together stop the calls that have all of them. Calls in flight end and settle as
    ever. A guard that keeps its books in memory is not reached: give it a ledger file.
    """
    from farthing.domain.stop import BadStop, new_stop
    from farthing.reports.stops import never_seen, stop_json

    if list_stops:
        _list(policy, ledger, as_json=as_json)
        return
    match = _match(
        everything, label, environment=environment, key=key, group=group, developer=developer,
        workflow=workflow, provider=provider, model=model,
    )  # fmt: skip
    if match is None:
        raise CommandError(
            "it is not said what to stop", fix="name it, as in --environment ci, or say --all; see --help"
        )
    if reason is None:
        raise CommandError(
            "a stop needs a reason: whoever is refused is told", fix='add  --reason "what happened"'
        )
    url = ledger_in_use(ledger, policy)
    with open_ledger(url, policy) as store:
        try:
            made = new_stop(match, reason=reason, by=author(by), at_us=time.time_ns() // 1_000)
        except BadStop as error:
            raise CommandError(str(error), fix="see  farthing stop --help") from error
        store.add_stop(made)
        strange = never_seen(store, made.match)
    if as_json:
        screen.print_json({**stop_json(made), "never_seen": list(strange)})
        return
    screen.line(f"Stopped {made.scope} on {url}. Lift it:  farthing resume {made.stop_id}")
    for name, known in strange.items():
        question = did_you_mean(made.match[name], known)
        screen.remark(
            f"No call on this ledger had {name} {made.match[name]} so far. {question.capitalize()}".rstrip()
        )


@command(app, "resume", example="farthing resume stop_1f0c22ab")
def resume(
    stop_id: Annotated[
        str | None, typer.Argument(metavar="[STOP_ID]", help="The stop, as stop --list shows it.")
    ] = None,
    everything: _EVERYTHING = False,
    environment: _ENVIRONMENT = None,
    key: _KEY = None,
    group: _GROUP = None,
    developer: _DEVELOPER = None,
    workflow: _WORKFLOW = None,
    label: _LABEL = None,
    provider: _PROVIDER = None,
    model: _MODEL = None,
    reason: Annotated[str, typer.Option(help="Why it may go on.")] = "",
    by: By = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Lift a stop, by its id or by exactly what it names. The stop stays in the list."""
    from farthing.reports.stops import stop_json

    match = _match(
        everything, label, environment=environment, key=key, group=group, developer=developer,
        workflow=workflow, provider=provider, model=model,
    )  # fmt: skip
    if (stop_id is None) == (match is None):
        raise CommandError(
            "name the stop to lift, once",
            fix="give its id, or what it names; farthing stop --list shows both",
        )
    now_us, who = time.time_ns() // 1_000, author(by)
    with open_ledger(ledger, policy) as store:
        live = store.stops(live=True)
        meant = [one for one in live if one.stop_id == stop_id or one.match == match]
        lifted = [
            one.stop_id for one in meant if store.resume(one.stop_id, at_us=now_us, by=who, reason=reason)
        ]
        rows = [one for one in store.stops() if one.stop_id in lifted]
    if not rows:
        raise CommandError(
            "no such stop is live",
            why="\n".join(f"{one.stop_id}: {one}" for one in live) or "nothing is stopped on this ledger",
            fix="farthing stop --list shows every stop",
            exit_code=ANSWER_IS_NO,
        )
    if as_json:
        screen.print_json({"resumed": [stop_json(one) for one in rows]})
        return
    for one in rows:
        screen.line(f"Resumed {one.scope} ({one.stop_id}), stopped by {one.by}: {one.reason}")


def _match(everything: bool, labels: Sequence[str] | None, **named: str | None) -> dict[str, str] | None:
    """What the options mean; None where they say nothing."""
    from farthing.domain.stop import LABEL, BadStop, stop_match

    match = {name: value for name, value in named.items() if value is not None}
    for text in labels or ():
        name, sign, value = text.partition("=")
        if not sign:
            raise CommandError(f"{text!r} is no label", fix="write it as --label feature=search")
        match[LABEL + name] = value
    if everything and match:
        raise CommandError("--all is every call; it does not go with other options", fix="leave one out")
    try:
        return stop_match(match) if match or everything else None
    except BadStop as error:
        raise CommandError(str(error), fix="see  --help") from error


def _list(policy: options.Policies, ledger: options.Ledger, *, as_json: bool) -> None:
    from farthing.reports.stops import stop_json

    with open_ledger(ledger, policy, empty=True) as store:
        stops = store.stops()
    stops.sort(key=lambda one: not one.is_live)
    if as_json:
        screen.print_json({"stops": [stop_json(one) for one in stops]})
        return
    if not stops:
        screen.line("Nothing is stopped, and nothing was.")
        return
    columns = dict.fromkeys(("stop", "what", "since", "by"), "left") | {"why": "text", "state": "left"}
    screen.table(columns, [_cells(one) for one in stops])


def _cells(one: "Stop") -> tuple[str, ...]:
    from farthing.reports.stops import stop_json

    told: Mapping[str, object] = stop_json(one)
    since, lifted = (str(told[name] or "")[:16].replace("T", " ") for name in ("at", "resumed_at"))
    state = "stopped" if one.is_live else f"resumed {lifted} by {one.resumed_by}"
    return one.stop_id, one.scope, since, one.by, one.reason, state
