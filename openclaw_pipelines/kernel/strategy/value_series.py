"""Every indicator value and signal of one symbol, bar by bar, as bias analysis compares them."""

from typing import Any

from numba import njit
from numpy.typing import NDArray

from openclaw_pipelines.kernel.base import slots
from openclaw_pipelines.kernel.strategy.indicator_rows import observe
from openclaw_pipelines.kernel.strategy.signals import signal

DECISIONS = ("setup", "entry", "exit_long", "exit_short")
"""Columns of `decided`."""
DISTANCES = ("confidence", "stop", "target", "trail", "size")
"""Columns of `values` after those of the slots."""


@njit(cache=True, error_model="numpy")
def write_series(
    row: NDArray[Any], params: NDArray[Any], ohlc: NDArray[Any], volume: NDArray[Any], slot_numbers: NDArray[Any],
    values: NDArray[Any], decided: NDArray[Any],
) -> None:  # fmt: skip
    """Fold the bars `ohlc` [4, T] and `volume` [T] into the indicator row and write what it says after each.

    values: float64 [T, slots and DISTANCES]. decided: int64 [T, DECISIONS]: the entry while flat, the exits while
    holding either side for no time, so that they depend on the bars alone.
    """
    for t in range(len(volume)):
        observe(row, params[0], ohlc[0, t], ohlc[1, t], ohlc[2, t], ohlc[3, t], volume[t])
        for i in range(len(slot_numbers)):
            values[t, i] = row[slot_numbers[i]]
        flat = signal(row, params[0], 0, 0)
        n = len(slot_numbers)
        values[t, n] = flat.confidence
        values[t, n + 1] = flat.stop
        values[t, n + 2] = flat.target
        values[t, n + 3] = flat.trail
        values[t, n + 4] = flat.size
        decided[t, 0] = int(row[slots.SETUP])
        decided[t, 1] = flat.entry
        decided[t, 2] = signal(row, params[0], 1, 0).exit
        decided[t, 3] = signal(row, params[0], -1, 0).exit
