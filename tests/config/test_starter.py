"""The policy that a new user begins with: nothing to mend, no key needed, and it governs."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.config.load import Loaded, load_policy
from farthing.config.schema import policy_schema
from farthing.config.starter import ENVIRONMENTS, BadSplit, split_of, starter_policy
from farthing.config.surroundings import environment_of_process
from farthing.domain.call import Call, Identity, RequestFacts
from farthing.domain.period import Period
from farthing.policy.check import check_policy
from farthing.policy.decide import Proposal, decide
from farthing.policy.rules import Target
from farthing.prices.book import load_book

AT_US = 1_795_307_400_000_000


def started(folder: Path, environ: Mapping[str, str] | None = None) -> Loaded:
    path = folder / "farthing.yaml"
    path.write_text(starter_policy(), encoding="utf-8")
    return load_policy([path], environ or {})


def test_there_is_nothing_to_mend_in_it(tmp_path: Path) -> None:
    assert check_policy(started(tmp_path).policy, load_book(), secrets={}) == ()


def test_there_is_nothing_to_mend_in_it_with_every_key(tmp_path: Path) -> None:
    keys = dict.fromkeys(
        ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "DEEPSEEK_API_KEY"), "secret"
    )
    loaded = started(tmp_path, keys)
    assert not any(target.simulated for target in loaded.policy.targets)
    assert loaded.notices == ("alerts are listed by  farthing alert list  and not yet sent anywhere",)
    assert check_policy(loaded.policy, load_book(), secrets=keys) == ()


def test_answers_are_kept_only_when_asked_for_and_longer_in_development_than_in_production(
    tmp_path: Path,
) -> None:
    assert all(one.caching is None for one in started(tmp_path).policy.environments.values())

    path = tmp_path / "farthing.yaml"
    path.write_text(starter_policy().replace("enabled: false", "enabled: true"), encoding="utf-8")

    environments = load_policy([path], {}).policy.environments
    development, production = environments["development"].caching, environments["production"].caching
    assert development is not None and production is not None
    assert (development.ttl_seconds, production.ttl_seconds) == (7_200, 900)


def test_only_providers_without_a_key_are_simulated(tmp_path: Path) -> None:
    loaded = started(tmp_path, {"OPENAI_API_KEY": "secret"})
    assert [target.id for target in loaded.policy.targets] == [
        "openai",
        "anthropic-simulated",
        "google-simulated",
        "deepseek-simulated",
    ]


def test_it_has_the_four_usual_environments(tmp_path: Path) -> None:
    assert list(started(tmp_path).policy.environments) == ["development", "staging", "ci", "production"]


@pytest.mark.parametrize(
    ("dialect", "asked", "gets"),
    [
        ("openai.chat", "gpt-4o", "gpt-4o-mini"),
        ("openai.chat", "o3", "gpt-4o-mini"),
        ("openai.chat", "deepseek-chat", "deepseek-chat"),
        ("anthropic.messages", "claude-opus-4-1", "claude-haiku-4-5"),
        ("gemini.generate", "gemini-2.5-pro", "gemini-2.5-flash-lite"),
    ],
)
@pytest.mark.parametrize(
    "keys", [{}, {"OPENAI_API_KEY": "s", "ANTHROPIC_API_KEY": "s", "GEMINI_API_KEY": "s"}]
)
def test_premium_models_in_development_become_affordable_ones(
    tmp_path: Path, keys: Mapping[str, str], dialect: str, asked: str, gets: str
) -> None:
    policy = started(tmp_path, keys).policy
    book = load_book()

    def dearness(target: Target, model: str) -> int | None:
        price = book.find(target.billed_as, model, AT_US)
        return None if price is None else max(card.input + card.output for card in price.cards)

    call = Call(
        call_id="c",
        request_id="r",
        at_us=AT_US,
        identity=Identity(environment="development"),
        facts=RequestFacts(dialect=dialect, model=asked),
    )
    answer = decide(call, policy, dearness=dearness)
    assert isinstance(answer, Proposal), answer
    assert answer.candidates[0].model == gets


DOLLAR = 1_000_000_000


def loaded_with(folder: Path, total: int, developers: int) -> Loaded:
    path = folder / "farthing.yaml"
    path.write_text(starter_policy(split=split_of(total, developers)), encoding="utf-8")
    return load_policy([path], {})


def test_the_usual_split_of_five_thousand_for_five_developers_sums(tmp_path: Path) -> None:
    split = split_of(5_000 * DOLLAR, 5)
    limits = {
        budget.name: budget.limit_nanodollars // DOLLAR
        for budget in loaded_with(tmp_path, 5_000 * DOLLAR, 5).policy.budgets
    }
    assert (limits["production-month"], limits["dev-month"]) == (3_750, 750)
    assert (limits["staging-month"], limits["ci-month"]) == (400, 100)
    assert (limits["developer-month"], limits["developer-day"]) == (150, 15)
    assert (split.total, split.ratio, split.non_production_percent) == (5_000 * DOLLAR, "1:5", "25.0")


@settings(max_examples=100, deadline=None)
@given(cents=st.integers(1, 10**9), developers=st.integers(1, 500), per_cents=st.integers(1, 100_000))
def test_whatever_is_split_the_parts_are_exactly_the_whole(
    cents: int, developers: int, per_cents: int
) -> None:
    cent = DOLLAR // 100
    try:
        split = split_of(cents * cent, developers, per_developer=per_cents * cent)
    except BadSplit:
        assert (cents - developers * per_cents) * 2 // 85 < 1
        return
    assert split.production + split.development + split.staging + split.ci == cents * cent
    assert min(split.production, split.staging, split.ci) > 0
    assert all(amount % cent == 0 for amount in (split.production, split.staging, split.ci))


@pytest.mark.parametrize(("total", "developers"), [(5_000, 5), (100_000, 40), (200, 1), (3_777, 13)])
def test_any_split_passes_its_own_check(tmp_path: Path, total: int, developers: int) -> None:
    policy = loaded_with(tmp_path, total * DOLLAR, developers).policy
    assert check_policy(policy, load_book(), secrets={}) == ()


def test_environments_have_files_of_their_own_that_stand_side_by_side(tmp_path: Path) -> None:
    whole = started(tmp_path).policy
    paths = [tmp_path / f"{name}.yaml" for name in ENVIRONMENTS]
    for name, path in zip(ENVIRONMENTS, paths, strict=True):
        path.write_text(starter_policy(environments=[name]), encoding="utf-8")
        alone = load_policy([path], {}).policy
        assert list(alone.environments) == [name]
        assert check_policy(alone, load_book(), secrets={}) == ()
    together = load_policy(paths, {}).policy
    assert together.environments == whole.environments
    assert together.budgets == whole.budgets
    assert [target.id for target in together.targets] == [target.id for target in whole.targets]


def test_development_is_told_early_and_has_short_windows_and_money_for_evaluations(tmp_path: Path) -> None:
    budgets = {budget.name: budget for budget in started(tmp_path).policy.budgets}
    first = {
        name: min(one.percent for one in budget.thresholds)
        for name, budget in budgets.items()
        if budget.thresholds
    }
    of_development = [
        budget for budget in budgets.values() if budget.match["environment"] == ("development",)
    ]
    assert (first["dev-month"], first["production-month"]) == (25, 50)
    assert {budget.period for budget in of_development} == {Period.DAILY, Period.WEEKLY, Period.MONTHLY}
    assert budgets["dev-evaluation"].match["use"] == ("evaluation",)
    assert budgets["production-month"].owner == "platform"


def test_a_name_and_a_zone_may_be_given(tmp_path: Path) -> None:
    path = tmp_path / "farthing.yaml"
    path.write_text(starter_policy(organization="O'Hare: 7", timezone="Europe/London"), encoding="utf-8")
    policy = load_policy([path], {}).policy
    assert (policy.organization, policy.zone) == ("O'Hare: 7", "Europe/London")


def test_the_schema_for_editors_names_every_section_and_no_null() -> None:
    schema = policy_schema()
    properties = schema["properties"]
    assert isinstance(properties, dict)
    assert {"environments", "budgets", "providers", "consumer_groups", "prices"} <= properties.keys()
    assert schema["additionalProperties"] is False
    assert "'null'" not in repr(schema)


class TestEnvironmentOfAProcess:
    KNOWN = ("development", "staging", "ci", "production")

    @pytest.mark.parametrize(
        ("environ", "expected"),
        [
            ({}, "development"),
            ({"APP_ENV": "production"}, "production"),
            ({"APP_ENV": "prod"}, "production"),
            ({"APP_ENV": "Staging"}, "staging"),
            ({"FARTHING_ENV": "staging", "APP_ENV": "production"}, "staging"),
            ({"CI": "true"}, "ci"),
            ({"CI": "false"}, "development"),
            ({"CI": "true", "APP_ENV": "staging"}, "staging"),
        ],
    )
    def test_its_variables_say_where_it_runs(self, environ: Mapping[str, str], expected: str) -> None:
        assert environment_of_process(environ, self.KNOWN) == (expected, None)

    def test_the_argument_counts_first(self) -> None:
        assert environment_of_process({"APP_ENV": "production"}, self.KNOWN, asked="ci") == ("ci", None)

    def test_an_unknown_name_gets_development_and_a_notice_never_production(self) -> None:
        environment, notice = environment_of_process({"APP_ENV": "prd"}, self.KNOWN)
        assert environment == "development"
        assert notice is not None
        assert "'prd'" in notice
