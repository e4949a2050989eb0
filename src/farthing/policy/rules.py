"""The rules in force, as frozen values: environments, budgets, targets."""

import enum
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from farthing.domain.errors import Reason
from farthing.domain.period import Period, Window, month_of
from farthing.domain.premium_pass import PremiumPass


class Otherwise(enum.StrEnum):
    """What happens to a model that is not on the allowlist."""

    DOWNGRADE = "downgrade"
    REFUSE = "refuse"


class AtLimit(enum.StrEnum):
    """What happens to a call that does not fit a budget."""

    __hash__ = str.__hash__  # they are keys on the hot path, and Enum would hash by name, in Python

    CLAMP = "clamp"
    REFUSE = "refuse"
    DOWNGRADE = "downgrade"
    OVERRUN = "overrun"
    OBSERVE = "observe"


class Unbounded(enum.StrEnum):
    """What is assumed of a request whose billed input may exceed its body."""

    CONTEXT = "context"
    REFUSE = "refuse"
    OVERRUN = "overrun"


class Unpriced(enum.StrEnum):
    """What happens to a model without a price."""

    REFUSE = "refuse"
    DEAREST = "dearest"


class OnDisconnect(enum.StrEnum):
    """What happens upstream when the caller leaves in the middle of an answer."""

    DRAIN = "drain"
    CANCEL = "cancel"


class OnLedgerFailure(enum.StrEnum):
    """Whether calls pass while the ledger cannot answer."""

    CLOSED = "closed"
    OPEN = "open"


class Counted(enum.StrEnum):
    """What a limit counts, by the name that the ledger has for the unit."""

    __hash__ = str.__hash__  # they are keys on the hot path, and Enum would hash by name, in Python

    REQUESTS = "requests"
    TOKENS = "tokens"
    CALLS_OPEN = "calls_open"


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """So many requests or tokens in each calendar minute, hour or day, or so many calls open at once.

    period: TOTAL for calls open at once.
    per: the fact whose values are counted apart: key, developer, group or environment.
    """

    counts: Counted
    most: int
    period: Period
    per: str = "key"


class Action(enum.StrEnum):
    """What happens when a share of a budget is spent; whatever it is, it is noted as an alert."""

    NOTIFY = "notify"
    DOWNGRADE = "downgrade"
    BLOCK = "block"


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """A share of a budget, and what happens from there on."""

    percent: int
    action: Action = Action.NOTIFY


