"""Both doors without their sockets: each reads, decides and books calls in its own way, on one clock."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest
from yarl import URL

import farthing.sdk.runtime as guards
from farthing.config.build import build
from farthing.config.load import Loaded, load_policy
from farthing.domain.errors import Refused
from farthing.domain.period import Period
from farthing.engine.governor import Governor
from farthing.engine.routes import Routes
from farthing.gateway.calls import Calls, Limits
from farthing.gateway.identities import Identities
from farthing.gateway.key_admin import create_key
from farthing.gateway.metrics import Counters
from farthing.gateway.targets import Targets
from farthing.ledger.entries import Entry
from farthing.ledger.store import Store
from farthing.sdk.desk import Desk, Wishes
from farthing.sdk.transport import GuardTransport
from farthing.simulator.answering import Answer, answer
from farthing.simulator.behaviour import Behaviour
from farthing.simulator.routes import route
from farthing.wire.surfaces import find
from tests.builders import Clock
from tests.generated import HOST, Made
from tests.running import PROVIDER_SECRETS

# What an entry says that depends on the policy, the call and the balances, and on no door.
FACTS = (
    "environment", "developer", "key", "group", "labels", "run", "dialect", "model_asked", "stream",
    "policy_digest", "cost_tracked",
)  # fmt: skip
MEMBERS = (
    "at_us", "outcome", "reason", "rules", "provider", "target", "model_served", "model_answered", "assumed",
    "assumed_rule", "status", "clamped_to", "usage", "ceiling_nanodollars", "cost_nanodollars",
    "cost_asked_nanodollars", "overrun_nanodollars", "accounts", "price_version", "anomalies", "would_refuse",
    "count",
)  # fmt: skip

Row = dict[str, Any]


class Provider:
    """Every provider at once: answers at once, and remembers what it was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    def answer(self, url: str, body: bytes) -> Answer:
        """Work out the answer to one call."""
        path, _, query = url.removeprefix(HOST).partition("?")
        self.sent.append((path, body))
        found = route(path, query.encode())
        assert found is not None, url
        endpoint, address = found
        return answer(endpoint, address, body, Behaviour())


class Heard:
    """An answer of the provider as the gateway hears it."""

    def __init__(self, told: Answer) -> None:
        self._told = told
        self.status = told.status
        self.headers: Iterable[tuple[bytes, bytes]] = told.headers
        self.content_type = dict(told.headers).get(b"content-type", b"").decode()

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self._told.pieces:
            yield piece

    def close(self) -> None:
        """There is nothing to let go of."""


