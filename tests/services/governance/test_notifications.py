"""Alerts stand in the outbox once, whoever raises them."""

import logging

from openclaw_pipelines.domain.governance.alerts import Alert
from openclaw_pipelines.services.governance.notifications import notify


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


def test_nothing_to_raise_writes_nothing(desk) -> None:
    own = desk()
    assert notify(own.world, []) == []
    assert own.store.table("notifications_outbox").is_empty()
