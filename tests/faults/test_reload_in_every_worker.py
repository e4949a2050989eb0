"""Real signals to several workers: each takes the new policy over, none is started anew, no call is lost."""

import http.client
import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from farthing.config.stores import open_store
from farthing.gateway.key_admin import create_key
from tests.builders import a_policy
from tests.faults.processes import Gateway, Simulator, a_gateway, eventually

POLICY = """
environments: {{development: {{models: {{allow: [{models}]}}}}}}
providers:
  targets:
    - {{id: openai, provider: openai, base_url: "{url}/v1", secret_key_ref: {{file: openai.key}}}}
"""
SECONDS = 15.0


def asked(gateway: Gateway, method: str, path: str, *, key: str = "faults", body: object = None) -> Any:
    """The status and the document that a fresh connection gets; fresh ones reach every worker."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=15)
    try:
        told = None if body is None else json.dumps(body).encode()
        connection.request(method, path, told, {"authorization": f"Bearer {key}"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def standing_of_each(gateway: Gateway, workers: int) -> dict[int, dict[str, Any]]:
    """What each worker says about its policy."""
    found: dict[int, dict[str, Any]] = {}

    def all_told() -> bool:
        _, told = asked(gateway, "GET", "/api/policy")
        found[told["worker"]] = told
        return len(found) == workers

    eventually(all_told, SECONDS, "every worker answers")
    return found


def test_every_worker_takes_over_at_a_signal_or_a_request_and_no_call_is_lost(
    simulator: Simulator, tmp_path: Path, ledger: Path
) -> None:
    file, secret_file = tmp_path / "farthing.yaml", tmp_path / "openai.key"
    secret_file.write_text("sk-one", "utf-8")

    def write(models: str) -> None:
        following = file.with_suffix(".new")
        following.write_text(POLICY.format(models=models, url=simulator.url), "utf-8")
        following.replace(file)

    write("gpt-4o-mini")
    store = open_store(str(ledger))
    key, _ = create_key(
        store,
        a_policy(),
        environment="development",
        label="alice",
        group=None,
        developer=None,
        by="ana",
        at_us=1,
    )
    store.close()
    stop, statuses = threading.Event(), []
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}

    with a_gateway(file, ledger, workers=2) as gateway:
        workers = set(gateway.serving_processes())

        def in_force() -> set[str]:
            standing = standing_of_each(gateway, 2)
            assert set(standing) == workers, "nobody was started anew"
            return {told["digest"] for told in standing.values()}

        def keep_calling() -> None:
            while not stop.is_set():
                statuses.append(asked(gateway, "POST", "/v1/chat/completions", key=key, body=body)[0])

        (first,) = in_force()
        with ThreadPoolExecutor(3) as callers:
            for _ in range(3):
                callers.submit(keep_calling)
            try:
                write("gpt-4o-mini, gpt-4o")
                gateway.process.send_signal(signal.SIGHUP)
                eventually(lambda: first not in in_force(), SECONDS, "all took over at the signal")
                (second,) = in_force()

                write("gpt-4o-mini, o3")
                status, told = asked(gateway, "POST", "/api/policy/reload")
                assert (status, told["refused"]) == (200, None)
                eventually(lambda: in_force() == {told["digest"]}, SECONDS, "all took over when asked")
                assert told["digest"] not in (first, second)

                file.write_text("environments: [", "utf-8")
                gateway.process.send_signal(signal.SIGHUP)
                eventually(
                    lambda: all(row["refused"] for row in standing_of_each(gateway, 2).values()),
                    SECONDS,
                    "all say what is wrong",
                )
                assert in_force() == {told["digest"]}
            finally:
                stop.set()
        assert set(statuses) == {200}
        assert gateway.stop() == 0
    store = open_store(str(ledger))
    assert store.verify() == []
    assert {row.facts.policy_digest for row in store.entries(limit=100_000)} <= {
        first,
        second,
        told["digest"],
    }
    store.close()


def test_a_worker_that_dies_while_the_files_are_wrong_takes_no_other_with_it(
    simulator: Simulator, tmp_path: Path, ledger: Path
) -> None:
    file = tmp_path / "farthing.yaml"
    (tmp_path / "openai.key").write_text("sk-one", "utf-8")
    right = POLICY.format(models="gpt-4o-mini", url=simulator.url)
    file.write_text(right, "utf-8")
    with a_gateway(file, ledger, workers=2) as gateway:
        first = standing_of_each(gateway, 2)
        dying, staying = first
        file.write_text("environments: [", "utf-8")
        os.kill(dying, signal.SIGKILL)

        def stays_alone() -> bool:
            return gateway.process.poll() is None and gateway.errors.read_text().count("PolicyError: ") >= 2

        eventually(stays_alone, 2 * SECONDS, "the parent tries again and again")
        status, told = asked(gateway, "GET", "/api/policy")
        assert (status, told["worker"], told["digest"]) == (200, staying, first[staying]["digest"])

        file.write_text(right, "utf-8")
        eventually(
            lambda: len(set(gateway.serving_processes()) - {dying}) == 2,
            2 * SECONDS,
            "a worker takes its place",
        )
        assert {row["digest"] for row in standing_of_each(gateway, 2).values()} == {told["digest"]}
        assert gateway.stop() == 0
