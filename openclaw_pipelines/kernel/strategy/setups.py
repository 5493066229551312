"""Which side each family would enter at the newest bar, from an indicator row in which every value is defined.

Whether a setup may be entered, and when to leave, belongs to `signals`.
"""

from typing import Any

from numba import njit

from openclaw_pipelines.kernel.base.primitives import mul, sign
from openclaw_pipelines.kernel.base.slots import (
    ADX,
    BAND_DEVIATION,
    BAND_MIDDLE,
    CLOSE,
    EMA_FAST,
    EMA_SLOW,
    ENTRY_HIGH,
    ENTRY_LOW,
    MEAN_GAIN,
    MEAN_LOSS,
    PAST_CLOSE,
)
from openclaw_pipelines.kernel.base.windows import Row
from openclaw_pipelines.kernel.strategy.indicators import rsi_value


@njit(inline="always", cache=True, error_model="numpy")
def momentum_setup(row: Row) -> int:
    """Side of the return over the look-back where the close lies on the same side of the average."""
    side = sign(row[CLOSE] - row[PAST_CLOSE])
    if side != sign(row[CLOSE] - row[EMA_SLOW]):
        side = 0
    return side


@njit(inline="always", cache=True, error_model="numpy")
def breakout_setup(row: Row) -> int:
    """Side on which the close lies beyond the entry channel."""
    side = 0
    if row[CLOSE] > row[ENTRY_HIGH]:
        side = 1
    elif row[CLOSE] < row[ENTRY_LOW]:
        side = -1
    return side


@njit(inline="always", cache=True, error_model="numpy")
def reversion_setup(row: Row, params: Any) -> int:
    """Against a close beyond a band and an extreme RSI, in a regime without trend."""
    side = 0
    rsi = rsi_value(row[MEAN_GAIN], row[MEAN_LOSS])
    reach = mul(params.bollinger_width, row[BAND_DEVIATION])
    if row[ADX] < params.adx_threshold:
        if row[CLOSE] < row[BAND_MIDDLE] - reach and rsi < params.rsi_low:
            side = 1
        elif row[CLOSE] > row[BAND_MIDDLE] + reach and rsi > params.rsi_high:
            side = -1
    return side


@njit(inline="always", cache=True, error_model="numpy")
def ema_trend_setup(row: Row, params: Any) -> int:
    """Side of the fast over the slow average while ADX shows a trend."""
    side = 0
    if row[ADX] >= params.adx_threshold:
        side = sign(row[EMA_FAST] - row[EMA_SLOW])
    return side
