"""The indicator state of one symbol as one float64 row, and `observe`, which folds one closed bar in.

A row is a plain array, so its bytes can be hashed, saved and copied to a device. It starts with the named `slots` and
ends with the rings whose capacities the parameter record states. An indicator is computed where the family has the
length that it is made with. Missing bars are skipped and zero-volume bars included by the caller; rules over the values
belong to `families` and `signals`.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from openclaw_pipelines.kernel.base.primitives import div, fmax, mul, to_int
from openclaw_pipelines.kernel.base.slots import (
    ADX,
    ATR,
    BAND_DEVIATION,
    BAND_MIDDLE,
    CLOSE,
    CLOSE_AT,
    DM_RANGE,
    EMA_FAST,
    EMA_SLOW,
    ENTRY_HIGH,
    ENTRY_LOW,
    EXIT_HIGH,
    EXIT_LOW,
    HIGH,
    LOW,
    MEAN_GAIN,
    MEAN_LOSS,
    MEAN_VOLUME,
    MINUS_DM,
    OPEN,
    PAST_CLOSE,
    PLUS_DM,
    RANGE_AT,
    RETURN_AT,
    SEEN,
    SETUP,
    SETUP_AGE,
    SLOTS,
    VOLATILITY,
    VOLUME,
    VOLUME_AT,
)
from openclaw_pipelines.kernel.base.windows import (
    Row,
    ring_next,
    ring_start,
    window_deviation,
    window_max,
    window_mean,
    window_min,
)
from openclaw_pipelines.kernel.strategy.dispatch import enters
from openclaw_pipelines.kernel.strategy.indicators import (
    AdxState,
    adx_step,
    ema_step,
    true_range,
    wilder_step,
)
from openclaw_pipelines.kernel.strategy.params import family_of
from openclaw_pipelines.kernel.strategy.readings import reading

_SEEN_MAX = 1 << 52


def width(params: np.record) -> int:
    """Float64 numbers in one symbol's row under this parameter record.

    >>> from openclaw_pipelines.kernel.strategy.params import params_record
    >>> width(params_record("ema_trend", {}, 3_600))
    30
    """
    return int(SLOTS + params.close_ring + 2 * params.range_ring + params.return_ring + params.volume_ring)


def new_indicators(n_symbols: int, params: np.record) -> NDArray[np.float64]:
    """Rows that have seen no bar, float64[n_symbols, width(params)]."""
    return np.zeros((n_symbols, width(params)), np.float64)


@njit(cache=True, error_model="numpy")
def observe(row: Row, params: Any, open_: float, high: float, low: float, close: float, volume: float) -> None:
    """Fold one closed bar (whole price units as float64; volume in any fixed unit) into the row, in place."""
    seen = to_int(row[SEEN], 0, _SEEN_MAX)
    if seen > 0:
        row[ATR] = wilder_step(row[ATR], seen - 1, true_range(row[CLOSE], high, low), params.atr_length)
    if params.ema_slow > 0:
        row[EMA_SLOW] = ema_step(row[EMA_SLOW], seen, close, params.ema_slow, params.ema_slow_alpha)
    if params.ema_fast > 0:
        row[EMA_FAST] = ema_step(row[EMA_FAST], seen, close, params.ema_fast, params.ema_fast_alpha)
    if params.rsi_length > 0:
        _fold_rsi(row, params, seen, close)
    if params.adx_length > 0:
        _fold_adx(row, params, seen, high, low)
    if params.close_ring > 0:
        _fold_closes(row, params, seen, close)
    if params.range_ring > 0:
        _fold_channels(row, params, seen, high, low)
    if params.return_ring > 0:
        _fold_volatility(row, params, seen, close)
    if params.volume_ring > 0:
        _fold_volume(row, params, seen, volume)
    row[OPEN] = open_
    row[HIGH] = high
    row[LOW] = low
    row[CLOSE] = close
    row[VOLUME] = volume
    row[SEEN] = seen + 1.0
    _fold_setup(row, params)


@njit(inline="always", cache=True, error_model="numpy")
def _cursor(row: Row, slot: int) -> int:
    return to_int(row[slot], 0, _SEEN_MAX)


@njit(inline="always", cache=True, error_model="numpy")
def _fold_rsi(row: Row, params: Any, seen: int, close: float) -> None:
    if seen > 0:
        change = close - row[CLOSE]
        row[MEAN_GAIN] = wilder_step(row[MEAN_GAIN], seen - 1, fmax(change, 0.0), params.rsi_length)
        row[MEAN_LOSS] = wilder_step(row[MEAN_LOSS], seen - 1, fmax(-change, 0.0), params.rsi_length)


@njit(inline="always", cache=True, error_model="numpy")
def _fold_adx(row: Row, params: Any, seen: int, high: float, low: float) -> None:
    if seen > 0:
        before = AdxState(row[PLUS_DM], row[MINUS_DM], row[DM_RANGE], row[ADX])
        after = adx_step(before, seen - 1, row[HIGH], row[LOW], row[CLOSE], high, low, params.adx_length)
        row[PLUS_DM] = after.plus_dm
        row[MINUS_DM] = after.minus_dm
        row[DM_RANGE] = after.true_range
        row[ADX] = after.adx


@njit(inline="always", cache=True, error_model="numpy")
def _fold_closes(row: Row, params: Any, seen: int, close: float) -> None:
    """The close of the look-back and the Bollinger bands, both including the newest bar."""
    capacity = params.close_ring
    at = _cursor(row, CLOSE_AT)
    row[SLOTS + at] = close
    at = ring_next(at, capacity)
    row[CLOSE_AT] = at
    lookback = params.momentum_lookback
    if lookback > 0 and seen >= lookback:
        row[PAST_CLOSE] = row[SLOTS + ring_start(at, lookback + 1, capacity)]
    length = params.bollinger_length
    if length > 0 and seen >= length - 1:
        row[BAND_MIDDLE] = window_mean(row, SLOTS, capacity, at, length)
        row[BAND_DEVIATION] = window_deviation(row, SLOTS, capacity, at, length, 0)


@njit(inline="always", cache=True, error_model="numpy")
def _fold_channels(row: Row, params: Any, seen: int, high: float, low: float) -> None:
    """Donchian channels of the bars before this one; the bar itself is pushed afterwards."""
    capacity = params.range_ring
    highs = SLOTS + params.close_ring
    lows = highs + capacity
    at = _cursor(row, RANGE_AT)
    if seen >= params.channel_entry:
        row[ENTRY_HIGH] = window_max(row, highs, capacity, at, params.channel_entry)
        row[ENTRY_LOW] = window_min(row, lows, capacity, at, params.channel_entry)
    if seen >= params.channel_exit:
        row[EXIT_HIGH] = window_max(row, highs, capacity, at, params.channel_exit)
        row[EXIT_LOW] = window_min(row, lows, capacity, at, params.channel_exit)
    row[highs + at] = high
    row[lows + at] = low
    row[RANGE_AT] = ring_next(at, capacity)


@njit(inline="always", cache=True, error_model="numpy")
def _fold_volatility(row: Row, params: Any, seen: int, close: float) -> None:
    """Sample deviation (ddof 1) of simple returns, annualised by the host's factor."""
    if seen > 0:
        capacity = params.return_ring
        base = SLOTS + params.close_ring + 2 * params.range_ring
        at = _cursor(row, RETURN_AT)
        row[base + at] = div(close - row[CLOSE], row[CLOSE])
        at = ring_next(at, capacity)
        row[RETURN_AT] = at
        if seen >= capacity:
            row[VOLATILITY] = mul(window_deviation(row, base, capacity, at, capacity, 1), params.annual_factor)


