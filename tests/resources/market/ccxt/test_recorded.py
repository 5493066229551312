"""Bodies that exchanges really sent, through the real client, against the numbers in the bodies."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from exchange_server import ExchangeServer, Fault
from wire_markets import recorded_markets

from openclaw_pipelines.resources.market.ccxt.source import CcxtMarket

Open = Callable[..., CcxtMarket]
pytestmark = pytest.mark.shared_data


@pytest.fixture
def bodies(shared_data: Path, server: ExchangeServer) -> Path:
    folder = shared_data / "ccxt_static"
    server.markets = recorded_markets(folder)
    return folder


def utc_ms(stamp: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=stamp)


def rows(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    return frame.select(pl.col("ts").dt.timestamp("ms"), "open", "high", "low", "close", "volume").rows()


BINANCE = [
    pytest.param(
        *(
            "spot",
            "BTC/USDT",
            "1d",
            "api_v3_klines__endTime_1577836800000_interval_1d_limit_1000_startTime_1546300800000",
        ),
        (366, 3701.23, 23741.687033),
        id="spot days of 2019",
    ),
    pytest.param(
        *("linear", "BTC/USDT:USDT", "1d"),
        "fapi_v1_klines__endTime_1577836800000_interval_1d_limit_1000_startTime_1546300800000",
        (116, 10000.0, 3096.291),
        id="perpetual since its first day, 250 days into the window",
    ),
    pytest.param(
        *(
            "spot",
            "BTC/USDT",
            "1h",
            "api_v3_klines__endTime_1673146800000_interval_1h_limit_1000_startTime_1672516800000",
        ),
        (176, 16570.14, 2622.14355),
        id="spot hours of January 2023",
    ),
    pytest.param(
        *("spot", "BTC/USDT", "1m", "api_v3_klines__endTime_1588743688000_interval_1m_startTime_1588740088000"),
        (60, 9033.34, 31.192968),
        id="an hour of minutes",
    ),
]


@pytest.mark.parametrize(("kind", "symbol", "interval", "file", "first"), BINANCE)
def test_binance_candles(
    open_market: Open,
    server: ExchangeServer,
    bodies: Path,
    kind: str,
    symbol: str,
    interval: str,
    file: str,
    first: tuple[int, float, float],
) -> None:
    body = json.loads((bodies / "binance" / f"{file}_symbol_BTCUSDT.json").read_text())
    path = "api/v3/klines" if kind == "spot" else "fapi/v1/klines"
    server.recorded["binance", path, "BTCUSDT", interval] = body
    start, end = utc_ms(int(file.rsplit("_", 1)[1])), utc_ms(body[-1][0] + 1)
    frame = open_market("binance").candles(symbol, interval, start, end, server.now)
    assert rows(frame) == [(one[0], *map(float, one[1:6])) for one in body]
    assert (frame.height, frame["open"][0], frame["volume"][0]) == first


def test_kraken_candles_with_flat_bars(open_market: Open, server: ExchangeServer, bodies: Path) -> None:
    body = json.loads((bodies / "kraken" / "http_ohlc__nautilus.json").read_text())["result"]["XBTUSDT"]
    server.recorded["kraken", "XBTUSDT", "1"] = body
    server.now = utc_ms(body[-1][0] * 1000) + timedelta(seconds=20)
    frame = open_market("kraken").candles(
        "BTC/USDT", "1m", utc_ms(body[0][0] * 1000), server.now + timedelta(hours=1), server.now
    )
    closed = body[:-1]
    assert rows(frame) == [(one[0] * 1000, *map(float, one[1:5]), float(one[6])) for one in closed]
    assert frame.height == 720
    assert frame.filter(volume=0).height == sum(float(one[6]) == 0 for one in closed) > 0


def test_hyperliquid_candles(open_market: Open, server: ExchangeServer, bodies: Path) -> None:
    body = json.loads((bodies / "hyperliquid" / "candleSnapshot_kPEPE_1684702007000.json").read_text())
    server.recorded["hyperliquid", "kPEPE", "1h"] = body
    server.now = utc_ms(body[-1]["t"]) + timedelta(hours=2)
    start, end = utc_ms(body[0]["t"]), utc_ms(body[-1]["T"])
    frame = open_market("hyperliquid").candles("KPEPE/USDC:USDC", "1h", start, end, server.now)
    assert rows(frame) == [(one["t"], *(float(one[name]) for name in "ohlcv")) for one in body]
    assert (frame.height, frame["volume"][0]) == (24, 520665683.0)


def test_okx_candles_of_the_right_shape(open_market: Open, server: ExchangeServer, bodies: Path) -> None:
    """A sample, not a recording; its stamps are ascending, real ones descend."""
    server.fail(Fault(200, (bodies / "okx" / "http_get_candlesticks__nautilus.json").read_bytes()))
    start = utc_ms(1625097600000)
    frame = open_market("okx").candles("BTC/USDT", "1m", start, start + timedelta(minutes=2), server.now)
    assert rows(frame) == [
        (1625097600000, 33528.6, 33870.0, 33528.6, 33783.9, 778.838),
        (1625097660000, 33783.9, 33783.9, 33782.1, 33782.1, 0.123),
    ]


def funding(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    return frame.select(pl.col("ts").dt.timestamp("ms"), pl.col("stamped_at").dt.timestamp("ms"), "funding_rate").rows()


def test_binance_funding_with_late_stamps(open_market: Open, server: ExchangeServer, bodies: Path) -> None:
    body = json.loads((bodies / "binance" / "fapi_v1_fundingRate__symbol_BTCUSDT.json").read_text())
    server.recorded["binance", "fapi/v1/fundingRate", "BTCUSDT"] = body
    start, end = utc_ms(body[0]["fundingTime"]), utc_ms(body[-1]["fundingTime"] + 1)
    frame = open_market("binance").funding_rates("BTC/USDT:USDT", start, end, server.now)
    eight_hours = 8 * 3_600_000
    assert funding(frame) == [
        (one["fundingTime"] // eight_hours * eight_hours, one["fundingTime"], float(one["fundingRate"])) for one in body
    ]
    assert frame.filter(pl.col("ts") < pl.col("stamped_at")).height == 55


def test_hyperliquid_funding(open_market: Open, server: ExchangeServer, bodies: Path) -> None:
    body = json.loads((bodies / "hyperliquid" / "fundingHistory_BTC_1681923833000.2.json").read_text())
    server.recorded["hyperliquid", "funding", "BTC"] = body
    start, end = utc_ms(body[0]["time"] // 3_600_000 * 3_600_000), utc_ms(body[-1]["time"] + 1)
    frame = open_market("hyperliquid").funding_rates("BTC/USDC:USDC", start, end, server.now)
    assert funding(frame) == [
        (one["time"] // 3_600_000 * 3_600_000, one["time"], float(one["fundingRate"])) for one in body
    ]
    assert frame.height == 1038


def test_okx_funding_of_the_right_shape(open_market: Open, server: ExchangeServer, bodies: Path) -> None:
    server.now = utc_ms(1704067200000) + timedelta(hours=1)
    server.fail(
        Fault(200, (bodies / "okx" / "http_get_funding_rate_history__nautilus.json").read_bytes()), kind="funding"
    )
    frame = open_market("okx").funding_rates("BTC/USDT:USDT", utc_ms(1704038400000), server.now, server.now)
    assert funding(frame) == [(1704038400000, 1704038400000, -0.00002), (1704067200000, 1704067200000, 0.00015)]
