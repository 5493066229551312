"""Units, fees and margins against hand-written tables."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from exchange_server import NOW, ExchangeServer
from wire_markets import recorded_markets, smallest_markets

from openclaw_pipelines.contracts.symbols import UnknownSymbolError
from openclaw_pipelines.resources.market.ccxt.errors import (
    IncompleteInstrumentError,
    MarketKindNotSupportedError,
    SymbolNotListedError,
)
from openclaw_pipelines.resources.market.ccxt.exchanges import Traits, traits_of
from openclaw_pipelines.resources.market.ccxt.instruments import instrument_row, unit_of
from openclaw_pipelines.resources.market.ccxt.source import CcxtMarket

Open = Callable[..., CcxtMarket]

COLUMNS = [
    *("symbol_normalized", "market_type", "price_unit", "significant_digits", "lot", "min_qty", "min_notional"),
    *("taker_fee_rate", "max_leverage", "maintenance_margin_rate", "liquidation_fee_rate"),
    *("funding_interval_hours", "listed_at"),
]
SPOT = (1, "0", "0", None)
TABLE = {
    ("binance", "BTC/USDT"): ("BTCUSDT", "spot", "0.01", None, "0.00001", "0.00001", "10", "0.001", *SPOT, None),
    ("binance", "BTC/USDT:USDT"): (
        *("BTCUSDT-PERP", "linear", "0.1", None, "0.001", "0.001", "100", "0.0005"),
        *(20, "0.025", "0.0125", 8, datetime(2019, 9, 25, 8, tzinfo=UTC)),
    ),
    ("kraken", "BTC/USD"): ("BTCUSD", "spot", "0.1", None, "0.00000001", "0.0002", "0", "0.0026", *SPOT, None),
    ("okx", "BTC/USDT"): (
        *("BTCUSDT", "spot", "0.1", None, "0.00000001", "0.00001", "0", "0.0015"),
        *(*SPOT, datetime(2019, 1, 22, 5, 3, 33, tzinfo=UTC)),
    ),
    # lots of 1 contract of 0.01 BTC
    ("okx", "BTC/USDT:USDT"): (
        *("BTCUSDT-PERP", "linear", "0.1", None, "0.01", "0.01", "0", "0.0005"),
        *(125, "0.004", "0.005", 8, datetime(2021, 1, 29, 10, 40, 28, tzinfo=UTC)),
    ),
    # 6 decimals less the 5 of the size
    ("hyperliquid", "BTC/USDC:USDC"): (
        *("BTCUSDC-PERP", "linear", "0.1", 5, "0.00001", "0", "10", "0.00045"),
        *(50, "0.01", "0", 1, None),
    ),
}


def shown(frame: Any) -> list[tuple[Any, ...]]:
    """Rows as the table writes them: decimals as short text."""
    return [tuple(f"{one.normalize():f}" if isinstance(one, Decimal) else one for one in row) for row in frame.rows()]


@pytest.mark.parametrize(("exchange", "symbol"), TABLE)
def test_smallest_markets(open_market: Open, server: ExchangeServer, exchange: str, symbol: str) -> None:
    server.markets = smallest_markets()
    frame = open_market(exchange).instruments([symbol], NOW)
    assert shown(frame.select(COLUMNS)) == [TABLE[exchange, symbol]]
    assert frame.select("source", "symbol", "state", "updated_at").rows() == [
        (f"ccxt:{exchange}", symbol, "tradable", NOW)
    ]
    assert frame["tick"].to_list() == frame["price_unit"].to_list()


RECORDED = [
    pytest.param("binance", "ETH/USDT", ("0.01", None, "0.0001", "0.0001", "5", 1, "0"), id="binance spot"),
    pytest.param("binance", "XRP/USDT:USDT", ("0.0001", None, "0.1", "0.1", "5", 20, "0.025"), id="binance usdm"),
    pytest.param("kraken", "BTC/USDT", ("0.1", None, "0.00000001", "0.0002", "0", 1, "0"), id="kraken"),
    pytest.param("okx", "ETH/USDT:USDT", ("0.01", None, "0.1", "0.1", "0", 125, "0.004"), id="okx swap"),
    pytest.param("hyperliquid", "ETH/USDC:USDC", ("0.01", 5, "0.0001", "0", "10", 50, "0.01"), id="hyperliquid"),
    pytest.param(
        *("hyperliquid", "KPEPE/USDC:USDC", ("0.000001", 5, "1", "0", "10", 3, "0.166666666666666667")),
        id="hyperliquid, whole lots, margin rounded up",
    ),
]


@pytest.mark.shared_data
@pytest.mark.parametrize(("exchange", "symbol", "units"), RECORDED)
def test_recorded_markets(
    open_market: Open,
    server: ExchangeServer,
    shared_data: Path,
    exchange: str,
    symbol: str,
    units: tuple[Any, ...],
) -> None:
    server.markets = recorded_markets(shared_data / "ccxt_static")
    frame = open_market(exchange).instruments([symbol], NOW)
    columns = ["price_unit", "significant_digits", "lot", "min_qty", "min_notional", "max_leverage"]
    assert shown(frame.select(*columns, "maintenance_margin_rate")) == [units]


@pytest.mark.shared_data
def test_every_recorded_market_has_units_or_an_error(
    open_market: Open, server: ExchangeServer, shared_data: Path
) -> None:
    server.markets = recorded_markets(shared_data / "ccxt_static")
    counted = {}
    for exchange in ("binance", "kraken", "okx", "hyperliquid"):
        market = open_market(exchange)
        listed = market._load_markets(reload=False)
        wanted = [
            name
            for name, one in listed.items()
            if (one["spot"] or (one["swap"] and one["linear"])) and re.fullmatch("[A-Z0-9/:]+", name)
        ]
        frame = market.instruments(wanted, NOW)
        counted[exchange] = (len(wanted), frame["symbol_normalized"].n_unique())
    # 25 of each kind; 304 less 11 dark pools, 4 second REP pairs and a staked coin; 513 spot and 126 linear; all
    assert counted == {"binance": (50, 50), "kraken": (288, 288), "okx": (639, 639), "hyperliquid": (142, 142)}


def test_unusual_funding_intervals_come_from_the_exchange(open_market: Open, server: ExchangeServer) -> None:
    server.markets = smallest_markets()
    server.markets["binance:funding"] = [{"symbol": "BTCUSDT", "fundingIntervalHours": 4}]
    market = open_market("binance")
    frame = market.instruments(["BTC/USDT", "BTC/USDT:USDT"], NOW)
    assert frame["funding_interval_hours"].to_list() == [None, 4]
    market.instruments(["BTC/USDT"], NOW)
    assert len(server.asked("intervals")) == 1


def test_a_market_that_stopped_trading_is_deprecated(open_market: Open, server: ExchangeServer) -> None:
    server.markets = smallest_markets()
    server.markets["binance:spot"]["symbols"][0]["status"] = "BREAK"
    assert open_market("binance").instruments(["BTC/USDT"], NOW)["state"].to_list() == ["deprecated"]


def test_markets_are_read_anew(open_market: Open, server: ExchangeServer) -> None:
    server.markets = smallest_markets()
    market = open_market("kraken")
    market.instruments(["BTC/USD"], NOW)
    server.markets["kraken:pairs"]["result"]["XXBTZUSD"]["pair_decimals"] = 2
    assert market.instruments(["BTC/USD"], NOW)["tick"].to_list() == [Decimal("0.01")]
    assert len(server.asked("markets")) == 2


@pytest.mark.parametrize(
    ("symbol", "error", "said"),
    [
        pytest.param("BTC/USD:BTC", MarketKindNotSupportedError, "is an inverse contract", id="inverse"),
        pytest.param("BTC/USD:BTC-250328-90000-C", UnknownSymbolError, "not of a known form", id="option"),
        pytest.param("BTC/USDT:USDT-250328", UnknownSymbolError, "not of a known form", id="dated future"),
        pytest.param("BTCUSDT", UnknownSymbolError, "BASE/QUOTE", id="not a symbol"),
        pytest.param("BTC/EUR", SymbolNotListedError, "the nearest is 'BTC/USDT'", id="not listed"),
    ],
)
def test_what_is_refused(
    open_market: Open, server: ExchangeServer, symbol: str, error: type[Exception], said: str
) -> None:
    server.markets = smallest_markets()
    with pytest.raises(error, match=said):
        open_market("okx").instruments(["BTC/USDT", symbol], NOW)


def test_inverse_candles_are_refused_too(open_market: Open, server: ExchangeServer) -> None:
    server.markets = smallest_markets()
    with pytest.raises(MarketKindNotSupportedError):
        open_market("okx").candles("BTC/USD:BTC", "1m", datetime(2025, 5, 10, tzinfo=UTC), NOW, NOW)
    assert server.asked("candles") == []


@pytest.mark.parametrize(
    ("precision", "mode", "unit"),
    [
        pytest.param(Decimal("0.05"), 4, Decimal("0.05"), id="tick size"),
        pytest.param(3, 2, Decimal("0.001"), id="decimal places"),
        pytest.param(0, 2, Decimal(1), id="no decimals"),
        pytest.param(-1, 2, Decimal(10), id="tens"),
        pytest.param(5, 3, None, id="significant digits have no unit"),
        pytest.param(None, 4, None, id="not stated"),
    ],
)
def test_unit_of(precision: Any, mode: int, unit: Decimal | None) -> None:
    assert unit_of(precision, mode) == unit


def market(**changes: Any) -> dict[str, Any]:
    """A spot market as ccxt describes it."""
    least = {name: {"min": None, "max": None} for name in ("amount", "cost", "leverage")}
    plain = {"symbol": "BTC/USD", "base": "BTC", "quote": "USD", "contract": False, "contractSize": None}
    rest = {"taker": None, "active": None, "created": None, "limits": least, "info": {}}
    return {**plain, **rest, "precision": {"price": Decimal("0.1"), "amount": Decimal("0.001")}, **changes}


def row(described: dict[str, Any], mode: int, traits: Traits | None = None) -> dict[str, Any]:
    return instrument_row(
        described, exchange="venue", precision_mode=mode, traits=traits or traits_of("venue"), as_of=NOW
    )


def test_significant_digits_of_any_venue() -> None:
    """As bitfinex: prices of 5 significant digits, sizes of 8 decimals."""
    found = row(market(precision={"price": 5, "amount": 8}), 3)
    assert (found["price_unit"], found["significant_digits"], found["lot"]) == (
        Decimal("1e-8"),
        5,
        Decimal("1e-8"),
    )


def test_decimal_places() -> None:
    found = row(market(precision={"price": 2, "amount": 4}), 2)
    assert (found["tick"], found["significant_digits"], found["lot"]) == (Decimal("0.01"), None, Decimal("0.0001"))


def test_an_unstated_fee_is_the_stated_default() -> None:
    assert row(market(), 4)["taker_fee_rate"] == Decimal("0.001")


@pytest.mark.parametrize(
    ("precision", "said"),
    [
        pytest.param({"price": None, "amount": Decimal(1)}, "states no price step for 'BTC/USD'", id="price"),
        pytest.param({"price": Decimal(1), "amount": None}, "states no quantity step", id="quantity"),
        pytest.param({"price": Decimal(0), "amount": Decimal(1)}, "states no price step", id="zero"),
    ],
)
def test_missing_units_are_errors(precision: dict[str, Any], said: str) -> None:
    with pytest.raises(IncompleteInstrumentError, match=said):
        row(market(precision=precision), 4)
