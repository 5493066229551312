"""What a strategy computes at each bar, as a frame: the shape that bias analysis compares.

A `Strategy` is any callable `(Bars) -> frame` with `bar_at` (open of the bar, UTC), `symbol` and one column per value
known at that bar's close. Floats are indicators; whole numbers, booleans and texts are decisions. `family_strategy`
makes one of a kernel family. Comparing is in `lookahead` and `warmup`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from openclaw_pipelines.contracts.errors import DataError
from openclaw_pipelines.kernel.base import slots
from openclaw_pipelines.kernel.base.layout import BarState
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.strategy.indicator_rows import new_indicators
from openclaw_pipelines.kernel.strategy.params import stack_params
from openclaw_pipelines.kernel.strategy.value_series import DECISIONS, DISTANCES, write_series

Strategy = Callable[[Bars], pl.DataFrame]
KEYS = ("bar_at", "symbol")
_PLACES = ("CLOSE_AT", "RANGE_AT", "RETURN_AT", "VOLUME_AT", "SLOTS")
_NO_VALUES = {"SEEN", "SETUP", "SETUP_AGE", *_PLACES}
SLOT_NAMES = tuple(
    (name.lower(), place) for name, place in vars(slots).items() if name.isupper() and name not in _NO_VALUES
)
"""Indicator slots that hold a value, not a count of bars or a place in a ring."""
_MISSING = int(BarState.MISSING)


class StrategyFrameError(DataError):
    """A strategy's frame that cannot be compared."""

    template = "the strategy's frame {why}. Give bar_at, symbol and one row per bar and symbol it has values for."
    why: str


def checked(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame in order of time and symbol.

    Raises:
        StrategyFrameError: a key is missing or stands twice, or there is nothing beside the keys.
    """
    missing = [name for name in KEYS if name not in frame.columns]
    if missing or len(frame.columns) <= len(KEYS):
        raise StrategyFrameError(f"has the columns {frame.columns}")
    if frame.select(KEYS).is_duplicated().any():
        raise StrategyFrameError("has two rows for one bar and symbol")
    return frame.sort(KEYS)


def value_columns(frame: pl.DataFrame) -> list[str]:
    """Columns beside the keys."""
    return [name for name in frame.columns if name not in KEYS]


def bar_times(bars: Bars) -> pl.Series:
    """Opens of the bars as UTC datetimes [T]."""
    return pl.Series("bar_at", bars.times * 1_000_000).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def family_strategy(params: np.record) -> Strategy:
    """Every indicator value and signal of one parameter record, through the kernel's own `observe` and `signal`.

    Signals are those while flat (`entry`) and while holding either side for no time (`exit_long`, `exit_short`), so
    that they depend on the bars alone. Rows are only those of bars that are not missing.
    """
    stacked = stack_params([params])

    def strategy(bars: Bars) -> pl.DataFrame:
        rows = new_indicators(len(bars.symbols), stacked[0])
        frames = [_column_frame(bars, column, rows[column], stacked) for column in range(len(bars.symbols))]
        return pl.concat(frames)

    return strategy


def _column_frame(bars: Bars, column: int, row: NDArray[np.float64], params: NDArray[Any]) -> pl.DataFrame:
    present = bars.matrices.bar_state[:, column] != _MISSING
    ohlc = np.stack([getattr(bars.matrices, name)[present, column] for name in ("open", "high", "low", "close")])
    volume = bars.matrices.volume[present, column].copy()
    slot_numbers = np.array([value for _, value in SLOT_NAMES], np.int64)
    values = np.zeros((int(present.sum()), len(SLOT_NAMES) + len(DISTANCES)))
    decided = np.zeros((len(values), len(DECISIONS)), np.int64)
    write_series(row, params, ohlc.astype(np.float64), volume, slot_numbers, values, decided)
    names = [name for name, _ in SLOT_NAMES] + list(DISTANCES)
    frame = {"bar_at": bar_times(bars).filter(pl.Series(present)), "symbol": [bars.symbols[column]] * len(values)}
    frame |= {name: values[:, i] for i, name in enumerate(names)}
    return pl.DataFrame(frame | {name: decided[:, i] for i, name in enumerate(DECISIONS)})
