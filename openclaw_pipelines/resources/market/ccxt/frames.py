"""From stamped numbers to the frames of `base`. Reading them is in `source`."""

from collections.abc import Sequence

import polars as pl

from openclaw_pipelines.resources.market.base import FUNDING_COLUMNS, published

_TIME = pl.Datetime("us", "UTC")
_PRICES = ("open", "high", "low", "close", "volume")


def candle_frame(source: str, symbol: str, interval: str, rows: Sequence[tuple[int, Sequence[float]]]) -> pl.DataFrame:
    """Bars `(stamp in ms, (open, high, low, close, volume))` in `CANDLE_COLUMNS`."""
    columns = {"ts": [stamp for stamp, _ in rows]} | {
        name: [values[place] for _, values in rows] for place, name in enumerate(_PRICES)
    }
    schema = {"ts": pl.Int64} | dict.fromkeys(_PRICES, pl.Float64)
    bars = pl.DataFrame(columns, schema=schema).select(
        pl.lit(source).alias("source"),
        pl.lit(symbol).alias("symbol"),
        pl.lit(interval).alias("interval"),
        pl.from_epoch("ts", time_unit="ms").dt.replace_time_zone("UTC").cast(_TIME),
        *_PRICES,
        pl.lit(value=False).alias("is_synthetic"),
    )
    return published(bars)


def funding_frame(source: str, symbol: str, rows: Sequence[tuple[int, int, float]]) -> pl.DataFrame:
    """Rates `(hour in ms, stamp in ms, rate)` in `FUNDING_COLUMNS`."""
    schema = {"ts": pl.Int64, "stamped_at": pl.Int64, "funding_rate": pl.Float64}
    return (
        pl.DataFrame(rows, schema=schema, orient="row")
        .with_columns(
            pl.lit(source).alias("source"),
            pl.lit(symbol).alias("symbol"),
            pl.from_epoch("ts", time_unit="ms").dt.replace_time_zone("UTC").cast(_TIME),
            pl.from_epoch("stamped_at", time_unit="ms").dt.replace_time_zone("UTC").cast(_TIME),
            pl.lit(None, dtype=pl.Int64).alias("interval_hours"),
        )
        .select(FUNDING_COLUMNS)
    )
