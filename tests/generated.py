"""Policies and calls that nobody thought of: made by dice, the same for the same seed."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tests.builders import NOON_US

Json = dict[str, Any]

HOST = "http://models.test"
ENVIRONMENTS = ("development", "staging", "production")
DEVELOPERS = ("alice", "bob", "carol")
MODELS = (
    "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-nano", "o3-mini", "nobody-knows-me",
    "claude-haiku-4-5", "claude-sonnet-4-5", "gemini-2.5-flash-lite", "gemini-2.5-pro",
    "text-embedding-3-small",
)  # fmt: skip
NAMES = ("auto", "chat", "small", "openai")
LABELS = {"feature": ("search", "chat"), "team": ("red", "blue"), "branch": ("main",), "run": ("r1", "r2")}
MONEY = ("$0.0005", "$0.002", "$0.01", "$0.05", "$0.50", "$150", "$750")
AT_LIMITS = ("clamp", "refuse", "downgrade", "overrun", "observe")
GROUP_OF = {"alice": "product", "bob": "research"}  # carol belongs to none


def a_policy_file(dice: random.Random) -> str:
    """The text of a policy with rules of every kind."""
    policy: Json = {
        "timezone": dice.choice(("UTC", "Europe/London", "Asia/Kathmandu")),
        "environments": {name: _environment(dice) for name in ENVIRONMENTS},
        "budgets": [_budget(dice, number) for number in range(dice.randint(1, 7))],
        "consumer_groups": [
            _maybe(
                dice,
                {"name": f"{group}-{environment}", "environment": environment, "wallet_team_id": group},
                {"rate_limit": "12/hour per group", "budget_alerts": _alerts(dice)},
            )
            for group in GROUP_OF.values()
            for environment in ENVIRONMENTS
        ],
        "wallets": [
            {"team_id": group, "owner": "ana", "allocation": dice.choice(MONEY), "period": "monthly"}
            for group in GROUP_OF.values()
        ],
        "cost_tracking": {
            "enabled": dice.random() < 0.95,
            "wallet_enforcement": dice.random() < 0.5,
            "budget_alerts": _alerts(dice),
        },
        "providers": {"routing": _routing(dice), "targets": _targets(dice)},
    }
    return json.dumps(policy, indent=1)


def _maybe(dice: random.Random, always: Json, sometimes: Json, chance: float = 0.3) -> Json:
    return always | {name: value for name, value in sometimes.items() if dice.random() < chance}


def _environment(dice: random.Random) -> Json:
    return _maybe(
        dice,
        {"at_limit": dice.choice(AT_LIMITS)},
        {
            "models": {
                "allow": dice.sample([*MODELS, "gpt-4*", "claude-*", "gemini-*"], dice.randint(2, 8)),
                "otherwise": dice.choice(("downgrade", "refuse")),
            },
            "downgrade": {dice.choice(("gpt-4o", "gpt-*", "claude-*")): dice.choice(MODELS)},
            "rate_limit": f"{dice.choice((3, 10, 60))}/{dice.choice(('minute', 'hour'))}",
            "token_limit": f"{dice.choice((2_000, 20_000))}/{dice.choice(('minute', 'day'))}",
            "calls_open": dice.choice((1, "8 per environment")),
            "call_limit": dice.choice(("$0.0001", "$0.01")),
            "output_bound": dice.choice((300, 2_000)),
            "unbounded": dice.choice(("context", "refuse", "overrun")),
            "unpriced": dice.choice(("refuse", "dearest")),
            "cache": {"enabled": True, "ttl_seconds": dice.choice((900, 7200)), "max_entries": 5000},
        },
    )


def _budget(dice: random.Random, number: int) -> Json:
    match: Json = _maybe(
        dice,
        {},
        {
            "environment": dice.choice(ENVIRONMENTS),
            "model": dice.choice(("gpt-4*", "claude-*", "gpt-4o-mini")),
            "provider": dice.choice(("openai", "anthropic")),
            "developer": dice.choice(DEVELOPERS),
            "feature": "search",
        },
        0.35,
    )
    always = {
        "name": f"budget-{number}",
        "match": match or {"environment": dice.choice(ENVIRONMENTS)},
        "limit": dice.choice(MONEY),
        "period": dice.choice(("hourly", "daily", "weekly", "monthly", "run", "total")),
    }
    facts = ("developer", "team", "feature", "branch", "run", "model", "provider", "group", "environment")
    sometimes = {
        "per": dice.choice(facts),
        "at_limit": dice.choice(AT_LIMITS),
        "call_limit": dice.choice(("$0.0002", "$0.02")),
        "alerts": [25, 50],
        "months": {"september": dice.choice(MONEY)},
    }
    if always["period"] in ("run", "total"):
        del sometimes["months"]  # their windows begin in no month
    return _maybe(dice, always, sometimes)


def _alerts(dice: random.Random) -> list[Json]:
    percents = ((50, "notify"), (80, "downgrade"), (90, "notify"), (100, "block"))
    return [
        {"threshold_percent": percent, "action": action}
        for percent, action in percents
        if dice.random() < 0.5
    ]


def _routing(dice: random.Random) -> Json:
    """One attempt for each call: a guarded client's own SDK, and not the guard, tries again."""
    strategies = ("ordered", "weighted_round_robin", "usage_based", "lowest_cost")
    rule = {"name": "search", "match": {"feature": "search"}, "targets": ["small", "openai"], "attempts": 1}
    return {
        "strategy": dice.choice(strategies),
        "attempts": 1,
        "rules": [rule | {"strategy": dice.choice(strategies)}] if dice.random() < 0.3 else [],
    }


