"""What is due now, out of settings and ledger, for sensors, the ticker and `openclaw status`."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from openclaw_pipelines.contracts.time import DAY, day_start, floor_to, interval_length
from openclaw_pipelines.domain.governance.alerts import Alert, clock_skew_alert, off_unit_alert, stale_market_alert
from openclaw_pipelines.domain.market.clocks import ClockReading
from openclaw_pipelines.domain.market.quality.units import off_unit_words, on_unit
from openclaw_pipelines.domain.trading.timing import Due, Need, Waiting, due_ticks, stalled_alert
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.store.coverage import coverage, funding_asked, funding_due
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.market.clock import goes_without, wrong_clock
from openclaw_pipelines.services.market.history import missing_before
from openclaw_pipelines.services.trading.mismatches import recent_mismatches
from openclaw_pipelines.settings import Settings

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
    return goes_without(world.store, world.source, now, _deadline(world, due))


def _deadline(world: World, due: Due) -> datetime:
    return due.first + timedelta(seconds=world.settings().strategy(due.strategy).own.bar_deadline_seconds)


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

    After an outage nobody has asked for the bars yet, though their deadline has passed: those are needed first. While
    clocks are too far apart the source is asked again and again, so that it is seen when they are not.
    """
    asked, stopped = bars_asked(world, due), clock_stops(world) is not None
    needs = list(needed_before(world, due))
    if stopped or (now >= _deadline(world, due) and not asked):
        needs.append(Need(due.day, due.day, whole=not stopped and due.day < market_day(now)))
    return Waiting(due, ready=not stopped and (asked or deadline_passed(world, due, now)), needs=tuple(needs))


def clock_stops(world: World) -> ClockReading | None:
    """What the source's clock showed, where it is too far from the local one for live ticks."""
    return wrong_clock(world.store, world.source, world.clock, world.settings().market.max_clock_skew_seconds)


def needed_before(world: World, due: Due) -> tuple[Need, ...]:
    """Market days that the first due tick reads of the days before it, at an inception or where a day begins."""
    if due.first - world.settings().strategy(due.strategy).interval != day_start(due.day):
        return ()
    return tuple(Need(first, last, whole=True) for first, last in _runs(_missing_days(world, due.strategy, due.day)))


def _missing_days(world: World, strategy: str, day: str) -> list[str]:
    settings = world.settings()
    missing = missing_before(world.store, world.source, settings, settings.strategy(strategy), day)
    return sorted({one.day for one in missing})


def _runs(days: Iterable[str]) -> list[tuple[str, str]]:
    """Days without another one between them, as ranges.

    >>> _runs(["2025-04-29", "2025-04-30", "2025-05-01", "2025-05-09"])
    [('2025-04-29', '2025-05-01'), ('2025-05-09', '2025-05-09')]
    """
    runs: list[tuple[str, str]] = []
    for day in days:
        follows = bool(runs) and day_start(runs[-1][1]) + DAY == day_start(day)
        runs[-1:] = [(runs[-1][0], day)] if follows else [*runs[-1:], (day, day)]
    return runs


def market_day(now: datetime) -> str:
    """Partition of the bar that closed last: at 00:00 that is still yesterday."""
    return f"{floor_to(now - timedelta(microseconds=1), DAY):%Y-%m-%d}"


MATURING_HOURS = 3
"""Hours after midnight in which yesterday's decisions may still mature."""


def evaluated_days(at: datetime) -> list[str]:
    """Days whose decisions mature around a time: today and, in the first hours, yesterday."""
    yesterday = [f"{at - DAY:%Y-%m-%d}"] if at.hour < MATURING_HOURS else []
    return [*yesterday, f"{at:%Y-%m-%d}"]


def running_on(settings: Settings, day: str) -> list[str]:
    """Strategies that have ticks on a day."""
    own = settings.strategies.values()
    return [one.name for one in own if one.own.enabled and one.own.start_day.isoformat() <= day]


def missing_history(world: World, strategies: Iterable[str]) -> list[str]:
    """Days before the inceptions of which strategies read something that is not there, in order."""
    own = {name: world.settings().strategy(name).own for name in strategies}
    return sorted({day for name, one in own.items() for day in _missing_days(world, name, one.start_day.isoformat())})


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
    """Stalled strategies, bars that they cannot take, market data that does not move, and books that disagree."""
    settings = world.settings()
    found = [stalled_alert(due_of(world, name, now), now) for name in settings.strategies]
    found += [_unusable_alert(world, name, now) for name in settings.strategies]
    limit = timedelta(seconds=settings.config.quality.max_staleness_seconds)
    newest = market_tables.newest_candle(world.store, world.source, settings.intervals[0])
    found.append(clock_skew_alert(clock_stops(world), settings.market.max_clock_skew_seconds, now))
    found.append(stale_market_alert(world.source, max(newest.values(), default=None), now, limit))
    return [*(alert for alert in found if alert is not None), *recent_mismatches(world, now)]
