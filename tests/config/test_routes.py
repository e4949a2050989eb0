"""Routing in policy files becomes routes of the rules, rules of single calls first."""

from pathlib import Path

import pytest

from farthing.config.load import load_policy
from farthing.domain.errors import PolicyError
from farthing.policy.rules import Route, Strategy

TARGETS = """
  targets:
    - {id: one, provider: openai, model: gpt-4o, name: chat,
       weight: 3, requests_per_minute: 500, timeout_seconds: 20}
    - {id: two, provider: openai, model: gpt-4o-mini, tokens_per_minute: 200000}
"""


def routes(folder: Path, **files: str) -> tuple[Route, ...]:
    paths = []
    for name, routing in files.items():
        path = folder / f"policy.{name}.yaml" if name != "all" else folder / "farthing.yaml"
        path.write_text(f"providers:\n  routing: {routing}{TARGETS}", "utf-8")
        paths.append(path)
    return load_policy(paths, {"OPENAI_API_KEY": "any"}).policy.routes


def test_a_file_that_says_nothing_has_no_route(tmp_path: Path) -> None:
    assert routes(tmp_path, all="{}") == ()


def test_rules_stand_before_what_holds_for_all(tmp_path: Path) -> None:
    told = (
        "{strategy: usage_based, attempts: 2, rules: ["
        "{name: search, match: {feature: [search, find]}, targets: [two, one], strategy: lowest_cost},"
        "{match: {model: gpt-4o}, patience_seconds: 5}]}"
    )
    assert routes(tmp_path, all=told) == (
        Route(
            name="search",
            match={"feature": ("search", "find")},
            strategy=Strategy.LOWEST_COST,
            targets=("two", "one"),
            attempts=2,
        ),
        Route(
            name="routing rule 2",
            match={"model": ("gpt-4o",)},
            strategy=Strategy.USAGE_BASED,
            attempts=2,
            patience_seconds=5,
        ),
        Route(strategy=Strategy.USAGE_BASED, attempts=2),
    )


def test_a_file_of_one_environment_routes_the_calls_of_that_environment(tmp_path: Path) -> None:
    found = routes(tmp_path, dev="{strategy: lowest_cost}", prod="{strategy: ordered}")
    assert [(route.match, route.strategy) for route in found] == [
        ({"environment": ("development",)}, Strategy.LOWEST_COST),
        ({"environment": ("production",)}, Strategy.ORDERED),
    ]


def test_what_a_target_is_told_of_routing_stands_in_the_rules(tmp_path: Path) -> None:
    path = tmp_path / "farthing.yaml"
    path.write_text(f"providers:{TARGETS}", "utf-8")
    one, two = load_policy([path], {"OPENAI_API_KEY": "any"}).policy.targets
    assert (one.weight, one.name, one.requests_per_minute, one.timeout_seconds) == (3, "chat", 500, 20)
    assert (two.weight, two.name, two.tokens_per_minute, two.timeout_seconds) == (1, None, 200_000, None)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("{rules: [{targets: [tvwo]}]}", "did you mean two?"),
        ("{rules: [{targets: [nothing-like-it]}]}", "add it under providers.targets"),
        ("{rules: [{name: x}, {name: x}]}", "x names two rules"),
        ("{strategy: fastest}", "strategy"),
        ("{attempts: 0}", "attempts"),
        ("{attempts: 1000}", "attempts"),
        ("{rules: [{match: {feature: search}, target: two}]}", "target"),
    ],
)
def test_what_cannot_be_meant_is_named_with_the_fix(tmp_path: Path, told: str, message: str) -> None:
    with pytest.raises(PolicyError) as wrong:
        routes(tmp_path, all=told)
    assert message in str(wrong.value)


def test_a_name_stands_for_a_model(tmp_path: Path) -> None:
    path = tmp_path / "farthing.yaml"
    path.write_text("providers: {targets: [{id: one, provider: openai, name: chat}]}", "utf-8")
    with pytest.raises(PolicyError, match="chat would stand for no model"):
        load_policy([path], {"OPENAI_API_KEY": "any"})
