"""The runs of a year of traffic: who calls, from where, with which labels, for which models."""

from bisect import bisect
from collections.abc import Callable, Mapping
from itertools import accumulate
from random import Random
from typing import NamedTuple

from farthing.domain.period import from_microseconds
from farthing.ledger.entries import AtShort, Claim, Unit, account_name
from farthing.scenarios.moments import HOUR_US
from farthing.scenarios.samples import Sample, samples_of

RUN_LIMIT_NANODOLLARS = 100_000_000
_CALL_LIMIT_NANODOLLARS = 500_000_000

TEAMS = ("search", "assistant", "checkout", "support", "growth", "platform")
DEVELOPERS = (
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory", "niaj",
)  # fmt: skip
FEATURES = (
    "search", "chat", "summary", "agents", "translation", "moderation", "recommendation", "extraction",
)  # fmt: skip
WORKFLOWS = ("answer-ticket", "plan-trip", "write-offer")
EXPERIMENTS = ("shorter-prompt", "fewer-examples", "two-steps", "smaller-context", "json-answers")
USERS = 2_000

# How much of the calls each environment makes, while people work and while they do not.
_AT_WORK = {"production": 60, "development": 26, "staging": 7, "ci": 7}
_AT_REST = {"production": 82, "development": 4, "staging": 2, "ci": 12}
# How much of the calls goes to which model, at the beginning of a year and at its end.
_MODELS = {
    "gpt-4o": (40, 15),
    "gpt-4o-mini": (30, 40),
    "claude-sonnet-4-5": (15, 10),
    "claude-haiku-4-5": (5, 20),
    "gemini-2.5-flash": (10, 15),
}
_CHEAPER = {
    "gpt-4o": "gpt-4o-mini",
    "claude-sonnet-4-5": "claude-haiku-4-5",
    "gemini-2.5-flash": "gemini-2.5-flash-lite",
}


class Run(NamedTuple):
    """What the calls of one run have in common.

    cached_percent: how many of its calls the response cache answers.
    clamped: the limit on its calls lowers their output caps.
    account: the limit on the run, where it has one.
    prompt_hash: that of its one prompt, where a developer sends the same again and again.
    """

    environment: str
    key: str
    developer: str | None
    group: str
    labels: Mapping[str, str]
    run: str
    samples: tuple[Sample, ...]
    cached_percent: int = 0
    call_limit_nanodollars: int | None = None
    clamped: bool = False
    account: Claim | None = None
    prompt_hash: str | None = None


