"""A process that settles one call in each of many hours, so that each batch folds the hour before."""

import sys

from farthing.ledger.sqlite import SqliteStore
from tests.ledger.sentences import CENT, HOUR_US, NOON_US, claim, hold, offer, settle


def main() -> None:
    """Settle as the command line says: FILE NAME HOURS."""
    path, name, hours = sys.argv[1], sys.argv[2], int(sys.argv[3])
    store = SqliteStore(path)
    about = {"labels": {"feature": "search"}, "run": name, "developer": name}
    for hour in range(hours):
        call_id = f"{name}-{hour}"
        one = offer(CENT, claim(limit=10**18))
        store.apply([hold(call_id, one, at_us=NOON_US + hour * HOUR_US, about=about), settle(call_id, CENT)])
        sys.stdout.write(f"{call_id}\n")
        sys.stdout.flush()
    store.close()


if __name__ == "__main__":
    main()
