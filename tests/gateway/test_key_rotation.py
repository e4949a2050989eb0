"""Keys are rotated and expire at a running gateway, and are listed without their secrets (R6 to R10)."""

import msgspec

from tests.running import CallKey, Json, RunningGateway, wait_until


def rotate(gateway: RunningGateway, key: CallKey, **told: str) -> CallKey:
    heard = gateway.admin(f"/api/keys/{key.key_id}/rotate", "POST", told)
    assert heard.status == 200, heard.body
    return CallKey(heard.json()["key"], key.key_id, key.label, key.environment)


def listed(gateway: RunningGateway, key: CallKey) -> Json:
    (row,) = [row for row in gateway.admin("/api/keys").json()["keys"] if row["key_id"] == key.key_id]
    found: Json = row
    return found


def test_both_secrets_call_during_the_overlap_as_one_key(gateway: RunningGateway) -> None:
    old = gateway.key("production")
    new = rotate(gateway, old, overlap="1h")

    assert new.secret != old.secret
    assert gateway.chat(old, "hello").status == gateway.chat(new, "hello").status == 200
    assert len(gateway.entries(new)) == 2
    assert gateway.admin(f"/api/keys/{old.key_id}", "DELETE").status == 200
    wait_until(lambda: gateway.chat(old, "hello").status == gateway.chat(new, "hello").status == 401)
    assert gateway.admin(f"/api/keys/{old.key_id}/rotate", "POST", {}).status == 404


def test_without_an_overlap_the_old_secret_ends_within_a_second(gateway: RunningGateway) -> None:
    old = gateway.key("production")
    assert gateway.chat(old, "hello").status == 200
    new = rotate(gateway, old, overlap="0")

    wait_until(lambda: gateway.chat(old, "hello").status == 401, seconds=2.5)
    assert gateway.chat(new, "hello").status == 200
    assert old.secret not in gateway.admin("/api/keys").body.decode()
    assert new.secret not in gateway.admin("/api/keys").body.decode()


def test_a_key_that_expired_opens_nothing_until_it_is_rotated_with_another_end(
    gateway: RunningGateway,
) -> None:
    key = gateway.key("production", expires="1m")
    assert gateway.chat(key, "hello").status == 200
    store = gateway.running.store
    row = next(row for row in store.keys() if row.key_id == key.key_id)  # noqa: SIM118 - no dictionary
    now_us = gateway.running.clock()
    again = msgspec.structs.replace(row, key_id="key_of_the_past", label="past", sha256=b"p" * 32)
    store.add_key(msgspec.structs.replace(again, expires_at_us=now_us - 1), by="ana")
    past = CallKey("", "key_of_the_past", "past", "production")

    heard = gateway.admin(f"/api/keys/{past.key_id}/rotate", "POST", {})
    assert heard.status == 400
    assert "say how long it is to work now" in heard.json()["error"]["message"]
    assert gateway.chat(rotate(gateway, past, expires="1h"), "hello").status == 200
    assert gateway.admin(f"/api/keys/{key.key_id}/rotate", "POST", {"overlap": "soon"}).status == 400
    body = {"environment": "production", "label": "never", "expires": "soon"}
    assert gateway.admin("/api/keys", "POST", body).status == 400


def test_a_key_is_listed_with_what_it_is_and_when_it_called_last(gateway: RunningGateway) -> None:
    key = gateway.key("production", expires="30d")
    assert listed(gateway, key)["last_used_at"] is None
    gateway.chat(key, "hello")
    call = gateway.entry(key)

    row = listed(gateway, key)
    assert (row["environment"], row["label"], row["group"]) == ("production", key.label, None)
    assert row["last_used_at"] == call["at"]
    assert row["created_at"] < row["expires_at"]


def test_the_audit_tells_which_policy_the_gateway_started_with_and_who_had_it_read_anew(
    gateway: RunningGateway,
) -> None:
    digest = gateway.admin("/api/policy").json()["digest"]
    told = gateway.admin("/api/audit?action=policy").json()["audit"]
    assert [(row["by"], row["to"]) for row in told] == [("the start", digest)]
