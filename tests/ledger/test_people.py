"""Tokens and the audit, asked of every store."""

import sqlite3
from pathlib import Path

import msgspec
import pytest

from farthing.domain.role import Role
from farthing.domain.stop import Stop
from farthing.ledger.auditing import Act, WantedActs
from farthing.ledger.people import KeyRow, Token
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import Store
from tests.ledger.sentences import NOON_US, undo_migrations_after


def a_token(token_id: str = "token_1", name: str = "bob", role: Role = Role.APPROVER) -> Token:
    return Token(
        token_id=token_id,
        sha256=token_id.encode().ljust(32, b"."),
        name=name,
        role=role,
        created_at_us=NOON_US,
        created_by="ana",
    )


def done(
    store: Store, *, action: str | None = None, by: str | None = None, about: str | None = None
) -> list[tuple[str, str, str]]:
    wanted = WantedActs(action=action, by=by, about=about)
    return [(act.by, act.action, act.about) for act in store.acts(wanted)]


def test_a_token_is_found_by_its_hash_and_revoked_once(store: Store) -> None:
    store.add_token(a_token())

    assert store.token_by_hash(a_token().sha256) == a_token()
    assert store.token_by_hash(b"x" * 32) is None
    assert store.revoke_token("token_1", at_us=NOON_US + 1, by="cem")
    assert not store.revoke_token("token_1", at_us=NOON_US + 2, by="cem")
    assert not store.revoke_token("token_9", at_us=NOON_US + 2, by="cem")
    assert store.tokens() == [msgspec.structs.replace(a_token(), revoked_at_us=NOON_US + 1)]


def test_a_name_has_one_living_token(store: Store) -> None:
    store.add_token(a_token())
    with pytest.raises(ValueError, match="bob"):
        store.add_token(a_token("token_2"))

    store.revoke_token("token_1", at_us=NOON_US, by="ana")
    store.add_token(a_token("token_2"))

    assert [row.token_id for row in store.tokens()] == ["token_1", "token_2"]


def test_a_token_that_expired_or_was_revoked_is_not_good() -> None:
    expiring = msgspec.structs.replace(a_token(), expires_at_us=NOON_US + 10)
    revoked = msgspec.structs.replace(a_token(), revoked_at_us=NOON_US)

    assert expiring.is_good(NOON_US + 9)
    assert not expiring.is_good(NOON_US + 10)
    assert not revoked.is_good(NOON_US + 1)


def test_what_is_done_to_stops_and_tokens_is_in_the_audit_and_what_failed_is_not(store: Store) -> None:
    store.add_token(a_token())
    with pytest.raises(ValueError, match="bob"):
        store.add_token(a_token("token_2"))
    stop = Stop(stop_id="stop_1", match={"key": "x"}, reason="runaway", by="dan", at_us=NOON_US + 1)
    store.add_stop(stop)
    store.resume("stop_1", at_us=NOON_US + 2, by="eve", reason="mended")
    store.resume("stop_1", at_us=NOON_US + 3, by="eve", reason="again")
    store.revoke_token("token_1", at_us=NOON_US + 4, by="cem")

    assert done(store) == [
        ("cem", "token revoke", "token_1"),
        ("eve", "resume", "stop_1"),
        ("dan", "stop", "stop_1"),
        ("ana", "token create", "token_1"),
    ]
    (resumed,) = store.acts(WantedActs(action="resume"))
    assert (resumed.before, resumed.after, resumed.reason) == ("key x", None, "mended")


def test_the_audit_is_asked_by_noun_by_person_and_by_time(store: Store) -> None:
    for number, (by, action) in enumerate([("ana", "key create"), ("bob", "key revoke"), ("ana", "keyring")]):
        store.add_act(Act(at_us=NOON_US + number, by=by, action=action, about=f"key_{number}"))

    assert done(store, action="key") == [("bob", "key revoke", "key_1"), ("ana", "key create", "key_0")]
    assert done(store, action="key create", by="ana") == [("ana", "key create", "key_0")]
    assert done(store, about="key_2") == [("ana", "keyring", "key_2")]
    assert len(store.acts(WantedActs(since_us=NOON_US + 1, until_us=NOON_US + 2))) == 1
    assert len(store.acts(WantedActs(), limit=2)) == 2


