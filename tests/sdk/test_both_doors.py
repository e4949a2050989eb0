"""The same policy and the same calls through either door: decided alike and booked alike."""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anthropic
import msgspec
import openai
import pytest
from google import genai
from google.genai import errors, types

from farthing import CallRefused, guard
from farthing.domain.errors import Reason
from farthing.ledger.entries import Entry
from farthing.ledger.sqlite import SqliteStore
from farthing.simulator.server import SimulatorServer
from tests.builders import NOON_US
from tests.running import CallKey, RunningGateway
from tests.sdk.asking import messages

# One target for each provider: a guarded client has one address, so it never goes on to another target.
POLICY = """
organization: acme
environments:
  development:
    models:
      allow: [gpt-4o-mini, gpt-4.1-nano, claude-haiku-4-5, gemini-2.5-flash-lite, text-embedding-3-small]
      otherwise: downgrade
    downgrade: {gpt-4o: gpt-4o-mini, "claude-*": claude-haiku-4-5}
    output_bound: 2000
  staging:
    models: {allow: [gpt-4o, gpt-4o-mini, my-finetune, claude-sonnet-4-6], otherwise: refuse}
    at_limit: refuse
    unbounded: refuse
  qa:
    models: {allow: [gpt-4o, gpt-4o-mini, gpt-4.1-nano, nobody-knows-me], otherwise: refuse}
    at_limit: downgrade
    unpriced: dearest
    rate_limit: 5/hour
  production:
    at_limit: overrun
    unbounded: overrun
  dry:
    models: {allow: [gpt-4o-mini], otherwise: downgrade}
    at_limit: observe
budgets:
  - {name: dev-month, match: {environment: development}, limit: $0.012, period: monthly}
  - {name: per-branch, match: {environment: development}, per: branch, limit: $0.004, period: daily}
  - name: per-developer
    match: {environment: development}
    per: developer
    limit: $0.008
    period: monthly
    at_limit: refuse
  - {name: staging, match: {environment: staging}, limit: $0.03, period: weekly}
  - {name: search, match: {environment: staging, feature: search}, limit: $0.012, period: hourly}
  - {name: qa, match: {environment: qa}, limit: $0.05, period: monthly}
  - {name: run, match: {environment: qa}, per: run, limit: $0.02, period: run}
  - {name: production, match: {environment: production}, limit: $0.02, period: total}
  - name: hard-stop
    match: {environment: production, model: "claude-*"}
    limit: $0.02
    period: total
    at_limit: refuse
  - {name: dry, match: {environment: dry}, limit: $0.003, period: total}
  - {name: openai, match: {provider: openai}, limit: $0.10, period: monthly, at_limit: clamp}
providers:
  targets:
    - {id: openai, provider: openai, base_url: SIMULATOR/v1, secret_key_ref: {env: OPENAI_API_KEY}}
    - {id: anthropic, provider: anthropic, base_url: SIMULATOR, secret_key_ref: {env: ANTHROPIC_API_KEY}}
    - {id: google, provider: google, base_url: SIMULATOR, secret_key_ref: {env: GEMINI_API_KEY}}
prices:
  my-finetune: {input: 3.00, output: 12.00}
"""

ENVIRONMENTS = ("development", "staging", "qa", "production", "dry")
DEVELOPERS = ("alice", "bob")


@dataclass(frozen=True, kw_only=True)
class Asking:
    """One call to send through both doors."""

    environment: str = "development"
    developer: str = "alice"
    model: str = "gpt-4o-mini"
    says: str = "input=30 output=500"
    output_cap: int | None = 600
    stream: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def sdk(self) -> str:
        """Which SDK asks for such a model."""
        family = self.model.partition("-")[0]
        return {"claude": "anthropic", "gemini": "gemini"}.get(family, "openai")


