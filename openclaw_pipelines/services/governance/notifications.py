"""Alerts: written once to the outbox, then sent to the log. What deserves one is decided in `domain.governance.alerts`.

An alert is dispatched once it is out: one whose process died in between is sent again, under the same key. Alerts that
cannot be stored are said in the log all the same, and the error is raised.
"""

import logging
from collections.abc import Iterable

from openclaw_pipelines import __version__
from openclaw_pipelines.contracts.canonical import sha256_of
from openclaw_pipelines.contracts.errors import OpenclawError, StoreError
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.domain.governance.alerts import Alert
from openclaw_pipelines.resources.store.engine import Connection
from openclaw_pipelines.resources.store.store import insert_new
from openclaw_pipelines.resources.world import World

_LOG = logging.getLogger("openclaw.alerts")
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_SAID = ("kind", "severity", "subject", "message")


class AlertsNotStoredError(StoreError):
    """Alerts that stand in the log only."""

    template = (
        "{alerts} alert(s) stand in the log only, the first about {subject}: {cause} "
        "They are raised again when what they are about is seen again."
    )
    alerts: int
    subject: str
    cause: str


def notify(world: World, alerts: Iterable[Alert]) -> list[Alert]:
    """Raise alerts that were not raised before, once per key; returns those.

    Raises:
        AlertsNotStoredError: the outbox cannot be read or written. Every alert stands in the log.
    """
    wanted = {alert.key: alert for alert in alerts}
    if not wanted:
        return []
    try:
        known = _raised(world, list(wanted))
        fresh = [alert for alert in wanted.values() if alert.key not in known]
        if fresh:
            with world.store.write("ledger") as con:
                put(con, world, fresh)
    except OpenclawError as error:
        for alert in wanted.values():
            _send(alert)
        raise AlertsNotStoredError(len(wanted), next(iter(wanted.values())).subject, str(error)) from error
    if fresh:
        dispatch(world)
    return fresh


def dispatch(world: World) -> int:
    """Send what stands in the outbox and was not sent, oldest first; returns how many those were."""
    columns = f"notification_key AS key, {', '.join(_SAID)}"
    sql = f"SELECT {columns} FROM notifications_outbox WHERE account_id = ? AND NOT dispatched ORDER BY raised_at, key"
    waiting = [Alert(**row) for row in world.store.query("ledger", sql, [_account(world)]).to_dicts()]
    for alert in waiting:
        _send(alert)
    if waiting:
        with world.store.write("ledger") as con:
            con.execute(
                "UPDATE notifications_outbox SET dispatched = true WHERE list_contains(?, notification_key)",
                [[alert.key for alert in waiting]],
            )
    return len(waiting)


def put(con: Connection, world: World, alerts: list[Alert]) -> None:
    """Write alerts to the outbox in the transaction of what they are about; `dispatch` sends them after it."""
    if not alerts:
        return
    settings, now = world.settings(), world.clock.now()
    shared = {
        "account_id": settings.config.account,
        "recorded_at": now,
        "run_fingerprint": sha256_of([__version__, settings.config_fingerprint]),
        "raised_at": now,
        "dispatched": False,
    }
    rows = [
        {
            **shared,
            "strategy_config_id": alert.subject,
            "notification_key": alert.key,
            **{name: getattr(alert, name) for name in _SAID},
        }
        for alert in alerts
    ]
    insert_new(con, "notifications_outbox", TABLES["notifications_outbox"].unchecked(rows))


def _send(alert: Alert) -> None:
    _LOG.log(_LEVELS[alert.severity], alert.message)


def _account(world: World) -> str:
    return world.settings().config.account


def _raised(world: World, keys: list[str]) -> set[str]:
    """Those of the keys that stand in the outbox."""
    sql = "SELECT notification_key FROM notifications_outbox WHERE list_contains(?, notification_key)"
    return set(world.store.query("ledger", sql, [keys])["notification_key"].to_list())
