"""An alert: a share of a budget is spent in one window, and what happens from there on."""

import msgspec


class Alert(msgspec.Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """Noted once for each account and threshold, by whichever process sees it first.

    account: the budget in this window (and of this value), as the ledger names it.
    action: what the policy does from this share on: notify, downgrade, block.
    refused: nothing more could be paid, although less than the threshold was spent.
    call_id: the call after which it was seen, with the environment and group of that call.
    """

    account: str
    budget: str
    value: str | None = None
    window: str
    threshold_percent: int
    action: str
    at_us: int
    limit_nanodollars: int
    spent_nanodollars: int
    refused: bool = False
    environment: str
    group: str | None = None
    call_id: str

    @property
    def key(self) -> tuple[str, int, str]:
        """What it is noted once for."""
        return self.account, self.threshold_percent, self.action
