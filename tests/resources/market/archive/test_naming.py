from pathlib import Path

import pytest

from openclaw_pipelines.contracts.enums import MarketType
from openclaw_pipelines.resources.market.archive.errors import (
    AmbiguousPairError,
    UnknownFileNameError,
    UnknownMarketTypeError,
)
from openclaw_pipelines.resources.market.archive.naming import (
    agreed_market_type,
    folder_market_type,
    parse_name,
    venue_quotes,
)

QUOTES = ["USDT", "USDC", "USD", "TUSD", "EUR", "BTC", "ETH"]
SPOT, LINEAR = MarketType.SPOT, MarketType.LINEAR


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("BTC-USDT_1m_20250504_20250624.parquet", ("BTC", "USDT", "candles", "parquet", "1m", None)),
        ("1INCH-USDT_5m.parquet", ("1INCH", "USDT", "candles", "parquet", "5m", None)),
        ("BTC-USDT_funding_20250306_20250603.parquet", ("BTC", "USDT", "funding", "parquet", None, LINEAR)),
        ("NEARUSDT-1m-2025-02.csv", ("NEAR", "USDT", "candles", "Binance Vision CSV", "1m", None)),
        ("ETHBTC-1h-2025-02-03.zip", ("ETH", "BTC", "candles", "Binance Vision zip", "1h", None)),
        ("BTCUSDT-fundingRate-2025-02.zip", ("BTC", "USDT", "funding", "Binance Vision zip", None, LINEAR)),
        ("BTC_USDT-5m.feather", ("BTC", "USDT", "candles", "freqtrade feather", "5m", SPOT)),
        ("UNITTEST_BTC-1m.json", ("UNITTEST", "BTC", "candles", "freqtrade JSON", "1m", SPOT)),
        ("XRP_USDT_USDT-1h-futures.json.gz", ("XRP", "USDT", "candles", "freqtrade JSON, gzipped", "1h", LINEAR)),
        ("BTC_USDT_USDT-5m-futures.copy.feather", ("BTC", "USDT", "candles", "freqtrade feather", "5m", LINEAR)),
        ("XRP_USDT_USDT-8h-funding_rate.feather", ("XRP", "USDT", "funding", "freqtrade feather", None, LINEAR)),
        ("XRP_USDT_USDT-8h-mark.feather", ("XRP", "USDT", "other", "freqtrade feather", None, LINEAR)),
        ("hyperliquid_BTC_USDC_USDC-1h-futures.feather", ("BTC", "USDC", "candles", "freqtrade feather", "1h", LINEAR)),
        ("XBTUSD_1.csv", ("BTC", "USD", "candles", "Kraken CSV", "1m", None)),
        ("ETHXBT_1440.csv", ("ETH", "BTC", "candles", "Kraken CSV", "1d", None)),
        ("XDGEUR_240.csv", ("DOGE", "EUR", "candles", "Kraken CSV", "4h", None)),
        ("BTCUSDC_1m_20230301_20230321.csv", ("BTC", "USDC", "candles", "Kraken CSV", "1m", None)),
        ("BCHEUR_trades.csv", ("BCH", "EUR", "other", "Kraken CSV", None, None)),
        ("BTCUSDT-1mo-2025-02.csv", ("BTC", "USDT", "other", "Binance Vision CSV", None, None)),
        ("BTCUSDT-3d-2025-02.zip", ("BTC", "USDT", "other", "Binance Vision zip", None, None)),
        ("BTC_USDT-1w.feather", ("BTC", "USDT", "other", "freqtrade feather", None, SPOT)),
        ("BTCUSDT_250627-1h-2025-05.zip", ("BTCUSDT", "", "other", "Binance Vision CSV", None, None)),
    ],
)
def test_names_that_say_enough(file, expected):
    name = parse_name(file, QUOTES)
    assert (name.base, name.quote, name.kind.value, name.format.value, name.interval, name.market_type) == expected


