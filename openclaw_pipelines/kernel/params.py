"""What can be set for each strategy family, and the record of numbers that the compiled code reads.

`FAMILIES` is the single source: settings, documentation and validation are derived from it. Position limits, fees and
capital are settings of the account and belong to the risk settings, not here.
"""

import difflib
import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any

import numpy as np

from openclaw_pipelines.contracts.enums import Family
from openclaw_pipelines.contracts.errors import ConfigError

SECONDS_PER_YEAR = 365 * 86_400
"""Crypto trades every day of the year."""

LENGTH_MAX = 5_000
# Multiples of an indicator's length after which its seed weighs less than 2 % (e**-4) in its value.
EMA_SETTLES = 3
WILDER_SETTLES = 5
ADX_SETTLES = 6


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


class UnknownFamilyError(ConfigError):
    """A strategy names a family that the kernel does not have."""

    template = "Unknown strategy family {family!r}. Nearest known: {nearest!r}. Known families: {known}."
    fields = ("family", "nearest", "known")


class UnknownParameterError(ConfigError):
    """A parameter that the family does not have."""

    template = "Family {family!r} has no parameter {name!r}. Nearest known: {nearest!r}. Remove or rename it."
    fields = ("family", "name", "nearest")


class ParameterTypeError(ConfigError):
    """A parameter of the wrong type, or not a finite number."""

    template = "{family}.{name} must be a {kind}, got {value!r}. Correct its value."
    fields = ("family", "name", "kind", "value")


class ParameterRangeError(ConfigError):
    """A parameter outside its bounds."""

    template = "{family}.{name} is {value!r}, outside {low} .. {high}. Choose a value within the bounds."
    fields = ("family", "name", "value", "low", "high")


class ParameterConflictError(ConfigError):
    """Two parameters that contradict each other."""

    template = "{family}.{lesser} is {lesser_value!r} but must be {relation} {greater}, which is {greater_value!r}."
    fields = ("family", "lesser", "lesser_value", "relation", "greater", "greater_value")


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
        ParamSpec("allow_short", bool, True, 0, 1, "whether short positions may be entered"),
        ParamSpec("position_bps", int, 2_000, 1, 100_000, "notional of a full-size position in bps of equity"),
    )


_ADX = _length("adx_length", 14, "bars of the average directional index (Wilder)", low=2)

