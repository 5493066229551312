"""Ticks after which fills and account do not add up, as alerts."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import polars as pl

from openclaw_pipelines.domain.governance.alerts import Alert, mismatch_alert
from openclaw_pipelines.resources.world import World

LOOKED_BACK = timedelta(days=1)
"""How long ago a row may be written for `recent_mismatches` to see it."""


def mismatch_alerts(world: World, strategy: str, ticks: Iterable[datetime]) -> list[Alert]:
    """An alert per tick of a strategy whose books disagree."""
    wanted = sorted(set(ticks))
    if not wanted:
        return []
    rows = world.ledger(strategy).query(
        "SELECT * FROM reconcile_events", "NOT passed AND list_contains(?, tick_at)", [wanted]
    )
    return _alerts(rows)


def recent_mismatches(world: World, now: datetime) -> list[Alert]:
    """Of all strategies, those that were recorded lately: also what a process that was killed did not tell."""
    sql = "SELECT * FROM reconcile_events WHERE account_id = ? AND NOT passed AND recorded_at > ?"
    return _alerts(world.store.query("ledger", sql, [world.settings().config.account, now - LOOKED_BACK]))


def _alerts(rows: pl.DataFrame) -> list[Alert]:
    by_tick = rows.sort("tick_at", "strategy_config_id", "check_name").group_by(
        "account_id", "strategy_config_id", "tick_at", maintain_order=True
    )
    return [
        mismatch_alert(account, strategy, at, "; ".join(text.rstrip(".") for text in own["message"]))
        for (account, strategy, at), own in by_tick
    ]
