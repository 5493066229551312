"""Computes and stores the features of a day. The values are defined in `domain.features` and `domain.regime`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from openclaw_pipelines.contracts.errors import MarketError
from openclaw_pipelines.contracts.time import DAY, day_start, interval_length
from openclaw_pipelines.domain.features import features, lookback_bars
from openclaw_pipelines.resources import candle_store
from openclaw_pipelines.resources.history import days_between, uncovered_days

if TYPE_CHECKING:
    from openclaw_pipelines.resources.autopilot import Autopilot


class FeatureHistoryError(MarketError):
    """Candles before the day, on which its features are warmed, were never asked for."""

    template = "the features of {day} read candles from {first} on; {missing} was not asked for. Materialize `candles`."
    fields = ("day", "first", "missing")


@dataclass(frozen=True)
class DayFeatures:
    """Features of a day, and what a person wants to know of them."""

    rows: pl.DataFrame

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


def compute_features(autopilot: "Autopilot", day: str) -> DayFeatures:
    """Compute the features of a day for every interval and replace the stored ones."""
    settings, start = autopilot.settings(), day_start(day)
    args = (autopilot.store, autopilot.source, settings.market.symbols)
    _refuse_missing_history(autopilot, day)
    parts = []
    for interval in settings.intervals:
        since = start - lookback_bars(interval) * interval_length(interval)
        candles = candle_store.candles(*args, interval, since, start + DAY)
        parts.append(features(candles, interval, start, start + DAY))
    rows = pl.concat(parts).with_columns(ingested_at=pl.lit(autopilot.clock.now()))
    candle_store.replace_features(
        autopilot.store,
        rows,
        source=autopilot.source,
        symbols=settings.market.symbols,
        intervals=settings.intervals,
        start=start,
        end=start + DAY,
    )
    return DayFeatures(rows)


def _refuse_missing_history(autopilot: "Autopilot", day: str) -> None:
    """Values warmed on what happens to be stored would depend on the order in which days were materialized."""
    settings = autopilot.settings()
    longest = max(lookback_bars(interval) * interval_length(interval) for interval in settings.intervals)
    days = days_between(settings, day_start(day) - longest, day_start(day))
    missing = uncovered_days(autopilot.store, autopilot.source, settings, days)
    if missing:
        raise FeatureHistoryError(day, days[0], missing[0])