class Wire:
    """The gateway's way to the provider."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def send(
        self,
        method: str,
        url: URL,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        head_seconds: float | None = None,
    ) -> Heard:
        return Heard(self._provider.answer(str(url), body))

    async def close(self) -> None:
        """There is no connection."""


class Played:
    """What came of calls: what was sent upstream, and what the ledger says of it."""

    def __init__(self, provider: Provider, store: Store) -> None:
        self.sent = provider.sent
        entries = store.entries(limit=1_000)
        numbers = {entry.call_id: entry.facts.labels["call"] for entry in entries}
        self.rows = [_row(entry, numbers) for entry in reversed(entries)]
        self.balances = sorted(
            (row.account, row.unit, row.settled, row.held, row.limit) for row in store.balances()
        )
        self.holds = store.open_holds()
        self.wrong = store.verify()


def _row(entry: Entry, numbers: Mapping[str, str]) -> Row:
    """What an entry says, with the calls it names by their numbers: ids are drawn anew at every door."""
    facts = {name: getattr(entry.facts, name) for name in FACTS}
    row = facts | {name: getattr(entry, name) for name in MEMBERS}
    return row | {
        "rules": [re.sub(r"call_\w+", lambda named: numbers[named[0]], rule) for rule in entry.rules]
    }


# ── the gateway ─────────────────────────────────────────────────────────────────────────────────


def through_gateway(policy: Path, ledger: str, made: Sequence[Made], clock: Clock) -> Played:
    """Send calls through everything of the gateway but its server and its connections."""
    running = build([policy], ledger=ledger, environ=PROVIDER_SECRETS)
    provider = Provider()
    try:
        asyncio.run(_serve(running, provider, made, clock))
        running.governor.finish()
        running.committer.stop()
        return Played(provider, running.store)
    finally:
        running.close()


async def _serve(running: Any, provider: Provider, made: Sequence[Made], clock: Clock) -> None:
    calls = Calls(
        governor=running.governor,
        identities=Identities(running.store, running.policy, running.clock),
        upstream=Wire(provider),
        targets=Targets(running.policy, running.secrets, simulator_url=None),
        counters=Counters(),
        cache=running.cache,
        clock=running.clock,
        prompt_salt=running.prompt_salt,
        limits=Limits(),
    )
    keys: dict[tuple[str, str], str] = {}
    for call in made:
        clock.at_us = call.at_us
        whose = (call.environment, call.developer)
        if whose not in keys:
            keys[whose], _ = create_key(
                running.store, running.policy, environment=call.environment, label=call.developer,
                by="a test", at_us=call.at_us, group=call.group,
            )  # fmt: skip
        await _post(calls, call, keys[whose])


async def _post(calls: Calls, call: Made, key: str) -> None:
    path, _, query = call.path.partition("?")
    path = f"/proxy/{call.provider}{path}"
    labels = json.dumps({**call.labels, "call": str(call.number)})
    headers = {
        "authorization": f"Bearer {key}",
        "content-type": "application/json",
        "x-metering-tags": labels,
    }
    scope = {
        "type": "http", "method": "POST", "path": path, "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    arriving = [{"type": "http.request", "body": call.body, "more_body": False}]

    async def receive() -> Any:
        if arriving:
            return arriving.pop()
        return await asyncio.Event().wait()  # the caller stays

    async def send(_: Any) -> None:
        """Whatever the caller is told, the ledger is what counts here."""

    surface = find("POST", path)
    assert surface is not None, path
    await calls.serve(scope, receive, send, surface)


# ── the guard ───────────────────────────────────────────────────────────────────────────────────


def through_guard(
    policy: Path, ledger: str, made: Sequence[Made], clock: Clock, patch: pytest.MonkeyPatch
) -> Played:
    """Send calls through everything of the guard but the SDK's own client."""
    provider, routes, loaded = Provider(), Routes(), load_policy([policy], PROVIDER_SECRETS)

    def once(*_: object) -> Loaded:
        return loaded

    def governor(**given: Any) -> Governor:
        return Governor(**given, routes=routes)  # as one gateway does, all know the same of the targets

    with patch.context() as patched:
        patched.setattr(guards, "_ledgers", {})
        patched.setattr(guards, "_runtimes", {})
        patched.setattr(guards, "load_policy", once)
        patched.setattr(guards, "Governor", governor)
        for call in made:
            clock.at_us = call.at_us
            patched.setenv("FARTHING_DEVELOPER", call.developer)
            if call.group is None:
                os.environ.pop("FARTHING_GROUP", None)
            else:
                patched.setenv("FARTHING_GROUP", call.group)
            _ask(call, policy, ledger, provider)
        for runtime in guards._runtimes.values():
            runtime.governor.finish()
        (opened,) = guards._ledgers.values()
        opened.committer.stop()
        played = Played(provider, opened.store)
        opened.close()
        patched.delenv("FARTHING_GROUP", raising=False)
        return played


def _ask(call: Made, policy: Path, ledger: str, provider: Provider) -> None:
    desk = Desk(
        Wishes(
            family=call.family, name=call.developer, limit_nanodollars=None, period=Period.TOTAL,
            shared=True, environment=call.environment, policy=(policy,), ledger=ledger,
            labels={**call.labels, "call": str(call.number)},
        )
    )  # fmt: skip

    def answered(request: httpx2.Request) -> httpx2.Response:
        told = provider.answer(str(request.url), request.content)
        headers = [(name, value) for name, value in told.headers if name != b"content-length"]
        return httpx2.Response(told.status, headers=headers, content=b"".join(told.pieces))

    def refuse(family: ModuleType, request: httpx2.Request, refused: Refused) -> httpx2.Response:
        answer: httpx2.Response = family.Response(403, text=refused.refusal.message, request=request)
        return answer

    transport = GuardTransport(httpx2.MockTransport(answered), desk, httpx2, refuse)
    headers = {"content-type": "application/json", "authorization": "Bearer any"}
    request = httpx2.Request("POST", f"{HOST}{call.path}", content=call.body, headers=headers)
    response = transport.handle_request(request)
    response.read()
    response.close()
