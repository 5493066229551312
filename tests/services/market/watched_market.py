"""A market source of which tests say what it answers, and what it was asked."""

from datetime import UTC, datetime, timedelta

import polars as pl

from openclaw_pipelines.resources.market.errors import UntrueAnswerError
from openclaw_pipelines.resources.market.simulated.source import SimulatedMarket
from openclaw_pipelines.resources.store.market_tables import candles
from openclaw_pipelines.services.market.ingest import Ingest

SYMBOL, OTHER, DAY = "BTC/USDT:USDT", "ETH/USDT:USDT", "2025-05-10"
MIDNIGHT = datetime(2025, 5, 10, tzinfo=UTC)
QUARTER, MINUTE = timedelta(minutes=15), timedelta(minutes=1)


class LieError(UntrueAnswerError):
    """What a market that cannot be believed says."""

    template = "{symbol}: a lie."
    symbol: str


class Watched(SimulatedMarket):
    """The simulated market; it notes what it is asked for and can change its mind about one bar."""

    def __init__(self) -> None:
        super().__init__(20_250_101)
        self.asked: list[datetime] = []
        self.close_of: dict[datetime, float] = {}
        self.withheld: set[datetime] = set()
        self.incomplete: set[datetime] = set()
        self.funding_moved = 0.0
        self.lying: set[str] = set()
        self.times: dict[datetime, float] = {}

    def funding_rates(self, symbol: str, start: datetime, end: datetime, as_of: datetime) -> pl.DataFrame:
        self._lie_of(symbol)
        return (
            super().funding_rates(symbol, start, end, as_of).with_columns(pl.col("funding_rate") + self.funding_moved)
        )

    def candles(self, symbol: str, interval: str, start: datetime, end: datetime, as_of: datetime) -> pl.DataFrame:
        self.asked.append(start)
        self._lie_of(symbol)
        bars = super().candles(symbol, interval, start, end, as_of).filter(~pl.col("ts").is_in(list(self.withheld)))
        lacking = pl.col("ts").is_in(list(self.incomplete))
        bars = bars.with_columns(parts=pl.when(lacking).then(pl.col("parts") - 1).otherwise("parts"))
        for ts, close in self.close_of.items():
            here = pl.col("ts") == ts
            bars = bars.with_columns(
                close=pl.when(here).then(close).otherwise("close"),
                high=pl.when(here).then(close + 1).otherwise("high"),
            )
        for since, factor in self.times.items():
            prices = pl.col("open", "high", "low", "close")
            bars = bars.with_columns(pl.when(pl.col("ts") >= since).then(prices * factor).otherwise(prices))
        return bars

    def _lie_of(self, symbol: str) -> None:
        if symbol in self.lying:
            raise LieError(symbol)


def told(ingest: Ingest, symbol: str) -> int:
    rows = candles(ingest.store, "simulated", [symbol], "15m", MIDNIGHT, MIDNIGHT + timedelta(days=1))
    return rows.height