@pytest.fixture(autouse=True)
def _same_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both doors live at noon of one day, so that no window ends between them."""
    began = time.monotonic_ns()

    def clock() -> int:
        return NOON_US + (time.monotonic_ns() - began) // 1_000

    monkeypatch.setattr("farthing.config.build.clock", clock)
    monkeypatch.setattr("farthing.sdk.runtime.clock", clock)


def bare(sdk: str, url: str, key: str) -> Any:
    """A client as its SDK makes it."""
    match sdk:
        case "anthropic":
            return anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)
        case "gemini":
            return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url))
        case _:
            return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)


class ThroughGateway:
    """Sends calls with the SDKs' own clients to a running gateway."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._gateway = gateway
        self._clients: dict[tuple[str, str, str], Any] = {}
        self._keys: dict[tuple[str, str], CallKey] = {}

    def ask(self, asking: Asking) -> str:
        whose = (asking.environment, asking.developer)
        if whose not in self._keys:
            self._keys[whose] = self._gateway.key(*whose)
        which = (*whose, asking.sdk)
        if which not in self._clients:
            # A guarded client knows whose it is; here the path says so.
            provider = "google" if asking.sdk == "gemini" else asking.sdk
            url = f"{self._gateway.url}/proxy/{provider}"
            self._clients[which] = bare(asking.sdk, url, self._keys[whose].secret)
        labels = msgspec.json.encode(asking.labels).decode()
        return ask(self._clients[which], asking, {"x-metering-tags": labels})


class ThroughGuard:
    """Sends calls with the SDKs' own clients, guarded, to the provider."""

    def __init__(
        self, simulator: SimulatorServer, policy: Path, ledger: Path, surroundings: pytest.MonkeyPatch
    ) -> None:
        self._clients = {sdk: bare(sdk, simulator.url, "any") for sdk in ("openai", "anthropic", "gemini")}
        self._policy, self._ledger, self._surroundings = policy, ledger, surroundings

    def ask(self, asking: Asking) -> str:
        return ask(self.client(asking), asking, {})

    def client(self, asking: Asking) -> Any:
        self._surroundings.setenv("FARTHING_DEVELOPER", asking.developer)
        return guard(
            self._clients[asking.sdk],
            policy=self._policy,
            ledger=f"sqlite:///{self._ledger}",
            workflow_id=asking.developer,
            environment=asking.environment,
            labels=asking.labels,
        )


def ask(client: Any, asking: Asking, headers: dict[str, str]) -> str:
    """Make one call; tell what the caller saw, in one word."""
    try:
        got = _got(client, asking, f"[[sim {asking.says}]] hello", headers)
        if asking.stream:
            list(got)
    except CallRefused as refused:
        return refused.reason.value
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        return error.response.headers.get("x-farthing-refusal") or str(error.status_code)
    except errors.APIError as error:
        told = error.details if isinstance(error.details, dict) else {}
        return told.get("error", {}).get("farthing", {}).get("reason") or str(error.code)
    return "answered"


def _got(client: Any, asking: Asking, text: str, headers: dict[str, str]) -> Any:
    cap, streams = asking.output_cap, {"stream": True} if asking.stream else {}
    if asking.sdk == "gemini":
        options = types.HttpOptions(headers=headers)
        config = types.GenerateContentConfig(max_output_tokens=cap, http_options=options)
        models = client.models
        entrance = models.generate_content_stream if asking.stream else models.generate_content
        return entrance(model=asking.model, contents=text, config=config)
    if asking.model.startswith("text-embedding"):
        return client.embeddings.create(model=asking.model, input=text, extra_headers=headers)
    entrance = client.messages.create if asking.sdk == "anthropic" else client.chat.completions.create
    capped = {} if cap is None and asking.sdk == "openai" else {"max_tokens": cap or 600}
    return entrance(
        model=asking.model,
        messages=messages(text),
        extra_headers=headers,
        **streams,
        **capped,
        **asking.more,
    )


# What an entry says that depends on the policy, the call and the balances, and on no door.
FACTS = (
    "environment", "claimed_environment", "developer", "key", "labels", "run", "dialect", "model_asked",
    "stream", "policy_digest", "cost_tracked",
)  # fmt: skip
MEMBERS = (
    "outcome", "reason", "rules", "provider", "target", "model_served", "model_answered", "assumed",
    "assumed_rule", "status", "clamped_to", "usage", "ceiling_nanodollars", "cost_nanodollars",
    "cost_asked_nanodollars", "overrun_nanodollars", "accounts", "price_version", "anomalies", "would_refuse",
    "count",
)  # fmt: skip


