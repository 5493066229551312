"""Time-series momentum: enter with the return over a look-back once the close confirms it; leave when it has turned."""

import math

from numba import njit

from openclaw_pipelines.kernel.base.primitives import div, mul
from openclaw_pipelines.kernel.strategy.family import FamilySpec, common, length


@njit(inline="always", cache=True, error_model="numpy")
def enters(close: float, past_close: float, ema_slow: float) -> tuple[bool, bool]:
    """With the return over the look-back where the close lies on the same side of the average."""
    return (close > past_close) & (close > ema_slow), (close < past_close) & (close < ema_slow)


@njit(inline="always", cache=True, error_model="numpy")
def leaves(close: float, past_close: float) -> tuple[bool, bool]:
    """When the return over the look-back is against the position."""
    return close < past_close, close > past_close


@njit(inline="always", cache=True, error_model="numpy")
def excess(side: int, close: float, past_close: float, atr: float, momentum_lookback: int) -> float:
    """The move over the look-back against the average true range times the root of the bars."""
    return div(mul(side, close - past_close), mul(atr, math.sqrt(momentum_lookback)))


FAMILY = FamilySpec(
    number=1,
    name="momentum",
    meaning="Time-series momentum: side of the return over a look-back, confirmed by an average, at target volatility",
    parameters=(
        length("momentum_lookback", 96, "bars over which the return is taken"),
        length("ema_slow", 48, "span in bars of the average that the close must lie beyond", low=2),
        *common(stop_atr=3.0, target_atr=0.0, trail_atr=0.0, hold_bars=0, target=0.6, volume_ratio=0.0),
    ),
    relations=(),
    shows=("past_close", "ema_slow"),
    enters=enters,
    leaves=leaves,
    excess=excess,
)
