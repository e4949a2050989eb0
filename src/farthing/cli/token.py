"""Tokens of the governance API: who may look, who may answer requests, who may do everything."""

import time
from typing import Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.author import By, author
from farthing.cli.door import ANSWER_IS_NO, CommandError, command, noun
from farthing.cli.opening import did_you_mean, open_ledger
from farthing.cli.spans import after
from farthing.domain.role import Role

app = noun("token", "Tokens of the API, each with a role: create, list, revoke.")


@command(app, "create", example="farthing token create --role approver --name bob")
def create(
    role: Annotated[Role, typer.Option(help="What it may do. Developers need none: they have call keys.")],
    name: Annotated[str, typer.Option(help="Whose it is; the audit shows it.")],
    expires: Annotated[
        str | None, typer.Option(metavar="SPAN", help="How long it opens anything, such as 30d.")
    ] = None,
    by: By = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Create a token and print it: once, and nowhere else. Only its hash is kept."""
    from farthing.gateway.token_admin import BadToken, TokenTaken, create_token, token_json

    now_us = time.time_ns() // 1_000
    with open_ledger(ledger, policy, make=True) as store:
        try:
            secret, row = create_token(
                store, name=name, role=role, by=author(by), at_us=now_us, expires_at_us=after(now_us, expires)
            )
        except BadToken as error:
            raise CommandError(str(error), fix="see  farthing token create --help") from error
        except TokenTaken as error:
            raise CommandError(
                str(error), fix="choose another name, or revoke that token first", exit_code=ANSWER_IS_NO
            ) from error
    if as_json:
        screen.print_json({**token_json(row), "token": secret})
        return
    screen.line(secret)
    screen.remark(
        f"Token {row.token_id} of {name}, {role.value}. It is shown this once; only its hash is kept. "
        "Send it to /api as  Authorization: Bearer TOKEN"
    )


@command(app, "list", example="farthing token list")
def list_tokens(
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """List tokens, without their secrets."""
    from farthing.gateway.token_admin import token_json

    with open_ledger(ledger, policy, empty=True) as store:
        told = [token_json(row) for row in store.tokens()]
    if as_json:
        screen.print_json({"tokens": told})
        return
    if not told:
        screen.line("No tokens yet. The first start of farthing serve makes one for the admin.")
        return
    columns = dict.fromkeys(("name", "role", "token id", "created", "by", "expires", "state"), "left")
    screen.table(
        columns,
        [
            (
                str(row["name"]), str(row["role"]), str(row["token_id"]), _minute(row["created_at"]),
                str(row["created_by"]), _minute(row["expires_at"]),
                "revoked " + _minute(row["revoked_at"]) if row["revoked_at"] else "in use",
            )
            for row in told
        ],
    )  # fmt: skip


@command(app, "revoke", example="farthing token revoke bob")
def revoke(
    token: Annotated[
        str, typer.Argument(metavar="TOKEN_ID|NAME", help="Id or name, as token list shows it.")
    ],
    by: By = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Revoke a token. It opens nothing from now on, in every process on this ledger."""
    with open_ledger(ledger, policy) as store:
        living = [row for row in store.tokens() if row.revoked_at_us is None]
        row = next((row for row in living if token in (row.token_id, row.name)), None)
        if row is None:
            question = did_you_mean(token, [one.name for one in living])
            raise CommandError(
                f"there is no token {token} that is not revoked",
                fix=question or "farthing token list shows the tokens there are",
                exit_code=ANSWER_IS_NO,
            )
        store.revoke_token(row.token_id, at_us=time.time_ns() // 1_000, by=author(by))
    if as_json:
        screen.print_json({"revoked": row.token_id, "name": row.name})
        return
    screen.line(f"Revoked the token of {row.name} ({row.token_id}).")


def _minute(moment: object) -> str:
    return str(moment)[:16].replace("T", " ") if moment else ""
