"""The record of numbers that the compiled code reads for one parameter row: validated, hashed, with derived constants.

What can be set, its bounds and defaults each family says in its module of `families`.
"""

import difflib
import hashlib
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.contracts.errors import ConfigError, KernelError
from openclaw_pipelines.kernel.base.layout import Records
from openclaw_pipelines.kernel.strategy.families import FAMILIES
from openclaw_pipelines.kernel.strategy.family import FamilySpec, ParamSpec

SECONDS_PER_YEAR = 365 * 86_400
"""Crypto trades every day of the year."""

# Multiples of an indicator's length after which its seed weighs less than 2 % (e**-4) in its value.
EMA_SETTLES = 3
WILDER_SETTLES = 5
ADX_SETTLES = 6


class UnknownFamilyError(ConfigError):
    """A strategy names a family that the kernel does not have."""

    template = "Unknown strategy family {family!r}. Nearest known: {nearest!r}. Known families: {known}."
    family: str
    nearest: str
    known: str


class UnknownFamilyNumberError(KernelError):
    """A parameter record with the number of no family."""

    template = "no strategy family has the number {number}. Known: {known}. Make parameter records by `params_record`."
    number: int
    known: str


class UnknownParameterError(ConfigError):
    """A parameter that the family does not have."""

    template = "Family {family!r} has no parameter {name!r}. Nearest known: {nearest!r}. Remove or rename it."
    family: str
    name: str
    nearest: str


class ParameterTypeError(ConfigError):
    """A parameter of the wrong type, or not a finite number."""

    template = "{family}.{name} must be a {kind}, got {value!r}. Correct its value."
    family: str
    name: str
    kind: str
    value: object


class ParameterRangeError(ConfigError):
    """A parameter outside its bounds."""

    template = "{family}.{name} is {value!r}, outside {low} .. {high}. Choose a value within the bounds."
    family: str
    name: str
    value: object
    low: float
    high: float


class ParameterConflictError(ConfigError):
    """Two parameters that contradict each other."""

    template = "{family}.{lesser} is {lesser_value!r} but must be {relation} {greater}, which is {greater_value!r}."
    family: str
    lesser: str
    lesser_value: object
    relation: str
    greater: str
    greater_value: object


_SETTABLE = tuple(
    dict.fromkeys((p.name, float if p.kind is float else int) for s in FAMILIES.values() for p in s.parameters)
)
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
`annual_factor` is sqrt(bars_per_year), `*_ring` are ring capacities in bars (0 = unused), `ready_bars` is the bar
count from which every indicator is defined, `warmup_bars` the one from which entries are allowed."""


def params_record(family: str, values: Mapping[str, object], interval_seconds: int) -> np.record:
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
    record.family = spec.number
    for parameter in spec.parameters:
        record[parameter.name] = _checked(family, parameter, values.get(parameter.name, parameter.default))
    _refuse_conflicts(spec, record)
    _derive(record, SECONDS_PER_YEAR / interval_seconds)
    return record  # type: ignore[no-any-return]


def planned_params(interval_seconds: int, *, max_hold_bars: int = 0, allow_short: bool = True) -> np.record:
    """The record of signals from outside the kernel: of no family, with what binds them all the same.

    max_hold_bars: bars after which a position is closed, 0 never. allow_short: whether a short signal counts.

    >>> record = planned_params(3_600, max_hold_bars=24)
    >>> int(record.family), int(record.max_hold_bars), int(record.allow_short)
    (0, 24, 1)
    """
    record = np.zeros(1, PARAMS)[0]
    record.bars_per_year = SECONDS_PER_YEAR / interval_seconds
    record.max_hold_bars, record.allow_short = max_hold_bars, int(allow_short)
    return record  # type: ignore[no-any-return]


def stack_params(records: Iterable[np.record]) -> NDArray[np.void]:
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
    spec = family_of(record)
    lines = [f"family={spec.name}", f"bars_per_year={_canonical(record['bars_per_year'])}"]
    lines += [f"{key}={_canonical(record[key])}" for key in sorted(spec.names)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def params_values(record: np.record) -> dict[str, int | float | bool]:
    """The family's parameters as plain values: what `params_record` would take to give this record again."""
    return {p.name: p.kind(record[p.name]) for p in family_of(record).parameters}


def family_of(record: np.record) -> FamilySpec:
    """The family of a record.

    Raises:
        UnknownFamilyNumberError: its number is that of none.
    """
    for spec in FAMILIES.values():
        if spec.number == record["family"]:
            return spec
    known = ", ".join(f"{spec.number} ({name})" for name, spec in FAMILIES.items())
    raise UnknownFamilyNumberError(int(record["family"]), known)


def warmup_bars(record: np.record) -> int:
    """Bars after which every indicator of the family is settled; before that no entry is signalled.

    Windows settle when full. Exponential averages are seeded with a plain mean and count as settled when that seed
    weighs less than 2 % (e**-4): 3 spans for an EMA, 5 lengths for Wilder's ATR and RSI, 6 for ADX, which smooths
    twice.
    """
    return int(record.warmup_bars)


def _family(family: str) -> FamilySpec:
    if family not in FAMILIES:
        raise UnknownFamilyError(family, _nearest(family, FAMILIES), ", ".join(FAMILIES))
    return FAMILIES[family]


def _refuse_unknown(spec: FamilySpec, values: Mapping[str, object]) -> None:
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
    for own in spec.relations:
        low, high = record[own.lesser].item(), record[own.greater].item()
        if low > high or (low == high and own.relation == "below"):
            raise ParameterConflictError(spec.name, own.lesser, low, own.relation, own.greater, high)


def _derive(record: Records, bars_per_year: float) -> None:
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


def _canonical(number: np.generic) -> str:
    """Exact text of a record's number; -0.0 reads as 0.0."""
    value = number.item()
    return (value + 0.0).hex() if isinstance(value, float) else str(value)
