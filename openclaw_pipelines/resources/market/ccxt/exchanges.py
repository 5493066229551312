"""What ccxt does not say about an exchange: how far it reaches back, its units and what to leave out.

An exchange that is not listed here gets `Traits()`: paged by windows, no known horizon, fixed ticks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True)
class Traits:
    """Facts of one exchange.

    defaults: configuration of the ccxt client, before the user's options.
    symbol_fields: keys under which rows name their symbol. keyed_by_symbol: rows stand under it, in the envelope.
    envelope: key that every answer holds its data under; empty where answers are bare.
    candle_page: bars per request; empty for what ccxt states.
    honours_end: whether a request can be bounded above; without it one request returns everything it has.
    candle_horizon_bars: how many of the latest bars are served at all; empty for unlimited.
    funding_page: rates per request. funding_end: name of the parameter that bounds it above.
    funding_horizon_days: how far back funding is served; empty for unlimited.
    funding_interval_hours: usual interval of funding.
    volume_in_base: whether volumes of contracts are in base currency though a contract is not one unit of it.
    significant_digits: prices have at most this many, empty for a fixed tick.
    price_decimals: most decimals of a price, by market type, before the decimals of the lot are taken off.
    liquidation_fee_rate: share of the notional; empty for the project's default.
    """

    defaults: Mapping[str, object] = field(default_factory=dict)
    symbol_fields: tuple[str, ...] = ()
    keyed_by_symbol: bool = False
    envelope: str | None = None
    candle_page: int | None = None
    honours_end: bool = True
    candle_horizon_bars: int | None = None
    funding_page: int = 100
    funding_end: str = "until"
    funding_horizon_days: int | None = None
    funding_interval_hours: int = 8
    volume_in_base: bool = False
    significant_digits: int | None = None
    price_decimals: Mapping[str, int] = field(default_factory=dict)
    liquidation_fee_rate: Decimal | None = None


BASE_DEFAULTS: Mapping[str, object] = {"enableRateLimit": True, "has": {"fetchCurrencies": False}}
"""Currencies are never needed, and several exchanges want a key for them."""

EXCHANGES: Mapping[str, Traits] = {
    "binance": Traits(
        defaults={"options": {"fetchMarkets": {"types": ["spot", "linear"]}}},
        symbol_fields=("symbol",),
        # one request may ask for 1,000 of both kinds, https://developers.binance.com/docs
        candle_page=1000,
        funding_page=1000,
    ),
    "binanceusdm": Traits(
        defaults={"options": {"fetchMarkets": {"types": ["linear"]}}},
        symbol_fields=("symbol",),
        candle_page=1000,
        funding_page=1000,
    ),
    # the endpoint has no end and always gives the latest 720, https://docs.kraken.com/api/docs/rest-api/get-ohlc-data
    "kraken": Traits(envelope="result", keyed_by_symbol=True, honours_end=False, candle_horizon_bars=720),
    "okx": Traits(
        envelope="data",
        symbol_fields=("instId",),
        defaults={"options": {"fetchMarkets": {"types": ["spot", "swap"]}}},
        candle_page=300,
        funding_end="after",
        # "up to three months", https://www.okx.com/docs-v5/en/#public-data-rest-api-get-funding-rate-history
        funding_horizon_days=90,
        volume_in_base=True,
    ),
    "hyperliquid": Traits(
        defaults={"options": {"fetchMarkets": {"types": ["swap"]}}},
        symbol_fields=("s", "coin"),
        # "only the most recent 5000 candles are available", the info endpoint of its API documentation
        candle_page=1000,
        candle_horizon_bars=5000,
        funding_page=500,
        funding_interval_hours=1,
        # five significant figures and 6 (perpetuals) or 8 (spot) decimals less those of the size
        significant_digits=5,
        price_decimals={"linear": 6, "spot": 8},
        liquidation_fee_rate=Decimal(0),
    ),
}


def traits_of(exchange: str) -> Traits:
    """Facts of an exchange, or the cautious ones of an exchange that is not listed.

    >>> traits_of("kraken").candle_horizon_bars
    720
    """
    return EXCHANGES.get(exchange, Traits())