class Runs:
    """Begins runs, each as fits the hour and how far the year has gone."""

    def __init__(self, random: Random) -> None:
        self._random = random.random
        self._begun = 0
        self._begin: Mapping[str, Callable[[str, int, float], Run]] = {
            "production": self._production,
            "development": self._development,
            "staging": self._staging,
            "ci": self._ci,
        }

    def begin(self, hour: int, progress: float) -> Run:
        """Begin a run in an hour since 1970. progress: how much of the year has passed, from 0 to 1."""
        self._begun += 1
        weights = _AT_WORK if is_at_work(hour) else _AT_REST
        environment = self._weighted(tuple(weights), tuple(weights.values()))
        return self._begin[environment](f"run-{self._begun:07}", hour, progress)

    def _production(self, run: str, hour: int, progress: float) -> Run:
        # More users come as the year goes on, and a few of them call most.
        user = int(self._random() ** 2 * (USERS // 2 + USERS // 2 * progress))
        feature = self._one_of(FEATURES)
        team = TEAMS[len(feature) % len(TEAMS)]
        model = self._model(progress)
        limited = self._random() < 0.85
        labels = {"feature": feature, "user_id": f"user-{user:04}", "tier": tier_of(user)}
        if feature == "agents":
            labels["workflow"] = WORKFLOWS[user % len(WORKFLOWS)]
        return Run(
            environment="production",
            key=f"{team}-app",
            developer=None,
            group=f"{team}-prod",
            labels=labels,
            run=run,
            samples=samples_of(model, model, 1_500, 150, cached_percent=30),
            cached_percent=int(25 + 15 * progress),
            call_limit_nanodollars=_CALL_LIMIT_NANODOLLARS if limited else None,
            clamped=limited and self._random() < 0.02,
        )

    def _development(self, run: str, hour: int, progress: float) -> Run:
        number = int(self._random() ** 1.5 * len(DEVELOPERS))
        developer, team = DEVELOPERS[number], TEAMS[number % len(TEAMS)]
        feature = FEATURES[(number + int(self._random() * 3)) % len(FEATURES)]
        asked = self._model(progress)
        # As the year goes on, more of what is asked for is served by a cheaper model.
        served = _CHEAPER.get(asked, asked) if self._random() < 0.3 + 0.4 * progress else asked
        again = self._random() < 0.15
        labels = {"feature": feature, "branch": f"{feature}-{hour // 168 % 50}"}
        if self._random() < 0.3:
            labels["experiment"] = self._one_of(EXPERIMENTS)
        return Run(
            environment="development",
            key=developer,
            developer=developer,
            group=f"{team}-dev",
            labels=labels,
            run=run,
            samples=samples_of(asked, served, 1_200, 450),
            cached_percent=15,
            prompt_hash=f"{number:08x}{hour // 24 % 3:08x}" if again else None,
        )

    def _staging(self, run: str, hour: int, progress: float) -> Run:
        feature = self._one_of(FEATURES)
        model = self._model(progress)
        return Run(
            environment="staging",
            key="staging-app",
            developer=None,
            group="platform-staging",
            labels={"feature": feature, "deployment": f"release-{hour // 24}"},
            run=run,
            samples=samples_of(model, model, 1_500, 200),
            cached_percent=10,
            call_limit_nanodollars=_CALL_LIMIT_NANODOLLARS,
        )

    def _ci(self, run: str, hour: int, progress: float) -> Run:
        feature = self._one_of(FEATURES)
        # One run in fifty asks for far more than its limit.
        wild = self._random() < 0.02
        model = "claude-sonnet-4-5" if wild else "gpt-4o-mini"
        return Run(
            environment="ci",
            key="ci",
            developer=None,
            group="platform-ci",
            labels={"feature": feature, "branch": f"{feature}-{hour // 168 % 50}"},
            run=run,
            samples=samples_of(model, model, 12_000 if wild else 800, 600 if wild else 200),
            account=_account_of_run(run) if wild else None,
            call_limit_nanodollars=None if wild else _CALL_LIMIT_NANODOLLARS,
        )

    def _model(self, progress: float) -> str:
        weights = tuple([first + (last - first) * progress for first, last in _MODELS.values()])
        return self._weighted(tuple(_MODELS), weights)

    def _weighted(self, names: tuple[str, ...], weights: tuple[float, ...]) -> str:
        bounds = list(accumulate(weights))
        return names[min(bisect(bounds, self._random() * bounds[-1]), len(names) - 1)]

    def _one_of(self, names: tuple[str, ...]) -> str:
        """One of these; earlier ones more often."""
        return names[int(self._random() ** 1.4 * len(names))]


def is_at_work(hour: int) -> bool:
    """Whether it is an hour since 1970 in which most people work."""
    at = from_microseconds(hour * HOUR_US)
    return at.weekday() < 5 and 8 <= at.hour < 18


def tier_of(user: int) -> str:
    """What a user pays for: one in twenty a company, one in five for more, the others nothing."""
    return "enterprise" if user % 20 == 0 else "pro" if user % 5 == 0 else "free"


def _account_of_run(run: str) -> Claim:
    window = f"run:{run}"
    return Claim(
        account=account_name("ci-run", run, window),
        unit=Unit.NANODOLLARS,
        limit=RUN_LIMIT_NANODOLLARS,
        at_short=AtShort.REFUSE,
        budget="ci-run",
        value=run,
        window=window,
    )
