"""farthing policy: check and schema."""

from pathlib import Path

import pytest

from tests.cli.conftest import POLICY, CommandLine, complaint, told


def test_a_policy_that_makes_sense_passes(farthing: CommandLine, company: Path) -> None:
    result = farthing("policy", "check", "--json")

    assert result.exit_code == 0
    answer = told(result)
    assert answer["ok"] is True
    assert len(answer["digest"]) == 16
    assert any("OPENAI_API_KEY is not set" in notice for notice in answer["notices"])


def test_a_rule_that_cannot_do_what_was_meant_is_an_error(farthing: CommandLine, company: Path) -> None:
    wrong = POLICY.replace("    rate_limit: 10/minute", "    downgrade: {gpt-4o: gpt-4.1}", 1)
    (company / "farthing.yaml").write_text(wrong, encoding="utf-8")

    result = farthing("policy", "check", "--json")

    assert result.exit_code == 1
    worst = told(result)["findings"][0]
    assert worst["severity"] == "error"
    assert "gpt-4.1" in worst["message"]
    assert worst["fix"]
    assert "error" in farthing("policy", "check").stdout


def test_several_files_are_one_policy(farthing: CommandLine, company: Path) -> None:
    (company / "more.yaml").write_text("environments: {sandbox: {}}\n", encoding="utf-8")

    result = farthing("policy", "check", "--policy", "farthing.yaml", "--policy", "more.yaml")

    assert "3 environments" in result.stdout


def test_the_schema_describes_the_file(farthing: CommandLine) -> None:
    schema = told(farthing("policy", "schema", "--json"))

    assert {"environments", "budgets", "providers", "prices"} <= schema["properties"].keys()


def test_strict_makes_warnings_count(farthing: CommandLine, company: Path) -> None:
    doubtful = POLICY.replace("  development:\n", "  sandbox: {}\n  development:\n", 1)
    (company / "farthing.yaml").write_text(doubtful, encoding="utf-8")

    answer = told(farthing("policy", "check", "--json"))
    assert answer["ok"] is True
    assert {row["severity"] for row in answer["findings"]} == {"warning"}

    strict = farthing("policy", "check", "--strict", "--json")
    assert strict.exit_code == 1
    assert told(strict)["ok"] is False
    assert farthing("policy", "check", "--strict").exit_code == 1


def test_a_policy_of_production_alone_is_noticed_on_a_laptop(
    farthing: CommandLine, company: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (company / "policy-config.prod.yaml").write_text(
        "providers: {targets: [{id: m, provider: mock}]}\n", "utf-8"
    )

    def warned() -> bool:
        found = told(farthing("policy", "check", "--policy", "policy-config.prod.yaml", "--json"))["findings"]
        return any("this machine is development" in row["message"] for row in found)

    for name in ("APP_ENV", "CI", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    assert warned()
    monkeypatch.setenv("FARTHING_ENV", "production")
    assert not warned()


def test_two_environments_or_two_files_show_only_what_differs(farthing: CommandLine, company: Path) -> None:
    by_name = told(farthing("policy", "diff", "dev", "prod", "--json"))["differences"]
    assert {"key": "rate_limit", "one": "10/minute", "other": "100/minute"} in by_name
    assert {"key": "budgets.monthly.limit", "one": "$750", "other": "$5,000.00"} in by_name

    (company / "other.yaml").write_text(POLICY.replace("limit: $750", "limit: $500"), encoding="utf-8")
    by_file = told(farthing("policy", "diff", "farthing.yaml", "other.yaml", "--json"))["differences"]
    assert by_file == [{"key": "budgets.dev-month.limit", "one": "$750", "other": "$500"}]
    assert "$500" in farthing("policy", "diff", "farthing.yaml", "other.yaml").stdout
    assert "say the same" in farthing("policy", "diff", "farthing.yaml", "farthing.yaml").stdout


def test_sides_that_cannot_be_compared_are_told_how(farthing: CommandLine, company: Path) -> None:
    assert "there is no file other.yaml" in str(
        complaint(farthing("policy", "diff", "farthing.yaml", "other.yaml", "--json"))
    )
    wrong = farthing("policy", "diff", "development", "prodution", "--json")
    assert wrong.exit_code == 2
    assert complaint(wrong)["fix"] == "did you mean production?"
