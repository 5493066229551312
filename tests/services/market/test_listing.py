"""A symbol that its exchange lists no more stops nothing that is asked for the others."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from openclaw_pipelines.resources.market.ccxt.errors import SymbolNotListedError
from openclaw_pipelines.resources.market.simulated.source import SimulatedMarket
from openclaw_pipelines.resources.store.coverage import coverage, funding_coverage
from openclaw_pipelines.resources.store.market_tables import instruments
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.services.market.ingest import Ingest

BTC, ETH, DAY = "BTC/USDT:USDT", "ETH/USDT:USDT", "2025-05-10"
MIDNIGHT = datetime(2025, 5, 10, tzinfo=UTC)
NEXT = MIDNIGHT + timedelta(days=1)


class Exchange(SimulatedMarket):
    """The simulated market as an exchange that can stop listing symbols."""

    def __init__(self) -> None:
        super().__init__(20_250_101)
        self.gone: set[str] = set()
        self.asked: list[str] = []

    def candles(self, symbol: str, interval: str, start: datetime, end: datetime, as_of: datetime) -> pl.DataFrame:
        self._look(symbol)
        return super().candles(symbol, interval, start, end, as_of)

    def funding_rates(self, symbol: str, start: datetime, end: datetime, as_of: datetime) -> pl.DataFrame:
        self._look(symbol)
        return super().funding_rates(symbol, start, end, as_of)

    def instruments(self, symbols: Sequence[str], as_of: datetime) -> pl.DataFrame:
        for symbol in symbols:
            self._look(symbol)
        return super().instruments(symbols, as_of)

    def _look(self, symbol: str) -> None:
        self.asked.append(symbol)
        if symbol in self.gone:
            raise SymbolNotListedError("simulated", symbol, "")


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


@pytest.fixture
def ingest(tmp_path: Path, exchange: Exchange) -> Ingest:
    return Ingest(Store(tmp_path), exchange, [BTC, ETH], ["1h"])


@pytest.fixture
def delisted(ingest: Ingest) -> Callable[[], dict[str, datetime]]:
    return lambda: dict(instruments(ingest.store, "simulated").select("symbol", "delisted_at").drop_nulls().iter_rows())


def test_what_is_listed_no_more_counts_as_delisted_and_the_others_go_on(
    ingest: Ingest, exchange: Exchange, delisted: Callable[..., object], caplog: pytest.LogCaptureFixture
) -> None:
    ingest.instruments(MIDNIGHT)
    exchange.gone = {ETH}
    done = ingest.candles_day(DAY, NEXT)
    assert done.series == {f"{BTC} 1h": 24, f"{ETH} 1h": 0}
    assert delisted() == {ETH: NEXT}
    assert caplog.messages[0].startswith("simulated does not list")
    assert "counts as delisted since 2025-05-11 00:00:00+00:00" in caplog.messages[0]
    assert coverage(ingest.store, "simulated", [DAY])[ETH, "1h", DAY] == NEXT
    exchange.asked.clear()
    ingest.candles_day("2025-05-11", NEXT + timedelta(days=1))
    ingest.funding_day("2025-05-11", NEXT + timedelta(days=1))
    assert exchange.asked == [BTC, BTC]
    assert funding_coverage(ingest.store, "simulated", ["2025-05-11"])[ETH, "2025-05-11"] >= NEXT + timedelta(hours=23)


def test_instruments_of_the_others_are_refreshed(
    ingest: Ingest, exchange: Exchange, delisted: Callable[..., object]
) -> None:
    ingest.instruments(MIDNIGHT)
    exchange.gone = {ETH}
    done = ingest.instruments(NEXT)
    assert delisted() == {ETH: NEXT}
    assert done.inserted == 0
    ingest.instruments(NEXT + timedelta(days=1))
    assert delisted() == {ETH: NEXT}, "the first day on which it was not listed stays"
    exchange.gone = set()
    ingest.instruments(NEXT + timedelta(days=2))
    assert delisted() == {}


def test_a_symbol_that_was_never_listed_is_an_error(ingest: Ingest, exchange: Exchange) -> None:
    exchange.gone = {ETH}
    for ask in (ingest.instruments, lambda as_of: ingest.candles_day(DAY, as_of)):
        with pytest.raises(SymbolNotListedError, match=ETH):
            ask(NEXT)