def told(entry: Entry) -> dict[str, object]:
    facts = {name: getattr(entry.facts, name) for name in FACTS}
    return facts | {name: getattr(entry, name) for name in MEMBERS}


def books(ledger: Path) -> list[dict[str, object]]:
    """Every entry, oldest first."""
    store = SqliteStore(ledger)
    try:
        assert store.open_holds() == [] and store.verify() == []
        return [told(entry) for entry in reversed(store.entries(limit=1000))]
    finally:
        store.close()


def differences(
    gateways: Sequence[dict[str, object]], guards: Sequence[dict[str, object]]
) -> Iterator[tuple[object, ...]]:
    """Where two ledgers differ: at which entry, in which member, and what each says."""
    if len(gateways) != len(guards):
        yield "entries", len(gateways), len(guards)
    for one, other in zip(gateways, guards, strict=False):
        for member, said in one.items():
            if said != other[member]:
                yield one["labels"], member, said, other[member]


class Doors:
    """Both doors on one policy, each with a ledger of its own."""

    def __init__(self, simulator: SimulatorServer, folder: Path, surroundings: pytest.MonkeyPatch) -> None:
        self._simulator, self._folder = simulator, folder
        policy, self._guard_ledger = folder / "farthing.yaml", folder / "guard.db"
        policy.write_text(POLICY.replace("SIMULATOR", simulator.url), "utf-8")
        self.guard = ThroughGuard(simulator, policy, self._guard_ledger, surroundings)

    def assert_alike(self, askings: Sequence[Asking]) -> list[dict[str, object]]:
        # A label of its own keeps a refusal from being counted with others in one row.
        numbered = [
            replace(asking, labels={**asking.labels, "call": str(number)})
            for number, asking in enumerate(askings)
        ]
        with RunningGateway(POLICY, self._folder, self._simulator) as gateway:
            at_gateway = ThroughGateway(gateway)
            seen_at_gateway = [at_gateway.ask(asking) for asking in numbered]
        seen_at_guard = [self.guard.ask(asking) for asking in numbered]
        seen = zip(numbered, seen_at_gateway, seen_at_guard, strict=True)
        assert not [(asking, one, other) for asking, one, other in seen if one != other]
        gateways, guards = books(gateway.ledger_file), books(self._guard_ledger)
        assert not list(differences(gateways, guards))
        return guards