class Caching(msgspec.Struct, frozen=True, kw_only=True):
    """For how long answers are kept for identical requests, how many, and to which requests.

    temperature_max: a request that asks for more variety is not answered from the cache.
    tools: whether requests that offer tools are.
    """

    ttl_seconds: int
    entries_max: int
    bytes_max: int
    temperature_max: Decimal
    tools: bool


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """Where calls come from, with its own models and manners.

    allow: models that may be asked for, as names or patterns ("claude-*"); None allows all,
        an empty tuple none.
    downgrade: (pattern, model) pairs in order; the first that matches names the replacement.
    output_bound: output tokens assumed and sent upstream where the caller sets no cap;
        None means the model's own maximum.
    caching: None where no answer is kept.
    call_limit_nanodollars: the most that one call may cost.
    thresholds: what happens at shares of every budget that its calls pay from, and of wallets
        where no budget does.
    wallets_enforced: a wallet that is empty refuses; else it may go below nothing.
    """

    name: str
    allow: tuple[str, ...] | None = None
    otherwise: Otherwise = Otherwise.REFUSE
    downgrade: tuple[tuple[str, str], ...] = ()
    limits: tuple[Limit, ...] = ()
    at_limit: AtLimit = AtLimit.CLAMP
    output_bound: int | None = None
    unbounded: Unbounded = Unbounded.CONTEXT
    unpriced: Unpriced = Unpriced.REFUSE
    on_disconnect: OnDisconnect = OnDisconnect.DRAIN
    on_ledger_failure: OnLedgerFailure = OnLedgerFailure.CLOSED
    caching: Caching | None = None
    call_limit_nanodollars: int | None = None
    thresholds: tuple[Threshold, ...] = ()
    wallets_enforced: bool = False


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """Money a scope may spend in each period.

    match: facts a call must have: environment, group, key, developer, provider, model, run, or a
        label by its own name; a value is a name or pattern, or several of which one must match.
    per: one account for each value of this fact; None makes one account for all.
    at_limit: overrides the environment's; None leaves it.
    months: (month, limit) pairs for single months of the year (1 is January), for windows that
        begin in them.
    call_limit_nanodollars: the most that one of its calls may cost.
    thresholds: what happens at shares of it besides what its callers' thresholds say.
    spent_reason: what a refusal is called when it is spent for good.
    """

    name: str
    limit_nanodollars: int
    period: Period
    zone: str
    match: Mapping[str, tuple[str, ...]] = {}
    per: str | None = None
    at_limit: AtLimit | None = None
    months: tuple[tuple[int, int], ...] = ()
    call_limit_nanodollars: int | None = None
    thresholds: tuple[Threshold, ...] = ()
    owner: str | None = None
    spent_reason: Reason = Reason.BUDGET_EXCEEDED

    def limit_in(self, window: Window) -> int:
        """The limit in one window: that of the month in which it begins, where there is one."""
        if not self.months or window.starts_at_us is None:
            return self.limit_nanodollars
        month = month_of(window.starts_at_us, self.zone)
        return dict(self.months).get(month, self.limit_nanodollars)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One provider, and one model or all of them, that a call can be sent to.

    model: the only model it serves, and the name sent upstream; None serves any model of the provider.
    families: dialect families its server speaks: openai, anthropic, gemini.
    base_url: what the official SDK of the dialect would be given; None is the provider's own.
    secret_env: name of the environment variable that holds its key; the value is never kept here.
    simulated: answered by the simulator; mock: canned answers at cost 0, marked, outside the ratios.
    asks_usage: ask for usage in streams where the dialect needs to be asked.
    stands_for: the provider whose place a simulator takes: its path and its budgets are then its own.
    environments: the only environments it serves; empty serves all.
    secret_file: path of a file that holds its key, instead of a variable.
    name: what callers may ask for in place of its model; several targets may share it.
    weight: its share of calls, compared with the other targets that may serve them.
    requests_per_minute, tokens_per_minute: what its provider grants; None where nobody said.
    timeout_seconds: for how long it may keep silent before its answer; None leaves it to the door.
    """

    id: str
    provider: str
    model: str | None = None
    families: tuple[str, ...] = ("openai",)
    base_url: str | None = None
    secret_env: str | None = None
    simulated: bool = False
    mock: bool = False
    asks_usage: bool = True
    stands_for: str | None = None
    environments: tuple[str, ...] = ()
    secret_file: str | None = None
    name: str | None = None
    weight: int = 1
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    timeout_seconds: int | None = None

    @property
    def billed_as(self) -> str:
        """The provider whose budgets pay for it."""
        return self.stands_for or self.provider

    @property
    def cap_field(self) -> str:
        """The field of OpenAI's chat dialect that caps the output here.

        OpenAI's reasoning models refuse max_tokens (API reference, "Create chat completion", 2025);
        many servers that speak its dialect know nothing else.
        """
        return "max_completion_tokens" if self.billed_as in ("openai", "azure") else "max_tokens"


class Strategy(enum.StrEnum):
    """In which order the targets that may serve a call are tried."""

    ORDERED = "ordered"
    WEIGHTED_ROUND_ROBIN = "weighted_round_robin"
    USAGE_BASED = "usage_based"
    LOWEST_COST = "lowest_cost"
    LOWEST_LATENCY = "lowest_latency"


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """How calls choose among the targets that may serve them, and how often they may try.

    name: what entries say of it.
    match: facts a call must have, as those of a budget; model is the one asked for.
    targets: the ids of the only targets it leads to, in their order; empty leaves all.
    attempts: targets tried at most for one call.
    patience_seconds: after so long no further attempt begins.
    """

    name: str = "providers.routing"
    match: Mapping[str, tuple[str, ...]] = {}
    strategy: Strategy = Strategy.ORDERED
    targets: tuple[str, ...] = ()
    attempts: int = 3
    patience_seconds: int = 60


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Keys that belong together: one environment and one wallet.

    key_sha256: hash of the key that the file names; the key itself is never kept.
    key_env: name of the environment variable that holds the key.
    key_in_clear_text: the file itself holds it.
    limits: what its calls must keep besides the limits of the environment.
    thresholds: take the place of the environment's; None leaves those.
    at_limit: what these thresholds make of the environment's own; None leaves it.
    """

    name: str
    environment: str
    wallet: str | None = None
    key_sha256: bytes | None = None
    key_env: str | None = None
    key_in_clear_text: bool = False
    limits: tuple[Limit, ...] = ()
    thresholds: tuple[Threshold, ...] | None = None
    at_limit: AtLimit | None = None


class Wallet(msgspec.Struct, frozen=True, kw_only=True):
    """Money that was put in for a team and is used up.

    allocation_nanodollars: put in anew in each period, or once where there is no period.
    """

    team_id: str
    owner: str | None = None
    allocation_nanodollars: int | None = None
    period: Period | None = None


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """All rules in force together. digest names exactly these rules on every entry.

    routes: the first that matches a call is its own; without any, targets are tried in order.
    """

    digest: str
    environments: Mapping[str, Environment]
    budgets: tuple[Budget, ...] = ()
    targets: tuple[Target, ...] = ()
    routes: tuple[Route, ...] = ()
    groups: tuple[Group, ...] = ()
    wallets: tuple[Wallet, ...] = ()
    organization: str = ""
    zone: str = "UTC"
    cost_tracked: bool = True


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A target to try and the model to ask it for, with why.

    reason: as_asked, downgraded (the model asked for is not allowed), routed (a target that a routing rule
        names serves another model), cheaper (the next one at a limit), fallback (another target failed).
    whole: take it in full or not at all, because a cheaper one is the next.
    by_pass: the premium pass that lets it pass, and whose own money pays too.
    """

    target: Target
    model: str
    whole: bool = False
    reason: str = "as_asked"
    rules: tuple[str, ...] = ()
    by_pass: PremiumPass | None = None


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that a call must keep: under which name, for which value and window it counts."""

    limit: Limit
    name: str
    value: str | None
    window: Window


class Payer(msgspec.Struct, frozen=True, kw_only=True):
    """A budget that must pay for a call: which of its values, which window, what at its limit.

    fallback_from: nanodollars settled or held from which a model that has a cheaper one behind it gives way.
    block_percent: the share of the budget that may be spent.
    thresholds: all shares at which something happens.
    """

    budget: Budget
    value: str | None
    window: Window
    at_limit: AtLimit
    fallback_from: int | None = None
    block_percent: int = 100
    thresholds: tuple[Threshold, ...] = ()

    @property
    def limit_nanodollars(self) -> int:
        """What may be spent in this window."""
        limit = self.budget.limit_in(self.window)
        return limit if self.block_percent == 100 else limit * self.block_percent // 100
