"""Two policies, or two environments of one: only what differs, in the words of the file."""

from pathlib import Path

import pytest

from farthing.config.comparing import (
    Difference,
    NoSuchEnvironment,
    compare_environments,
    compare_files,
)
from farthing.domain.errors import PolicyError

FILES = Path(__file__).parent / "files"
DEV, PROD = FILES / "policy-config.dev.yaml", FILES / "policy-config.prod.yaml"


def rows(found: list[Difference]) -> dict[str, tuple[str | None, str | None]]:
    return {row.key: (row.one, row.other) for row in found}


def one_file(tmp_path: Path, text: str, name: str = "farthing.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


DIFFERENT = {
    "cache.ttl_seconds": ("7200", "900"),
    "cache.max_entries": ("5000", "20000"),
    "providers.targets.anthropic-haiku.provider": ("anthropic", None),
    "providers.targets.openai-gpt4o.model": (None, "gpt-5.4-mini"),
    "consumer_groups.product-dev.wallet_team_id": ("team_product_dev", None),
    "consumer_groups.product-prod.wallet_team_id": (None, "team_product_prod"),
}


def test_two_files_differ_in_what_they_say_and_in_nothing_else() -> None:
    found = rows(compare_files([DEV], [PROD]))
    assert DIFFERENT.items() <= found.items()
    assert "cache.enabled" not in found
    assert "providers.routing.strategy" not in found
    assert not any(key.startswith("providers.targets.openai-gpt4o-mini") for key in found)


def test_two_files_of_one_policy_are_two_environments_by_long_or_short_name() -> None:
    by_short = rows(compare_environments([DEV, PROD], "dev", "prod"))
    assert DIFFERENT.items() <= by_short.items()
    assert rows(compare_environments([DEV, PROD], "development", "production")) == by_short


def test_a_key_in_clear_text_is_never_shown() -> None:
    found = rows(compare_files([DEV], [PROD]))
    assert found["consumer_groups.product-dev.api_key"] == ("(in clear text)", None)
    assert "kt_cg" not in repr(found)


def test_the_same_said_in_other_words_is_no_difference(tmp_path: Path) -> None:
    one = one_file(tmp_path, "budgets: [{name: b, limit: $750, period: daily}]\n", "one.yaml")
    other = one_file(
        tmp_path,
        "cost_tracking: {enabled: true}\nbudgets: [{period: daily, name: b, limit: 750.00}]\n",
        "other.yaml",
    )
    assert compare_files([one], [other]) == []
    changed = one_file(tmp_path, "budgets: [{name: b, limit: $75, period: daily}]\n", "changed.yaml")
    assert rows(compare_files([one], [changed])) == {"budgets.b.limit": ("$750", "$75")}


def test_two_environments_of_one_file_share_one_vocabulary(tmp_path: Path) -> None:
    path = one_file(
        tmp_path,
        "environments:\n"
        "  development: {models: {allow: [gpt-4o-mini], otherwise: downgrade}, rate_limit: 10/minute}\n"
        "  production: {models: {allow: [gpt-4o]}, rate_limit: 10/minute, at_limit: clamp}\n"
        "budgets:\n"
        "  - {name: d, match: {environment: development}, limit: $1, period: daily}\n"
        "  - {name: p, match: {environment: production}, limit: $9, period: daily, owner: ana}\n"
        "  - {name: b, match: {environment: development}, per: branch, limit: $5, period: daily}\n"
        "  - {name: openai, match: {provider: openai}, limit: $99, period: monthly}\n",
    )
    assert rows(compare_environments([path], "development", "production")) == {
        "models.allow": ("gpt-4o-mini", "gpt-4o"),
        "models.otherwise": ("downgrade", "refuse"),
        "budgets.daily.limit": ("$1", "$9"),
        "budgets.daily.owner": (None, "ana"),
        "budgets.daily per branch.limit": ("$5", None),
    }
    assert compare_environments([path], "production", "production") == []


def test_an_environment_that_is_not_there_is_an_error_with_the_nearest() -> None:
    with pytest.raises(NoSuchEnvironment, match="did you mean production"):
        compare_environments([DEV, PROD], "development", "producton")


def test_a_file_that_is_wrong_says_where(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="did you mean budgets"):
        compare_files([one_file(tmp_path, "budgest: []\n")], [DEV])
