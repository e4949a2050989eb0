"""Wallets: what was put in for each team, what is left of it, and who put it in."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from farthing.cli import options, screen
from farthing.cli.author import By, author
from farthing.cli.door import CommandError, command, noun
from farthing.cli.opening import did_you_mean, open_ledger, read_policy
from farthing.domain.money import BadAmount, dollars, nanodollars_from
from farthing.domain.period import iso_utc

if TYPE_CHECKING:
    from farthing.ledger.raising import RaiseRow
    from farthing.ledger.store import Store
    from farthing.policy.rules import Policy
    from farthing.reports.wallets import WalletStanding

_BAR = "spent █ held ▒ left ░"

app = noun("wallet", "Wallets of teams: list them, show one with its credits, put money in.")


@command(app, "list", example="farthing wallet list --ledger sqlite:///farthing.db")
def list_wallets(
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Show every wallet in its current window: what was put in, spent, held, and what is left."""
    from farthing.reports.wallets import wallet_json, wallet_standings

    rules = read_policy(policy).policy
    with open_ledger(ledger, policy, empty=True) as store:
        rows = wallet_standings(rules, store, time.time_ns() // 1_000)
    if as_json:
        screen.print_json({"wallets": [wallet_json(row) for row in rows]})
        return
    if not rows:
        screen.line("No wallets: no file declares one, and no group names one.")
        return
    _draw(rows)


@command(app, "show", example="farthing wallet show team_product_dev")
def show(
    team: Annotated[str, typer.Argument(metavar="TEAM", help="The team_id of a wallet.")],
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Show a wallet: whose it is, who pays from it, and every credit with who put it in and why."""
    from farthing.reports.wallets import wallet_credits, wallet_history_json, wallet_standings

    rules = read_policy(policy).policy
    now_us = time.time_ns() // 1_000
    with open_ledger(ledger, policy, empty=True) as store:
        rows = wallet_standings(rules, store, now_us)
        found = next((row for row in rows if row.wallet.team_id == team), None)
        if found is None:
            raise _no_such(team, [row.wallet.team_id for row in rows])
        told = wallet_history_json(found, store, now_us)
        credits = wallet_credits(team, store)
    if as_json:
        screen.print_json(told)
        return
    _draw([found])
    screen.line(_about(found))
    _draw_credits(credits)


@command(app, "credit", example='farthing wallet credit team_product_dev $200 --reason "launch week"')
def credit(
    team: Annotated[str, typer.Argument(metavar="TEAM", help="The team_id of a wallet.")],
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="Dollars, such as $200 or 12.50.")],
    reason: Annotated[str | None, typer.Option(help="Why; it is kept for good.")] = None,
    by: By = None,
    take_out: Annotated[
        bool, typer.Option("--take-out", help="Take the amount out again instead of putting it in.")
    ] = False,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Put money into a wallet, for every process on this ledger; whoever was refused sees it in a second.

    A wallet with a period gets it for the current one: what is left goes with it.
    """
    from farthing.reports.raises import raise_json
    from farthing.reports.wallets import wallet_json, wallet_standings

    rules = read_policy(policy).policy
    if reason is None:
        raise CommandError("a credit needs a reason: it is kept for good", fix='add  --reason "what for"')
    try:
        nanodollars = nanodollars_from(amount)
    except BadAmount as error:
        raise CommandError(str(error), fix="write it like $200 or 12.50; --take-out takes out") from error
    now_us = time.time_ns() // 1_000
    with open_ledger(ledger, policy, make=True) as store:
        row = _put_in(
            store, rules, team, amount_nanodollars=-nanodollars if take_out else nanodollars, by=author(by),
            reason=reason, at_us=now_us,
        )  # fmt: skip
        standing = next(one for one in wallet_standings(rules, store, now_us) if one.wallet.team_id == team)
    if as_json:
        screen.print_json({**raise_json(row), "wallet": wallet_json(standing)})
        return
    left = standing.balance
    ends = f" until {iso_utc(left.ends_at_us)[:16]}Z" if left.ends_at_us is not None else ""
    done = f"Took {dollars(nanodollars)} out of" if take_out else f"Put {dollars(nanodollars)} into"
    screen.line(f"{done} wallet {team}: {dollars(left.remaining)} of {dollars(left.limit)} left{ends}.")


def _put_in(
    store: "Store",
    rules: "Policy",
    team: str,
    *,
    amount_nanodollars: int,
    by: str,
    reason: str,
    at_us: int,
) -> "RaiseRow":
    from farthing.engine.raises import BadRaise, UnknownWallet, credit
    from farthing.ledger.store import BatchPoisoned

    try:
        answer = credit(
            store, rules, team, amount_nanodollars=amount_nanodollars, by=by, reason=reason, at_us=at_us
        )
    except UnknownWallet as error:
        raise _no_such(team, error.known) from error
    except BadRaise as error:
        raise CommandError(str(error), fix="see  farthing wallet credit --help") from error
    except BatchPoisoned as error:
        raise CommandError("that is more than the ledger can remember", fix="put in less") from error
    return answer.row


def _no_such(team: str, known: Sequence[str]) -> CommandError:
    question = did_you_mean(team, known)
    return CommandError(
        f"there is no wallet {team}",
        why=f"the policy and the ledger know: {', '.join(known)}" if known else "the policy names none",
        fix=question or "declare it under wallets, or name it as wallet_team_id of a group",
    )


def _draw(rows: Sequence["WalletStanding"]) -> None:
    columns = {
        "wallet": "left", "owner": "left", "window": "left", _BAR: "left", "put in": "right",
        "spent": "right", "held": "right", "left": "right", "when empty": "left",
    }  # fmt: skip
    screen.table(columns, [_cells(row) for row in rows], spare=(_BAR,))


def _cells(row: "WalletStanding") -> tuple[str | Text, ...]:
    balance = row.balance
    style = "red" if balance.remaining <= 0 else "green"
    return (
        row.wallet.team_id,
        row.wallet.owner or "",
        balance.window,
        screen.bar([(balance.settled, style), (balance.held, style)], balance.limit),
        dollars(balance.limit),
        dollars(balance.settled),
        dollars(balance.held),
        Text(dollars(balance.remaining), style="red" if balance.remaining <= 0 else ""),
        "refuses" if row.enforced else "lets pass",
    )


def _about(row: "WalletStanding") -> str:
    wallet = row.wallet
    if not row.declared:
        said = "No policy file declares it: it holds what was put in, and nothing else."
    else:
        anew = f"anew in each period ({wallet.period.value})" if wallet.period else "once"
        said = f"Its allocation of {dollars(wallet.allocation_nanodollars or 0)} is put in {anew}."
    groups = f"Groups that pay from it: {', '.join(row.groups)}." if row.groups else "No group pays from it."
    return f"{said} {groups}"


def _draw_credits(rows: Sequence["RaiseRow"]) -> None:
    if not rows:
        screen.line("Nothing was put in by hand.")
        return
    columns = {
        "credit": "left", "at": "left", "by": "left", "amount": "right", "from": "right", "to": "right",
        "window": "left", "why": "text",
    }  # fmt: skip
    screen.table(
        columns,
        [
            (
                row.raise_id, iso_utc(row.at_us)[:16].replace("T", " "), row.by, dollars(row.amount),
                dollars(row.limit_before), dollars(row.limit_after), row.account.rpartition("/")[2],
                row.reason,
            )
            for row in rows
        ],
    )  # fmt: skip
