"""Windows over every bar of a tile at once, equal to the bit to the one-bar windows of `windows`.

A sum must add oldest to newest, so the loop over the window is the outer one and the loop over the bars the inner one:
each bar's sum keeps its order while the vector units work on several bars. Extremes are exact in any order and are
found by doubling. All arguments: `values` [N] is written; the tile's bars stand in `source` from `history` on, with
at least `length` slots before them.
"""

import math

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.kernel.base.jit import streamed
from openclaw_pipelines.kernel.base.primitives import mul

Column = NDArray[np.float64]


@streamed
def mean_ending_at(values: Column, source: Column, history: int, count: int, length: int) -> None:
    """Mean of the `length` bars that end with each bar.

    >>> values = np.zeros(2)
    >>> mean_ending_at(values, np.array([0.0, 1.0, 3.0, 8.0]), 2, 2, 2)
    >>> values.tolist()
    [2.0, 5.5]
    """
    for i in range(count):
        values[i] = 0.0
    for k in range(length):
        first = history - length + 1 + k
        for i in range(count):
            values[i] += source[first + i]
    for i in range(count):
        values[i] = values[i] / length


@streamed
def deviation_ending_at(
    values: Column, source: Column, history: int, count: int, length: int, ddof: int, scratch: Column
) -> None:
    """Standard deviation of the `length` bars that end with each bar; divides by `length - ddof`."""
    mean_ending_at(scratch, source, history, count, length)
    for i in range(count):
        values[i] = 0.0
    for k in range(length):
        first = history - length + 1 + k
        for i in range(count):
            gap = source[first + i] - scratch[i]
            values[i] += mul(gap, gap)
    for i in range(count):
        values[i] = math.sqrt(values[i] / (length - ddof))


@streamed
def extreme_before(
    values: Column, source: Column, sign: float, history: int, count: int, length: int, scratch: Column
) -> None:
    """Greatest of the `length` bars before each bar, or with sign -1 the least. Negating a float is exact.

    >>> values = np.zeros(2)
    >>> extreme_before(values, np.array([3.0, 5.0, 1.0, 9.0]), 1.0, 2, 2, 2, np.zeros(4))
    >>> values.tolist()
    [5.0, 5.0]
    >>> extreme_before(values, np.array([3.0, 5.0, 1.0, 9.0]), -1.0, 2, 2, 2, np.zeros(4))
    >>> values.tolist()
    [3.0, 1.0]
    """
    first = history - length
    reach = length + count - 1
    for i in range(reach):
        scratch[i] = mul(sign, source[first + i])
    span = 1
    while 2 * span <= length:
        reach -= span
        for i in range(reach):
            scratch[i] = max(scratch[i], scratch[i + span])
        span *= 2
    rest = length - span
    for i in range(count):
        values[i] = mul(sign, max(scratch[i], scratch[i + rest]))
