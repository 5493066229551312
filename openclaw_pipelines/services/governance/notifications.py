"""Alerts: written once to the outbox, then sent to the log. What deserves one is decided in `domain.trading.timing`."""

import logging
from collections.abc import Iterable

from openclaw_pipelines import __version__
from openclaw_pipelines.contracts.canonical import sha256_of
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.domain.governance.alerts import Alert
from openclaw_pipelines.resources.store.store import insert_new
from openclaw_pipelines.resources.world import World

_LOG = logging.getLogger("openclaw.alerts")
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def notify(world: World, alerts: Iterable[Alert]) -> list[Alert]:
    """Raise alerts that were not raised before; returns those."""
    wanted = list(alerts)
    if not wanted:
        return []
    known = _raised(world, wanted)
    fresh = [alert for alert in wanted if alert.key not in known]
    if not fresh:
        return []
    settings, now = world.settings(), world.clock.now()
    shared = {
        "account_id": settings.config.account,
        "recorded_at": now,
        "run_fingerprint": sha256_of([__version__, settings.config_fingerprint]),
        "raised_at": now,
        "dispatched": True,
    }
    rows = [
        {
            **shared,
            "strategy_config_id": alert.subject,
            "notification_key": alert.key,
            **{name: getattr(alert, name) for name in ("kind", "severity", "subject", "message")},
        }
        for alert in fresh
    ]
    with world.store.write("ledger") as con:
        insert_new(con, "notifications_outbox", TABLES["notifications_outbox"].unchecked(rows))
    for alert in fresh:
        _LOG.log(_LEVELS[alert.severity], alert.message)
    return fresh


def _raised(world: World, alerts: list[Alert]) -> set[str]:
    """Keys among those of `alerts` that stand in the outbox."""
    keys = [alert.key for alert in alerts]
    sql = (
        f"SELECT notification_key FROM notifications_outbox WHERE notification_key IN ({', '.join('?' for _ in keys)})"
    )
    return set(world.store.query("ledger", sql, keys)["notification_key"].to_list())
