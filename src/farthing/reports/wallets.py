"""Wallets as people see them: what was put in, what is spent and held, what is left, and whose they are."""

import msgspec

from farthing.domain.period import iso_utc, window_of
from farthing.ledger.entries import Balance, Unit, account_name
from farthing.ledger.raising import RaiseRow
from farthing.ledger.store import Store
from farthing.policy.rules import Policy, Wallet
from farthing.policy.wallets import team_of, wallet_budget, wallet_name, wallets_of
from farthing.reports.budgets import balance_json, in_order
from farthing.reports.raises import raise_json

_ALL = 1_000_000


class WalletStanding(msgspec.Struct, frozen=True, kw_only=True):
    """One wallet in its current window.

    balance: its limit is the allocation that the policy has now, with the credits of the window.
    credited: the sum of those credits.
    declared: a policy file declares it; else groups name it, or only the ledger knows it.
    enforced: it refuses calls once it is empty, in at least one environment of its groups.
    """

    wallet: Wallet
    balance: Balance
    credited: int
    declared: bool
    groups: tuple[str, ...]
    environments: tuple[str, ...]
    enforced: bool


def wallet_standings(policy: Policy, store: Store, now_us: int) -> list[WalletStanding]:
    """Every wallet of the policy and of the ledger, by name."""
    known = {wallet.team_id: wallet for wallet in wallets_of(policy)}
    for balance in store.balances(current_at_us=now_us):
        team_id = team_of(balance.budget)
        if team_id is not None and team_id not in known:
            known[team_id] = Wallet(team_id=team_id)
    return [_standing(known[team_id], policy, store, now_us) for team_id in sorted(known)]


def wallet_credits(team_id: str, store: Store) -> list[RaiseRow]:
    """All that was ever put into a wallet or taken out of it, newest first."""
    return store.raises(budget=wallet_name(team_id), limit=_ALL)


def wallet_windows(team_id: str, store: Store, now_us: int) -> list[Balance]:
    """The accounts of a wallet, one for each window, newest first."""
    return in_order(store.balances(budget=wallet_name(team_id), at_us=now_us))


def wallet_json(standing: WalletStanding) -> dict[str, object]:
    """Show a wallet."""
    wallet, balance = standing.wallet, standing.balance
    return {
        "team_id": wallet.team_id,
        "owner": wallet.owner,
        "declared": standing.declared,
        "enforced": standing.enforced,
        "groups": list(standing.groups),
        "environments": list(standing.environments),
        "period": wallet.period.value if wallet.period else None,
        "window": balance.window,
        "allocation_nanodollars": wallet.allocation_nanodollars or 0,
        "credited_nanodollars": standing.credited,
        "limit_nanodollars": balance.limit,
        "spent_nanodollars": balance.settled,
        "held_nanodollars": balance.held,
        "remaining_nanodollars": balance.remaining,
        "resets_at": iso_utc(balance.ends_at_us) if balance.ends_at_us is not None else None,
    }


def wallet_history_json(standing: WalletStanding, store: Store, now_us: int) -> dict[str, object]:
    """Show a wallet with its windows and its credits."""
    team_id = standing.wallet.team_id
    return {
        **wallet_json(standing),
        "windows": [balance_json(row) for row in wallet_windows(team_id, store, now_us)],
        "credits": [raise_json(row) for row in wallet_credits(team_id, store)],
    }


def _standing(wallet: Wallet, policy: Policy, store: Store, now_us: int) -> WalletStanding:
    budget = wallet_budget(wallet, policy.zone)
    window = window_of(budget.period, now_us, budget.zone)
    account = account_name(budget.name, None, window.key)
    kept = store.balance(account, at_us=now_us)
    credited = sum([row.amount for row in store.raises(account=account, limit=_ALL)])
    groups = [group for group in policy.groups if group.wallet == wallet.team_id]
    environments = tuple(dict.fromkeys(group.environment for group in groups))
    return WalletStanding(
        wallet=wallet,
        balance=Balance(
            account=account,
            unit=Unit.NANODOLLARS,
            settled=kept.settled if kept else 0,
            held=kept.held if kept else 0,
            limit=budget.limit_nanodollars + credited,
            budget=budget.name,
            window=window.key,
            starts_at_us=window.starts_at_us,
            ends_at_us=window.ends_at_us,
        ),
        credited=credited,
        declared=any(declared.team_id == wallet.team_id for declared in policy.wallets),
        groups=tuple(group.name for group in groups),
        environments=environments,
        enforced=any(
            policy.environments[name].wallets_enforced for name in environments if name in policy.environments
        ),
    )
