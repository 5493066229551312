"""Features against TA-Lib and plain readings, and what they may depend on: a fixed span, and nothing later."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import talib
from polars.testing import assert_frame_equal

from openclaw_pipelines.contracts.enums import Regime
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.domain.market.features import RANGES, features, lookback_bars
from openclaw_pipelines.domain.market.spread import corwin_schultz_bps

DAY = datetime(2025, 5, 20, tzinfo=UTC)
NEXT = DAY + timedelta(days=1)
STEP = timedelta(minutes=15)
BACK = lookback_bars("15m")
BARS = 96


def walk(symbol: str, first: datetime, n: int, seed: int = 7, step: float = 0.004, drift: float = 0.0) -> pl.DataFrame:
    """A random walk of 15-minute bars."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(drift, step, n)))
    open_ = np.concatenate([[100.0], close[:-1]])
    high = np.maximum(open_, close) * (1 + rng.uniform(0, step, n))
    low = np.minimum(open_, close) * (1 - rng.uniform(0, step, n))
    stamps = [first + i * STEP for i in range(n)]
    return candles(symbol, stamps, open_, high, low, close, rng.uniform(1, 9, n))


def candles(symbol, stamps, open_, high, low, close, volume) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "source": "archive:test",
            "symbol": symbol,
            "interval": "15m",
            "ts": stamps,
            "open": open_,
            "high": high,
            "low": low,
            "close": close,
            "volume": volume,
            "is_synthetic": False,
            "ingested_at": DAY,
            "parts": None,
            "parts_expected": None,
            "has_open": True,
        },
        schema=TABLES["candles"].polars_schema,
    )


def history(symbol: str = "BTC/USDT", **changes) -> pl.DataFrame:
    """A day with exactly the look-back before it."""
    return walk(symbol, DAY - BACK * STEP, BACK + BARS, **changes)


def of_day(bars: pl.DataFrame, start: datetime = DAY, end: datetime = NEXT) -> pl.DataFrame:
    return features(bars, "15m", start, end)


def test_rows_are_rows_of_the_table():
    bars = pl.concat([history("ETH/USDT", seed=1), history("BTC/USDT", seed=2)])
    rows = of_day(bars)
    TABLES["features"].validate(rows.with_columns(pl.lit(DAY).cast(pl.Datetime("us", "UTC")).alias("ingested_at")))
    assert rows.height == 2 * BARS
    assert rows.get_column("symbol").unique().sort().to_list() == ["BTC/USDT", "ETH/USDT"]
    assert rows.null_count().sum_horizontal().item() == 0


def expected(bars: pl.DataFrame) -> dict[str, np.ndarray]:
    """What TA-Lib and numpy say over the same span."""
    high, low, close, volume = (bars.get_column(name).to_numpy() for name in ("high", "low", "close", "volume"))
    upper, _, lower = talib.BBANDS(close, 20)
    channel_high, channel_low = (np.roll(values, 1) for values in (talib.MAX(high, 20), talib.MIN(low, 20)))
    returns = np.concatenate([[np.nan], np.diff(close) / close[:-1]])
    deviations = np.array([np.std(returns[i - 47 : i + 1], ddof=1) if i >= 48 else np.nan for i in range(close.size)])
    return {
        "return_1": returns,
        "ema_fast": talib.EMA(close, 12),
        "ema_slow": talib.EMA(close, 48),
        "rsi": talib.RSI(close, 14),
        "atr_pct": talib.ATR(high, low, close, 14) / close,
        "adx": talib.ADX(high, low, close, 14),
        "bollinger_position": (close - lower) / (upper - lower),
        "donchian_position": (close - channel_low) / (channel_high - channel_low),
        "realised_volatility": deviations * np.sqrt(365 * BARS),
        "volume_average": talib.SMA(volume, 48),
        "return_24h": np.concatenate([np.full(BARS, np.nan), close[BARS:] / close[:-BARS] - 1]),
        "quote_volume_24h": np.concatenate(
            [np.full(BARS - 1, np.nan), np.convolve(close * volume, np.ones(BARS), "valid")]
        ),
    }


@pytest.mark.parametrize("name", list(expected(history())))
def test_values_agree_with_an_independent_reading(name):
    bars = history()
    # the bars here stay inside the stated ranges, except where a close leaves its channel by more than its width
    low, high = RANGES.get(name, (-np.inf, np.inf))
    values = of_day(bars).get_column(name).to_numpy()
    assert values == pytest.approx(np.clip(expected(bars)[name][BACK:], low, high), rel=1e-9, abs=1e-12)


