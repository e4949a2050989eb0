"""Describe the policy file: every section, key and kind of value it may hold."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from farthing.config.values import (
    CallsOpen,
    LabelName,
    Match,
    ModelName,
    Money,
    Month,
    Name,
    Percent,
    RequestRate,
    TargetId,
    Temperature,
    TokenRate,
    Url,
    VariableName,
    Zone,
)
from farthing.domain.period import Period
from farthing.policy.rules import (
    Action,
    AtLimit,
    Caching,
    Limit,
    OnDisconnect,
    OnLedgerFailure,
    Otherwise,
    Strategy,
    Threshold,
    Unbounded,
    Unpriced,
)

# Text is turned into the words of the rules; everything else must have the right type already.
Word = Field(strict=False)
Count = Annotated[int, Field(ge=1)]
Attempts = Annotated[int, Field(ge=1, le=10)]
BudgetPeriod = Literal["hourly", "daily", "weekly", "monthly", "run", "total"]
WalletPeriod = Literal["daily", "weekly", "monthly", "total"]


class Section(BaseModel):
    """A part of the file: only known keys, only values of the right type."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class SecretReference(Section):
    """Where a secret is found; never the secret itself."""

    env: VariableName | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "SecretReference":
        if (self.env is None) == (self.file is None):
            raise PydanticCustomError(
                "farthing", "names no place or two", {"fix": "write {env: NAME} or {file: PATH}"}
            )
        return self


class Models(Section):
    """The models an environment may ask for, and what happens to others."""

    allow: list[ModelName]
    otherwise: Annotated[Otherwise, Word] = Otherwise.REFUSE


class Cache(Section):
    """Answers kept for identical requests."""

    enabled: bool
    ttl_seconds: Count = 3600
    max_entries: Count = 1000
    max_bytes: Count = 256 * 1024 * 1024
    match_strategy: Literal["exact"] = "exact"
    temperature_max: Temperature = Decimal(1)
    tools: bool = False

    @property
    def rule(self) -> Caching | None:
        """What the rules know of it; None where it is not enabled."""
        if not self.enabled:
            return None
        return Caching(
            ttl_seconds=self.ttl_seconds,
            entries_max=self.max_entries,
            bytes_max=self.max_bytes,
            temperature_max=self.temperature_max,
            tools=self.tools,
        )


class AlertManners(Section):
    """How loudly, and to whom, an environment speaks up."""

    severity: Literal["info", "warning", "critical"] = "warning"
    owner: str | None = None
    runbook: str | None = None
    channels: list[Name] = []


class BudgetAlert(Section):
    """What happens when a share of a budget is used."""

    threshold_percent: Percent
    action: Annotated[Action, Word]

    @property
    def rule(self) -> Threshold:
        """The threshold as the rules know it."""
        return Threshold(percent=self.threshold_percent, action=self.action)


class LimitedSection(Section):
    """Whose calls keep limits: so many requests or tokens in a time, so many calls open at once."""

    rate_limit: RequestRate = ()
    token_limit: TokenRate = ()
    calls_open: CallsOpen = ()

    @property
    def limits(self) -> tuple[Limit, ...]:
        """All of them, as the rules know them."""
        return (*self.rate_limit, *self.token_limit, *self.calls_open)


class EnvironmentSection(LimitedSection):
    """Where calls come from, with its own models and manners."""

    models: Models | None = None
    downgrade: dict[ModelName, ModelName] = {}
    cache: Cache | None = None
    at_limit: Annotated[AtLimit, Word] = AtLimit.CLAMP
    output_bound: Count | None = None
    unbounded: Annotated[Unbounded, Word] = Unbounded.CONTEXT
    unpriced: Annotated[Unpriced, Word] = Unpriced.REFUSE
    on_disconnect: Annotated[OnDisconnect, Word] = OnDisconnect.DRAIN
    on_ledger_failure: Annotated[OnLedgerFailure, Word] = OnLedgerFailure.CLOSED
    call_limit: Money | None = None
    alerts: AlertManners | None = None


class ConsumerGroup(LimitedSection):
    """Keys that belong together: one environment and one wallet."""

    name: Name
    environment: Name | None = None
    api_key: Annotated[str, Field(min_length=1)] | None = None
    api_key_ref: SecretReference | None = None
    wallet_team_id: Name | None = None
    budget_alerts: list[BudgetAlert] = []

    @model_validator(mode="after")
    def _one_key(self) -> "ConsumerGroup":
        if self.api_key is not None and self.api_key_ref is not None:
            raise PydanticCustomError(
                "farthing", "has both api_key and api_key_ref", {"fix": "keep api_key_ref: {env: NAME}"}
            )
        return self


class WalletSection(Section):
    """Money put in for a team."""

    team_id: Name
    owner: str | None = None
    allocation: Money | None = None
    period: WalletPeriod | None = None


