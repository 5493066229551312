"""What ticks read of the days before them, and what of it nobody asked the market source for, per day and kind.

The ticker, the sensors, the runner and the factory ask here, so that none of them starts on less than another.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from openclaw_pipelines.contracts.time import DAY, day_start, floor_to, interval_length
from openclaw_pipelines.domain.market.features import lookback_bars
from openclaw_pipelines.kernel.strategy.params import params_record, warmup_bars
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.store.coverage import FUNDING_GRID, coverage, funding_coverage, perpetuals
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.settings import Settings, StrategySettings


@dataclass(frozen=True, order=True)
class Missing:
    """What of a day is read and is not there.

    asset: which brings it: `candles`, `funding_rates` or `features`. known_until: until when the source was asked.
    """

    day: str
    asset: str
    symbol: str
    known_until: datetime


def history_days(settings: Settings, strategy: StrategySettings) -> list[str]:
    """Days before inception that warm-up, features and the first universe read, from the market's first day on."""
    inception = day_start(strategy.own.start_day.isoformat())
    seconds = int(strategy.interval.total_seconds())
    warm = warmup_bars(params_record(strategy.own.family, dict(strategy.params), seconds)) * strategy.interval
    shown = max(lookback_bars(interval) * interval_length(interval) for interval in settings.intervals) + DAY
    return days_between(settings, inception - max(warm, strategy.universe.look_back, shown), inception)


def missing_before(
    store: Store, source: str, settings: Settings, strategy: StrategySettings, day: str
) -> list[Missing]:
    """What the first tick of a day reads of the days before and is not there, in the order of days.

    A deployment begins on candles, funding and features of its whole history. Every later day begins with a universe,
    which is ranked on candles of its look-back and on the features of the day before.
    """
    args, symbols, length = (store, source), strategy.symbols, [strategy.own.interval]
    least = settings.config.quality.min_parts_bps
    if strategy.own.start_day.isoformat() == day:
        days, intervals = history_days(settings, strategy), settings.intervals
        charged = symbols if strategy.costs.funding else ()
        found = [*_unasked(*args, days, symbols, intervals), *_unfunded(*args, days, charged)]
        return sorted([*found, *_unfeatured(*args, days, symbols, intervals, least)])
    days = days_between(settings, day_start(day) - strategy.universe.look_back, day_start(day))
    found = _unasked(*args, days, symbols, length)
    return sorted([*found, *_unfeatured(*args, days[-1:], symbols, length, least)])


def uncovered_days(
    store: Store, source: str, settings: Settings, days: Iterable[str], *, funded: Iterable[str] = ()
) -> list[str]:
    """Days of which the source was not asked for every symbol and interval to the end.

    funded: symbols whose funding is charged in these days, so that it must have been asked for as well.
    """
    wanted = list(days)
    found = _unasked(store, source, wanted, settings.market.symbols, settings.intervals)
    return sorted({one.day for one in [*found, *_unfunded(store, source, wanted, funded)]})


def days_between(settings: Settings, start: datetime, end: datetime) -> list[str]:
    """Partition keys of the days that `start <= time < end` touches, from the market's first day on."""
    first = max(floor_to(start, DAY), day_start(settings.market.first_day.isoformat()))
    count = max(0, -((first - end) // DAY))
    return [f"{first + n * DAY:%Y-%m-%d}" for n in range(count)]


def _unasked(
    store: Store, source: str, days: Sequence[str], symbols: Sequence[str], intervals: Sequence[str]
) -> list[Missing]:
    """Days and symbols whose candles were not asked for to the end of the day, at one of the intervals."""
    known = coverage(store, source, days) if days else {}
    found = []
    for day, symbol in ((day, symbol) for day in days for symbol in symbols):
        until = min(known.get((symbol, interval, day), day_start(day)) for interval in intervals)
        if until < day_start(day) + DAY:
            found.append(Missing(day, "candles", symbol, until))
    return found


def _unfunded(store: Store, source: str, days: Sequence[str], symbols: Iterable[str]) -> list[Missing]:
    """Days and perpetuals whose funding was not asked for up to its last time in the day."""
    paying = perpetuals(symbols)
    known = funding_coverage(store, source, days) if days and paying else {}
    asked = {(day, symbol): known.get((symbol, day), day_start(day)) for day in days for symbol in paying}
    return [
        Missing(day, "funding_rates", symbol, until)
        for (day, symbol), until in asked.items()
        if until < day_start(day) + DAY - FUNDING_GRID
    ]


def _unfeatured(
    store: Store, source: str, days: Sequence[str], symbols: Sequence[str], intervals: Sequence[str],
    min_parts_bps: int,
) -> list[Missing]:  # fmt: skip
    """Days and symbols of which a stored bar has no features."""
    if not days:
        return []
    start, end = day_start(days[0]), day_start(days[-1]) + DAY
    bare = market_tables.bars_without_features(store, source, symbols, intervals, start, end, min_parts_bps)
    wanted = set(days)
    return [Missing(day, "features", symbol, first) for day, symbol, first in bare if day in wanted]
