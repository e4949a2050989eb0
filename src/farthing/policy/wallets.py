"""Wallets as the budgets that groups pay from: an account like any other, refused under its own name."""

from farthing.domain.errors import Reason
from farthing.domain.period import Period
from farthing.policy.rules import AtLimit, Budget, Environment, Policy, Wallet

_PREFIX = "wallet:"
# What is put in once has no midnight at which it begins anew.
_NO_ZONE = "UTC"


def wallet_name(team_id: str) -> str:
    """The name of a wallet among budgets; no budget of a policy file can have it."""
    return _PREFIX + team_id


def team_of(budget_name: str) -> str | None:
    """The team whose wallet a budget is, if it is one."""
    return budget_name.removeprefix(_PREFIX) if budget_name.startswith(_PREFIX) else None


def wallet_of(team_id: str, policy: Policy) -> Wallet:
    """A wallet as the policy declares it; one that it only names holds nothing until it is credited."""
    declared = next((wallet for wallet in policy.wallets if wallet.team_id == team_id), None)
    return declared or Wallet(team_id=team_id)


def wallets_of(policy: Policy) -> tuple[Wallet, ...]:
    """Every wallet that a policy declares, and those that its groups name."""
    named = [group.wallet for group in policy.groups if group.wallet is not None]
    team_ids = dict.fromkeys([*(wallet.team_id for wallet in policy.wallets), *named])
    return tuple(wallet_of(team_id, policy) for team_id in team_ids)


def wallet_budget(wallet: Wallet, zone: str) -> Budget:
    """The budget that a wallet is: its allocation anew in each period, or once where it has none."""
    period = wallet.period or Period.TOTAL
    return Budget(
        name=wallet_name(wallet.team_id),
        limit_nanodollars=wallet.allocation_nanodollars or 0,
        period=period,
        zone=_NO_ZONE if period is Period.TOTAL else zone,
        owner=wallet.owner,
        spent_reason=Reason.WALLET_EMPTY,
    )


def manner_of_wallet(environment: Environment | None, of_group: AtLimit | None, *, blocks: bool) -> AtLimit:
    """What happens to a call that a wallet cannot pay for.

    Where wallets are enforced they are hard: a soft limit elsewhere does not open them. Only an
    environment that observes blocks nothing.

    of_group: what its group makes of the environment's manner; None leaves it.
    blocks: a threshold blocks at a share of the wallet itself.
    """
    if environment is None or environment.at_limit is AtLimit.OBSERVE:
        return AtLimit.OBSERVE
    if not (environment.wallets_enforced or blocks):
        return AtLimit.OVERRUN
    at_limit = of_group or environment.at_limit
    return AtLimit.CLAMP if at_limit is AtLimit.OVERRUN else at_limit
