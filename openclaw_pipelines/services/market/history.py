"""Which days before its inception a strategy reads, and which of them nobody asked the market source for."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from openclaw_pipelines.contracts.time import DAY, day_start, floor_to, interval_length
from openclaw_pipelines.domain.market.features import lookback_bars
from openclaw_pipelines.kernel.strategy.params import params_record, warmup_bars
from openclaw_pipelines.resources.store.coverage import FUNDING_GRID, coverage, funding_coverage, perpetuals
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.settings import Settings, StrategySettings


def history_days(settings: Settings, strategy: StrategySettings) -> list[str]:
    """Days before inception that warm-up, features and the first universe read, from the market's first day on."""
    inception = day_start(strategy.own.start_day.isoformat())
    seconds = int(strategy.interval.total_seconds())
    warm = warmup_bars(params_record(strategy.own.family, dict(strategy.params), seconds)) * strategy.interval
    ranked = timedelta(days=strategy.universe.lookback_days + strategy.universe.min_age_days)
    shown = max(lookback_bars(interval) * interval_length(interval) for interval in settings.intervals) + DAY
    return days_between(settings, inception - max(warm, ranked, shown), inception)


def days_between(settings: Settings, start: datetime, end: datetime) -> list[str]:
    """Partition keys of the days that `start <= time < end` touches, from the market's first day on."""
    first = max(floor_to(start, DAY), day_start(settings.market.first_day.isoformat()))
    count = max(0, -((first - end) // DAY))
    return [f"{first + n * DAY:%Y-%m-%d}" for n in range(count)]


def uncovered_days(
    store: Store, source: str, settings: Settings, days: Iterable[str], *, funded: Iterable[str] = ()
) -> list[str]:
    """Days of which the source was not asked for every symbol and interval to the end.

    funded: symbols whose funding is charged in these days, so that it must have been asked for as well.
    """
    wanted, symbols, paying = list(days), settings.market.symbols, perpetuals(funded)
    if not wanted:
        return []
    covered = coverage(store, source, wanted)
    rates = funding_coverage(store, source, wanted) if paying else {}
    series = [(symbol, interval) for symbol in symbols for interval in settings.intervals]
    found = []
    for day in wanted:
        start, end = day_start(day), day_start(day) + DAY
        untils = [covered.get((*one, day), start) for one in series]
        last_rates = [rates.get((symbol, day), start) for symbol in paying]
        if min(untils) < end or min(last_rates, default=end) < end - FUNDING_GRID:
            found.append(day)
    return found
