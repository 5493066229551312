"""Trend by two averages: enter with the fast over the slow average in a trend; leave when they have crossed."""

from numba import njit

from openclaw_pipelines.kernel.base.primitives import div
from openclaw_pipelines.kernel.strategy.family import ADX_LENGTH, FamilySpec, Relation, common, length, number


@njit(inline="always", cache=True, error_model="numpy")
def enters(ema_fast: float, ema_slow: float, adx: float, adx_threshold: float) -> tuple[bool, bool]:
    """On the side of the fast over the slow average while ADX shows a trend."""
    trends = adx >= adx_threshold
    return (ema_fast > ema_slow) & trends, (ema_fast < ema_slow) & trends


@njit(inline="always", cache=True, error_model="numpy")
def leaves(ema_fast: float, ema_slow: float) -> tuple[bool, bool]:
    """When the averages have crossed."""
    return ema_fast < ema_slow, ema_fast > ema_slow


@njit(inline="always", cache=True, error_model="numpy")
def excess(adx: float, adx_threshold: float) -> float:
    """ADX over its threshold, relative to it."""
    return div(adx - adx_threshold, adx_threshold)


FAMILY = FamilySpec(
    number=4,
    name="ema_trend",
    meaning=(
        "Trend by two averages: side of fast over slow while ADX shows a trend, with stop, target and trailing stop"
    ),
    parameters=(
        length("ema_fast", 12, "span in bars of the fast average", low=2),
        length("ema_slow", 48, "span in bars of the slow average", low=2),
        ADX_LENGTH,
        number("adx_threshold", 20.0, 0.0, 100.0, "entries need an ADX of at least this"),
        *common(stop_atr=2.0, target_atr=6.0, trail_atr=3.0, hold_bars=0, target=0.0, volume_ratio=0.0),
    ),
    relations=(Relation("ema_fast", "below", "ema_slow"),),
    shows=("ema_fast", "ema_slow", "adx", "plus_di", "minus_di"),
    enters=enters,
    leaves=leaves,
    excess=excess,
)
