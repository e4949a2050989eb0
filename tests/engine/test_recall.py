"""What may be answered from the cache: for how long, to whom, and after which rules."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.cache.memory import MemoryAnswers
from farthing.cache.response_cache import ResponseCache
from farthing.domain.call import Call, Identity
from farthing.domain.errors import Refused
from farthing.domain.period import MICROSECONDS
from farthing.engine.governor import Governor
from farthing.engine.outcomes import Ending
from farthing.engine.recall import Posed, Recall, Served, door_facts
from farthing.engine.relay import Relay
from farthing.ledger.entries import Outcome
from farthing.ledger.memory import MemoryStore
from farthing.ledger.store import Store
from farthing.policy.rules import AtLimit, Caching, Environment, OnLedgerFailure, Policy, Target
from farthing.wire.surfaces import find
from tests.builders import NOON_US, Clock, a_budget, a_governor, a_policy

CACHING = Caching(
    ttl_seconds=7_200, entries_max=5_000, bytes_max=1_000_000, temperature_max=Decimal(1), tools=False
)
TEMPERATE = msgspec.structs.replace(CACHING, ttl_seconds=900, entries_max=20_000)
ANSWER = (
    b'{"id":"1","model":"gpt-4o-mini","choices":[{"message":{"content":"hi"}}],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":3}}'
)
CHAT = find("POST", "/v1/chat/completions")
assert CHAT is not None


def the_policy(**development: Any) -> Policy:
    policy = a_policy(
        a_budget("$5"), environment=Environment(name="development", caching=CACHING, **development)
    )
    production = Environment(name="production", caching=TEMPERATE)
    return msgspec.structs.replace(policy, environments={**policy.environments, "production": production})


class Desk:
    """A governor with a cache and a clock, and somebody who asks."""

    def __init__(self, store: Store, policy: Policy) -> None:
        self.clock = Clock()
        self.store = store
        self.governor: Governor = a_governor(store, policy, clock=self.clock)
        self.governor.committer.start()
        self.cache = ResponseCache(MemoryAnswers)
        self._calls = 0

    def close(self) -> None:
        self.governor.committer.stop()
        self.cache.close()

    def recall(
        self,
        text: str = "hello",
        *,
        environment: str = "development",
        group: str | None = None,
        door: tuple[str, ...] = (),
        **members: object,
    ) -> Recall:
        assert CHAT is not None
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], "max_tokens": 50}
        request = CHAT.dialect.read(msgspec.json.encode(body | members))
        self._calls += 1
        identity = Identity(
            environment=environment, group=group, key="ana", key_id="key_ana", developer="ana"
        )
        call_id = f"call_{self._calls}"
        call = Call(
            call_id=call_id, request_id=call_id, at_us=self.clock(), identity=identity, facts=request.facts
        )
        caching = self.governor.policy.environments[environment].caching
        assert caching is not None
        return Recall(
            self.cache, self.governor, Posed(call=call, request=request, surface=CHAT, door=door), caching
        )

    def buy(self, recall: Recall, answer: bytes = ANSWER) -> None:
        """Make the call, and take what the provider answers."""
        posed = recall._posed
        grant = self.governor.authorize(posed.call, prompt=posed.request.prompt)
        meter = posed.surface.dialect.meter(posed.call.facts, streamed=False, content_type="application/json")
        relay = Relay(self.governor, grant, meter)
        relay.recording = recall.recording(grant)
        relay.status, relay.content_type = 200, "application/json"
        relay.feed(answer)
        relay.end(Ending.ANSWERED)

    def bought(self, text: str = "hello", **more: Any) -> None:
        recall = self.recall(text, **more)
        assert recall.find() is None
        self.buy(recall)


@pytest.fixture
def desk(store: Store) -> Iterator[Desk]:
    made = Desk(store, the_policy())
    yield made
    made.close()


@pytest.mark.parametrize(("environment", "ttl_seconds"), [("development", 7_200), ("production", 900)])
def test_an_answer_is_served_within_its_time_and_not_after(
    desk: Desk, environment: str, ttl_seconds: int
) -> None:
    desk.bought(environment=environment)

    desk.clock.at_us = NOON_US + ttl_seconds * MICROSECONDS - 1
    served = desk.recall(environment=environment).find()
    assert served is not None
    assert (served.kept.body, served.booked.cost_nanodollars) == (ANSWER, 0)
    desk.clock.at_us = NOON_US + ttl_seconds * MICROSECONDS
    assert desk.recall(environment=environment).find() is None


def test_a_hit_does_not_make_an_answer_live_longer(desk: Desk) -> None:
    desk.bought()
    desk.clock.at_us += 7_199 * MICROSECONDS
    assert desk.recall().find() is not None

    desk.clock.at_us += MICROSECONDS
    assert desk.recall().find() is None


def test_a_shorter_time_in_the_policy_holds_for_what_is_kept_already(desk: Desk) -> None:
    desk.bought()
    desk.clock.at_us += 1_000 * MICROSECONDS

    assert Recall(desk.cache, desk.governor, desk.recall()._posed, TEMPERATE).find() is None
    assert desk.recall().find() is not None


_PARTS = st.fixed_dictionaries(
    {
        "text": st.sampled_from(["hello", "Hello", "hello "]),
        "environment": st.sampled_from(["development", "production"]),
        "group": st.sampled_from([None, "blue", "red"]),
        "door": st.sampled_from([(), ("",), ("beta=1",), ("", "beta=1")]),
        "model": st.sampled_from(["gpt-4o-mini", "gpt-4o"]),
        "temperature": st.sampled_from([0, 1, 0.5]),
    }
)


@given(_PARTS, _PARTS)
def test_only_the_very_same_request_of_the_same_tenant_is_served(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    desk = Desk(MemoryStore(), the_policy())
    desk.bought(**one)

    assert (desk.recall(**other).find() is not None) == (one == other)
    desk.close()


def test_the_entry_of_a_hit_says_all_that_any_entry_says(desk: Desk) -> None:
    desk.bought()
    served = desk.recall().find()

    assert served is not None
    bought, hit = desk.store.entry("call_1"), desk.store.entry("call_2")
    assert bought is not None and hit is not None
    assert hit.outcome is Outcome.CACHED
    assert (hit.facts.environment, hit.facts.key, hit.facts.policy_digest) == (
        "development", "ana", desk.governor.policy.digest,
    )  # fmt: skip
    assert (hit.provider, hit.target, hit.model_served) == (
        bought.provider,
        bought.target,
        bought.model_served,
    )
    assert (hit.usage, hit.cost_nanodollars, hit.avoided_nanodollars) == (None, 0, bought.cost_nanodollars)
    assert bought.cost_nanodollars > 0
    assert desk.store.verify() == []


def test_a_hit_is_the_same_without_blocking_an_event_loop(desk: Desk) -> None:
    async def ask() -> list[Served | None]:
        return [await desk.recall(text).find_async() for text in ("hello", "bye")]

    desk.bought()
    served, nothing = asyncio.run(ask())

    assert served is not None and served.kept.body == ANSWER
    assert nothing is None


def test_every_target_that_could_answer_is_looked_up_and_no_cheaper_one(store: Store) -> None:
    def target(name: str, provider: str) -> Target:
        return Target(id=name, provider=provider, families=("openai",), base_url="http://127.0.0.1:1/v1")

    policy = msgspec.structs.replace(
        the_policy(at_limit=AtLimit.DOWNGRADE), targets=(target("one", "openai"), target("two", "azure"))
    )
    desk = Desk(store, policy)
    desk.bought(model="gpt-4o-mini")

    # gpt-4o could be served by gpt-4o-mini at a limit; below it nobody gets the lesser answer.
    assert desk.recall(model="gpt-4o").find() is None

    # The first target is out: what the second one answered counts for the same request.
    alone = msgspec.structs.replace(policy, targets=policy.targets[1:])
    desk.governor.policy = alone
    desk.bought("only two")
    desk.governor.policy = policy
    served = desk.recall("only two").find()
    assert served is not None
    assert served.grant.target.id == "two"
    desk.close()


def test_where_the_ledger_cannot_book_a_hit_nobody_gets_one(desk: Desk) -> None:
    desk.bought()
    desk.governor.committer.stop()

    assert desk.recall().find() is None
    with pytest.raises(Refused):
        desk.governor.authorize(desk.recall()._posed.call)
    assert desk.governor.policy.environments["development"].on_ledger_failure is OnLedgerFailure.CLOSED


def test_only_headers_that_ask_for_a_version_are_facts_of_the_door() -> None:
    headers = [
        ("user-agent", "OpenAI/Python"), ("openai-organization", "acme"), ("anthropic-version", "2023-06-01"),
        ("x-stainless-package-version", "3.54"), ("traceparent", "00-1"), ("groq-beta", "inference-metrics"),
    ]  # fmt: skip

    assert door_facts("alt=sse", reversed(headers), server="host") == (
        "host", "alt=sse", "anthropic-version:2023-06-01", "groq-beta:inference-metrics",
        "openai-organization:acme",
    )  # fmt: skip
