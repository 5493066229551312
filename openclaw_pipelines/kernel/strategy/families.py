"""The strategy families and what can be set for each: `FAMILIES`, the single source of settings, docs and validation.

Position limits, fees and capital are settings of the account. The record the compiled code reads is made by `params`,
the rules themselves are in `setups` and `signals`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from openclaw_pipelines.contracts.enums import Family

LENGTH_MAX = 5_000


@dataclass(frozen=True)
class ParamSpec:
    """One parameter: its name, type (int, float or bool), default, inclusive bounds and meaning with its unit."""

    name: str
    kind: type[int] | type[float] | type[bool]
    default: int | float | bool
    low: float
    high: float
    meaning: str


@dataclass(frozen=True)
class FamilySpec:
    """One strategy family and its parameters in a fixed order."""

    name: str
    family: Family
    meaning: str
    parameters: tuple[ParamSpec, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Parameter names in order."""
        return tuple(spec.name for spec in self.parameters)


def _length(name: str, default: int, meaning: str, *, low: int = 1) -> ParamSpec:
    return ParamSpec(name, int, default, low, LENGTH_MAX, meaning)


def _number(name: str, default: float, low: float, high: float, meaning: str) -> ParamSpec:
    return ParamSpec(name, float, default, low, high, meaning)


def _common(
    *, stop_atr: float, target_atr: float, trail_atr: float, hold_bars: int, target: float, volume_ratio: float
) -> tuple[ParamSpec, ...]:
    """Parameters that every family has; families differ only in their defaults."""
    return (
        _length("atr_length", 14, "bars of the average true range (Wilder)"),
        _number("stop_atr", stop_atr, 0.0, 100.0, "stop distance in average true ranges; 0 = no stop"),
        _number("target_atr", target_atr, 0.0, 100.0, "target distance in average true ranges; 0 = no target"),
        _number("trail_atr", trail_atr, 0.0, 100.0, "trailing stop distance in average true ranges; 0 = none"),
        ParamSpec("max_hold_bars", int, hold_bars, 0, 1_000_000, "bars after which a position is closed; 0 = never"),
        ParamSpec(
            "entry_window_bars", int, 2, 1, 1_000, "bars for which a fresh setup may be entered; 2 lets a reversal in"
        ),
        _length("volatility_length", 48, "returns in the realised volatility", low=2),
        _number(
            "volatility_target", target, 0.0, 10.0, "annualised volatility that full size stands for; 0 = always full"
        ),
        _length("volume_length", 20, "bars of the average volume"),
        _number(
            "volume_ratio", volume_ratio, 0.0, 100.0, "least volume of an entry bar over the average; 0 = not asked"
        ),
        ParamSpec(
            "allow_short", kind=bool, default=True, low=0, high=1, meaning="whether short positions may be entered"
        ),
        ParamSpec("position_bps", int, 2_000, 1, 100_000, "notional of a full-size position in bps of equity"),
    )


_ADX = _length("adx_length", 14, "bars of the average directional index (Wilder)", low=2)

_SPECS = (
    FamilySpec(
        "momentum",
        Family.MOMENTUM,
        "Time-series momentum: side of the return over a look-back, confirmed by an average, at target volatility",
        (
            _length("momentum_lookback", 96, "bars over which the return is taken"),
            _length("ema_slow", 48, "span in bars of the average that the close must lie beyond", low=2),
            *_common(stop_atr=3.0, target_atr=0.0, trail_atr=0.0, hold_bars=0, target=0.6, volume_ratio=0.0),
        ),
    ),
    FamilySpec(
        "breakout",
        Family.BREAKOUT,
        "Donchian breakout: close beyond the range of the bars before it, ATR trailing stop, opposite-channel exit",
        (
            _length("channel_entry", 48, "earlier bars whose range must be broken to enter"),
            _length("channel_exit", 24, "earlier bars whose opposite extreme, broken, closes the position"),
            *_common(stop_atr=2.5, target_atr=0.0, trail_atr=3.5, hold_bars=0, target=0.0, volume_ratio=1.0),
        ),
    ),
    FamilySpec(
        "reversion",
        Family.REVERSION,
        "Mean reversion in quiet regimes: RSI and Bollinger extremes while ADX is low, out at the middle band",
        (
            _length("rsi_length", 14, "bars of the relative strength index (Wilder)", low=2),
            _number("rsi_low", 30.0, 0.0, 100.0, "long entries need an RSI below this"),
            _number("rsi_high", 70.0, 0.0, 100.0, "short entries need an RSI above this"),
            _length("bollinger_length", 20, "bars of the Bollinger bands", low=2),
            _number("bollinger_width", 2.0, 0.1, 10.0, "standard deviations from middle to outer band"),
            _ADX,
            _number("adx_threshold", 25.0, 0.0, 100.0, "entries need an ADX below this"),
            *_common(stop_atr=2.5, target_atr=0.0, trail_atr=0.0, hold_bars=24, target=0.0, volume_ratio=0.0),
        ),
    ),
    FamilySpec(
        "ema_trend",
        Family.EMA_TREND,
        "Trend by two averages: side of fast over slow while ADX shows a trend, with stop, target and trailing stop",
        (
            _length("ema_fast", 12, "span in bars of the fast average", low=2),
            _length("ema_slow", 48, "span in bars of the slow average", low=2),
            _ADX,
            _number("adx_threshold", 20.0, 0.0, 100.0, "entries need an ADX of at least this"),
            *_common(stop_atr=2.0, target_atr=6.0, trail_atr=3.0, hold_bars=0, target=0.0, volume_ratio=0.0),
        ),
    ),
)

FAMILIES: Mapping[str, FamilySpec] = MappingProxyType({spec.name: spec for spec in _SPECS})
"""Family name -> its parameters."""
