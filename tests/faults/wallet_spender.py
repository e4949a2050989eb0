"""A process that spends from a wallet: sixteen threads authorize and settle, and say what was settled."""

import random
import sys
import threading
import time

import msgspec

from farthing.domain.call import Identity
from farthing.domain.errors import Refused
from farthing.engine.governor import Governor
from farthing.engine.outcomes import Ending, Exchange
from farthing.ledger.sqlite import SqliteStore
from farthing.policy.rules import Environment, Group, Policy, Wallet
from tests.builders import a_book, a_call, a_governor, a_policy, metered

THREADS = 16
TEAM = "team"
# A thousandth of a cent for each token of output, and input is free.
BOOK = a_book(tenth=("0", "10"))
OUTPUT_CAP = 10_000


def policy() -> Policy:
    """One group that pays from one wallet, which is empty until it is credited, and hard."""
    rules = a_policy(environment=Environment(name="development", wallets_enforced=True))
    group = Group(name="product", environment="development", wallet=TEAM)
    return msgspec.structs.replace(rules, groups=(group,), wallets=(Wallet(team_id=TEAM, owner="alice"),))


def spend(governor: Governor, name: str, calls: int) -> None:
    """Ask for calls of ten cents at most that turn out to cost less."""
    dice = random.Random(name)
    identity = Identity(environment="development", key=name, key_id=name, group="product", wallet=TEAM)
    for number in range(calls):
        call = a_call("tenth", output_cap=OUTPUT_CAP, at_us=governor.clock(), labels={"thread": name})
        call = msgspec.structs.replace(call, call_id=f"{name}-{number}", identity=identity)
        try:
            grant = governor.authorize(call)
        except Refused as refused:
            say(refused.refusal.reason.value, call.call_id, 0)
            time.sleep(0.002)  # the pace of a caller, so that refusals do not crowd out calls
            continue
        cap = grant.output_cap or OUTPUT_CAP
        answered = Exchange(ending=Ending.ANSWERED, status=200)
        booked = governor.book(
            grant, governor.end_of(grant, answered, metered(0, dice.randint(cap // 2, cap)))
        )
        assert booked is not None
        say("settled", call.call_id, booked.cost_nanodollars)


def say(what: str, call_id: str, cost: int) -> None:
    """One line, whole or not at all."""
    sys.stdout.write(f"{what} {call_id} {cost}\n")
    sys.stdout.flush()


def main() -> None:
    """Run the threads named on the command line: FILE NAME CALLS."""
    path, name, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
    store = SqliteStore(path)
    governor = a_governor(store, policy(), clock=lambda: time.time_ns() // 1_000, prices=BOOK)
    governor.committer.start()
    threads = [
        threading.Thread(target=spend, args=(governor, f"{name}-{thread}", calls))
        for thread in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    governor.committer.stop()
    store.close()


if __name__ == "__main__":
    main()