_SPECS = (
    FamilySpec(
        "momentum",
        Family.MOMENTUM,
        "Time-series momentum: side of the return over a look-back, confirmed by an average, sized to a volatility target",
        (
            _length("momentum_lookback", 96, "bars over which the return is taken"),
            _length("ema_slow", 48, "span in bars of the average that the close must lie beyond", low=2),
            *_common(stop_atr=3.0, target_atr=0.0, trail_atr=0.0, hold_bars=0, target=0.6, volume_ratio=0.0),
        ),
    ),
    FamilySpec(
        "breakout",
        Family.BREAKOUT,
        "Donchian breakout: close beyond the range of the bars before it, ATR trailing stop, exit at the opposite channel",
        (
            _length("channel_entry", 48, "earlier bars whose range must be broken to enter"),
            _length("channel_exit", 24, "earlier bars whose opposite extreme, broken, closes the position"),
            *_common(stop_atr=2.5, target_atr=0.0, trail_atr=3.5, hold_bars=0, target=0.0, volume_ratio=1.0),
        ),
    ),
    FamilySpec(
        "reversion",
        Family.REVERSION,
        "Mean reversion in quiet regimes: RSI and Bollinger extremes while ADX is low, out at the middle band or in time",
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
        "Trend by two averages: side of fast over slow while ADX shows a trend, with ATR stop, target and trailing stop",
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

_SETTABLE = tuple(dict.fromkeys((p.name, float if p.kind is float else int) for s in _SPECS for p in s.parameters))
_DERIVED = (
    ("bars_per_year", float),
    ("ema_fast_alpha", float),
    ("ema_slow_alpha", float),
    ("annual_factor", float),
    ("close_ring", int),
    ("range_ring", int),
    ("return_ring", int),
    ("volume_ring", int),
    ("ready_bars", int),
    ("warmup_bars", int),
)

PARAMS = np.dtype(
    (np.record, [("family", "<i8"), *((n, "<f8" if k is float else "<i8") for n, k in _SETTABLE + _DERIVED)])
)
"""One record per parameter row, eight bytes a field. What a family does not have is 0. `*_alpha` are 2 / (span + 1),
`annual_factor` is sqrt(bars_per_year), `*_ring` are ring capacities in bars (0 = unused), `ready_bars` is the bar count from
which every indicator is defined, `warmup_bars` the one from which entries are allowed."""


def params_record(family: str, values: Mapping[str, Any], interval_seconds: int) -> np.record:
    """Validated record of one parameter row; what `values` leaves out takes its default.

    Raises UnknownFamilyError, UnknownParameterError, ParameterTypeError, ParameterRangeError, ParameterConflictError.

    >>> record = params_record("ema_trend", {"ema_fast": 3, "ema_slow": 9}, 3_600)
    >>> int(record.ema_fast), float(record.ema_fast_alpha), float(record.bars_per_year)
    (3, 0.5, 8760.0)
    """
    spec = _family(family)
    _refuse_unknown(spec, values)
    if interval_seconds <= 0:
        raise ParameterRangeError(family, "interval_seconds", interval_seconds, 1, SECONDS_PER_YEAR)
    record = np.zeros(1, PARAMS)[0]
    record.family = int(spec.family)
    for parameter in spec.parameters:
        record[parameter.name] = _checked(family, parameter, values.get(parameter.name, parameter.default))
    _refuse_conflicts(spec, record)
    _derive(record, SECONDS_PER_YEAR / interval_seconds)
    return record  # type: ignore[no-any-return]


def stack_params(records: Iterable[np.record]) -> np.ndarray[Any, np.dtype[Any]]:
    """Records as one array of parameter rows for the compiled code, in the given order."""
    rows = list(records)
    stacked = np.zeros(len(rows), PARAMS)
    for index, record in enumerate(rows):
        stacked[index] = record
    return stacked


def params_hash(record: np.record) -> str:
    """Sha256 over what was set, as lower-case hex. Independent of the order of settings and of derived fields.

    >>> a = params_record("breakout", {"channel_entry": 20, "channel_exit": 10}, 900)
    >>> b = params_record("breakout", {"channel_exit": 10, "channel_entry": 20}, 900)
    >>> params_hash(a) == params_hash(b)
    True
    """
    name = Family(int(record.family)).name.lower()
    lines = [f"family={name}", f"bars_per_year={_canonical(record['bars_per_year'])}"]
    lines += [f"{key}={_canonical(record[key])}" for key in sorted(FAMILIES[name].names)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def params_values(record: np.record) -> dict[str, int | float | bool]:
    """The family's parameters as plain values: what `params_record` would take to give this record again."""
    spec = FAMILIES[Family(int(record.family)).name.lower()]
    return {p.name: p.kind(record[p.name]) for p in spec.parameters}


def warmup_bars(record: np.record) -> int:
    """Bars after which every indicator of the family is settled; before that no entry is signalled.

    Windows settle when full. Exponential averages are seeded with a plain mean and count as settled when that seed weighs
    less than 2 % (e**-4): 3 spans for an EMA, 5 lengths for Wilder's ATR and RSI, 6 for ADX, which smooths twice.
    """
    return int(record.warmup_bars)


def _family(family: str) -> FamilySpec:
    if family not in FAMILIES:
        raise UnknownFamilyError(family, _nearest(family, FAMILIES), ", ".join(FAMILIES))
    return FAMILIES[family]


def _refuse_unknown(spec: FamilySpec, values: Mapping[str, Any]) -> None:
    for name in values:
        if name not in spec.names:
            raise UnknownParameterError(spec.name, name, _nearest(str(name), spec.names))


def _nearest(name: str, known: Iterable[str]) -> str:
    ranked = difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)
    return ranked[0]


_KIND_NAMES = {bool: "yes or no", int: "whole number", float: "finite number"}


def _checked(family: str, spec: ParamSpec, value: object) -> int | float:
    number = _as_number(spec, value)
    if number is None:
        raise ParameterTypeError(family, spec.name, _KIND_NAMES[spec.kind], value)
    if not spec.low <= number <= spec.high:
        raise ParameterRangeError(family, spec.name, value, spec.low, spec.high)
    return number


def _as_number(spec: ParamSpec, value: object) -> int | float | None:
    """The value as the spec's kind, or None where it is of another."""
    if spec.kind is bool or isinstance(value, bool | np.bool_):
        return int(value) if spec.kind is bool and isinstance(value, bool | np.bool_) else None
    if spec.kind is int:
        return int(value) if isinstance(value, Integral) else None
    if not isinstance(value, Real | Decimal) or not math.isfinite(value):
        return None
    return float(value)


def _refuse_conflicts(spec: FamilySpec, record: np.record) -> None:
    below, at_most = "below", "at most"
    for lesser, relation, greater in (
        ("ema_fast", below, "ema_slow"),
        ("rsi_low", below, "rsi_high"),
        ("channel_exit", at_most, "channel_entry"),
    ):
        if lesser not in spec.names:
            continue
        low, high = record[lesser].item(), record[greater].item()
        if low > high or (low == high and relation == below):
            raise ParameterConflictError(spec.name, lesser, low, relation, greater, high)


def _derive(record: np.record, bars_per_year: float) -> None:
    """Constants that must come from the host, ring capacities and bar counts."""
    record.bars_per_year = bars_per_year
    record.annual_factor = math.sqrt(bars_per_year)
    record.ema_fast_alpha = 2.0 / (record.ema_fast + 1) if record.ema_fast else 0.0
    record.ema_slow_alpha = 2.0 / (record.ema_slow + 1) if record.ema_slow else 0.0
    lookback_bars = record.momentum_lookback + 1 if record.momentum_lookback else 0
    record.close_ring = max(lookback_bars, record.bollinger_length)
    record.range_ring = max(record.channel_entry, record.channel_exit)
    record.return_ring = record.volatility_length if record.volatility_target > 0.0 else 0
    record.volume_ring = record.volume_length if record.volume_ratio > 0.0 else 0
    windows = max(record.close_ring, record.range_ring + 1, record.return_ring + 1, record.volume_ring)
    record.ready_bars = max(
        windows, record.ema_fast, record.ema_slow, record.rsi_length + 1, record.atr_length + 1, 2 * record.adx_length
    )
    settled = max(
        EMA_SETTLES * record.ema_fast,
        EMA_SETTLES * record.ema_slow,
        WILDER_SETTLES * record.rsi_length,
        WILDER_SETTLES * record.atr_length,
        ADX_SETTLES * record.adx_length,
    )
    # a setup counts as fresh only if the bars before it were judged by defined indicators too
    record.warmup_bars = max(settled, record.ready_bars + record.entry_window_bars)


def _canonical(number: Any) -> str:
    """Exact text of a record's number; -0.0 reads as 0.0."""
    value = number.item()
    return (value + 0.0).hex() if isinstance(value, float) else str(value)
