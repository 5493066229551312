"""Rings: fixed windows of past numbers inside a flat float64 row, read oldest to newest so that sums never drift.

A ring is `capacity` slots from `base`; `at` is the slot (0 .. capacity - 1) that the next number goes to, hence the
oldest once the ring is full. Whether enough numbers were pushed is the caller's count; nothing here looks for NaN.
What the numbers mean belongs to `indicators`.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from openclaw_pipelines.kernel.base.primitives import fmax, fmin, mul

Row = NDArray[np.float64]
"""One float64 vector."""


@njit(inline="always", cache=True, error_model="numpy")
def ring_next(at: int, capacity: int) -> int:
    """The slot after `at`, wrapping without a division.

    >>> ring_next(1, 3), ring_next(2, 3)
    (2, 0)
    """
    following = at + 1
    if following >= capacity:
        following = 0
    return following


@njit(inline="always", cache=True, error_model="numpy")
def ring_start(at: int, length: int, capacity: int) -> int:
    """The slot of the oldest of the `length` newest numbers; `length` is at most `capacity`.

    >>> ring_start(1, 3, 4)
    2
    """
    start = at - length
    if start < 0:
        start += capacity
    return start


@njit(cache=True, error_model="numpy")
def window_mean(row: Row, base: int, capacity: int, at: int, length: int) -> float:
    """Mean of the `length` newest numbers.

    >>> window_mean(np.array([5.0, 1.0, 3.0]), 0, 3, 1, 2)
    4.0
    """
    slot = ring_start(at, length, capacity)
    total = 0.0
    for _ in range(length):
        total += row[base + slot]
        slot = ring_next(slot, capacity)
    return total / length


@njit(cache=True, error_model="numpy")
def window_deviation(row: Row, base: int, capacity: int, at: int, length: int, ddof: int) -> float:
    """Standard deviation of the `length` newest numbers; divides by `length - ddof`, which must be positive.

    >>> window_deviation(np.array([5.0, 1.0, 3.0]), 0, 3, 0, 3, 1)
    2.0
    """
    mean = window_mean(row, base, capacity, at, length)
    slot = ring_start(at, length, capacity)
    total = 0.0
    for _ in range(length):
        gap = row[base + slot] - mean
        # the square must not fuse with the sum
        total += mul(gap, gap)
        slot = ring_next(slot, capacity)
    return math.sqrt(total / (length - ddof))


@njit(cache=True, error_model="numpy")
def window_max(row: Row, base: int, capacity: int, at: int, length: int) -> float:
    """Greatest of the `length` newest numbers."""
    slot = ring_start(at, length, capacity)
    greatest: float = row[base + slot]
    for _ in range(length):
        greatest = fmax(greatest, row[base + slot])
        slot = ring_next(slot, capacity)
    return greatest


@njit(cache=True, error_model="numpy")
def window_min(row: Row, base: int, capacity: int, at: int, length: int) -> float:
    """Least of the `length` newest numbers."""
    slot = ring_start(at, length, capacity)
    least: float = row[base + slot]
    for _ in range(length):
        least = fmin(least, row[base + slot])
        slot = ring_next(slot, capacity)
    return least