def test_an_act_that_changed_nothing_is_told_once(store: Store) -> None:
    def in_force(digest: str) -> bool:
        act = Act(at_us=NOON_US, by="ana", action="policy reload", about="policy", after=digest)
        return store.add_act(act)

    assert [in_force(digest) for digest in ("a", "a", "b", "b", "a")] == [True, False, True, False, True]


def test_nothing_of_the_audit_is_changed_or_deleted(ledger_file: Path) -> None:
    store = SqliteStore(ledger_file)
    store.add_token(a_token())
    store.close()
    connection = sqlite3.connect(ledger_file)
    for statement in ("DELETE FROM audit", "UPDATE audit SET done_by = 'nobody'"):
        with pytest.raises(sqlite3.IntegrityError, match="what was done"):
            connection.execute(statement)
    connection.close()


def test_a_file_of_before_there_were_tokens_takes_them(ledger_file: Path) -> None:
    SqliteStore(ledger_file).close()
    undo_migrations_after(8, ledger_file)

    after = SqliteStore(ledger_file)
    after.add_token(a_token())

    assert after.tokens() == [a_token()]
    after.close()


# ── keys ────────────────────────────────────────────────────────────────────────────────────────


def a_key(**changes: int) -> KeyRow:
    row = KeyRow(
        key_id="key_1", sha256=b"a" * 32, environment="development", label="alice", created_at_us=NOON_US
    )
    return msgspec.structs.replace(row, **changes)


def rotated(store: Store, letter: bytes, *, old_until_us: int, expires_at_us: int | None = None) -> bool:
    return (
        store.rotate_key(
            "key_1",
            letter * 32,
            at_us=NOON_US,
            old_until_us=old_until_us,
            expires_at_us=expires_at_us,
            by="ana",
        )
        is not None
    )


def opens(store: Store, letter: bytes, at_us: int) -> bool:
    row = store.key_by_hash(letter * 32)
    return row is not None and row.key_id == "key_1" and row.is_good(at_us)


def test_a_rotated_key_is_opened_by_both_secrets_until_the_overlap_ends(store: Store) -> None:
    store.add_key(a_key(), by="ana")
    assert rotated(store, b"b", old_until_us=NOON_US + 10)

    assert opens(store, b"a", NOON_US + 9) and opens(store, b"b", NOON_US + 9)
    assert not opens(store, b"a", NOON_US + 10)
    assert opens(store, b"b", NOON_US + 10)
    assert rotated(store, b"c", old_until_us=NOON_US + 20)
    assert not opens(store, b"a", NOON_US + 10)
    assert opens(store, b"b", NOON_US + 19) and not opens(store, b"b", NOON_US + 20)
    (kept,) = store.keys()
    assert kept.sha256 == b"c" * 32
    assert store.acts(WantedActs(action="key rotate"))[1].before == (
        "a secret that works until 2026-12-10T12:00:00.000010Z"
    )


def test_revoking_a_key_ends_every_secret_of_it_and_it_is_rotated_no_more(store: Store) -> None:
    store.add_key(a_key(), by="ana")
    rotated(store, b"b", old_until_us=NOON_US + 10)
    store.revoke_key("key_1", NOON_US + 1, by="ana")

    assert not opens(store, b"a", NOON_US + 2) and not opens(store, b"b", NOON_US + 2)
    assert not rotated(store, b"c", old_until_us=NOON_US + 10)


def test_a_key_expires(store: Store) -> None:
    store.add_key(a_key(expires_at_us=NOON_US + 5), by="ana")
    assert opens(store, b"a", NOON_US + 4) and not opens(store, b"a", NOON_US + 5)

    rotated(store, b"b", old_until_us=NOON_US + 5, expires_at_us=NOON_US + 50)
    assert opens(store, b"b", NOON_US + 49) and not opens(store, b"b", NOON_US + 50)
    assert not opens(store, b"a", NOON_US + 5)
