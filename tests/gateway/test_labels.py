"""Labels come from callers: whatever they hold, money stays where it belongs."""

import json

import pytest

from farthing.gateway.headers import read_headers
from tests.running import RunningGateway


def tags(**labels: str) -> tuple[bytes, bytes]:
    return b"x-metering-tags", json.dumps(labels).encode()


@pytest.mark.parametrize("sign", ["\0", "\x1b", "\n", "\x7f"])
def test_a_label_with_a_control_character_is_no_label(sign: str) -> None:
    for labels in ({"branch": f"main{sign}"}, {f"branch{sign}": "main"}, {"run": f"r{sign}"}):
        read = read_headers([tags(**labels)], b"").tags

        assert (read.invalid, dict(read.labels), read.run) == (True, {}, None)


def test_letters_of_any_script_are_labels() -> None:
    read = read_headers([tags(branch="główna/müsli 🌾", run="r/1")], b"").tags

    assert (read.invalid, dict(read.labels), read.run) == (False, {"branch": "główna/müsli 🌾"}, "r/1")


def test_a_label_that_hides_a_nul_leaves_the_ledger_whole(gateway: RunningGateway) -> None:
    key = gateway.key("purse")
    hidden = {"x-metering-tags": '{"run": "r\\u0000x", "branch": "main\\u0000x"}'}

    heard = gateway.chat(key, "hi", headers=hidden, max_tokens=100)
    entry = gateway.entry(key)

    assert heard.status == 200
    assert (entry["tags_invalid"], entry["run"], entry["labels"]) == (True, None, {})
    assert gateway.running.store.verify() == []
