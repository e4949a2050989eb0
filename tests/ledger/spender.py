"""A process that spends: eight threads hold and settle, and say so once the ledger has answered."""

import sys
import threading
import time

from farthing.ledger.committer import Committer
from farthing.ledger.entries import Booked, Held
from farthing.ledger.sqlite import SqliteStore
from tests.ledger.sentences import CENT, claim, hold, offer, settle

THREADS = 8


def spend(committer: Committer, name: str, calls: int, limit: int) -> None:
    """Hold ten cents and settle five, until the calls or the money are used up."""
    one = offer(10 * CENT, claim("team", limit), claim("person", 10 * limit))
    for number in range(calls):
        call_id = f"{name}-{number}"
        about = {"labels": {"feature": "search"}, "run": name}
        answer = committer.submit(hold(call_id, one, owner=committer.owner, about=about))
        if not isinstance(answer, Held):
            say("refused", call_id)
            continue
        say("held", call_id)
        assert isinstance(committer.submit(settle(call_id, 5 * CENT)), Booked)
        say("settled", call_id)


def say(what: str, call_id: str) -> None:
    """One line, whole or not at all."""
    sys.stdout.write(f"{what} {call_id}\n")
    sys.stdout.flush()


def main() -> None:
    """Run the threads named on the command line: FILE NAME CALLS LIMIT."""
    path, name, calls, limit = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    store = SqliteStore(path)
    committer = Committer(store, lambda: time.time_ns() // 1_000)
    committer.start()
    committer.look_for_the_dead()
    threads = [
        threading.Thread(target=spend, args=(committer, f"{name}-{thread}", calls, limit))
        for thread in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    committer.stop()
    store.close()


if __name__ == "__main__":
    main()
