"""Tokens and the audit on the command line."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine, complaint, told

pytestmark = pytest.mark.usefixtures("company")


def test_a_token_is_shown_once_listed_without_its_secret_and_revoked(farthing: CommandLine) -> None:
    made = farthing("token", "create", "--role", "approver", "--name", "bob", "--by", "ana", "--json")
    row = told(made)
    assert row["token"].startswith("fa-")
    assert (row["role"], row["created_by"], row["expires_at"]) == ("approver", "ana", None)

    listed = farthing("token", "list")
    assert "approver" in listed.stdout and "in use" in listed.stdout
    assert row["token"] not in listed.stdout

    assert "Revoked the token of bob" in farthing("token", "revoke", "bob", "--by", "ana").stdout
    (kept,) = told(farthing("token", "list", "--json"))["tokens"]
    assert kept["revoked_at"] is not None
    again = farthing("token", "revoke", "bob", "--json")
    assert again.exit_code == 1
    assert complaint(again)["message"] == "there is no token bob that is not revoked"


def test_a_token_may_expire(farthing: CommandLine) -> None:
    row = told(farthing("token", "create", "--role", "viewer", "--name", "cem", "--expires", "30d", "--json"))
    assert row["expires_at"] > row["created_at"]
    bad = farthing("token", "create", "--role", "viewer", "--name", "dan", "--expires", "soon", "--json")
    assert "write it like 90m, 2h, 30d" in str(complaint(bad)["fix"])


def test_a_developer_needs_no_token(farthing: CommandLine) -> None:
    result = farthing("token", "create", "--role", "developer", "--name", "eve", "--json")
    assert result.exit_code == 2
    assert "a call key reads its own spend" in str(complaint(result)["message"])


def test_the_audit_tells_who_did_what(farthing: CommandLine) -> None:
    key = told(
        farthing("key", "create", "--environment", "development", "--label", "alice", "--by", "ana", "--json")
    )
    farthing("stop", "--key", "alice", "--reason", "runaway", "--by", "bob")
    farthing("key", "revoke", "alice", "--by", "cem")

    rows = told(farthing("audit", "list", "--json"))["audit"]
    assert [(row["by"], row["action"]) for row in rows] == [
        ("cem", "key revoke"), ("bob", "stop"), ("ana", "key create"),
    ]  # fmt: skip
    assert rows[1]["reason"] == "runaway" and rows[0]["about"] == key["key_id"]
    only = told(farthing("audit", "list", "--action", "key", "--by", "ana", "--since", "1h", "--json"))
    assert [row["action"] for row in only["audit"]] == ["key create"]
    assert "runaway" in farthing("audit", "list", "--action", "stop").stdout


def test_without_anything_done_the_audit_says_so(farthing: CommandLine) -> None:
    assert "Nobody did anything" in farthing("audit", "list").stdout
    assert json.loads(farthing("audit", "list", "--json").stdout) == {"audit": []}
    assert farthing("token", "list").stdout.startswith("No tokens yet")
    assert not Path("farthing.db").exists()
