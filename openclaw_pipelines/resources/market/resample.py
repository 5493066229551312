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

    bars: `CANDLE_COLUMNS` of one symbol, ascending, of one interval that divides `interval`.
    A bar is returned only when it is closed at `as_of`. It is built from the parts that exist, and tells how many
    these are, how many there should be and whether the first is one of them; without any part it is absent. A synthetic
    part is none. The bar is synthetic when all of its parts are.
    """
    length = interval_length(interval)
    tiles = 1 if bars.is_empty() else length // interval_length(bars["interval"][0])
    traded = ~pl.col("is_synthetic")
    built = bars.group_by_dynamic("ts", every=f"{int(length.total_seconds())}s", group_by=["source", "symbol"]).agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
        pl.col("is_synthetic").all(),
        pl.when(traded).then(pl.col("parts").fill_null(1)).otherwise(0).sum().alias("parts"),
        (pl.col("parts_expected").fill_null(1).first() * tiles).alias("parts_expected"),
        pl.col("ts").first().alias("first_part"),
        (traded & pl.col("has_open")).first().alias("has_open"),
    )
    closed = built.filter(pl.col("ts") <= as_of - length)
    has_open = pl.col("has_open") & (pl.col("first_part") == pl.col("ts"))
    return closed.with_columns(interval=pl.lit(interval), has_open=has_open).select(CANDLE_COLUMNS).sort("ts")


def best_of(built: list[pl.DataFrame]) -> pl.DataFrame:
    """Of several bars of one time the one that has most of its parts, of equal ones the first."""
    share = pl.col("parts") / pl.col("parts_expected")
    bars = pl.concat(built).with_columns(share=share)
    return bars.sort("ts", "share", descending=[False, True], maintain_order=True).unique(
        "ts", keep="first", maintain_order=True
    ).drop("share")  # fmt: skip


def divides(lower: str, higher: str) -> bool:
    """Whether bars of `lower` tile bars of `higher`, both counted from midnight.

    >>> divides("5m", "1h"), divides("30m", "15m"), divides("8h", "12h")
    (True, False, False)
    """
    return interval_length(higher) % interval_length(lower) == timedelta(0) and interval_length(higher) <= DAY


def _ceil_to(value: datetime, length: timedelta) -> datetime:
    floored = floor_to(value, length)
    return floored if floored == value else floored + length
