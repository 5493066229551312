"""Computes and stores the features of a day. The values are defined in `domain.market`."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import DAY, day_start, interval_length
from openclaw_pipelines.domain.market.features import features, lookback_bars
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.store.comparison import Difference, verify_equal
from openclaw_pipelines.services.market.history import days_between, uncovered_days

if TYPE_CHECKING:
    from openclaw_pipelines.resources.world import World

_OTHER_PROCESSOR = 1e-9
"""How far a value may be, relatively, from the one that this machine computes."""


@dataclass(frozen=True)
class DayFeatures:
    """Features of a day, and what a person wants to know of them.

    history_missing: days before it that were not asked for, so that values are empty or less warm.
    """

    rows: pl.DataFrame
    history_missing: list[str]

    @property
    def capped(self) -> int:
        """Rows with a value outside its stated range."""
        return int(self.rows["capped"].sum())

    @property
    def not_warm(self) -> int:
        """Rows with an indicator that has not seen enough bars."""
        return self.rows.filter(pl.col("adx").is_null() | pl.col("ema_slow").is_null()).height

    @property
    def regimes(self) -> pl.DataFrame:
        """Bars per interval, symbol and regime."""
        return self.rows.group_by("interval", "symbol", "regime").len("bars").sort("interval", "symbol", "regime")

    @property
    def latest(self) -> pl.DataFrame:
        """Newest values per symbol at the longest interval."""
        shown = ["symbol", "interval", "ts", "close", "rsi", "adx", "atr_pct", "realised_volatility", "regime"]
        longest = max(self.rows["interval"].unique().to_list(), key=interval_length, default="")
        own = self.rows.filter(pl.col("interval") == longest).sort("ts")
        return own.group_by("symbol", maintain_order=True).last().select(shown).sort("symbol")


def compute_features(world: "World", day: str) -> DayFeatures:
    """Compute the features of a day for every interval and replace the stored ones."""
    settings, start, rows = world.settings(), day_start(day), _computed(world, day)
    market_tables.replace_features(
        world.store,
        rows,
        source=world.source,
        symbols=settings.market.symbols,
        intervals=settings.intervals,
        start=start,
        end=start + DAY,
    )
    return DayFeatures(rows, _history_missing(world, day))


def verify_features(world: "World", day: str) -> list[Difference]:
    """Stored features of a day that its candles do not give; absent ones are computed when they are asked for.

    The last digits may be another processor's: logarithms and exponentials of vectors differ between kinds of them.
    """
    settings, start = world.settings(), day_start(day)
    within = "source = ? AND ts >= ? AND ts < ? AND list_contains(?, symbol) AND list_contains(?, interval)"
    params = [world.source, start, start + DAY, list(settings.market.symbols), list(settings.intervals)]
    with world.store.read("market") as con:
        stored = con.execute(f"SELECT count(*) FROM features WHERE {within}", params).fetchone()
        if not stored or not stored[0]:
            return []
    given = _computed(world, day)
    with world.store.read("market") as con:
        found = verify_equal(con, "features", given, within=within, params=params)
    return [one for one in found if one.kind != "missing" and not _close(one)]


def _close(found: Difference) -> bool:
    if found.kind != "changed" or TABLES["features"].polars_schema[found.column] != pl.Float64:
        return False
    if found.stored is None or found.given is None:
        return False
    return math.isclose(float(found.stored), float(found.given), rel_tol=_OTHER_PROCESSOR, abs_tol=_OTHER_PROCESSOR)


def _computed(world: "World", day: str) -> pl.DataFrame:
    settings, start = world.settings(), day_start(day)
    args = (world.store, world.source, settings.market.symbols)
    parts = []
    for interval in settings.intervals:
        since = start - lookback_bars(interval) * interval_length(interval)
        candles = market_tables.candles(*args, interval, since, start + DAY)
        parts.append(features(candles, interval, start, start + DAY, settings.config.quality))
    return pl.concat(parts).with_columns(ingested_at=pl.lit(world.clock.now()))


def _history_missing(world: "World", day: str) -> list[str]:
    """Days before it, on which the values are warmed, that were not asked for; their values are empty or less warm."""
    settings = world.settings()
    longest = max(lookback_bars(interval) * interval_length(interval) for interval in settings.intervals)
    days = days_between(settings, day_start(day) - longest, day_start(day))
    return uncovered_days(world.store, world.source, settings, days)