def test_more_history_changes_nothing():
    long = walk("BTC/USDT", DAY - 3 * BACK * STEP, 3 * BACK + BARS)
    exact = long.tail(BACK + BARS)
    assert_frame_equal(of_day(long), of_day(exact), check_exact=True)
    # twin: one bar fewer inside the span does change it
    assert not of_day(exact.tail(BACK + BARS - 1)).equals(of_day(exact))


def test_later_bars_change_nothing():
    long = walk("BTC/USDT", DAY - BACK * STEP, BACK + 2 * BARS)
    noon = DAY + timedelta(hours=12)
    known = long.filter(pl.col("ts") < noon)
    assert_frame_equal(of_day(known, end=noon), of_day(long, end=noon), check_exact=True)
    assert_frame_equal(of_day(known, end=noon), of_day(long).head(BARS // 2), check_exact=True)


def test_two_days_at_once_equal_each_by_itself():
    long = walk("BTC/USDT", DAY - BACK * STEP, BACK + 2 * BARS)
    end = NEXT + timedelta(days=1)
    each = pl.concat([of_day(long), of_day(long, NEXT, end)])
    assert_frame_equal(of_day(long, DAY, end), each, check_exact=True)


@pytest.mark.parametrize(
    ("name", "bars"),
    [
        pytest.param("return_1", 2, id="return"),
        pytest.param("ema_fast", 12, id="fast average"),
        pytest.param("ema_slow", 48, id="slow average"),
        pytest.param("rsi", 15, id="rsi"),
        pytest.param("atr_pct", 15, id="atr"),
        pytest.param("adx", 28, id="adx"),
        pytest.param("bollinger_position", 20, id="bands"),
        pytest.param("donchian_position", 21, id="channel"),
        pytest.param("realised_volatility", 49, id="volatility"),
        pytest.param("volume_average", 48, id="volume"),
        pytest.param("spread_proxy_bps", 49, id="spread"),
        pytest.param("quote_volume_24h", 96, id="volume of 24 hours"),
    ],
)
def test_values_are_empty_until_warm(name, bars):
    rows = of_day(walk("BTC/USDT", DAY, BARS))
    assert rows.get_column(name).null_count() == bars - 1
    assert rows.get_column(name).head(bars - 1).null_count() == bars - 1


def test_a_first_day_has_no_regime_and_no_return_over_24_hours():
    rows = of_day(walk("BTC/USDT", DAY, BARS))
    assert set(rows.get_column("regime")) == {Regime.UNKNOWN.value}
    assert rows.get_column("return_24h").null_count() == BARS


def test_absent_bars_synthetic_ones_and_those_of_too_few_parts_are_skipped_alike():
    bars = history()
    gone = pl.col("ts").is_between(DAY - 5 * STEP, DAY - 3 * STEP)
    absent = of_day(bars.filter(~gone))
    half = of_day(bars.with_columns(parts=pl.when(gone).then(2), parts_expected=pl.when(gone).then(4)))
    synthetic = of_day(bars.with_columns(gone.alias("is_synthetic")))
    assert_frame_equal(absent, synthetic, check_exact=True)
    assert_frame_equal(absent, half, check_exact=True)
    assert not absent.equals(of_day(bars))


def test_the_return_over_24_hours_takes_a_close_at_most_an_hour_older():
    bars = history()
    day_before = DAY - timedelta(days=1)

    def first_return(minutes: int):
        gone = pl.col("ts").is_between(day_before - timedelta(minutes=minutes), day_before)
        return of_day(bars.filter(~gone)).get_column("return_24h")[0]

    close = dict(bars.select("ts", "close").iter_rows())
    assert first_return(30) == pytest.approx(close[DAY] / close[day_before - timedelta(minutes=45)] - 1, rel=1e-12)
    assert first_return(60) is None


def test_a_band_without_width_has_no_place_in_it():
    still = np.full(BACK + BARS, 50.0)
    rows = of_day(candles("BTC/USDT", history().get_column("ts"), still, still, still, still, still))
    assert rows.get_column("bollinger_position").null_count() == BARS
    assert rows.get_column("donchian_position").null_count() == BARS
    assert set(rows.get_column("rsi")) == {50.0}
    assert set(rows.get_column("spread_proxy_bps")) == {0.0}


def test_values_beyond_their_range_are_capped_and_marked():
    bars = history()
    last = bars.height - 1
    jump = pl.when(pl.int_range(pl.len()) == last).then(3.0).otherwise(1.0)
    rows = of_day(bars.with_columns(pl.col("high", "close") * jump))
    assert rows.get_column("return_1")[-1] == RANGES["return_1"][1]
    assert rows.get_column("donchian_position")[-1] == RANGES["donchian_position"][1]
    assert rows.get_column("capped")[-1]
    for name, (low, high) in RANGES.items():
        assert rows.get_column(name).is_between(low, high).all()


@pytest.mark.parametrize(
    ("drift", "regime"),
    [pytest.param(0.003, Regime.TREND_UP, id="climb"), pytest.param(-0.003, Regime.TREND_DOWN, id="fall")],
)
def test_a_steady_drift_is_a_trend(drift, regime):
    rows = of_day(history(step=0.002, drift=drift))
    counts = dict(rows.get_column("regime").value_counts().iter_rows())
    opposite = Regime.TREND_DOWN if regime is Regime.TREND_UP else Regime.TREND_UP
    assert counts[regime.value] > BARS / 2
    assert opposite.value not in counts


def test_a_burst_is_high_volatility_and_a_pause_thin():
    bars = history()
    late = pl.int_range(pl.len()) >= bars.height - 12
    wild = 1 + 0.05 * (pl.int_range(pl.len()) % 2)
    burst = bars.with_columns(
        pl.when(late)
        .then(pl.col("open", "high", "low", "close") * wild)
        .otherwise(pl.col("open", "high", "low", "close"))
    )
    assert of_day(burst).get_column("regime")[-1] == Regime.HIGH_VOLATILITY.value
    pause = bars.with_columns(pl.when(late).then(0.0).otherwise(pl.col("volume")).alias("volume"))
    assert of_day(pause).get_column("regime")[-1] == Regime.THIN.value


def test_without_volatility_the_spread_estimate_is_exact():
    # with bid 99.9 and ask 100.1 in every bar the estimator's two parts leave exactly the spread
    bid, ask = np.full(5, 99.9), np.full(5, 100.1)
    assert corwin_schultz_bps(ask, bid)[1:] == pytest.approx(20.0, rel=1e-9)


def test_a_jump_between_bars_gives_no_negative_spread():
    assert corwin_schultz_bps(np.array([101.0, 121.0]), np.array([100.0, 120.0]))[1] == 0.0


def test_the_spread_estimate_finds_a_spread_within_a_random_walk():
    rng = np.random.default_rng(3)
    middle = 100 * np.exp(np.cumsum(rng.normal(0, 0.0002, (2_000 * 200)))).reshape(2_000, 200)
    traded = middle * (1 + 0.005 * rng.choice([-1.0, 1.0], middle.shape))
    estimate = np.mean(corwin_schultz_bps(traded.max(axis=1), traded.min(axis=1))[1:])
    # a hundred bps were put in; negative estimates counted as zero push the average up a little
    assert estimate == pytest.approx(100, abs=15)


@pytest.mark.shared_data
def test_real_minutes_agree_with_talib_and_stay_in_range(shared_data):
    stamp = pl.Datetime("us", "UTC")
    day = datetime(2025, 5, 12, tzinfo=UTC)
    bars = pl.read_parquet(shared_data / "binance_usdm" / "BTC-USDT_1m_20250504_20250624.parquet").select(
        source=pl.lit("archive:binance_usdm"),
        symbol=pl.lit("BTC/USDT:USDT"),
        interval=pl.lit("1m"),
        ts=pl.col("ts").cast(stamp),
        open="open",
        high="high",
        low="low",
        close="close",
        volume="volume",
        is_synthetic=pl.lit(value=False),
        ingested_at=pl.lit(day).cast(stamp),
        parts=pl.lit(None, dtype=pl.Int64),
        parts_expected=pl.lit(None, dtype=pl.Int64),
    )
    rows = features(bars, "1m", day, day + timedelta(days=1))
    TABLES["features"].validate(rows.with_columns(pl.lit(day).cast(stamp).alias("ingested_at")))
    span = bars.filter(
        pl.col("ts") >= day - timedelta(minutes=lookback_bars("1m")), pl.col("ts") < day + timedelta(days=1)
    )
    high, low, close = (span.get_column(name).to_numpy() for name in ("high", "low", "close"))
    oracle = {
        "rsi": talib.RSI(close, 14),
        "adx": talib.ADX(high, low, close, 14),
        "ema_slow": talib.EMA(close, 48),
        "atr_pct": talib.ATR(high, low, close, 14) / close,
    }
    assert rows.height == 1440
    for name, values in oracle.items():
        assert rows.get_column(name).to_numpy() == pytest.approx(values[-1440:], rel=1e-9), name
    assert Regime.UNKNOWN.value not in set(rows.get_column("regime"))
    # a warmed seed leaves no trace: the same indicator over all of the history agrees to the eighth digit
    whole = talib.EMA(bars.filter(pl.col("ts") < day + timedelta(days=1)).get_column("close").to_numpy(), 48)
    assert rows.get_column("ema_slow").to_numpy() == pytest.approx(whole[-1440:], rel=1e-8)
