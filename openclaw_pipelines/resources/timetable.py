"""What is due now, out of settings and ledger, for sensors, the ticker and `openclaw status`."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from openclaw_pipelines.contracts.time import DAY, day_start, floor_to
from openclaw_pipelines.domain.timing import Alert, Due, due_ticks, stale_market_alert, stalled_alert
from openclaw_pipelines.resources import candle_store
from openclaw_pipelines.resources.autopilot import Autopilot
from openclaw_pipelines.resources.history import history_days, uncovered_days
from openclaw_pipelines.resources.ingest import coverage


def due_of(autopilot: Autopilot, strategy: str, now: datetime) -> Due | None:
    """Ticks of a strategy that have closed and are not recorded; None when there are none or it is switched off."""
    own = autopilot.settings().strategy(strategy)
    if not own.own.enabled:
        return None
    inception = day_start(own.own.start_day.isoformat())
    newest = autopilot.runner.ledger(strategy).newest_tick()
    after = inception if newest is None else max(newest, inception)
    return due_ticks(strategy, own.own.interval, own.interval, after, now, own.own.jitter_seconds)


def bars_ready(autopilot: Autopilot, due: Due, now: datetime) -> bool:
    """Whether the source was asked for the bars of the first due tick, or the deadline for them has passed."""
    own = autopilot.settings().strategy(due.strategy)
    if now >= due.first + timedelta(seconds=own.own.bar_deadline_seconds):
        return True
    covered = coverage(autopilot.store, autopilot.source, [due.day])
    untils = [covered.get((symbol, own.own.interval, due.day)) for symbol in own.symbols]
    return all(until is not None and until >= due.first for until in untils)


def market_day(now: datetime) -> str:
    """Partition of the bar that closed last: at 00:00 that is still yesterday."""
    return f"{floor_to(now - timedelta(microseconds=1), DAY):%Y-%m-%d}"


def features_missing(autopilot: Autopilot, day: str) -> bool:
    """Whether the features of a day, which the next day's universe reads, are not stored."""
    start = day_start(day)
    rows = autopilot.store.query(
        "market",
        "SELECT max(ts) AS newest FROM features WHERE source = ? AND ts >= ? AND ts < ?",
        [autopilot.source, start, start + DAY],
    )
    newest = rows["newest"][0]
    return newest is None or newest < start + DAY - timedelta(hours=1)


def missing_history(autopilot: Autopilot, strategies: Iterable[str]) -> list[str]:
    """Days before the inceptions that strategies read and whose candles or features are not stored, in order."""
    settings = autopilot.settings()
    wanted: set[str] = set()
    for name in strategies:
        wanted |= set(history_days(settings, settings.strategy(name)))
    days = sorted(wanted)
    missing = set(uncovered_days(autopilot.store, autopilot.source, settings, days))
    missing |= {day for day in days[-1:] if features_missing(autopilot, day)}
    return sorted(missing)


def alerts_now(autopilot: Autopilot, now: datetime) -> list[Alert]:
    """Stalled strategies and market data that does not move."""
    settings = autopilot.settings()
    found = [stalled_alert(due_of(autopilot, name, now), now) for name in settings.strategies]
    limit = timedelta(seconds=settings.config.quality.max_staleness_seconds)
    newest = candle_store.newest_candle(autopilot.store, autopilot.source, settings.intervals[0])
    found.append(stale_market_alert(autopilot.source, max(newest.values(), default=None), now, limit))
    return [alert for alert in found if alert is not None]