@njit(inline="always", cache=True, error_model="numpy")
def _fold_volume(row: Row, params: Any, seen: int, volume: float) -> None:
    capacity = params.volume_ring
    base = SLOTS + params.close_ring + 2 * params.range_ring + params.return_ring
    at = _cursor(row, VOLUME_AT)
    row[base + at] = volume
    at = ring_next(at, capacity)
    row[VOLUME_AT] = at
    if seen >= capacity - 1:
        row[MEAN_VOLUME] = window_mean(row, base, capacity, at, capacity)


@njit(inline="always", cache=True, error_model="numpy")
def _fold_setup(row: Row, params: Any) -> None:
    side = 0
    if row[SEEN] >= params.ready_bars:
        long, short = enters(row, params)
        if long:
            side = 1
        elif short:
            side = -1
    if side == row[SETUP]:
        row[SETUP_AGE] += 1.0
    else:
        row[SETUP] = side
        row[SETUP_AGE] = 0.0


def indicator_values(row: Row, params: np.record) -> dict[str, float | None]:
    """Named current values for decision records; None where too few bars were seen. Keys depend on the family only.

    Prices and distances are in price units, `volatility` is annualised, `setup` is the side and `setup_age` its bars.
    """
    names: dict[str, tuple[int, float]] = {
        **{name: reading(name, row, params) for name in ("close", "volume", "atr")},
        "setup": (params.ready_bars, row[SETUP]),
        "setup_age": (params.ready_bars, row[SETUP_AGE]),
        **{name: reading(name, row, params) for name in family_of(params).shows},
    }
    if params.return_ring:
        names["volatility"] = (params.return_ring + 1, row[VOLATILITY])
    if params.volume_ring:
        names["mean_volume"] = (params.volume_ring, row[MEAN_VOLUME])
    seen = int(row[SEEN])
    return {name: float(value) if seen >= need else None for name, (need, value) in names.items()}
