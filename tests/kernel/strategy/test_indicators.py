"""Each indicator against TA-Lib or an independent oracle at every prefix, and one-step against batch, bit for bit.

TA-Lib is asked for the first k bars and its last value compared with bar k of one pass over all bars; so a recurrence
that looked ahead, drifted or was seeded otherwise fails at some k.
"""

import math
import statistics

import numpy as np
import polars as pl
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_pipelines.kernel.strategy import batches
from openclaw_pipelines.kernel.strategy.indicator_rows import indicator_values, new_indicators, observe, width
from openclaw_pipelines.kernel.strategy.indicators import RSI_FLAT, rsi_value
from openclaw_pipelines.kernel.strategy.params import params_record

OHLCV = ("open", "high", "low", "close", "volume")


def bars_of(start, moves, wicks, volumes):
    """Consistent bars of whole numbers from close-to-close moves; prices stay at 1 or above."""
    closes = np.maximum(np.cumsum([start, *moves[1:]]), 1).astype(np.float64)
    opens = np.concatenate([closes[:1], closes[:-1]])
    wick = np.asarray(wicks, np.float64)
    bars = {
        "open": opens,
        "high": np.maximum(opens, closes) + wick,
        "low": np.maximum(np.minimum(opens, closes) - wick, 1.0),
        "close": closes,
        "volume": np.asarray(volumes, np.float64),
    }
    return {name: np.ascontiguousarray(column) for name, column in bars.items()}


@st.composite
def walks(draw):
    """Random walks with flat stretches and zero volumes, in price units from 1 to 1e9."""
    n = draw(st.integers(1, 90))
    scale = draw(st.sampled_from([1, 7, 1_000, 1_000_000]))
    start = draw(st.sampled_from([1, 60, 5_000, 1_000_000, 1_000_000_000]))
    integers = st.lists(st.integers(-20, 20) | st.just(0), min_size=n, max_size=n)
    moves = [m * scale for m in draw(integers)]
    wicks = [abs(w) * scale for w in draw(integers)]
    volumes = [max(v, 0) for v in draw(integers)]
    flat = draw(st.integers(0, n))
    return bars_of(start, [*moves[: n - flat], *([0] * flat)], [*wicks[: n - flat], *([0] * flat)], volumes)


def fixed(name):
    rng = np.random.default_rng(5)
    n = 150
    walk, wicks, volumes = rng.integers(-9, 10, n), rng.integers(0, 9, n), rng.integers(0, 99, n)
    zeros = np.zeros(n, int)
    return {
        "walk": bars_of(500, walk, wicks, volumes),
        "constant": bars_of(7, zeros, zeros, volumes),
        "flat after a walk": bars_of(
            500, np.where(np.arange(n) < 60, walk, 0), np.where(np.arange(n) < 60, wicks, 0), volumes
        ),
        "no trades for a while": bars_of(
            500, walk, wicks, np.where((np.arange(n) > 50) & (np.arange(n) < 110), 0, volumes)
        ),
        "one unit": bars_of(1, np.sign(walk), np.sign(wicks), volumes),
        "a thousand million units": bars_of(1_000_000_000, walk * 1_000_000, wicks * 1_000_000, volumes * 1e9),
        "only up": bars_of(10, np.abs(walk) + 1, zeros, volumes),
        "only down": bars_of(10_000, -np.abs(walk) - 1, zeros, volumes),
    }[name]


FIXED = [
    pytest.param(name, id=name)
    for name in (
        "walk",
        "constant",
        "flat after a walk",
        "no trades for a while",
        "one unit",
        "a thousand million units",
        "only up",
        "only down",
    )
]


def at_prefixes(function, *columns):
    """Last value of an oracle on the first k bars, for every k; NaN where it gives none."""
    size = columns[0].size
    values = np.full(size, np.nan)
    for k in range(1, size + 1):
        values[k - 1] = function(*(column[:k] for column in columns))[-1]
    return values


def with_neutral_flat(closes, rsi):
    """TA-Lib says 0 where no close has moved; this project says 50."""
    moved = np.maximum.accumulate(np.abs(np.diff(closes, prepend=closes[0]))) > 0
    return np.where(~moved & ~np.isnan(rsi), RSI_FLAT, rsi)


def assert_talib(bars, n):
    high, low, close, volume = (bars[name] for name in OHLCV[1:])
    strength, plus_di, minus_di = batches.adx(high, low, close, n)
    pairs = {
        "sma": (batches.sma(close, n), at_prefixes(lambda c: talib.SMA(c, n), close)),
        "volume": (batches.sma(volume, n), at_prefixes(lambda v: talib.SMA(v, n), volume)),
        "ema": (batches.ema(close, n), at_prefixes(lambda c: talib.EMA(c, n), close)),
        "rsi": (batches.rsi(close, n), with_neutral_flat(close, at_prefixes(lambda c: talib.RSI(c, n), close))),
        "atr": (batches.atr(high, low, close, n), at_prefixes(lambda *c: talib.ATR(*c, n), high, low, close)),
        "adx": (strength, at_prefixes(lambda *c: talib.ADX(*c, n), high, low, close)),
        "plus_di": (plus_di, at_prefixes(lambda *c: talib.PLUS_DI(*c, n), high, low, close)),
        "minus_di": (minus_di, at_prefixes(lambda *c: talib.MINUS_DI(*c, n), high, low, close)),
        "middle": (batches.bollinger(close, n, 2.0)[1], at_prefixes(lambda c: talib.BBANDS(c, n)[1], close)),
    }
    for name, (ours, theirs) in pairs.items():
        # running sums of the oracle leave a residue relative to the largest input
        residue = 1e-13 * max(close.max(), volume.max()) if name in {"sma", "volume", "middle"} else 1e-12
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=residue, err_msg=name)


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("length", [2, 5, 14])
def test_talib_on_fixed_bars(name, length):
    assert_talib(fixed(name), length)


