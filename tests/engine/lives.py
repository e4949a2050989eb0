"""A ledger with some life on it: calls of every kind, decided, answered and booked as they come."""

import random
from collections.abc import Sequence
from contextlib import suppress

from farthing.domain.call import Call
from farthing.domain.errors import Refused
from farthing.domain.period import MICROSECONDS
from farthing.engine.governor import Governor
from farthing.engine.grant import Grant
from farthing.engine.outcomes import Ending, Exchange
from tests.builders import NOON_US, Clock, a_call, metered

MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "o3", "text-embedding-3-small", "no-such-model")
FEATURES = ("search", "chat", "review")


def a_life(
    governor: Governor, clock: Clock, *, calls: int, seed: int = 7, step_seconds: int = 40
) -> Sequence[Call]:
    """Make calls one after the other, with some open at once; answer them, lose them, refuse them."""
    chance = random.Random(seed)
    made: list[Call] = []
    still_open: list[Grant] = []
    for _ in range(calls):
        clock.at_us += chance.randrange(step_seconds * MICROSECONDS)
        call = _some_call(chance, clock.at_us)
        made.append(call)
        with suppress(Refused):
            still_open.append(governor.authorize(call))
        while still_open and chance.random() < 0.6:
            clock.at_us += chance.randrange(1, 9_000)
            _end(governor, still_open.pop(chance.randrange(len(still_open))), chance)
        governor.tick()
    for grant in still_open:
        clock.at_us += 1
        _end(governor, grant, chance)
    return made


def _some_call(chance: random.Random, at_us: int) -> Call:
    model = chance.choice(MODELS)
    embeds = model.startswith("text-embedding")
    return a_call(
        model,
        environment=chance.choice(("development", "development", "production")),
        key=chance.choice(("alice", "bob")),
        at_us=at_us,
        labels={"feature": chance.choice(FEATURES)} if chance.random() < 0.8 else {},
        run=chance.choice((None, "run-1")),
        dialect="openai.embeddings" if embeds else "openai.chat",
        generates=not embeds,
        input_bytes=chance.randrange(100, 40_000),
        output_cap=None if embeds else chance.choice((None, 200, 2_000, 8_000)),
        unbounded=("web_search",) if chance.random() < 0.05 else (),
    )


def _end(governor: Governor, grant: Grant, chance: random.Random) -> None:
    facts = grant.call.facts
    most = grant.output_cap or facts.output_cap or 3_000
    written = chance.randrange(1, min(most, 3_000) + 1) if facts.generates else 0
    ending = chance.choices((Ending.ANSWERED, Ending.BROKEN, Ending.NEVER_CONNECTED), (90, 5, 5))[0]
    read = metered(chance.randrange(1, facts.input_bytes // 3 + 2), written)
    if ending is not Ending.ANSWERED:
        read = metered(0, 0, complete=False)
    status = 200 if ending is Ending.ANSWERED else None
    governor.book(grant, governor.end_of(grant, Exchange(ending=ending, status=status), read))


BEGINNING_US = NOON_US
