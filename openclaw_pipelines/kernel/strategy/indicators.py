"""Indicators as one-step recurrences, each written once; the loops of `batches` and the tick's `observe` call it.

Seeds follow TA-Lib: exponential averages start from the plain mean of their first `length` inputs. While seeding, the
state holds the running sum; `seen`, the number of inputs folded before, says which of the two it is. No state is ever
NaN. Prices are float64 of whole price units. Windows (SMA, Bollinger, Donchian, realised volatility, volume average)
are read from rings in `windows`; entry and exit rules belong to `families` and `signals`.
"""

from typing import NamedTuple

from numba import njit

from openclaw_pipelines.kernel.base.primitives import fmax, fmin, mul

TINY = 1e-290
"""Averages that have decayed below this are zero: their ratio would be made of denormal numbers."""

RSI_FLAT = 50.0
"""RSI of a price that did not move: neither strong nor weak. TA-Lib gives 0 there, which would read as oversold."""


class AdxState(NamedTuple):
    """Wilder sums of directional movement and true range in price units, and ADX (its running sum while seeding)."""

    plus_dm: float
    minus_dm: float
    true_range: float
    adx: float


@njit(inline="always", cache=True, error_model="numpy")
def ema_step(state: float, seen: int, value: float, length: int, alpha: float) -> float:
    """Exponential average: the running sum while `seen + 1 < length`, the mean at `length`, then the recurrence.

    alpha: weight of the newest value, 2 / (length + 1), computed on the host.

    >>> state = 0.0
    >>> for seen, close in enumerate((10.0, 12.0, 14.0, 21.0)):
    ...     state = ema_step(state, seen, close, 3, 0.5)
    >>> state
    16.5
    """
    following = state + mul(alpha, value - state)
    if seen < length:
        following = state + value
        if seen == length - 1:
            following = following / length
    return following


@njit(inline="always", cache=True, error_model="numpy")
def wilder_step(state: float, seen: int, value: float, length: int) -> float:
    """Wilder's average (weight 1 / length), seeded as `ema_step` is.

    >>> state = 0.0
    >>> for seen, value in enumerate((2.0, 4.0, 6.0)):
    ...     state = wilder_step(state, seen, value, 2)
    >>> state
    4.5
    """
    following = (mul(state, length - 1.0) + value) / length
    if seen < length:
        following = state + value
        if seen == length - 1:
            following = following / length
    return following


@njit(inline="always", cache=True, error_model="numpy")
def true_range(prev_close: float, high: float, low: float) -> float:
    """Range of the bar including the gap from the close before it.

    >>> true_range(9.0, 12.0, 10.0)
    3.0
    """
    return fmax(high, prev_close) - fmin(low, prev_close)


@njit(inline="always", cache=True, error_model="numpy")
def rsi_value(mean_gain: float, mean_loss: float) -> float:
    """Relative strength index in [0, 100] of Wilder-averaged gains and losses (both >= 0).

    >>> rsi_value(3.0, 1.0), rsi_value(0.0, 0.0)
    (75.0, 50.0)
    """
    rsi = RSI_FLAT
    if mean_gain + mean_loss > TINY:
        rsi = mul(100.0, mean_gain / (mean_gain + mean_loss))
    return rsi


@njit(inline="always", cache=True, error_model="numpy")
def directional_index(movement: float, ranges: float) -> float:
    """+DI or -DI in [0, 100]: smoothed directional movement over smoothed true range; 0 where nothing moved."""
    index = 0.0
    if ranges > TINY:
        index = mul(100.0, movement / ranges)
    return index


@njit(inline="always", cache=True, error_model="numpy")
def _movement(up: float, down: float) -> float:
    """Directional movement of the `up` side: counts only where it is positive and beyond the other side's."""
    moved = 0.0
    if up > 0.0 and up > down:
        moved = up
    return moved


@njit(inline="always", cache=True, error_model="numpy")
def _decay(state: float, seen: int, value: float, length: int) -> float:
    """Wilder's sum: plain for the first `length - 1` inputs, then one length-th leaks away per bar."""
    following = state + value
    if seen >= length - 1:
        following = state - state / length + value
    return following


@njit(inline="always", cache=True, error_model="numpy")
def adx_step(
    state: AdxState,
    seen: int,
    prev_high: float,
    prev_low: float,
    prev_close: float,
    high: float,
    low: float,
    length: int,
) -> AdxState:
    """Fold one bar into ADX. `seen` counts earlier folds (bars seen minus one, as the first bar has none before it).

    +DI and -DI are defined from `length` folds, ADX from `2 * length - 1`: the mean of the first `length` DX, then
    Wilder's average. A bar on which DX is undefined adds nothing to the seed and leaves the average as it is, as in
    TA-Lib.
    """
    up = high - prev_high
    down = prev_low - low
    plus_dm = _decay(state.plus_dm, seen, _movement(up, down), length)
    minus_dm = _decay(state.minus_dm, seen, _movement(down, up), length)
    ranges = _decay(state.true_range, seen, true_range(prev_close, high, low), length)
    plus_di = directional_index(plus_dm, ranges)
    minus_di = directional_index(minus_dm, ranges)
    adx = state.adx
    if seen >= length - 1:
        total = plus_di + minus_di
        if total > TINY:
            dx = mul(100.0, (fmax(plus_di, minus_di) - fmin(plus_di, minus_di)) / total)
            adx = wilder_step(adx, seen - (length - 1), dx, length)
        elif seen == 2 * length - 2:
            adx = adx / length
    return AdxState(plus_dm, minus_dm, ranges, adx)
