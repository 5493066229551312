"""Donchian breakout: enter on a close beyond the channel; leave on a close beyond the opposite exit channel."""

from numba import njit

from openclaw_pipelines.kernel.base.primitives import div, mul
from openclaw_pipelines.kernel.strategy.family import FamilySpec, Relation, common, length


@njit(inline="always", cache=True, error_model="numpy")
def enters(close: float, entry_high: float, entry_low: float) -> tuple[bool, bool]:
    """On the side on which the close lies beyond the entry channel."""
    return close > entry_high, close < entry_low


@njit(inline="always", cache=True, error_model="numpy")
def leaves(close: float, exit_high: float, exit_low: float) -> tuple[bool, bool]:
    """When the close lies beyond the exit channel, against the position."""
    return close < exit_low, close > exit_high


@njit(inline="always", cache=True, error_model="numpy")
def excess(side: int, close: float, entry_high: float, entry_low: float, atr: float) -> float:
    """The distance beyond the channel in average true ranges."""
    edge = entry_high if side > 0 else entry_low
    return div(mul(side, close - edge), atr)


FAMILY = FamilySpec(
    number=2,
    name="breakout",
    meaning="Donchian breakout: close beyond the range of the bars before it, ATR trailing stop, opposite-channel exit",
    parameters=(
        length("channel_entry", 48, "earlier bars whose range must be broken to enter"),
        length("channel_exit", 24, "earlier bars whose opposite extreme, broken, closes the position"),
        *common(stop_atr=2.5, target_atr=0.0, trail_atr=3.5, hold_bars=0, target=0.0, volume_ratio=1.0),
    ),
    relations=(Relation("channel_exit", "at most", "channel_entry"),),
    shows=("entry_high", "entry_low", "exit_high", "exit_low"),
    enters=enters,
    leaves=leaves,
    excess=excess,
)