@pytest.mark.parametrize(
    ("file", "why"),
    [
        pytest.param("prices.csv", "cannot be told", id="no pattern"),
        pytest.param("UNITTEST_BTC-8m.feather", "interval '8m'", id="interval that is none"),
        pytest.param("BTCXYZ-1m-2025-02.csv", "no pair with a known quote", id="no quote fits"),
        pytest.param("USDT-1m-2025-02.csv", "no pair with a known quote", id="no base left"),
        pytest.param("BTC_USD_BTC-1h-futures.feather", "inverse contracts are refused", id="inverse"),
        pytest.param("BTC_USDT-1h-futures.feather", "freqtrade names perpetuals as", id="perpetual without settlement"),
        pytest.param("BTC_USDT_USDT-1h.feather", "freqtrade names perpetuals as", id="settlement without kind"),
        pytest.param("btc-usdt_1m.parquet", "cannot be told", id="lower case"),
    ],
)
def test_names_that_do_not(file, why):
    with pytest.raises(UnknownFileNameError, match=why) as caught:
        parse_name(file, QUOTES)
    assert caught.value.file == file


def test_a_pair_that_reads_in_two_ways_is_no_guess():
    with pytest.raises(AmbiguousPairError, match="reads as BTC/TUSD or BTCT/USD") as caught:
        parse_name("BTCTUSD-1m-2025-02.csv", QUOTES)
    assert caught.value.file == "BTCTUSD-1m-2025-02.csv"


@pytest.mark.parametrize(
    ("venue", "file", "pair"),
    [
        pytest.param("binance_spot", "BTCTUSD-1m-2025-02.csv", ("BTC", "TUSD"), id="no plain USD at Binance"),
        pytest.param("binanceus_spot", "BTCUSD-1m-2025-02.csv", ("BTC", "USD"), id="its US branch has it"),
        pytest.param("binance_usdm", "BATUSDT-1m-2025-02.csv", ("BAT", "USDT"), id="others as before"),
    ],
)
def test_quotes_of_a_venue(venue, file, pair):
    name = parse_name(file, venue_quotes(venue, QUOTES))
    assert (name.base, name.quote) == pair


def test_a_known_instrument_settles_an_ambiguous_pair():
    name = parse_name("BTCTUSD-1m-2025-02.csv", QUOTES, known=["BTC/TUSD", "ETH/USD"])
    assert (name.base, name.quote) == ("BTC", "TUSD")


@pytest.mark.parametrize(
    ("file", "day"),
    [
        ("BTCUSDT-5m-2025-99.csv", "2025-99-01"),
        ("BTCUSDT-5m-2025-02-30.zip", "2025-02-30"),
        ("BTC-USDT_5m_20250201_20259901.parquet", "20259901"),
        ("XBTUSD_5_20250230_20250301.csv", "20250230"),
    ],
)
def test_a_day_that_no_calendar_has_is_no_name(file, day):
    with pytest.raises(UnknownFileNameError, match=f"{file}: {day} is no day: "):
        parse_name(file, QUOTES)


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("binance_usdm", LINEAR),
        ("hyperliquid_perp", LINEAR),
        ("bybit-linear", LINEAR),
        ("futures", LINEAR),
        ("kraken_spot", SPOT),
        ("Binance Spot", SPOT),
        ("freqtrade_testdata", None),
        ("perplexity", None),
    ],
)
def test_folder_names(folder, expected):
    assert folder_market_type(Path("data") / folder) is expected


def test_a_folder_name_may_not_state_both():
    with pytest.raises(UnknownMarketTypeError, match="both spot and perpetual"):
        folder_market_type(Path("spot_and_futures"))


@pytest.mark.parametrize(
    ("by_folder", "by_name", "by_setting", "expected"),
    [
        pytest.param(None, None, None, "neither folder, name nor setting tells", id="nothing"),
        pytest.param(SPOT, None, None, SPOT, id="folder"),
        pytest.param(None, LINEAR, None, LINEAR, id="name"),
        pytest.param(None, None, LINEAR, LINEAR, id="setting"),
        pytest.param(LINEAR, LINEAR, LINEAR, LINEAR, id="all agree"),
        pytest.param(LINEAR, SPOT, None, "its folder says linear, its name says spot", id="folder against name"),
        pytest.param(
            SPOT, None, LINEAR, "its folder says spot, market.archive_market_type", id="folder against setting"
        ),
        pytest.param(None, SPOT, LINEAR, "its name says spot, market.archive_market_type", id="name against setting"),
    ],
)
def test_market_types_agree_or_are_refused(by_folder, by_name, by_setting, expected):
    if isinstance(expected, MarketType):
        assert agreed_market_type("f", by_folder, by_name, by_setting) is expected
    else:
        with pytest.raises(UnknownMarketTypeError, match=expected):
            agreed_market_type("f", by_folder, by_name, by_setting)
