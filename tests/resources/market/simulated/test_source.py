from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import NaiveTimeError, UnknownIntervalError
from openclaw_pipelines.resources.market.base import CANDLE_COLUMNS, FUNDING_COLUMNS
from openclaw_pipelines.resources.market.instruments_file import UnknownInstrumentError, shipped_venues
from openclaw_pipelines.resources.market.simulated.profiles import PROFILES
from openclaw_pipelines.resources.market.simulated.silence import absent_minutes, quiet_minutes
from openclaw_pipelines.resources.market.simulated.source import SimulatedMarket

SEED = 20_250_101
MARKET = SimulatedMarket(SEED)
DAY = datetime(2025, 5, 10, tzinfo=UTC)
LATER = datetime(2030, 1, 1, tzinfo=UTC)
PERP = "BTC/USDT:USDT"
ALL_SYMBOLS = sorted(shipped_venues()["simulated"])


def day_of(symbol: str, interval: str = "1m", market: SimulatedMarket = MARKET, days: int = 1) -> pl.DataFrame:
    return market.candles(symbol, interval, DAY, DAY + timedelta(days=days), LATER)


def content_hash(bars: pl.DataFrame) -> str:
    numbers = bars.select(pl.col("ts").dt.epoch("us"), "open", "high", "low", "close", "volume")
    return sha256(b"".join(numbers[name].to_numpy().tobytes() for name in numbers.columns)).hexdigest()[:16]


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        pytest.param("BTC/USDT:USDT", "cc35056370aca8d8", id="perpetual"),
        pytest.param("XRP/USDT", "906f625692760003", id="spot"),
        pytest.param("SABLE/USDT:USDT", "3522a033fdd449ab", id="price far below one"),
    ],
)
def test_a_day_is_equal_to_the_last_bit_on_every_machine(symbol, expected):
    assert content_hash(day_of(symbol)) == expected


def test_another_seed_gives_another_market():
    assert content_hash(day_of(PERP, market=SimulatedMarket(SEED + 1))) != content_hash(day_of(PERP))


def test_two_instances_agree():
    assert_frame_equal(
        day_of("SOL/USDT:USDT"), day_of("SOL/USDT:USDT", market=SimulatedMarket(SEED, ["SOL/USDT:USDT"]))
    )


@settings(max_examples=25, deadline=None)
@given(
    offset=st.integers(0, 3 * 1440),
    length=st.integers(0, 600),
    age=st.integers(-700, 700),
    symbol=st.sampled_from(["BTC/USDT:USDT", "TIDAL/USDT:USDT", "XRP/USDT"]),
)
def test_bars_do_not_depend_on_the_window_or_on_when_they_are_asked_for(offset, length, age, symbol):
    start = DAY + timedelta(minutes=offset)
    end = start + timedelta(minutes=length)
    as_of = end + timedelta(minutes=age, seconds=30)
    whole = day_of(symbol, days=4)
    closed = (pl.col("ts") >= start) & (pl.col("ts") < end) & (pl.col("ts") + timedelta(minutes=1) <= as_of)
    assert_frame_equal(MARKET.candles(symbol, "1m", start, end, as_of), whole.filter(closed))


@pytest.mark.parametrize("interval", ["5m", "15m", "1h", "4h", "1d"])
def test_higher_bars_are_made_of_the_minutes(interval):
    minutes = day_of("BNB/USDT:USDT")
    hours = day_of("BNB/USDT:USDT", interval)
    assert hours["open"][0] == minutes["open"][0]
    assert hours["close"][-1] == minutes["close"][-1]
    assert hours["high"].max() == minutes["high"].max()
    assert hours["low"].min() == minutes["low"].min()
    assert hours["volume"].sum() == pytest.approx(minutes["volume"].sum(), rel=1e-12)


def test_a_bar_is_absent_until_it_closes():
    noon = DAY + timedelta(hours=12)
    before = MARKET.candles(PERP, "1h", DAY, DAY + timedelta(days=1), noon - timedelta(microseconds=1))
    at = MARKET.candles(PERP, "1h", DAY, DAY + timedelta(days=1), noon)
    assert before["ts"].max() == noon - timedelta(hours=2)
    assert at["ts"].max() == noon - timedelta(hours=1)


