"""Raise what an account may pay: what a call would claim of it becomes an operation of the ledger."""

import secrets

from farthing.domain.period import window_of
from farthing.engine.offers import new_money_claim
from farthing.ledger.raising import Raise, Raised
from farthing.ledger.store import Store
from farthing.policy.rules import AtLimit, Budget, Payer, Policy
from farthing.policy.wallets import wallet_budget, wallets_of


class BadRaise(ValueError):
    """A raise says too little: no amount, nobody who answers for it, no reason."""


class UnknownWallet(ValueError):
    """The policy neither declares such a wallet nor has a group that names it."""

    def __init__(self, team_id: str, known: tuple[str, ...]) -> None:
        super().__init__(f"there is no wallet {team_id}")
        self.known = known


class OtherRaise(ValueError):
    """The id of a raise was used before, for something else."""


def raise_of(
    budget: Budget,
    *,
    at_us: int,
    amount_nanodollars: int,
    by: str,
    reason: str,
    value: str | None = None,
    run: str | None = None,
    until_us: int | None = None,
    raise_id: str | None = None,
) -> Raise:
    """Make the raise of the account of a budget that is in its window at a moment. Raises BadRaise.

    value: which of its accounts, where the budget has one for each value of a fact.
    """
    for name, text in (("reason", reason), ("by", by)):
        if not text.strip():
            raise BadRaise(f"a raise needs a {name!r}: it is kept for good")
    if amount_nanodollars == 0:
        raise BadRaise("an amount of nothing changes nothing")
    if until_us is not None and until_us <= at_us:
        raise BadRaise("it would end before it begins")
    window = window_of(budget.period, at_us, budget.zone, run=run)
    payer = Payer(budget=budget, value=value, window=window, at_limit=AtLimit.REFUSE)
    return Raise(
        raise_id=raise_id or f"raise_{secrets.token_hex(8)}",
        claim=new_money_claim(payer, whole=False),
        at_us=at_us,
        amount=amount_nanodollars,
        by=by.strip(),
        reason=reason.strip(),
        until_us=until_us,
    )


def credit(
    store: Store,
    policy: Policy,
    team_id: str,
    *,
    amount_nanodollars: int,
    by: str,
    reason: str,
    at_us: int,
    credit_id: str | None = None,
) -> Raised:
    """Put money into a wallet, or take it out again; the same id twice is one credit.

    Raises UnknownWallet, BadRaise, OtherRaise, LedgerUnavailable.
    """
    known = {wallet.team_id: wallet for wallet in wallets_of(policy)}
    if team_id not in known:
        raise UnknownWallet(team_id, tuple(known))
    asked = raise_of(
        wallet_budget(known[team_id], policy.zone),
        at_us=at_us,
        amount_nanodollars=amount_nanodollars,
        by=by,
        reason=reason,
        raise_id=credit_id,
    )
    (answer,) = store.apply([asked])
    assert isinstance(answer, Raised), answer
    row = answer.row
    if answer.already and (row.account, row.amount) != (asked.claim.account, asked.amount):
        raise OtherRaise(f"{asked.raise_id} was used before, for another amount or account")
    return answer
