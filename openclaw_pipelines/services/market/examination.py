"""Examines stored market data: the quality rules on the candles and the funding of a day.

The rules are in `domain.market.quality.checks`.
"""

from datetime import datetime
from typing import Any

import polars as pl

from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.domain.market.quality.checks import run_all
from openclaw_pipelines.domain.market.quality.funding import funding_coverage
from openclaw_pipelines.domain.market.quality.window import CheckResult, Window
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.world import World

LOOK_BACK = 7 * DAY
"""How long a hole before a day may be for its first bar to be judged against the close before it, and how far back
rates may lie to say which are due."""


def examine_candles(world: World, day: str) -> list[CheckResult]:
    """Every quality rule on the stored candles of a day, with their revisions."""
    settings, start = world.settings(), day_start(day)
    args = (world.store, world.source, settings.market.symbols)
    frames = [market_tables.candles(*args, interval, start, start + DAY) for interval in settings.intervals]
    revisions = [market_tables.revisions(*args, interval, start, start + DAY) for interval in settings.intervals]
    candles, known = pl.concat(frames), _instruments(world)
    return run_all(
        Window(
            candles=candles,
            symbols=settings.market.symbols,
            intervals=settings.intervals,
            start=start,
            end=start + DAY,
            as_of=world.clock.now(),
            quality=settings.config.quality,
            revisions=pl.concat(revisions),
            listed_at=_known(known, "listed_at"),
            delisted_at=_known(known, "delisted_at"),
            price_units=_known(known, "price_unit"),
            refused=market_tables.refused_answers(*args, day),
            before=market_tables.newest_before(*args, settings.intervals, start, start - LOOK_BACK),
            elsewhere=_elsewhere(world, candles, start),
        )
    )


def examine_funding(world: World, day: str) -> list[CheckResult]:
    """Whether the funding that was due on a day is stored."""
    start, known = day_start(day), _instruments(world)
    symbols = world.settings().market.symbols
    return [
        funding_coverage(
            market_tables.funding_rates(world.store, world.source, symbols, start - LOOK_BACK, start + DAY),
            _known(known, "funding_interval_hours"),
            start=start,
            end=start + DAY,
            as_of=world.clock.now(),
            listed_at=_known(known, "listed_at"),
            delisted_at=_known(known, "delisted_at"),
        )
    ]


def _elsewhere(world: World, candles: pl.DataFrame, start: datetime) -> pl.DataFrame | None:
    """What there is on other days of the series that have no bar on this one; nothing to look for where all have."""
    settings = world.settings()
    series = len(settings.market.symbols) * len(settings.intervals)
    if candles.select("symbol", "interval").n_unique() == series:
        return None
    return market_tables.elsewhere(world.store, world.source, settings.market.symbols, start, start + DAY)


def _instruments(world: World) -> pl.DataFrame:
    return market_tables.instruments(world.store, world.source, world.settings().market.symbols)


def _known(instruments: pl.DataFrame, column: str) -> dict[str, Any]:
    """Values of a column by symbol, without the empty ones."""
    return dict(instruments.select("symbol", column).drop_nulls().iter_rows())
