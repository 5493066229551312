"""Day-end equities and their returns, the common currency of every statistic here.

Equity is integer atoms; returns are plain shares of one (float64), because they are statistics and never money again.
"""

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.contracts.errors import DataError
from openclaw_pipelines.kernel.base.money import Atoms
from openclaw_pipelines.kernel.run.result import Result

DAY_SECONDS = 86_400

Floats = NDArray[np.float64]


class EquityShapeError(DataError):
    """Day-end equities that are not integers of shape [D] or [R, D]."""

    template = "day-end equities are {dtype} of shape {shape}. Give int64 atoms, one column per UTC day."
    dtype: str
    shape: tuple[int, ...]


def day_end_equity(result: Result) -> Atoms:
    """Equity in atoms at the last tick of each UTC day of a run, int64[D].

    The tick at 00:00 closes the day before it. A day without a tick, which only a hole in the grid could make, is not
    there.
    """
    rows = result.equity_rows
    days = (np.asarray(rows.tick_at, np.int64) - result.bars.interval_seconds) // DAY_SECONDS
    last = np.flatnonzero(np.r_[days[1:] != days[:-1], True])
    return np.asarray(rows.equity, np.int64)[last]


def daily_returns(day_equity: Atoms, capital: int) -> Floats:
    """Return of each day on the balance before it, float64 of the same shape.

    day_equity: int64[D] or [R, D] atoms. capital: atoms before the first day. A balance of zero or less has lost all
    on that day and earns nothing after it, so that a ruined row ranks last instead of being undefined.

    Raises:
        EquityShapeError: not integers, or without a day.

    >>> daily_returns(np.array([110, 99], np.int64), 100).round(12).tolist()
    [0.1, -0.1]
    >>> daily_returns(np.array([50, -5, 80], np.int64), 100).tolist()
    [-0.5, -1.0, 0.0]
    """
    equity = np.asarray(day_equity)
    if equity.dtype != np.int64 or equity.ndim not in (1, 2) or equity.shape[-1] == 0 or capital <= 0:
        raise EquityShapeError(str(equity.dtype), equity.shape)
    start = np.full((*equity.shape[:-1], 1), capital, np.int64)
    path = np.concatenate([start, equity], axis=-1).astype(np.float64)
    alive = np.logical_and.accumulate(path > 0, axis=-1)
    path = np.where(alive, path, 0.0)
    before, after = path[..., :-1], path[..., 1:]
    growth = after / np.where(before > 0, before, 1.0) - 1.0
    return np.where(before > 0, growth, 0.0)
