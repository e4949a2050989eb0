"""farthing key: create, list, revoke."""

from pathlib import Path

import pytest

from farthing.config.stores import open_store
from farthing.gateway.keys import sha256_of
from tests.cli.conftest import CommandLine, complaint, told

CREATE = ("key", "create", "--environment", "development", "--label")


def test_a_key_is_alone_on_stdout_and_only_its_hash_is_kept(farthing: CommandLine, company: Path) -> None:
    result = farthing(*CREATE, "alice")

    secret = result.stdout.strip()
    store = open_store("farthing.db")
    row = store.key_by_hash(sha256_of(secret))
    store.close()
    assert secret.startswith("fk-development-")
    assert row is not None and row.label == "alice"
    assert secret.encode() not in (company / "farthing.db").read_bytes()
    assert "shown this once" in result.stderr


def test_a_key_is_listed_without_its_secret(farthing: CommandLine, company: Path) -> None:
    made = told(farthing(*CREATE, "alice", "--developer", "alice@acme", "--json"))

    rows = told(farthing("key", "list", "--json"))["keys"]

    assert [(row["key_id"], row["label"], row["developer"]) for row in rows] == [
        (made["key_id"], "alice", "alice@acme")
    ]
    assert made["key"] not in farthing("key", "list").stdout
    assert "in use" in farthing("key", "list").stdout


def test_keys_of_another_environment_are_left_out_when_one_is_named(
    farthing: CommandLine, company: Path
) -> None:
    farthing(*CREATE, "alice")

    assert told(farthing("key", "list", "--environment", "production", "--json"))["keys"] == []


def test_an_unknown_environment_is_met_with_a_question(farthing: CommandLine, company: Path) -> None:
    result = farthing("key", "create", "--environment", "developmnt", "--label", "alice", "--json")

    assert result.exit_code == 2
    assert complaint(result)["fix"] == "did you mean development?"


def test_a_label_is_used_once_in_an_environment(farthing: CommandLine, company: Path) -> None:
    farthing(*CREATE, "alice")

    result = farthing(*CREATE, "alice")

    assert result.exit_code == 1
    assert "already has a key labelled 'alice'" in result.stderr


def test_a_label_that_would_be_hard_to_type_is_not_accepted(farthing: CommandLine, company: Path) -> None:
    assert farthing(*CREATE, "-alice").exit_code == 2
    assert farthing(*CREATE, "al ice").exit_code == 2
    assert farthing(*CREATE, "a" * 65).exit_code == 2


def test_a_key_is_revoked_by_its_label_once(farthing: CommandLine, company: Path) -> None:
    farthing(*CREATE, "alice")

    assert farthing("key", "revoke", "alice").exit_code == 0
    assert "revoked" in farthing("key", "list").stdout
    again = farthing("key", "revoke", "alice")
    assert again.exit_code == 1
    assert "was revoked before" in again.stderr


def test_a_key_is_revoked_by_its_id(farthing: CommandLine, company: Path) -> None:
    made = told(farthing(*CREATE, "alice", "--json"))

    assert told(farthing("key", "revoke", made["key_id"], "--json")) == {
        "revoked": made["key_id"],
        "environment": "development",
        "label": "alice",
    }


def test_a_label_of_two_environments_needs_one_named(farthing: CommandLine, company: Path) -> None:
    farthing(*CREATE, "search")
    farthing("key", "create", "--environment", "production", "--label", "search")

    unclear = farthing("key", "revoke", "search")
    assert unclear.exit_code == 2
    assert "in development, production" in unclear.stderr
    assert farthing("key", "revoke", "search", "--environment", "production").exit_code == 0


def test_a_misspelt_label_is_met_with_a_question(farthing: CommandLine, company: Path) -> None:
    farthing(*CREATE, "alice")

    result = farthing("key", "revoke", "alcie")

    assert result.exit_code == 2
    assert "did you mean alice?" in result.stderr


@pytest.mark.usefixtures("company")
def test_a_key_is_rotated_and_stays_the_same_key(farthing: CommandLine) -> None:
    made = told(
        farthing(
            "key", "create", "--environment", "development", "--label", "alice", "--expires", "30d", "--json"
        )
    )
    assert made["expires_at"] > made["created_at"]

    anew = told(
        farthing("key", "rotate", "alice", "--overlap", "0", "--expires", "60d", "--by", "ana", "--json")
    )

    assert anew["key_id"] == made["key_id"]
    assert anew["key"] != made["key"]
    assert anew["expires_at"] > made["expires_at"]
    listed = farthing("key", "list")
    assert "never" in listed.stdout and anew["key"] not in listed.stdout
    (act,) = told(farthing("audit", "list", "--action", "key rotate", "--json"))["audit"]
    assert (act["by"], act["to"]) == ("ana", "alice of development")
    assert farthing("key", "rotate", "nobody").exit_code == 2
