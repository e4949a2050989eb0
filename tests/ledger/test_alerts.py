"""Alerts on the ledger: each once, newest first, on every store."""

import threading
from pathlib import Path

from farthing.domain.alert import Alert
from farthing.ledger.entries import Done
from farthing.ledger.memory import MemoryStore
from farthing.ledger.noting import Note
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import Store
from tests.ledger.sentences import NOON_US, ask


def an_alert(
    percent: int = 90,
    *,
    account: str = "team/2026-12",
    at_us: int = NOON_US,
    call_id: str = "c1",
    action: str = "notify",
) -> Alert:
    return Alert(
        account=account,
        budget=account.partition("/")[0],
        window="2026-12",
        threshold_percent=percent,
        action=action,
        at_us=at_us,
        limit_nanodollars=100,
        spent_nanodollars=percent,
        environment="development",
        call_id=call_id,
    )


def note(store: Store, alert: Alert) -> None:
    assert isinstance(ask(store, Note(at_us=alert.at_us, alert=alert)), Done)


def test_an_alert_is_kept_as_it_was_first_noted(store: Store) -> None:
    note(store, an_alert(call_id="first"))
    note(store, an_alert(call_id="second", at_us=NOON_US + 1))

    assert store.alerts() == [an_alert(call_id="first")]
    assert store.verify() == []


def test_thresholds_actions_and_accounts_are_their_own_and_the_newest_stands_first(store: Store) -> None:
    alerts = [
        an_alert(50),
        an_alert(90, at_us=NOON_US + 1),
        an_alert(90, at_us=NOON_US + 2, action="block"),
        an_alert(50, at_us=NOON_US + 3, account="other/2026-12"),
    ]
    for alert in alerts:
        note(store, alert)

    assert store.alerts() == alerts[::-1]
    assert store.alerts(budget="other") == alerts[3:]
    assert store.alerts(limit=1) == alerts[3:]


def test_of_many_threads_with_stores_of_their_own_one_alert_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    SqliteStore(path).close()
    start = threading.Barrier(8)

    def race(number: int) -> None:
        store = SqliteStore(path)
        start.wait()
        note(store, an_alert(call_id=f"c{number}"))
        store.close()

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = SqliteStore(path)

    assert len(store.alerts()) == 1
    store.close()


def test_a_process_that_runs_for_months_keeps_the_newest_alerts_only() -> None:
    store = MemoryStore(entries_kept=3)
    for number in range(5):
        note(store, an_alert(account=f"b{number}/2026-12", at_us=NOON_US + number))

    assert [alert.budget for alert in store.alerts()] == ["b4", "b3", "b2"]