def test_a_long_window_equals_its_days():
    days = [MARKET.candles(PERP, "1h", DAY + timedelta(days=n), DAY + timedelta(days=n + 1), LATER) for n in range(100)]
    assert_frame_equal(day_of(PERP, "1h", days=100), pl.concat(days))


def test_prices_go_on_over_midnight():
    bars = day_of("ETH/USDT:USDT", days=40).with_columns(before=pl.col("close").shift(), at=pl.col("ts").shift())
    midnights = bars.filter(
        (pl.col("ts").dt.time() == pl.time(0, 0)) & (pl.col("ts") - pl.col("at") == pl.duration(minutes=1))
    )
    steps = (midnights["open"] / midnights["before"] - 1).abs()
    assert midnights.height >= 37
    assert steps.max() < 0.002


@pytest.mark.parametrize("symbol", ["BTC/USDT:USDT", "ETH/USDT", "DOVER/USDT:USDT", "MERID/USDT:USDT"])
def test_most_bars_open_where_the_last_one_closed(symbol):
    bars = day_of(symbol, days=5)
    assert 0.95 < (bars["open"] == bars["close"].shift()).mean() < 1.0


@pytest.mark.parametrize("symbol", ALL_SYMBOLS)
def test_bars_keep_the_rules_of_the_table_and_lie_on_their_units(symbol):
    bars = day_of(symbol)
    TABLES["candles"].validate(bars.with_columns(ingested_at=pl.lit(LATER)))
    assert bars.columns == CANDLE_COLUMNS
    rules = shipped_venues()["simulated"][symbol]
    prices = pl.concat([bars[name] for name in ("open", "high", "low", "close")]).unique().to_list()
    assert all(Decimal(repr(price)) % rules.price_unit == 0 for price in prices)
    assert all(Decimal(repr(volume)) % rules.lot == 0 for volume in bars["volume"].unique().to_list())


@pytest.mark.parametrize("symbol", ALL_SYMBOLS)
def test_every_symbol_has_holes_and_quiet_minutes_within_a_year(symbol):
    profile = PROFILES[symbol.split("/")[0]]
    year = np.arange(28_927_680, 28_927_680 + 525_600, dtype=np.int64)
    absent = absent_minutes(SEED, symbol, profile, year)
    quiet, _ = quiet_minutes(SEED, symbol, profile, year)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], absent.astype(np.int8), [0]])))
    runs = edges[1::2] - edges[::2]
    assert 15 <= runs.size <= 140
    assert runs.min() <= 4
    assert 5 <= runs.max() <= 80, "two holes can meet, neither is above 40 minutes"
    assert 0.00005 < quiet.mean() < 0.02
    assert absent.mean() < 0.01