@settings(max_examples=25, deadline=None)
@given(bars=walks(), length=st.integers(2, 12))
def test_talib_on_random_walks(bars, length):
    assert_talib(bars, length)


@pytest.mark.shared_data
def test_talib_on_real_bars_with_outages(shared_data):
    """ETH at five minutes from a venue whose outages left flat bars without volume; prices in units of 1e-4."""
    (path,) = shared_data.glob("hyperliquid_perp/ETH-*_5m_*.parquet")
    frame = pl.read_parquet(path).sort("ts")
    assert (frame["volume"] == 0).any()
    prices = {name: (frame[name] * 10_000).round().to_numpy().copy() for name in OHLCV[1:4]}
    high, low, close = prices.values()
    strength, plus_di, minus_di = batches.adx(high, low, close, 14)
    for ours, theirs in (
        (batches.ema(close, 48), talib.EMA(close, 48)),
        (batches.rsi(close, 14), talib.RSI(close, 14)),
        (batches.atr(high, low, close, 14), talib.ATR(high, low, close, 14)),
        (strength, talib.ADX(high, low, close, 14)),
        (plus_di, talib.PLUS_DI(high, low, close, 14)),
        (minus_di, talib.MINUS_DI(high, low, close, 14)),
        (batches.donchian(high, low, 24)[0][1:], talib.MAX(high, 24)[:-1]),
        (batches.donchian(high, low, 24)[1][1:], talib.MIN(low, 24)[:-1]),
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11)


