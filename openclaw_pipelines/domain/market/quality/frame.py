"""The quality rules over a frame of candles that lies in no store, as a notebook has it."""

from datetime import datetime

import polars as pl

from openclaw_pipelines.contracts.config.market import Quality
from openclaw_pipelines.contracts.errors import DataError
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import NaiveTimeError, interval_length
from openclaw_pipelines.domain.market.quality.checks import run_all
from openclaw_pipelines.domain.market.quality.window import CheckResult, Window

COLUMNS = ("ts", "symbol", "open", "high", "low", "close", "volume")


class FrameColumnsError(DataError):
    """A frame that is not one of candles."""

    template = "the frame has no {absent}; it has {present}. Candles are ts, symbol, open, high, low, close and volume."
    absent: str
    present: str


class FrameEmptyError(DataError):
    """A frame without a bar."""

    template = "the frame of {interval} candles has no bar with a time, so there is nothing to judge."
    interval: str


def check_candles(
    frame: pl.DataFrame, *, interval: str, as_of: datetime | None = None, quality: Quality | None = None
) -> list[CheckResult]:
    """Every check that stored candles pass, over a frame of them, from its first to its last bar.

    Args:
        frame: ts (the bar's open, with a zone), symbol, open, high, low, close, volume.
        interval: length of the bars, such as `1h`.
        as_of: time at which the bars are known; by default the last one has just closed.
        quality: bounds of the rules, by default those of the configuration.

    Raises:
        FrameColumnsError, FrameEmptyError, NaiveTimeError: as their names say.

    >>> from openclaw_pipelines.resources.market.simulated.source import SimulatedMarket
    >>> from datetime import UTC, timedelta
    >>> start = datetime(2025, 5, 1, tzinfo=UTC)
    >>> second, end = start + timedelta(days=1), start + timedelta(days=3)
    >>> candles = SimulatedMarket(seed=7).candles("BTC/USDT:USDT", "1h", start, end, as_of=end)
    >>> redenominated = candles.with_columns(
    ...     pl.when(pl.col("ts") < second).then(pl.col(name)).otherwise(pl.col(name) * 1000).alias(name)
    ...     for name in ("open", "high", "low", "close")
    ... )
    >>> [check.name for check in check_candles(redenominated, interval="1h") if not check.passed]
    ['scale_jumps', 'outlier_moves']
    """
    absent = [name for name in COLUMNS if name not in frame.columns]
    if absent:
        raise FrameColumnsError(", ".join(absent), ", ".join(frame.columns))
    stamps = frame.schema["ts"]
    if not isinstance(stamps, pl.Datetime) or stamps.time_zone is None:
        raise NaiveTimeError("candles", str(frame["ts"][0]) if frame.height else "no rows")
    length, (start, end) = interval_length(interval), (frame["ts"].min(), frame["ts"].max())
    if not isinstance(start, datetime) or not isinstance(end, datetime):
        raise FrameEmptyError(interval)
    known = as_of or end + length
    columns = TABLES["candles"].polars_schema
    candles = frame.with_columns(
        source=pl.lit("frame"),
        interval=pl.lit(interval),
        is_synthetic=pl.lit(value=False),
        parts=pl.lit(None),
        parts_expected=pl.lit(None),
        has_open=pl.lit(value=True),
        ingested_at=pl.lit(known),
    )
    return run_all(
        Window(
            candles=candles.select(pl.col(name).cast(kind) for name, kind in columns.items()),
            symbols=sorted(set(frame["symbol"])),
            intervals=[interval],
            start=start,
            end=end + length,
            as_of=known,
            quality=quality or Quality(),
        )
    )