def test_holes_and_quiet_minutes_reach_the_bars():
    symbol = "TIDAL/USDT:USDT"
    bars = day_of(symbol, days=14)
    minute = np.arange(int(DAY.timestamp()) // 60, int(DAY.timestamp()) // 60 + 14 * 1440, dtype=np.int64)
    absent = absent_minutes(SEED, symbol, PROFILES["TIDAL"], minute)
    quiet, _ = quiet_minutes(SEED, symbol, PROFILES["TIDAL"], minute)
    assert bars.height == 14 * 1440 - absent.sum() < 14 * 1440
    silent = bars.filter(pl.col("volume") == 0)
    assert silent.height == (quiet & ~absent).sum() > 0
    assert silent.filter(pl.col("high") != pl.col("low")).is_empty()
    assert not bars["is_synthetic"].any()


def test_an_outage_of_the_venue_silences_every_pair():
    day = np.arange(20_000 * 1440, 20_400 * 1440, dtype=np.int64)
    together = np.ones(day.size, dtype=np.bool_)
    for base, profile in list(PROFILES.items())[:8]:
        together &= absent_minutes(SEED, f"{base}/USDT:USDT", profile, day)
    assert 4 <= np.unique(day[together] // 1440).size <= 20


def moves(symbol: str, hours: int) -> np.ndarray:
    closes = day_of(symbol, "1h", days=180)["close"].log().to_numpy()
    return closes[hours:] - closes[:-hours]


@pytest.mark.parametrize("symbol", ["BTC/USDT:USDT", "SOL/USDT:USDT"])
def test_trending_pairs_pay_to_follow(symbol):
    """Holding the sign of 12 hours for 12 hours earns more than a round trip at 5 bps fee and 2 bps slippage costs."""
    past, after = moves(symbol, 12)[:-12], moves(symbol, 12)[12:]
    assert (np.sign(past) * after).mean() > 0.0014


@pytest.mark.parametrize("symbol", ["XRP/USDT:USDT", "BNB/USDT:USDT"])
def test_ranging_pairs_come_back(symbol):
    past, after = moves(symbol, 12)[:-12], moves(symbol, 12)[12:]
    assert np.corrcoef(past, after)[0, 1] < -0.1


def test_pairs_move_together_and_volatility_clusters():
    btc, eth = moves("BTC/USDT:USDT", 1), moves("ETH/USDT:USDT", 1)
    size = min(btc.size, eth.size)
    assert 0.4 < np.corrcoef(btc[:size], eth[:size])[0, 1] < 0.9
    assert np.corrcoef(np.abs(btc[1:]), np.abs(btc[:-1]))[0, 1] > 0.1


def test_spot_and_perpetual_stay_close():
    both = day_of("BTC/USDT:USDT").join(day_of("BTC/USDT"), on="ts", suffix="_spot")
    basis = both["close"] / both["close_spot"] - 1
    assert 0 < basis.abs().max() < 0.003


def test_funding_is_due_every_eight_hours_and_known_only_then():
    month = MARKET.funding_rates(PERP, DAY, DAY + timedelta(days=30), LATER)
    assert month.columns == FUNDING_COLUMNS
    assert month["ts"].to_list() == [DAY + timedelta(hours=8 * n) for n in range(90)]
    late = month["stamped_at"] - month["ts"]
    assert (late.min(), late.max()) >= (timedelta(0), timedelta(milliseconds=1))
    assert late.max() <= timedelta(milliseconds=12)
    assert month["funding_rate"].abs().max() <= 0.00075
    assert month["funding_rate"].n_unique() > 50
    noon = DAY + timedelta(hours=12)
    assert MARKET.funding_rates(PERP, DAY, DAY + timedelta(days=30), noon)["ts"].to_list() == month["ts"].to_list()[:2]
    eight = DAY + timedelta(hours=8)
    part = MARKET.funding_rates(PERP, eight, eight + timedelta(microseconds=1), eight)
    assert_frame_equal(part, month[1:2])


def test_spot_has_no_funding():
    none = MARKET.funding_rates("BTC/USDT", DAY, DAY + timedelta(days=30), LATER)
    assert none.columns == FUNDING_COLUMNS
    assert none.is_empty()


def test_empty_windows_give_empty_frames_of_the_same_shape():
    for interval in ("1m", "1h"):
        empty = MARKET.candles(PERP, interval, DAY, DAY, LATER)
        assert empty.is_empty()
        assert empty.schema == day_of(PERP, interval).schema


def test_instruments_are_rows_of_their_table():
    rows = MARKET.instruments(["BTC/USDT:USDT", "XRP/USDT"], DAY)
    assert rows.select(
        "source", "symbol_normalized", "market_type", "max_leverage", "funding_interval_hours"
    ).rows() == [
        ("simulated", "BTCUSDT-PERP", "linear", 20, 8),
        ("simulated", "XRPUSDT", "spot", 1, None),
    ]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        pytest.param(
            lambda: SimulatedMarket(1, ["BTC/USDTT"]),
            UnknownInstrumentError,
            "did you mean BTC/USDT",
            id="unknown symbol",
        ),
        pytest.param(
            lambda: SimulatedMarket(1, ["BTC/USDT"]).candles("ETH/USDT", "1m", DAY, DAY, DAY),
            UnknownInstrumentError,
            "ETH/USDT",
            id="symbol that was not configured",
        ),
        pytest.param(
            lambda: MARKET.candles(PERP, "7m", DAY, DAY, DAY), UnknownIntervalError, "7m", id="unknown interval"
        ),
        pytest.param(
            lambda: MARKET.candles(PERP, "1m", DAY.replace(tzinfo=None), DAY, DAY),
            NaiveTimeError,
            "start",
            id="naive time",
        ),
    ],
)
def test_bad_requests_have_named_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()
