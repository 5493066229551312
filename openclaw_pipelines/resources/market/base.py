"""The interface of market sources. Choosing one by settings is in `factory`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import polars as pl

PARTS_COLUMNS = ["parts", "parts_expected", "has_open"]
CANDLE_COLUMNS = [
    "source", "symbol", "interval", "ts", "open", "high", "low", "close", "volume", "is_synthetic", *PARTS_COLUMNS
]  # fmt: skip
FUNDING_COLUMNS = ["source", "symbol", "ts", "stamped_at", "funding_rate", "interval_hours"]


def published(bars: pl.DataFrame) -> pl.DataFrame:
    """Bars with `PARTS_COLUMNS` as a source gave them, built of nothing."""
    none = pl.lit(None, dtype=pl.Int64)
    return bars.with_columns(parts=none, parts_expected=none, has_open=pl.lit(value=True))


class MarketSource(Protocol):
    """Where candles, funding and instruments come from. Sources keep no state that changes an answer."""

    name: str
    """Written to the `source` column, as `simulated`, `archive:binance_usdm` or `ccxt:kraken`."""

    def candles(self, symbol: str, interval: str, start: datetime, end: datetime, as_of: datetime) -> pl.DataFrame:
        """Bars with `start <= ts < end` that are closed at `as_of`, ascending, in `CANDLE_COLUMNS`.

        Missing bars are absent, never filled. A higher interval is built from the stored one that has most of its
        parts, the lowest of these, where the source has no bars of its own; a bar of which a part is missing is built
        from what exists, and says so in `PARTS_COLUMNS`.
        """

    def funding_rates(self, symbol: str, start: datetime, end: datetime, as_of: datetime) -> pl.DataFrame:
        """Funding with `start <= ts < end`, in `FUNDING_COLUMNS`; empty for spot."""

    def served_at(self) -> datetime | None:
        """The source's own clock when it gave its last candles or rates; None where it tells none, as files do.

        Bars that were not closed by it were withheld, whatever the local clock says.
        """

    def instruments(self, symbols: Sequence[str], as_of: datetime) -> pl.DataFrame:
        """Rows of `contracts.tables.market.Instruments` for `symbols`; an unknown symbol is an error."""
