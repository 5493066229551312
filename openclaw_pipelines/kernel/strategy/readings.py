"""Numbers of an indicator row by name: what the rules of a family may ask for, and what its decisions show.

A reading is computed where the family has the parameter that it is made with, and only there: bar by bar into a row by
`indicator_rows`, as a column of many bars by the sweep's `columns`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from openclaw_pipelines.kernel.base import slots
from openclaw_pipelines.kernel.base.windows import Row
from openclaw_pipelines.kernel.strategy.indicators import directional_index, rsi_value


@dataclass(frozen=True)
class Reading:
    """One number.

    parameter: the length in bars that it is made with; empty where every row has it. It is defined from `times` of its
    lengths and `more` bars on. value: from a row and its parameters; None where it is the slot of the same name.
    """

    parameter: str = ""
    times: int = 1
    more: int = 0
    value: Callable[[Row, np.record], float] | None = None

    def ready_bars(self, params: np.record) -> int:
        """Bars from which on it is defined."""
        return self.more + (self.times * int(params[self.parameter]) if self.parameter else 0)


def _rsi(row: Row, _params: np.record) -> float:
    return float(rsi_value(row[slots.MEAN_GAIN], row[slots.MEAN_LOSS]))


def _plus_di(row: Row, _params: np.record) -> float:
    return float(directional_index(row[slots.PLUS_DM], row[slots.DM_RANGE]))


def _minus_di(row: Row, _params: np.record) -> float:
    return float(directional_index(row[slots.MINUS_DM], row[slots.DM_RANGE]))


def _band_lower(row: Row, params: np.record) -> float:
    return float(row[slots.BAND_MIDDLE] - params.bollinger_width * row[slots.BAND_DEVIATION])


def _band_upper(row: Row, params: np.record) -> float:
    return float(row[slots.BAND_MIDDLE] + params.bollinger_width * row[slots.BAND_DEVIATION])


ASKED: Mapping[str, Reading] = MappingProxyType({
    "close": Reading(more=1),
    "volume": Reading(more=1),
    "atr": Reading("atr_length", more=1),
    "past_close": Reading("momentum_lookback", more=1),
    "ema_fast": Reading("ema_fast"),
    "ema_slow": Reading("ema_slow"),
    "entry_high": Reading("channel_entry", more=1),
    "entry_low": Reading("channel_entry", more=1),
    "exit_high": Reading("channel_exit", more=1),
    "exit_low": Reading("channel_exit", more=1),
    "band_middle": Reading("bollinger_length"),
    "band_deviation": Reading("bollinger_length"),
    "rsi": Reading("rsi_length", more=1, value=_rsi),
    "adx": Reading("adx_length", times=2),
})  # fmt: skip
"""What a rule may name as an argument. A name that is both a reading and the length it is made with is the reading."""

READINGS: Mapping[str, Reading] = MappingProxyType({
    **ASKED,
    "band_lower": Reading("bollinger_length", value=_band_lower),
    "band_upper": Reading("bollinger_length", value=_band_upper),
    "plus_di": Reading("adx_length", more=1, value=_plus_di),
    "minus_di": Reading("adx_length", more=1, value=_minus_di),
})  # fmt: skip
"""What a decision may show: these too, of which a sweep has no column."""


def reading(name: str, row: Row, params: np.record) -> tuple[int, float]:
    """Bars from which on a reading is defined, and its value."""
    own = READINGS[name]
    value = row[getattr(slots, name.upper())] if own.value is None else own.value(row, params)
    return own.ready_bars(params), float(value)
