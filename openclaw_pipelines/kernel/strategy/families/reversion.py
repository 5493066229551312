"""Mean reversion: enter against an extreme in a quiet regime; leave at the middle band or in time."""

from numba import njit

from openclaw_pipelines.kernel.base.primitives import mul
from openclaw_pipelines.kernel.strategy.family import ADX_LENGTH, FamilySpec, Relation, common, length, number


@njit(inline="always", cache=True, error_model="numpy")
def enters(
    close: float, band_middle: float, band_deviation: float, rsi: float, adx: float, bollinger_width: float,
    rsi_low: float, rsi_high: float, adx_threshold: float,
) -> tuple[bool, bool]:  # fmt: skip
    """Against a close beyond a band and an extreme RSI, in a regime without trend."""
    reach = mul(bollinger_width, band_deviation)
    quiet = adx < adx_threshold
    under = (close < band_middle - reach) & (rsi < rsi_low) & quiet
    over = (close > band_middle + reach) & (rsi > rsi_high) & quiet
    return under, over


@njit(inline="always", cache=True, error_model="numpy")
def leaves(close: float, band_middle: float) -> tuple[bool, bool]:
    """When the close is back at the middle band or beyond it."""
    return close >= band_middle, close <= band_middle


@njit(inline="always", cache=True, error_model="numpy")
def excess(side: int, rsi: float, rsi_low: float, rsi_high: float) -> float:
    """How far RSI is past its limit, in tens."""
    beyond = rsi_low - rsi if side > 0 else rsi - rsi_high
    return beyond / 10.0


FAMILY = FamilySpec(
    number=3,
    name="reversion",
    meaning="Mean reversion in quiet regimes: RSI and Bollinger extremes while ADX is low, out at the middle band",
    parameters=(
        length("rsi_length", 14, "bars of the relative strength index (Wilder)", low=2),
        number("rsi_low", 30.0, 0.0, 100.0, "long entries need an RSI below this"),
        number("rsi_high", 70.0, 0.0, 100.0, "short entries need an RSI above this"),
        length("bollinger_length", 20, "bars of the Bollinger bands", low=2),
        number("bollinger_width", 2.0, 0.1, 10.0, "standard deviations from middle to outer band"),
        ADX_LENGTH,
        number("adx_threshold", 25.0, 0.0, 100.0, "entries need an ADX below this"),
        *common(stop_atr=2.5, target_atr=0.0, trail_atr=0.0, hold_bars=24, target=0.0, volume_ratio=0.0),
    ),
    relations=(Relation("rsi_low", "below", "rsi_high"),),
    shows=("rsi", "band_lower", "band_middle", "band_upper", "adx", "plus_di", "minus_di"),
    enters=enters,
    leaves=leaves,
    excess=excess,
)
