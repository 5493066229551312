"""Indicators and regime per symbol and bar, for the universe and for people.

The recurrences are the kernel's own. Every UTC day is computed from the bars of a fixed span before it, so that a value
never depends on how much history is stored. What the kernel decides on at a tick is in the kernel's state, not here.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from openclaw_pipelines.contracts.config.market import Quality
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.tables.market import Features
from openclaw_pipelines.contracts.time import DAY, floor_to, interval_length
from openclaw_pipelines.domain.market.parts import enough_parts
from openclaw_pipelines.domain.market.regime import Measures, classify, to_trailing_median, trailing_rank
from openclaw_pipelines.domain.market.spread import corwin_schultz_bps
from openclaw_pipelines.kernel.strategy import batches

Column = NDArray[np.float64]

EMA_FAST_BARS = 12
EMA_SLOW_BARS = 48
OSCILLATOR_BARS = 14
BAND_BARS = 20
BAND_WIDTH = 2.0
SMOOTHING_BARS = 48
"""Bars of realised volatility, volume average, spread proxy and zero-volume share."""

RANGES: dict[str, tuple[float, float]] = {
    "return_1": (-0.5, 0.5),
    "return_24h": (-0.9, 9.0),
    "rsi": (0.0, 100.0),
    "atr_pct": (0.0, 0.5),
    "adx": (0.0, 100.0),
    "bollinger_position": (-1.0, 2.0),
    "donchian_position": (-1.0, 2.0),
    "realised_volatility": (0.0, 10.0),
    "spread_proxy_bps": (0.0, 1_000.0),
}
"""Stated range of each feature; values beyond are set to its edge and the row is marked `capped`."""

_YEAR = 365 * DAY
_CLOSE_TOLERANCE = timedelta(hours=1)
"""How much older than 24 hours the close may be that the 24-hour return compares with, where a bar is absent."""

_COLUMNS = [name for name in Features.to_schema().columns if name != "ingested_at"]


def lookback_bars(interval: str) -> int:
    """Bars before each day that warm its values: 24 hours and 64 bars more, at least 256.

    >>> lookback_bars("1m"), lookback_bars("15m"), lookback_bars("1h")
    (1504, 256, 256)
    """
    return max(256, _bars_per_day(interval) + 64)


def features(
    candles: pl.DataFrame,
    interval: str,
    window_start: datetime,
    window_end: datetime,
    quality: Quality | None = None,
) -> pl.DataFrame:
    """Rows of `features` without `ingested_at`, for bars with `window_start <= ts < window_end`.

    candles: rows of `candles` of one source, from `lookback_bars` before the day of `window_start`. More history
    changes nothing. Less leaves values empty until they are warm. Absent bars are skipped, and so are synthetic ones
    and those built of too few of their parts; bars without volume count. A value depends on its own and earlier bars.
    """
    enough = enough_parts((quality or Quality()).min_parts_bps)
    bars = candles.filter((pl.col("interval") == interval) & ~pl.col("is_synthetic") & enough).sort("symbol", "ts")
    parts = [
        _day_features(_segment(bars, interval, start), interval, max(start, window_start), min(start + DAY, window_end))
        for start in _days(window_start, window_end)
    ]
    rows = pl.concat([_no_rows(), *parts]).sort("symbol", "ts")
    return _capped(rows).select(_COLUMNS)


def _days(start: datetime, end: datetime) -> Iterator[datetime]:
    day = floor_to(start, DAY)
    while day < end:
        yield day
        day += DAY


def _segment(bars: pl.DataFrame, interval: str, day: datetime) -> pl.DataFrame:
    warm_from = day - lookback_bars(interval) * interval_length(interval)
    return bars.filter(pl.col("ts").is_between(warm_from, day + DAY, "left"))


def _bars_per_day(interval: str) -> int:
    return DAY // interval_length(interval)


def _no_rows() -> pl.DataFrame:
    schema = {name: TABLES["features"].polars_schema[name] for name in _COLUMNS if name != "capped"}
    return pl.DataFrame(schema=schema)


def _day_features(bars: pl.DataFrame, interval: str, start: datetime, end: datetime) -> pl.DataFrame:
    """Values of all symbols; `bars` is the fixed segment by symbol, of which the rows in [start, end) are kept.

    The recurrences run symbol by symbol, everything else in one query: a query per symbol costs more than its bars.
    """
    prices = [bars.get_column(name).to_numpy() for name in ("high", "low", "close", "volume")]
    ends = np.cumsum(bars.group_by("symbol", maintain_order=True).len()["len"].to_numpy())
    own = [_of_symbol(interval, *parts) for parts in zip(*(np.split(one, ends[:-1]) for one in prices), strict=True)]
    if bars.is_empty():
        return _no_rows()
    columns = {name: np.concatenate([values[name] for values, _ in own]) for name in own[0][0]}
    rows = (
        bars.select("source", "symbol", "interval", "ts", "close")
        .with_columns(pl.Series(name, values) for name, values in columns.items())
        .with_columns(pl.col(*columns).fill_nan(None))
    )
    regime = pl.Series("regime", [name for _, regimes in own for name in regimes], dtype=pl.String)
    rows = rows.with_columns(*_over_24_hours(bars, interval), regime)
    return rows.filter(pl.col("ts").is_between(start, end, "left")).select(_no_rows().columns)


def _of_symbol(
    interval: str, high: Column, low: Column, close: Column, volume: Column
) -> tuple[dict[str, Column], Iterable[str | None]]:  # fmt: skip
    """Values and regimes of the bars of one symbol."""
    strength, _, _ = batches.adx(high, low, close, OSCILLATOR_BARS)
    volatility = batches.realised_volatility(close, SMOOTHING_BARS, _YEAR / interval_length(interval))
    columns: dict[str, Column] = {
        "return_1": _ratio(close, _shifted(close)) - 1,
        "ema_fast": batches.ema(close, EMA_FAST_BARS),
        "ema_slow": batches.ema(close, EMA_SLOW_BARS),
        "rsi": batches.rsi(close, OSCILLATOR_BARS),
        "atr_pct": batches.atr(high, low, close, OSCILLATOR_BARS) / close,
        "adx": strength,
        "bollinger_position": _bollinger_position(close),
        "donchian_position": _donchian_position(high, low, close),
        "realised_volatility": volatility,
        "volume_average": batches.sma(volume, SMOOTHING_BARS),
        "spread_proxy_bps": _spread(high, low),
    }
    return columns, classify(_measures(interval, close, volume, columns))


def _measures(interval: str, close: Column, volume: Column, columns: dict[str, Column]) -> Measures:
    trailing = max(192, _bars_per_day(interval))
    recent_quote = batches.sma(close * volume, SMOOTHING_BARS)
    return Measures(
        zero_volume_share=batches.sma((volume == 0).astype(np.float64), SMOOTHING_BARS),
        volume_to_median=to_trailing_median(recent_quote, trailing),
        volatility_rank=trailing_rank(columns["realised_volatility"], trailing),
        adx=columns["adx"],
        ema_fast=columns["ema_fast"],
        ema_slow=columns["ema_slow"],
    )


def _bollinger_position(close: Column) -> Column:
    lower, _, upper = batches.bollinger(close, BAND_BARS, BAND_WIDTH)
    return _ratio(close - lower, upper - lower)


def _donchian_position(high: Column, low: Column, close: Column) -> Column:
    upper, lower = batches.donchian(high, low, BAND_BARS)
    return _ratio(close - lower, upper - lower)


def _spread(high: Column, low: Column) -> Column:
    averages = np.full(high.size, np.nan)
    # the first bar has no pair
    averages[1:] = batches.sma(corwin_schultz_bps(high, low)[1:], SMOOTHING_BARS)
    return averages


def _over_24_hours(bars: pl.DataFrame, interval: str) -> list[pl.Series]:
    """Return and traded quote over 24 hours; empty until the segment reaches that far back."""
    before = (
        bars.select("symbol", pl.col("ts") - DAY)
        .join_asof(
            bars.select("symbol", "ts", "close"), on="ts", by="symbol", strategy="backward", tolerance=_CLOSE_TOLERANCE,
            check_sortedness=False,
        )
        .get_column("close")
    )  # fmt: skip
    quote = bars.select(
        pl.when(pl.col("ts") - (DAY - interval_length(interval)) >= pl.col("ts").min().over("symbol")).then(
            (pl.col("close") * pl.col("volume")).rolling_sum_by("ts", window_size=DAY, closed="right").over("symbol")
        )
    ).to_series()
    closes = bars.get_column("close")
    return [(closes / before - 1).alias("return_24h"), quote.alias("quote_volume_24h")]


def _shifted(values: Column) -> Column:
    return np.concatenate([np.full(min(1, values.size), np.nan), values[:-1]])


def _ratio(numerator: Column, denominator: Column) -> Column:
    """Quotient, NaN where the denominator is zero: a place in a band without width is undefined."""
    undefined = np.full_like(numerator, np.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator != 0)


def _capped(rows: pl.DataFrame) -> pl.DataFrame:
    outside = pl.any_horizontal(
        (pl.col(name) < low) | (pl.col(name) > high) for name, (low, high) in RANGES.items()
    ).fill_null(value=False)
    return rows.with_columns(
        outside.alias("capped"), *(pl.col(name).clip(low, high) for name, (low, high) in RANGES.items())
    )