def test_bollinger_bands_of_talib():
    close = fixed("walk")["close"]
    for ours, theirs in zip(
        batches.bollinger(close, 20, 2.5), reversed(talib.BBANDS(close, 20, 2.5, 2.5)), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(bars=walks(), length=st.integers(2, 12))
def test_exact_oracles_on_random_walks(bars, length):
    assert_exact_oracles(bars, length)


@pytest.mark.parametrize("name", FIXED)
def test_exact_oracles_on_fixed_bars(name):
    assert_exact_oracles(fixed(name), 9)


def assert_exact_oracles(bars, n):
    """Bollinger by rational arithmetic, Donchian and volatility by polars."""
    close = bars["close"]
    lower, middle, upper = batches.bollinger(close, n, 2.0)
    for k in range(close.size):
        if k < n - 1:
            assert math.isnan(lower[k])
            assert math.isnan(upper[k])
            continue
        window = [int(c) for c in close[k - n + 1 : k + 1]]
        reach, mean = 2 * statistics.pstdev(window), statistics.mean(window)
        assert middle[k] == pytest.approx(mean, rel=1e-15)
        assert upper[k] - middle[k] == pytest.approx(reach, rel=1e-9, abs=4e-16 * mean)
        assert middle[k] - lower[k] == pytest.approx(reach, rel=1e-9, abs=4e-16 * mean)
    frame = pl.DataFrame(bars).select(
        upper=pl.col("high").shift(1).rolling_max(n),
        lower=pl.col("low").shift(1).rolling_min(n),
        change=pl.col("close").pct_change(),
    )
    channel = batches.donchian(bars["high"], bars["low"], n)
    np.testing.assert_array_equal(channel[0], frame["upper"].to_numpy())
    np.testing.assert_array_equal(channel[1], frame["lower"].to_numpy())
    volatility = batches.realised_volatility(close, n, 8_760.0)
    for k in range(close.size):
        if k < n:
            assert math.isnan(volatility[k])
        else:
            returns = frame["change"][k - n + 1 : k + 1]
            expected = returns.std(ddof=1) * math.sqrt(8_760.0)
            assert volatility[k] == pytest.approx(expected, rel=1e-9, abs=1e-13 * returns.abs().max())


def test_volatility_by_hand():
    closes = np.array([100.0, 110.0, 99.0])
    # returns +0.1 and -0.1: mean 0, sum of squares 0.02, over one degree of freedom
    assert batches.realised_volatility(closes, 2, 4.0)[2] == pytest.approx(2 * math.sqrt(0.02), rel=1e-12)


def test_constant_prices_are_quiet_not_undefined():
    bars = fixed("constant")
    high, low, close = bars["high"], bars["low"], bars["close"]
    assert batches.rsi(close, 14)[-1] == RSI_FLAT
    assert batches.atr(high, low, close, 14)[-1] == 0.0
    assert [column[-1] for column in batches.adx(high, low, close, 14)] == [0.0, 0.0, 0.0]
    assert [column[-1] for column in batches.bollinger(close, 20, 2.0)] == [7.0, 7.0, 7.0]
    assert batches.realised_volatility(close, 20, 8_760.0)[-1] == 0.0
    assert batches.ema(close, 20)[-1] == 7.0


def test_volume_average_through_a_stretch_without_trades():
    bars = fixed("no trades for a while")
    assert batches.sma(bars["volume"], 20)[109] == 0.0
    assert batches.sma(bars["volume"], 20)[110] == bars["volume"][110] / 20


def test_decayed_ranges_carry_no_direction():
    assert rsi_value(1e-291, 0.0) == RSI_FLAT
    assert rsi_value(1e-289, 0.0) == 100.0


FAMILY_VALUES = {
    "momentum": {"momentum_lookback": 7, "ema_slow": 6, "atr_length": 4, "volatility_length": 5, "volume_ratio": 0.5},
    "breakout": {"channel_entry": 8, "channel_exit": 5, "atr_length": 4, "volume_length": 6, "volatility_target": 0.4},
    "reversion": {"rsi_length": 6, "bollinger_length": 9, "adx_length": 4, "atr_length": 5},
    "ema_trend": {"ema_fast": 3, "ema_slow": 8, "adx_length": 5, "atr_length": 4, "volume_ratio": 0.1},
}


def expected_values(family, bars, p):
    """The row's named values as columns, by the batch functions."""
    high, low, close, volume = (bars[name] for name in OHLCV[1:])
    values = {"close": close, "volume": volume, "atr": batches.atr(high, low, close, p.atr_length)}
    if family in {"momentum", "ema_trend"}:
        values["ema_slow"] = batches.ema(close, p.ema_slow)
    if family == "momentum":
        past = np.full(close.size, np.nan)
        past[p.momentum_lookback :] = close[: -p.momentum_lookback]
        values["past_close"] = past
    if family == "ema_trend":
        values["ema_fast"] = batches.ema(close, p.ema_fast)
    if family == "breakout":
        values["entry_high"], values["entry_low"] = batches.donchian(high, low, p.channel_entry)
        values["exit_high"], values["exit_low"] = batches.donchian(high, low, p.channel_exit)
    if family == "reversion":
        values["rsi"] = batches.rsi(close, p.rsi_length)
        bands = batches.bollinger(close, p.bollinger_length, p.bollinger_width)
        values["band_lower"], values["band_middle"], values["band_upper"] = bands
    if family in {"reversion", "ema_trend"}:
        values["adx"], values["plus_di"], values["minus_di"] = batches.adx(high, low, close, p.adx_length)
    if p.return_ring:
        values["volatility"] = batches.realised_volatility(close, p.volatility_length, p.bars_per_year)
    if p.volume_ring:
        values["mean_volume"] = batches.sma(volume, p.volume_length)
    return values


@pytest.mark.parametrize("family", FAMILY_VALUES)
@pytest.mark.parametrize("name", FIXED)
def test_one_step_equals_batch_bit_for_bit(family, name):
    params = params_record(family, FAMILY_VALUES[family], 3_600)
    bars = fixed(name)
    columns = expected_values(family, bars, params)
    row = new_indicators(1, params)[0]
    for k in range(bars["close"].size):
        observe(row, params, *(bars[column][k] for column in OHLCV))
        values = indicator_values(row, params)
        assert set(values) == {*columns, "setup", "setup_age"}
        for key, column in columns.items():
            assert values[key] == (None if math.isnan(column[k]) else column[k]), (key, k)
    assert np.isfinite(row).all()


@pytest.mark.parametrize("family", FAMILY_VALUES)
def test_row_bytes_carry_the_whole_state(family):
    """Saved and loaded in the middle, a row goes on as if nothing had happened."""
    params = params_record(family, FAMILY_VALUES[family], 3_600)
    bars = fixed("walk")
    rows = new_indicators(2, params)
    assert rows.shape == (2, width(params))
    for k in range(150):
        bar = [bars[column][k] for column in OHLCV]
        observe(rows[0], params, *bar)
        observe(rows[1], params, *bar)
        if k == 77:
            rows[1] = np.frombuffer(rows[1].tobytes(), np.float64)
    assert rows[0].tobytes() == rows[1].tobytes()


@settings(max_examples=15, deadline=None)
@given(bars=walks(), data=st.data())
def test_no_value_depends_on_later_bars(bars, data):
    """Every batch value of the first k bars is unchanged, bit for bit, by whatever follows."""
    k = data.draw(st.integers(1, bars["close"].size))
    for family, settings_ in FAMILY_VALUES.items():
        params = params_record(family, settings_, 3_600)
        if k <= params.momentum_lookback:
            continue
        whole = expected_values(family, bars, params)
        part = expected_values(family, {name: column[:k].copy() for name, column in bars.items()}, params)
        for key in whole:
            np.testing.assert_array_equal(whole[key][:k], part[key], err_msg=key)
