"""Who waits for money that calls in flight hold: as long as those are not the asker's own."""

import msgspec
import pytest

from farthing.ledger.entries import Held, Hold, Short, Tight
from farthing.ledger.store import Store
from tests.ledger.sentences import CENT, ask, hold, offer


def asking(cents: int, keeps: dict[str, int]) -> Hold:
    """A call that waits, of somebody who keeps money held meanwhile."""
    return msgspec.structs.replace(hold("asking", offer(cents * CENT)), waits=True, keeps=keeps)


@pytest.mark.parametrize(
    ("held_by_others", "kept", "answer"),
    [
        (0, 80, Short),  # only its own call is in the way
        (80, 0, Tight),
        (50, 30, Tight),  # half of what the others hold would do
        (10, 70, Short),  # even if the others ended, its own call would be in the way
        (10, 10, Held),
    ],
)
def test_nobody_waits_for_what_only_the_asker_holds(
    store: Store, held_by_others: int, kept: int, answer: type
) -> None:
    ask(store, hold("other", offer(held_by_others * CENT)))
    ask(store, hold("own", offer(kept * CENT)))

    got = ask(store, asking(60, {"team": kept * CENT}))

    assert type(got) is answer
    if isinstance(got, Short):
        assert not got.final  # its own call ends, and then there is room


def test_what_it_keeps_elsewhere_changes_nothing(store: Store) -> None:
    ask(store, hold("other", offer(80 * CENT)))

    assert isinstance(ask(store, asking(60, {"somewhere-else": 80 * CENT})), Tight)
