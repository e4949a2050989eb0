"""Wallets over the governance API: where each stands, what was put in by whom, and put more in."""

from typing import Annotated

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from farthing.config.build import Running
from farthing.domain.money import BadAmount, nanodollars_from
from farthing.engine.raises import BadRaise, OtherRaise, UnknownWallet, credit
from farthing.gateway.api_asking import Admin, Json, Viewer, Who
from farthing.ledger.store import BatchPoisoned
from farthing.reports.raises import raise_json
from farthing.reports.wallets import WalletStanding, wallet_history_json, wallet_json, wallet_standings


class NewCredit(BaseModel):
    """Money to put into a wallet, or with `take_out` to take out of it again.

    With a `credit_id` of your own it may be sent again after an error: the same id twice is one credit.
    """

    model_config = ConfigDict(extra="forbid")

    amount: Annotated[StrictStr | StrictInt, Field(examples=["$200", "12.50"])]
    reason: str
    take_out: bool = False
    credit_id: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = None


def add_wallets(app: FastAPI, running: Running) -> None:
    """Add the routes."""

    def standing_of(team: str) -> WalletStanding:
        rows = wallet_standings(running.policy, running.store, running.clock())
        for row in rows:
            if row.wallet.team_id == team:
                return row
        raise HTTPException(404, _no_wallet(team, tuple(row.wallet.team_id for row in rows)))

    @app.get("/api/wallets", dependencies=[Viewer])
    def wallets() -> Json:
        """Every wallet in its current window."""
        rows = wallet_standings(running.policy, running.store, running.clock())
        return {"wallets": [wallet_json(row) for row in rows]}

    @app.get("/api/wallets/{team}", dependencies=[Viewer])
    def wallet(team: str) -> Json:
        """One wallet with its windows and every credit, newest first."""
        return wallet_history_json(standing_of(team), running.store, running.clock())

    @app.post("/api/wallets/{team}/credits", status_code=201, dependencies=[Admin])
    def put_in(team: str, asked: NewCredit, who: Who) -> Json:
        """Put money into a wallet, for every process on this ledger; who was refused sees it in a second."""
        try:
            amount = nanodollars_from(asked.amount)
            answer = credit(
                running.store,
                running.policy,
                team,
                amount_nanodollars=-amount if asked.take_out else amount,
                by=who.name,
                reason=asked.reason,
                at_us=running.clock(),
                credit_id=asked.credit_id,
            )
        except UnknownWallet as error:
            raise HTTPException(404, _no_wallet(team, error.known)) from error
        except OtherRaise as error:
            raise HTTPException(409, str(error)) from error
        except BatchPoisoned as error:
            raise HTTPException(400, "that is more than the ledger can remember") from error
        except (BadAmount, BadRaise) as error:
            raise HTTPException(400, str(error)) from error
        return {
            **raise_json(answer.row),
            "already": answer.already,
            "wallet": wallet_json(standing_of(team)),
        }


def _no_wallet(team: str, known: tuple[str, ...]) -> str:
    return f"no wallet {team}; there are: {', '.join(known) or 'none'}"
