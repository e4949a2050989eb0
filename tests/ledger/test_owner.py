"""Who is dead: the process decides on this host, the lease on another."""

import multiprocessing
import os
import signal
import subprocess
import sys

import msgspec
import pytest

from farthing.ledger.entries import Owner
from farthing.ledger.owner import LEASE_US, Identity, is_gone, this_process

NOW_US = 1_000_000_000


def as_owner(identity: Identity) -> Owner:
    renewal = identity.renew(NOW_US)
    return Owner(
        owner=renewal.owner,
        host=renewal.host,
        process=renewal.process,
        renewed_at_us=renewal.at_us,
        until_us=renewal.until_us,
    )


def another_process(pid: int) -> Owner:
    """This host, another process, found the way it would describe itself."""
    started = subprocess.run(
        [sys.executable, "-c", f"from farthing.ledger.owner import _started; print(_started({pid}))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    return msgspec.structs.replace(as_owner(this_process()), process=f"{pid}:{started}")


def test_this_process_lives_however_old_its_lease() -> None:
    assert not is_gone(as_owner(this_process()), NOW_US + 1_000 * LEASE_US)


def test_each_identity_has_its_own_name() -> None:
    assert this_process().owner != this_process().owner


def test_a_process_that_ended_is_gone_at_once() -> None:
    child = multiprocessing.get_context("fork").Process(target=os.getpid)
    child.start()
    pid = child.pid
    child.join()

    owner = msgspec.structs.replace(as_owner(this_process()), process=f"{pid}:123")

    assert is_gone(owner, NOW_US)


def test_a_process_id_that_was_used_again_is_another_process() -> None:
    owner = msgspec.structs.replace(as_owner(this_process()), process=f"{os.getpid()}:1")

    assert is_gone(owner, NOW_US)


def test_a_stopped_process_is_not_dead_and_a_killed_one_is() -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        owner = another_process(sleeper.pid)
        sleeper.send_signal(signal.SIGSTOP)
        assert not is_gone(owner, NOW_US + 1_000 * LEASE_US)
    finally:
        sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(owner, NOW_US)  # a zombie: nobody has asked for its exit code yet
    sleeper.communicate()
    assert is_gone(owner, NOW_US)


@pytest.mark.parametrize(("later_us", "gone"), [(0, False), (LEASE_US - 1, False), (LEASE_US, True)])
def test_on_another_host_the_lease_decides(later_us: int, gone: bool) -> None:
    owner = msgspec.structs.replace(as_owner(this_process()), host="elsewhere")

    assert is_gone(owner, NOW_US + later_us) is gone