class BudgetSection(Section):
    """A limit in money for a scope, anew in each period."""

    name: Name
    limit: Money
    period: BudgetPeriod
    match: Match = {}
    per: LabelName | None = None
    timezone: Zone | None = None
    at_limit: Annotated[AtLimit, Word] | None = None
    hard: bool | None = None
    months: dict[Month, Money] = {}
    call_limit: Money | None = None
    alerts: list[Percent] = []
    owner: str | None = None

    @model_validator(mode="after")
    def _one_manner(self) -> "BudgetSection":
        if self.hard is not None and self.at_limit is not None:
            raise PydanticCustomError(
                "farthing",
                "has both hard and at_limit",
                {"fix": "keep at_limit; hard: true means refuse, hard: false means overrun"},
            )
        return self

    @model_validator(mode="after")
    def _months_of_windows(self) -> "BudgetSection":
        if self.months and self.period in ("run", "total"):
            raise PydanticCustomError(
                "farthing",
                "has months, but its period has no month",
                {"fix": "use period: monthly, weekly, daily or hourly with months"},
            )
        return self

    @property
    def manner(self) -> AtLimit | None:
        """What happens at the limit, in our words."""
        if self.hard is None:
            return self.at_limit
        return AtLimit.REFUSE if self.hard else AtLimit.OVERRUN

    @property
    def span(self) -> Period:
        """The period as the rules know it."""
        return Period(self.period)


class PriceSection(Section):
    """What a model costs: dollars per million tokens of each class, and dollars apiece for fees."""

    input: Money
    output: Money | None = None
    cache_read: Money | None = None
    cache_write_5m: Money | None = None
    cache_write_1h: Money | None = None
    input_audio: Money | None = None
    cache_read_audio: Money | None = None
    input_image: Money | None = None
    input_video: Money | None = None
    output_audio: Money | None = None
    output_image: Money | None = None
    reasoning: Money | None = None
    fees: dict[str, Money] = {}

    def rates(self) -> dict[str, int]:
        """Nanodollars per million tokens, by class, as far as they are given."""
        return self.model_dump(exclude={"fees", "provider"}, exclude_none=True)


class NamedPrice(PriceSection):
    """A price in the prices section, which may hold for one provider only."""

    provider: Name | None = None


class TargetSection(Section):
    """One provider, and one model or all of them, that calls can be sent to."""

    id: TargetId
    provider: Name
    model: ModelName | None = None
    base_url: Url | None = None
    dialects: Annotated[list[Literal["openai", "anthropic", "gemini"]], Field(min_length=1)] | None = None
    environments: list[Name] = []
    weight: Count = 1
    pricing: PriceSection | None = None
    secret_key_ref: SecretReference | None = None
    when_missing: VariableName | None = None
    usage_in_stream: Literal["ask", "never"] = "ask"
    name: ModelName | None = None
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    timeout_seconds: Count | None = None


class RoutingRule(Section):
    """How some calls choose among targets."""

    name: Name | None = None
    match: Match = {}
    strategy: Annotated[Strategy, Word] | None = None
    targets: list[TargetId] = []
    attempts: Attempts | None = None
    patience_seconds: Count | None = None


class Routing(Section):
    """In which order the targets that may serve a call are tried, and how often."""

    strategy: Annotated[Strategy, Word] = Strategy.ORDERED
    attempts: Attempts = 3
    patience_seconds: Count = 60
    rules: list[RoutingRule] = []


class Providers(Section):
    """Where calls can be sent."""

    routing: Routing = Routing()
    targets: list[TargetSection] = []


class CostTracking(Section):
    """Whether costs are kept, and what follows from them."""

    enabled: bool = True
    wallet_enforcement: bool = False
    budget_alerts: list[BudgetAlert] = []


class Channel(Section):
    """Where alerts are delivered."""

    url_ref: SecretReference


class Notifications(Section):
    """Where alerts go."""

    channels: dict[Name, Channel] = {}


class PolicyFile(Section):
    """A farthing policy file. Several files side by side make one policy."""

    organization: str | None = None
    timezone: Zone | None = None
    ledger: str | None = None
    environment: Name | None = None
    environments: dict[Name, EnvironmentSection] = {}
    consumer_groups: list[ConsumerGroup] = []
    wallets: list[WalletSection] = []
    budgets: list[BudgetSection] = []
    providers: Providers = Providers()
    cost_tracking: CostTracking = CostTracking()
    budget_alerts: list[BudgetAlert] = []
    cache: Cache | None = None
    notifications: Notifications = Notifications()
    prices: dict[ModelName, NamedPrice] = {}


def policy_schema() -> dict[str, object]:
    """The JSON Schema of a policy file, for editors."""
    schema = _without_null(PolicyFile.model_json_schema())
    assert isinstance(schema, dict)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "farthing policy"}


def _without_null(schema: object) -> object:
    """Drop "or null" everywhere: a key is given a value or left out."""
    if isinstance(schema, list):
        return [_without_null(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _without_null(value) for key, value in schema.items() if (key, value) != ("default", None)}
    choices = kept.get("anyOf")
    if isinstance(choices, list) and len(choices) == 2 and {"type": "null"} in choices:
        only = next(choice for choice in choices if choice != {"type": "null"})
        del kept["anyOf"]
        kept = {**only, **kept}
    return kept