@pytest.fixture
def doors(simulator: SimulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doors:
    return Doors(simulator, tmp_path, monkeypatch)


LITERAL = [
    Asking(),
    Asking(stream=True),
    Asking(model="gpt-4o"),  # by the downgrade map
    Asking(model="gpt-4.1"),  # the cheapest that is allowed
    Asking(model="claude-sonnet-4-6"),
    Asking(model="gemini-2.5-flash-lite"),
    Asking(model="gemini-2.5-flash-lite", stream=True),
    Asking(model="text-embedding-3-small"),
    Asking(output_cap=None),  # gets the environment's bound
    Asking(model="openai"),  # a target by its name, and no model
    Asking(model="auto"),
    Asking(labels={"branch": "main", "feature": "search"}),
    Asking(labels={"branch": "main"}, output_cap=4_000, says="input=30 output=4000"),
    Asking(labels={"branch": "main"}, output_cap=4_000, says="input=30 output=4000"),  # clamped
    Asking(labels={"branch": "main"}, output_cap=4_000),
    Asking(developer="bob"),
    Asking(labels={"environment": "production", "run": "r1"}),  # a claim, and a run
    Asking(environment="staging", model="gpt-4o"),
    Asking(environment="staging", model="gpt-4.1"),  # not allowed
    Asking(environment="staging", model="my-finetune"),
    Asking(environment="staging", model="gpt-4o", labels={"feature": "search"}),
    Asking(environment="staging", model="gpt-4o", labels={"feature": "search"}),
    Asking(environment="staging", model="gpt-4o", labels={"feature": "search"}),  # refused in full
    Asking(environment="qa", model="gpt-4o", labels={"run": "r1"}),
    Asking(environment="qa", model="gpt-4o", labels={"run": "r1"}),
    Asking(environment="qa", model="gpt-4o", labels={"run": "r1"}),
    Asking(environment="qa", model="gpt-4o", labels={"run": "r1"}),  # the next cheaper one
    Asking(environment="qa", model="gpt-4o", labels={"run": "r2"}),
    Asking(environment="qa", model="nobody-knows-me", labels={"run": "r3"}),  # priced as the dearest
    Asking(environment="qa", model="gpt-4.1-nano"),  # one more than may be asked in an hour
    Asking(environment="staging", model="gpt-4o", more={"web_search_options": {}}),  # nobody knows how much
    Asking(environment="production", model="gpt-4o"),
    Asking(environment="production", model="gpt-4o", output_cap=2_000, says="input=30 output=2000"),
    Asking(environment="production", model="gpt-4o"),  # passes, and shows the overrun
    Asking(environment="production", model="claude-sonnet-4-6"),
    Asking(environment="production", model="claude-sonnet-4-6", output_cap=5_000),  # the one hard budget
    Asking(environment="production", model="nobody-knows-me"),
    Asking(environment="dry"),
    Asking(environment="dry", model="gpt-4o"),  # observed: would be downgraded
    Asking(environment="dry", model="gpt-4o"),  # observed: would be refused
    Asking(says="no_usage"),
    Asking(says="status=500"),
    Asking(says="status=400"),
    Asking(says="status=502", stream=True),
    Asking(says="input=30 cached=10 output=5000 ignore_cap"),
]


def test_every_kind_of_decision_is_the_same_through_either_door(doors: Doors) -> None:
    guards = doors.assert_alike(LITERAL)
    # The list is of use only while it meets every kind of decision.
    assert {row["reason"] for row in guards} >= {
        "as_asked", "downgraded", "cheaper", Reason.BUDGET_EXCEEDED.value, Reason.MODEL_NOT_ALLOWED.value,
        Reason.UNPRICED_MODEL.value, Reason.RATE_LIMITED.value, Reason.UNBOUNDED_INPUT.value,
    }  # fmt: skip
    assert any(row["clamped_to"] for row in guards) and any(row["would_refuse"] for row in guards)
    assert any(row["overrun_nanodollars"] for row in guards)


def random_askings(seed: int, count: int) -> Iterator[Asking]:
    dice = random.Random(seed)
    models = (
        "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-nano", "my-finetune", "nobody-knows-me", "auto",
        "claude-haiku-4-5", "claude-sonnet-4-6", "gemini-2.5-flash-lite", "gemini-2.5-pro",
        "text-embedding-3-small", "o3-mini",
    )  # fmt: skip
    for _ in range(count):
        cap = dice.choice((None, 100, 300, 1_000, 3_000))
        yield Asking(
            environment=dice.choice(ENVIRONMENTS),
            developer=dice.choice(DEVELOPERS),
            model=dice.choice(models),
            says=f"input={dice.randint(1, 40)} output={dice.randint(1, 3_000)}"
            + dice.choice(("", "", "", " no_usage", " status=500", " ignore_cap", " cached=1")),
            output_cap=cap,
            stream=dice.random() < 0.3,
            labels={
                name: dice.choice(values)
                for name, values in (
                    ("branch", ("main", "fix")), ("feature", ("search", "chat")), ("run", ("r1", "r2")),
                )
                if dice.random() < 0.5
            },
        )  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_random_sequences_are_decided_alike_through_either_door(doors: Doors, seed: int) -> None:
    doors.assert_alike(list(random_askings(seed, 60)))


def test_a_request_that_cannot_be_read_reaches_no_provider_through_either_door(
    doors: Doors, simulator: SimulatorServer
) -> None:
    with pytest.raises(CallRefused, match="cannot be bounded"):
        client = doors.guard.client(Asking())
        client.chat.completions.create(model="gpt-4o", messages=messages("hello"), n=200)
    with pytest.raises(CallRefused, match=r"could cost \$"):
        client.chat.completions.create(model="gpt-4o-mini", messages=messages("hi"), max_tokens=10**12, n=100)
    assert not simulator.record.calls
