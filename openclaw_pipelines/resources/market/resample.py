"""Higher bars from lower ones. Reading the lower ones belongs to the sources."""

from datetime import datetime, timedelta

import polars as pl

from openclaw_pipelines.contracts.time import DAY, floor_to, interval_length
from openclaw_pipelines.resources.market.base import CANDLE_COLUMNS


def parts_window(interval: str, start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """Window of lower bars that make the bars of `interval` with `start <= ts < end`.

    >>> from datetime import UTC
    >>> parts_window("1h", datetime(2025, 5, 10, 0, 1, tzinfo=UTC), datetime(2025, 5, 10, 2, 1, tzinfo=UTC))[1].hour
    3
    """
    length = interval_length(interval)
    return _ceil_to(start, length), _ceil_to(end, length)


def resample(bars: pl.DataFrame, interval: str, as_of: datetime) -> pl.DataFrame:
    """Bars of `interval` made from lower ones: first open, highest high, lowest low, last close, summed volume.

    bars: `CANDLE_COLUMNS` of one symbol, ascending, of an interval that divides `interval`.
    A bar is returned only when it is closed at `as_of`. It is built from the parts that exist; without any it
    is absent. It is synthetic when all its parts are.
    """
    length = interval_length(interval)
    every = f"{int(length.total_seconds())}s"
    built = bars.group_by_dynamic("ts", every=every, group_by=["source", "symbol"]).agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
        pl.col("is_synthetic").all(),
    )
    closed = built.filter(pl.col("ts") <= as_of - length)
    return closed.with_columns(pl.lit(interval).alias("interval")).select(CANDLE_COLUMNS).sort("ts")


def divides(lower: str, higher: str) -> bool:
    """Whether bars of `lower` tile bars of `higher`, both counted from midnight.

    >>> divides("5m", "1h"), divides("30m", "15m"), divides("8h", "12h")
    (True, False, False)
    """
    return interval_length(higher) % interval_length(lower) == timedelta(0) and interval_length(higher) <= DAY


def _ceil_to(value: datetime, length: timedelta) -> datetime:
    floored = floor_to(value, length)
    return floored if floored == value else floored + length