def _targets(dice: random.Random) -> list[Json]:
    def at(identity: str, provider: str, **more: Any) -> Json:
        return {"id": identity, "provider": provider, "base_url": HOST, **more}

    openai = f"{HOST}/v1"
    further = [
        at("small", "openai", model="gpt-4o-mini", name="chat", base_url=openai, weight=3),
        at("large", "openai", model="gpt-4o", name="chat", base_url=openai, requests_per_minute=10),
        at("second", "openai", base_url=openai, environments=["production"]),
    ]
    return [
        *(one for one in further if dice.random() < 0.6 or one["id"] == "small"),
        at("openai", "openai", base_url=openai),
        at("anthropic", "anthropic"),
        at("google", "google"),
    ]


# ── calls ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True)
class Made:
    """One call as its caller makes it, whichever way it takes."""

    number: int
    at_us: int
    environment: str
    developer: str
    model: str
    says: str
    output_cap: int | None
    stream: bool
    labels: dict[str, str] = field(default_factory=dict)
    searches: bool = False

    @property
    def family(self) -> str:
        return {"claude": "anthropic", "gemini": "gemini"}.get(self.model.partition("-")[0], "openai")

    @property
    def provider(self) -> str:
        return "google" if self.family == "gemini" else self.family

    @property
    def group(self) -> str | None:
        group = GROUP_OF.get(self.developer)
        return None if group is None else f"{group}-{self.environment}"

    @property
    def path(self) -> str:
        """Below the address of the provider."""
        if self.family == "anthropic":
            return "/v1/messages"
        if self.family == "gemini":
            return f"/v1beta/models/{self.model}:" + (
                "streamGenerateContent?alt=sse" if self.stream else "generateContent"
            )
        return "/v1/embeddings" if self.model.startswith("text-embedding") else "/v1/chat/completions"

    @property
    def body(self) -> bytes:
        text = f"[[sim {self.says}]] hello"
        body: Json
        if self.family == "gemini":
            config = {"generationConfig": {"maxOutputTokens": self.output_cap}} if self.output_cap else {}
            body = {"contents": [{"role": "user", "parts": [{"text": text}]}], **config}
        elif self.path == "/v1/embeddings":
            body = {"model": self.model, "input": text}
        else:
            body = {"model": self.model, "messages": [{"role": "user", "content": text}]}
            if self.output_cap is not None or self.family == "anthropic":
                body["max_tokens"] = self.output_cap or 600
            body |= {"stream": True} if self.stream else {}
            body |= {"web_search_options": {}} if self.searches and self.family == "openai" else {}
        return json.dumps(body).encode()


def calls_made(dice: random.Random, count: int) -> Iterator[Made]:
    """Calls one after the other, seconds or hours apart."""
    at_us, made = NOON_US, list[Made]()
    for number in range(count):
        at_us += dice.choice((1_000, 900_000, 30_000_000, 30_000_000, 5_000_000_000))
        if made and dice.random() < 0.3:  # the same once more, which a cache may know
            made.append(replace(dice.choice(made[-10:]), number=number, at_us=at_us))
        else:
            made.append(_some_call(dice, number, at_us))
        yield made[-1]


def _some_call(dice: random.Random, number: int, at_us: int) -> Made:
    accident = dice.choice(("",) * 8 + (" no_usage", " status=500", " ignore_cap", " cached=1"))
    return Made(
        number=number,
        at_us=at_us,
        environment=dice.choice(ENVIRONMENTS),
        developer=dice.choice(DEVELOPERS),
        model=dice.choice((*MODELS, *MODELS, *NAMES)),
        says=f"input={dice.choice((5, 30))} output={dice.choice((10, 400, 3_000))}{accident}",
        output_cap=dice.choice((None, 100, 600, 4_000)),
        stream=dice.random() < 0.3,
        labels={name: dice.choice(values) for name, values in LABELS.items() if dice.random() < 0.5},
        searches=dice.random() < 0.03,
    )
