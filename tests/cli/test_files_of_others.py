"""The policy files of the source documents: as they stand, copied flat, and what is said about them."""

from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine, complaint, told

FILES = Path(__file__).parents[1] / "config" / "files"
THREE = ("groups.yaml", "policy-config.dev.yaml", "policy-config.prod.yaml")


@pytest.fixture
def beside(folder: Path) -> Path:
    """A folder with the files as they stand."""
    for name in (*THREE, "allowlist.json"):
        (folder / name).write_text((FILES / name).read_text("utf-8"), "utf-8")
    return folder


def findings(farthing: CommandLine, *names: str) -> list[str]:
    arguments = [word for name in names for word in ("--policy", name)]
    answer = told(farthing("policy", "check", *arguments, "--json"))
    return [f"{row['severity']} {row['where']}: {row['message']}; {row['fix']}" for row in answer["findings"]]


@pytest.mark.parametrize("name", THREE)
def test_a_file_loads_as_it_stands(farthing: CommandLine, beside: Path, name: str) -> None:
    result = farthing("policy", "check", "--policy", name, "--json")
    assert result.exit_code in (0, 1), result.stderr
    assert len(told(result)["digest"]) == 16


@pytest.mark.parametrize("name", THREE)
@pytest.mark.parametrize("command", ["check", "explain"])
def test_a_file_copied_flat_fails_and_names_the_lost_indentation(
    farthing: CommandLine, beside: Path, name: str, command: str
) -> None:
    flat = "\n".join(line.strip() for line in (beside / name).read_text("utf-8").splitlines())
    (beside / name).write_text(flat, "utf-8")

    arguments = ("--model", "gpt-4o") if command == "explain" else ()
    result = farthing("policy", command, "--policy", name, *arguments, "--json")

    assert result.exit_code == 2
    why = complaint(result)["why"] or ""
    assert "the indentation seems lost" in why
    assert why.startswith(f"{name}:"), "file and line"


def test_names_that_nobody_prices_are_told_with_what_was_probably_meant(
    farthing: CommandLine, beside: Path
) -> None:
    found = findings(farthing, "policy-config.dev.yaml", "policy-config.prod.yaml")
    said = "\n".join(found)
    assert "target openai-gpt4o-mini: gpt-5.4-mini-mini has no price" in said
    assert "did you mean gpt-5.4-mini?" in said
    assert "target anthropic-haiku: claude-haiku has no price" in said
    assert "did you mean claude-" in said


def test_secrets_owners_and_wallets_are_told(farthing: CommandLine, beside: Path) -> None:
    found = findings(farthing, "policy-config.dev.yaml", "policy-config.prod.yaml")
    said = "\n".join(found)
    assert "development and production use the same provider key, OPENAI_API_KEY" in said
    assert "consumer_groups.product-dev.api_key: the key stands in the file in clear text" in said
    assert "error wallets.team_product_prod: pays for production and has no owner" in said
    assert "no file declares the wallet team_product_dev, so its balance is 0 until it is credited" in said
    assert "no budget covers all of it" in said


def test_percentages_without_an_amount_are_told(farthing: CommandLine, beside: Path) -> None:
    said = "\n".join(findings(farthing, "groups.yaml"))
    assert "budget_alerts: the percentages apply to nothing in development" in said
    assert "budget_alerts: the percentages apply to nothing in production" in said


@pytest.mark.parametrize(
    ("environment", "allowed"), [("production", True), ("staging", True), ("development", False)]
)
def test_the_bare_allowlist_allows_a_model_where_it_is_listed(
    farthing: CommandLine, beside: Path, environment: str, allowed: bool
) -> None:
    (beside / "targets.yaml").write_text("providers: {targets: [{id: m, provider: mock}]}\n", "utf-8")
    result = farthing(
        "policy", "explain", "--policy", "allowlist.json", "--policy", "targets.yaml",
        "--environment", environment, "--model", "gpt-4o", "--json",
    )  # fmt: skip
    assert (told(result)["decision"] == "granted") == allowed
