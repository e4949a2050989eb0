"""Notice that a share of a budget is spent, and put it on the ledger, once for each account and threshold."""

from collections.abc import Iterable, Iterator

from farthing.domain.alert import Alert
from farthing.domain.call import Call
from farthing.domain.errors import LedgerUnavailable
from farthing.ledger.committer import Committer
from farthing.ledger.entries import Answer, Balance, Short, Unit
from farthing.ledger.noting import Note
from farthing.policy.decide import payers
from farthing.policy.rules import Candidate, Payer, Policy, Threshold

# Alerts remembered as told; beyond, the memory starts anew, and the ledger knows that they were told.
_REMEMBERED_MAX = 10_000


class Alarms:
    """Watches the thresholds of one policy, for one process."""

    def __init__(self, policy: Policy, committer: Committer) -> None:
        self._policy = policy
        self._committer = committer
        self._watches = any(_thresholds(policy))
        self._told: set[tuple[str, int, str]] = set()

    def look(self, call: Call, candidate: Candidate, balances: Iterable[Balance]) -> None:
        """Compare what is spent after a call with the thresholds of the budgets that paid for it."""
        if not self._watches:
            return
        paying = {payer.budget.name: payer for payer in payers(call, self._policy, candidate)}
        for balance in balances:
            payer = paying.get(balance.budget)
            if payer is None or not payer.thresholds:
                continue
            limit = _whole_limit(payer, balance)
            for threshold in payer.thresholds:
                if balance.settled * 100 >= limit * threshold.percent:
                    self._note(call, balance, threshold, limit)

    def look_at_refusal(self, call: Call, candidates: Iterable[Candidate], short: Short) -> None:
        """Count a refusal for good as all of a budget: what is left of it is of no use."""
        balance = short.balance
        if not (self._watches and short.final) or balance.unit is not Unit.NANODOLLARS:
            return
        for candidate in candidates:
            for payer in payers(call, self._policy, candidate):
                if payer.budget.name != balance.budget or payer.window.key != balance.window:
                    continue
                for threshold in payer.thresholds:
                    if threshold.percent == payer.block_percent:
                        self._note(call, balance, threshold, _whole_limit(payer, balance))
                return

    def _note(self, call: Call, balance: Balance, threshold: Threshold, limit: int) -> None:
        told = (balance.account, threshold.percent, threshold.action.value)
        if told in self._told:
            return
        if len(self._told) >= _REMEMBERED_MAX:
            self._told.clear()
        self._told.add(told)
        alert = Alert(
            account=balance.account,
            budget=balance.budget,
            value=balance.value,
            window=balance.window,
            threshold_percent=threshold.percent,
            action=threshold.action.value,
            at_us=call.at_us,
            limit_nanodollars=limit,
            spent_nanodollars=balance.settled,
            refused=balance.settled * 100 < limit * threshold.percent,
            environment=call.identity.environment,
            group=call.identity.group,
            call_id=call.call_id,
        )

        def answered(outcome: Answer | LedgerUnavailable) -> None:
            if isinstance(outcome, LedgerUnavailable):
                self._told.discard(told)  # the next call looks again

        self._committer.submit_soon(Note(at_us=call.at_us, alert=alert), answered)


def _whole_limit(payer: Payer, balance: Balance) -> int:
    """All of a budget, with what it was raised by: a part of it may be what blocks."""
    return payer.budget.limit_in(payer.window) + balance.limit - payer.limit_nanodollars


def _thresholds(policy: Policy) -> Iterator[Threshold]:
    for environment in policy.environments.values():
        yield from environment.thresholds
    for group in policy.groups:
        yield from group.thresholds or ()
    for budget in policy.budgets:
        yield from budget.thresholds
