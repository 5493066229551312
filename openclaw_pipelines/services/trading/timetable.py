"""What is due now, out of settings and ledger, for sensors, the ticker and `openclaw status`."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from openclaw_pipelines.contracts.time import DAY, day_start, floor_to, interval_length
from openclaw_pipelines.domain.governance.alerts import Alert, off_unit_alert, stale_market_alert
from openclaw_pipelines.domain.market.quality.units import off_unit_words, on_unit
from openclaw_pipelines.domain.trading.timing import Due, Need, Waiting, due_ticks, stalled_alert
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.store.coverage import coverage, funding_asked, funding_due
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.market.history import history_days, uncovered_days

LOOKED_AT_BARS = 4
"""Newest bars of a strategy in which `alerts_now` looks for some that it cannot take."""


def due_of(world: World, strategy: str, now: datetime, *, jittered: bool = True) -> Due | None:
    """Ticks of a strategy that have closed and are not recorded; None when there are none or it is switched off.

    jittered: whether the strategy's own delay counts; on a replayed clock nobody has to be spared.
    """
    own = world.settings().strategy(strategy)
    if not own.own.enabled:
        return None
    inception = day_start(own.own.start_day.isoformat())
    newest = world.ledger(strategy).newest_tick()
    after = inception if newest is None else max(newest, inception)
    return due_ticks(strategy, own.own.interval, own.interval, after, now, own.own.jitter_seconds if jittered else 0)


def bars_ready(world: World, due: Due, now: datetime) -> bool:
    """Whether the source was asked for what the first due tick needs, or the deadline for it has passed."""
    return deadline_passed(world, due, now) or bars_asked(world, due)


def deadline_passed(world: World, due: Due, now: datetime) -> bool:
    """Whether the first due tick goes without the bars and rates that are still absent."""
    own = world.settings().strategy(due.strategy).own
    return now >= due.first + timedelta(seconds=own.bar_deadline_seconds)


def bars_asked(world: World, due: Due) -> bool:
    """Whether the source was asked for the bars of the first due tick after they closed, and for their funding."""
    own = world.settings().strategy(due.strategy)
    covered = coverage(world.store, world.source, [due.day])
    untils = [covered.get((symbol, own.own.interval, due.day)) for symbol in own.symbols]
    if not all(until is not None and until >= due.first for until in untils):
        return False
    charged = funding_due(due.first, own.interval) if own.costs.funding else None
    return charged is None or funding_asked(world.store, world.source, own.symbols, charged)


def waiting_of(world: World, due: Due, now: datetime) -> Waiting:
    """What stands between a strategy and its first due tick.

    After an outage nobody has asked for the bars yet, though their deadline has passed: those are needed first.
    """
    asked, late = bars_asked(world, due), deadline_passed(world, due, now)
    needs = list(needed_before(world, due))
    if late and not asked:
        needs.append(Need(due.day, due.day, whole=due.day < market_day(now)))
    return Waiting(due, ready=asked or late, needs=tuple(needs))


def needed_before(world: World, due: Due) -> tuple[Need, ...]:
    """Market days that a strategy reads at its inception, and the features that the universe of a new day reads."""
    own = world.settings().strategy(due.strategy)
    if due.first - own.interval == day_start(own.own.start_day.isoformat()):
        missing = missing_history(world, [due.strategy])
        return (Need(missing[0], missing[-1], whole=True),) if missing else ()
    before = f"{day_start(due.day) - DAY:%Y-%m-%d}"
    opens_day = due.first - own.interval == day_start(due.day)
    return (Need(before, before, whole=True),) if opens_day and features_missing(world, before) else ()


def market_day(now: datetime) -> str:
    """Partition of the bar that closed last: at 00:00 that is still yesterday."""
    return f"{floor_to(now - timedelta(microseconds=1), DAY):%Y-%m-%d}"


def features_missing(world: World, day: str) -> bool:
    """Whether the features of a day, which the next day's universe reads, are not stored."""
    start = day_start(day)
    rows = world.store.query(
        "market",
        "SELECT max(ts) AS newest FROM features WHERE source = ? AND ts >= ? AND ts < ?",
        [world.source, start, start + DAY],
    )
    newest = rows["newest"][0]
    length = max(timedelta(hours=1), interval_length(world.settings().intervals[0]))
    return newest is None or newest < start + DAY - length


def missing_history(world: World, strategies: Iterable[str]) -> list[str]:
    """Days before the inceptions that strategies read and whose candles or features are not stored, in order."""
    settings = world.settings()
    wanted: set[str] = set()
    for name in strategies:
        wanted |= set(history_days(settings, settings.strategy(name)))
    days = sorted(wanted)
    missing = set(uncovered_days(world.store, world.source, settings, days))
    missing |= {day for day in days[-1:] if features_missing(world, day)}
    return sorted(missing)


def _unusable_alert(world: World, strategy: str, now: datetime) -> Alert | None:
    """An alert for newest bars off the price unit that a running deployment was recorded with; it goes without them."""
    head = world.ledger(strategy).head()
    if head is None or not world.settings().strategy(strategy).own.enabled:
        return None
    deployment = head.deployment
    args = (world.store, world.source, deployment.symbols, deployment.interval)
    bars = market_tables.candles(*args, now - LOOKED_AT_BARS * interval_length(deployment.interval), now)
    off = bars.filter(~on_unit(bars, deployment.price_units))
    return None if off.is_empty() else off_unit_alert(strategy, off_unit_words(off, deployment.price_units), now)


def alerts_now(world: World, now: datetime) -> list[Alert]:
    """Stalled strategies, bars that they cannot take, and market data that does not move."""
    settings = world.settings()
    found = [stalled_alert(due_of(world, name, now), now) for name in settings.strategies]
    found += [_unusable_alert(world, name, now) for name in settings.strategies]
    limit = timedelta(seconds=settings.config.quality.max_staleness_seconds)
    newest = market_tables.newest_candle(world.store, world.source, settings.intervals[0])
    found.append(stale_market_alert(world.source, max(newest.values(), default=None), now, limit))
    return [alert for alert in found if alert is not None]
