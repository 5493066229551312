"""Alerts stand in the outbox once, whoever raises them."""

import logging

import pytest

from openclaw_pipelines.domain.governance.alerts import Alert
from openclaw_pipelines.services.governance import notifications
from openclaw_pipelines.services.governance.notifications import AlertsNotStoredError, dispatch, notify


def alert(n: int, severity: str = "warning") -> Alert:
    return Alert(f"key:{n}", "stale_market", severity, "kraken", f"message {n}")


def test_each_key_is_raised_once(desk, caplog) -> None:
    own = desk()
    with caplog.at_level(logging.INFO, logger="openclaw.alerts"):
        assert notify(own.world, [alert(1), alert(2, "error")]) == [alert(1), alert(2, "error")]
        assert notify(own.world, [alert(2, "error"), alert(3)]) == [alert(3)]
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "message 1"),
        ("ERROR", "message 2"),
        ("WARNING", "message 3"),
    ]
    rows = own.store.table("notifications_outbox")
    assert sorted(rows["notification_key"].to_list()) == ["key:1", "key:2", "key:3"]
    assert set(rows["raised_at"].to_list()) == {own.clock.now()}
    assert rows["dispatched"].all()


def test_nothing_to_raise_writes_nothing(desk) -> None:
    own = desk()
    assert notify(own.world, []) == []
    assert own.store.table("notifications_outbox").is_empty()


def test_the_same_key_twice_in_a_batch_is_one_alert(desk) -> None:
    own = desk()
    assert notify(own.world, [alert(1), alert(1), alert(2)]) == [alert(1), alert(2)]
    assert own.store.table("notifications_outbox").height == 2


def test_an_alert_is_dispatched_once_it_is_out(desk, caplog, monkeypatch) -> None:
    """The process dies between writing and sending: the alert waits, and the next look sends it."""
    own = desk()

    def dies(_alert: Alert) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(notifications, "_send", dies)
    with pytest.raises(KeyboardInterrupt):
        notify(own.world, [alert(1), alert(2)])
    assert own.store.table("notifications_outbox")["dispatched"].to_list() == [False, False]
    monkeypatch.undo()
    with caplog.at_level(logging.INFO, logger="openclaw.alerts"):
        assert [dispatch(own.world), dispatch(own.world)] == [2, 0]
    assert [record.message for record in caplog.records] == ["message 1", "message 2"]
    assert own.store.table("notifications_outbox")["dispatched"].to_list() == [True, True]


def test_alerts_that_cannot_be_stored_are_loud(desk, caplog) -> None:
    own = desk()
    own.store.file("ledger").write_bytes(b"no database")
    with caplog.at_level(logging.INFO, logger="openclaw.alerts"), pytest.raises(AlertsNotStoredError) as raised:
        notify(own.world, [alert(1), alert(2, "error")])
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "message 1"),
        ("ERROR", "message 2"),
    ]
    assert (raised.value.alerts, raised.value.subject) == (2, "kraken")
