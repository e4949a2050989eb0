"""Keys of consumers: create, list, rotate and revoke them."""

import time
from typing import Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.author import By, author
from farthing.cli.door import ANSWER_IS_NO, CommandError, command, noun
from farthing.cli.opening import did_you_mean, open_ledger, read_policy
from farthing.cli.spans import after
from farthing.ledger.people import KeyRow

app = noun("key", "Keys that call the gateway: create, list, rotate, revoke.")


@command(app, "create", example="farthing key create --environment development --label alice")
def create(
    environment: Annotated[str, typer.Option(help="Environment that the key belongs to.")],
    label: Annotated[str, typer.Option(help="Who or what uses it, such as alice or search-service.")],
    group: Annotated[str | None, typer.Option(help="Consumer group of the policy.")] = None,
    developer: Annotated[
        str | None, typer.Option(help="Developer it counts for; default: the label.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="SPAN", help="How long it works, such as 30d.")
    ] = None,
    by: By = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Create a key and print it: once, and nowhere else. Only its hash is kept."""
    from farthing.gateway.key_admin import BadLabel, KeyTaken, UnknownEnvironment, create_key, key_json

    rules, now_us = read_policy(policy).policy, time.time_ns() // 1_000
    with open_ledger(ledger, policy, make=True) as store:
        try:
            secret, row = create_key(
                store, rules, environment=environment, label=label, group=group, developer=developer,
                by=author(by), at_us=now_us, expires_at_us=after(now_us, expires),
            )  # fmt: skip
        except BadLabel as error:
            raise CommandError(str(error), fix="choose a name such as alice or search-service") from error
        except UnknownEnvironment as error:
            known = rules.environments if environment not in rules.environments else ()
            question = did_you_mean(environment, known)
            raise CommandError(
                str(error), fix=question or "look at the policy's environments and groups"
            ) from error
        except KeyTaken as error:
            raise CommandError(
                str(error),
                why="a label names one living key at a time, so that reports are clear",
                fix="choose another label, or revoke that key first; farthing key list shows them",
                exit_code=ANSWER_IS_NO,
            ) from error
    if as_json:
        screen.print_json({**key_json(row), "key": secret})
        return
    screen.line(secret)
    screen.remark(
        f"Key {row.key_id} for {environment}, labelled {label}. It is shown this once; only its hash is "
        "kept. Send it as  Authorization: Bearer KEY"
    )


@command(app, "list", example="farthing key list --environment production")
def list_keys(
    environment: Annotated[str | None, typer.Option(help="Only keys of this environment.")] = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """List keys, without their secrets."""
    from farthing.gateway.key_admin import key_json, last_used

    with open_ledger(ledger, policy, empty=True) as store:
        everyone = store.keys()
        rows = [row for row in everyone if environment in (None, row.environment)]
        told = [{**key_json(row), "last_used_at": last_used(store, row)} for row in rows]
    good = {row.key_id for row in rows if row.is_good(time.time_ns() // 1_000)}
    if as_json:
        screen.print_json({"keys": told})
        return
    if not told:
        screen.line("No keys yet. Create one:  farthing key create --environment development --label NAME")
        return
    columns = dict.fromkeys(
        ("environment", "label", "key id", "group", "developer", "created", "last used", "expires", "state"),
        "left",
    )
    screen.table(
        columns,
        [
            (
                str(key["environment"]), str(key["label"]), str(key["key_id"]), str(key["group"] or ""),
                str(key["developer"] or key["label"]), str(key["created_at"])[:16].replace("T", " "),
                str(key["last_used_at"] or "never")[:16].replace("T", " "), str(key["expires_at"] or "")[:16],
                "revoked " + str(key["revoked_at"])[:10] if key["revoked_at"]
                else "in use" if key["key_id"] in good else "expired",
            )
            for key in told
        ],
    )  # fmt: skip


@command(app, "rotate", example="farthing key rotate alice --environment development --overlap 24h")
def rotate(
    key: Annotated[str, typer.Argument(metavar="KEY_ID|LABEL", help="Id or label, as key list shows it.")],
    environment: Annotated[
        str | None, typer.Option(help="Environment, where a label is used in several.")
    ] = None,
    overlap: Annotated[
        str, typer.Option(metavar="SPAN", help="How long the old secret works on; 0 ends it at once.")
    ] = "24h",
    expires: Annotated[
        str | None, typer.Option(metavar="SPAN", help="How long the key works, where that is to change.")
    ] = None,
    by: By = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Give a key another secret and print it, once. It stays the same key: label, limits, history."""
    from farthing.gateway.key_admin import BadRotation, key_json, rotate_key

    now_us = time.time_ns() // 1_000
    overlap_us = (after(now_us, overlap) or now_us) - now_us
    with open_ledger(ledger, policy) as store:
        everyone = store.keys()
        living = [row for row in everyone if row.revoked_at_us is None]
        try:
            secret, row = rotate_key(
                store, _the_key(key, environment, living), by=author(by), at_us=now_us,
                overlap_us=overlap_us, expires_at_us=after(now_us, expires),
            )  # fmt: skip
        except BadRotation as error:
            raise CommandError(
                str(error), fix="say it with  --expires 30d", exit_code=ANSWER_IS_NO
            ) from error
    if as_json:
        screen.print_json({**key_json(row), "key": secret})
        return
    screen.line(secret)
    screen.remark(
        f"Key {row.key_id}, {row.label} of {row.environment}. The old secret works for {overlap} more."
    )


@command(app, "revoke", example="farthing key revoke alice --environment development")
def revoke(
    key: Annotated[str, typer.Argument(metavar="KEY_ID|LABEL", help="Id or label, as key list shows it.")],
    environment: Annotated[
        str | None, typer.Option(help="Environment, where a label is used in several.")
    ] = None,
    by: By = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Revoke a key. It stops working within a second, everywhere; its calls stay in the ledger."""
    with open_ledger(ledger, policy) as store:
        row = _the_key(key, environment, store.keys())
        revoked = store.revoke_key(row.key_id, time.time_ns() // 1_000, by=author(by))
    if not revoked:
        raise CommandError(f"key {row.label} of {row.environment} was revoked before", exit_code=ANSWER_IS_NO)
    if as_json:
        screen.print_json({"revoked": row.key_id, "environment": row.environment, "label": row.label})
        return
    screen.line(f"Revoked {row.label} of {row.environment} ({row.key_id}).")


def _the_key(wanted: str, environment: str | None, rows: list[KeyRow]) -> KeyRow:
    """Find the one key that is meant."""
    found = [
        row for row in rows if wanted in (row.key_id, row.label) and environment in (None, row.environment)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(row.environment for row in found)
        raise CommandError(
            f"several keys are labelled {wanted}", why=f"in {places}", fix="name one with --environment"
        )
    where = f" in {environment}" if environment else ""
    question = did_you_mean(wanted, [row.label for row in rows])
    raise CommandError(
        f"there is no key {wanted}{where}", fix=question or "farthing key list shows the keys there are"
    )
