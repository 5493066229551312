"""Indicators over whole columns: loops that call the one-step recurrences, for features, reports and checks.

Every function takes float64 columns, oldest first, and gives float64 columns of the same length that are NaN until the
indicator is defined. A value depends on its own and earlier bars only. The volume average is `sma` of the volumes.
"""

import math

import numpy as np
from numba import njit

from openclaw_pipelines.kernel.base.primitives import div, fmax, mul
from openclaw_pipelines.kernel.base.windows import Row, window_deviation, window_max, window_mean, window_min
from openclaw_pipelines.kernel.strategy.indicators import (
    AdxState,
    adx_step,
    directional_index,
    ema_step,
    rsi_value,
    true_range,
    wilder_step,
)


@njit(cache=True, error_model="numpy")
def sma(values: Row, length: int) -> Row:
    """Plain mean of the `length` newest values.

    >>> sma(np.array([1.0, 2.0, 6.0]), 2).tolist()
    [nan, 1.5, 4.0]
    """
    means = np.full(values.size, np.nan)
    for i in range(length - 1, values.size):
        means[i] = window_mean(values, 0, values.size, i + 1, length)
    return means


def ema(values: Row, length: int) -> Row:
    """Exponential average of span `length`, seeded with the mean of the first `length` values.

    >>> ema(np.array([10.0, 12.0, 14.0, 21.0]), 3).tolist()
    [nan, nan, 12.0, 16.5]
    """
    averages: Row = _ema(values, length, 2.0 / (length + 1))
    return averages


@njit(cache=True, error_model="numpy")
def _ema(values: Row, length: int, alpha: float) -> Row:
    averages = np.full(values.size, np.nan)
    state = 0.0
    for i in range(values.size):
        state = ema_step(state, i, values[i], length, alpha)
        if i >= length - 1:
            averages[i] = state
    return averages


@njit(cache=True, error_model="numpy")
def rsi(closes: Row, length: int) -> Row:
    """Wilder's relative strength index in [0, 100]; 50 where the price has not moved."""
    index = np.full(closes.size, np.nan)
    gain = loss = 0.0
    for i in range(1, closes.size):
        change = closes[i] - closes[i - 1]
        gain = wilder_step(gain, i - 1, fmax(change, 0.0), length)
        loss = wilder_step(loss, i - 1, fmax(-change, 0.0), length)
        if i >= length:
            index[i] = rsi_value(gain, loss)
    return index


@njit(cache=True, error_model="numpy")
def atr(highs: Row, lows: Row, closes: Row, length: int) -> Row:
    """Wilder's average true range in the prices' unit."""
    ranges = np.full(closes.size, np.nan)
    state = 0.0
    for i in range(1, closes.size):
        state = wilder_step(state, i - 1, true_range(closes[i - 1], highs[i], lows[i]), length)
        if i >= length:
            ranges[i] = state
    return ranges


@njit(cache=True, error_model="numpy")
def adx(highs: Row, lows: Row, closes: Row, length: int) -> tuple[Row, Row, Row]:
    """Wilder's ADX, +DI and -DI, each in [0, 100]. `length` is at least 2."""
    strength = np.full(closes.size, np.nan)
    plus_di = np.full(closes.size, np.nan)
    minus_di = np.full(closes.size, np.nan)
    state = AdxState(0.0, 0.0, 0.0, 0.0)
    for i in range(1, closes.size):
        state = adx_step(state, i - 1, highs[i - 1], lows[i - 1], closes[i - 1], highs[i], lows[i], length)
        if i >= length:
            plus_di[i] = directional_index(state.plus_dm, state.true_range)
            minus_di[i] = directional_index(state.minus_dm, state.true_range)
        if i >= 2 * length - 1:
            strength[i] = state.adx
    return strength, plus_di, minus_di


@njit(cache=True, error_model="numpy")
def bollinger(closes: Row, length: int, width: float) -> tuple[Row, Row, Row]:
    """Lower, middle and upper band: mean of `length` closes, `width` population deviations away."""
    lower = np.full(closes.size, np.nan)
    middle = np.full(closes.size, np.nan)
    upper = np.full(closes.size, np.nan)
    for i in range(length - 1, closes.size):
        mean = window_mean(closes, 0, closes.size, i + 1, length)
        reach = mul(width, window_deviation(closes, 0, closes.size, i + 1, length, 0))
        lower[i] = mean - reach
        middle[i] = mean
        upper[i] = mean + reach
    return lower, middle, upper


@njit(cache=True, error_model="numpy")
def donchian(highs: Row, lows: Row, length: int) -> tuple[Row, Row]:
    """Highest high and lowest low of the `length` bars before each bar, so that a close can break out of them.

    >>> upper, lower = donchian(np.array([3.0, 5.0, 9.0]), np.array([1.0, 2.0, 4.0]), 2)
    >>> upper.tolist(), lower.tolist()
    ([nan, nan, 5.0], [nan, nan, 1.0])
    """
    upper = np.full(highs.size, np.nan)
    lower = np.full(highs.size, np.nan)
    for i in range(length, highs.size):
        upper[i] = window_max(highs, 0, highs.size, i, length)
        lower[i] = window_min(lows, 0, lows.size, i, length)
    return upper, lower


def realised_volatility(closes: Row, length: int, bars_per_year: float) -> Row:
    """Sample deviation of `length` simple returns (close over close before, less one), annualised.

    Simple instead of log returns, because a logarithm is not the same number on every machine.
    """
    volatility: Row = _realised_volatility(closes, length, math.sqrt(bars_per_year))
    return volatility


@njit(cache=True, error_model="numpy")
def _realised_volatility(closes: Row, length: int, annual_factor: float) -> Row:
    returns = np.zeros(closes.size)
    volatility = np.full(closes.size, np.nan)
    for i in range(1, closes.size):
        returns[i] = div(closes[i] - closes[i - 1], closes[i - 1])
        if i >= length:
            volatility[i] = mul(window_deviation(returns, 0, closes.size, i + 1, length, 1), annual_factor)
    return volatility
