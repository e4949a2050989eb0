"""Which cheaper model takes the place of a dear one, and what the same tokens cost there."""

import msgspec
import pytest

from farthing.ledger.slices import SpendRow
from farthing.policy.rules import Environment, Policy
from farthing.prices.book import load_book
from farthing.reports.cheaper import ALLOWLIST, DOWNGRADE_MAP, FAMILY, CheaperModels
from farthing.reports.telling import rounded_dollars
from tests.builders import NOON_US

NOTHING = SpendRow(
    by={},
    calls=0,
    refused=0,
    assumed=0,
    cost_nanodollars=0,
    cost_asked_nanodollars=0,
    input_tokens=0,
    cached_read=0,
    cached_write=0,
    output_tokens=0,
    reasoning=0,
)


def models(**rules: object) -> CheaperModels:
    environment = msgspec.convert({"name": "development", **rules}, Environment)
    policy = Policy(digest="0123456789abcdef", environments={"development": environment})
    return CheaperModels(policy, load_book(), NOON_US)


@pytest.mark.parametrize(
    ("provider", "model", "cheaper"),
    [
        ("openai", "gpt-4o", "gpt-4o-mini"),
        ("openai", "gpt-4o-2024-08-06", "gpt-4o-mini"),
        ("openai", "gpt-4", "gpt-4o-mini"),
        ("azure", "gpt-4o", "gpt-4o-mini"),
        ("openai", "gpt-4.1", "gpt-4.1-nano"),
        ("anthropic", "claude-sonnet-4", "claude-haiku-4-5"),
        ("anthropic", "claude-opus-4-1", "claude-haiku-4-5"),
        ("google", "gemini-2.5-pro", "gemini-2.5-flash-lite"),
        ("openai", "gpt-4o-mini", None),  # small already
        ("openai", "gpt-4.1-mini", None),  # nano is cheaper, and this one is small too
        ("anthropic", "claude-haiku-4-5", None),
        ("openai", "text-embedding-3-large", None),  # other vectors are no stand-in
        ("openai", "no-such-model", None),
        (None, None, None),
    ],
)
def test_without_a_policy_the_family_of_a_model_has_the_small_one(
    provider: str | None, model: str | None, cheaper: str | None
) -> None:
    found = CheaperModels(None, load_book(), NOON_US).of("development", provider, model)
    assert (found.model if found else None) == cheaper
    assert found is None or found.rule == FAMILY


def test_the_map_of_downgrades_speaks_first() -> None:
    found = models(allow=("gpt-4.1-nano",), downgrade=(("gpt-4*", "gpt-4.1-mini"),)).of(
        "development", "openai", "gpt-4o"
    )
    assert found is not None
    assert (found.model, found.rule) == ("gpt-4.1-mini", DOWNGRADE_MAP)


@pytest.mark.parametrize("named", ["gpt-4", "claude-haiku-4-5", "no-such-model"])
def test_a_downgrade_that_is_dearer_or_of_another_provider_is_passed_over(named: str) -> None:
    found = models(downgrade=(("gpt-4o", named),)).of("development", "openai", "gpt-4o")
    assert found is not None
    assert (found.model, found.rule) == ("gpt-4o-mini", FAMILY)


def test_then_the_cheapest_of_the_same_provider_on_the_allowlist() -> None:
    rules = models(allow=("gpt-4o", "gpt-4.1-mini", "claude-haiku-4-5", "gpt-4o-*"))
    found = rules.of("development", "openai", "gpt-4o")
    assert found is not None
    assert (found.model, found.rule) == ("gpt-4.1-mini", ALLOWLIST)
    assert rules.of("development", "openai", "gpt-4.1-mini") is None
    other = rules.of("production", "openai", "gpt-4o")  # another environment has other rules
    assert other is not None
    assert other.rule == FAMILY


def test_a_model_that_is_not_allowed_need_only_be_dearer() -> None:
    rules = models(allow=("gpt-4.1-nano",))
    found = rules.of("development", "openai", "gpt-4o-mini")
    assert found is not None
    assert found.model == "gpt-4.1-nano"


def test_the_same_tokens_are_priced_by_the_functions_that_settle() -> None:
    rules = CheaperModels(None, load_book(), NOON_US)
    cheaper = rules.of("development", "openai", "gpt-4o")
    assert cheaper is not None
    row = msgspec.structs.replace(
        NOTHING,
        calls=2_394,
        cost_nanodollars=19_152_000_000,
        input_tokens=2_394 * 1_200,
        output_tokens=2_394 * 500,
    )
    assert rules.cost_there(row, "openai", "gpt-4o", cheaper) == 1_149_120_000
    with_reads = msgspec.structs.replace(row, cached_read=2_394 * 1_000)
    assert rules.cost_there(with_reads, "openai", "gpt-4o", cheaper) == 2_394 * (
        200 * 150 + 1_000 * 75 + 500 * 600
    )


def test_assumed_costs_are_scaled_because_they_have_no_tokens() -> None:
    rules = CheaperModels(None, load_book(), NOON_US)
    cheaper = rules.of("development", "openai", "gpt-4o")
    assert cheaper is not None
    bare = msgspec.structs.replace(NOTHING, calls=1, assumed=1, cost_nanodollars=1_000_000_000)
    assert rules.cost_there(bare, "openai", "gpt-4o", cheaper) == 60_000_000  # 0.75 of 12.50
    half = msgspec.structs.replace(bare, calls=2, input_tokens=1_200, output_tokens=500)
    assert rules.cost_there(half, "openai", "gpt-4o", cheaper) == 60_000_000


@pytest.mark.parametrize(
    ("nanodollars", "told"),
    [
        (18_002_880_000, "$18.00"),
        (1_149_120_000, "$1.15"),
        (1_234_567_890_123, "$1,234.57"),
        (100_000_000, "$0.10"),
        (12_345_678, "$0.0123"),
        (480_000, "$0.00048"),
        (5, "$0.000000005"),
        (0, "$0.00"),
        (-18_005_000_000, "-$18.01"),
    ],
)
def test_an_amount_in_a_sentence_has_the_digits_that_count(nanodollars: int, told: str) -> None:
    assert rounded_dollars(nanodollars) == told


def test_a_simulator_has_no_cheaper_model_of_another_maker() -> None:
    found = models(allow=("gpt-4o", "gpt-4o-mini", "gemini-2.5-flash-lite"))
    assert found.of("development", "simulator", "gpt-4o") == found.of("development", "openai", "gpt-4o")
