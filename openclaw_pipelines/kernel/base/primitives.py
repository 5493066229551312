"""Arithmetic that gives the same bits on CPU and GPU: the only door to products that feed sums, min, max and int().

`mul` is plain here; a CUDA build swaps in `libdevice.dmul_rn`, because nvvm would contract `a + b * c` into one
rounding. Everything is `inline="always"`, so that the flattened kernel compiles to PTX. Windows and recurrences belong
to `windows` and `indicators`, integer money to the modules that settle.
"""

from numba import njit


@njit(inline="always", cache=True, error_model="numpy")
def mul(a: float, b: float) -> float:
    """The product, rounded on its own. Use it for every product that feeds an addition or subtraction.

    >>> mul(0.5, 3.0)
    1.5
    """
    return a * b


@njit(inline="always", cache=True, error_model="numpy")
def div(a: float, b: float) -> float:
    """The quotient, or 0.0 where the denominator is zero or NaN. A NaN numerator stays NaN and fails every comparison.

    >>> div(1.0, 4.0), div(1.0, 0.0), div(1.0, float("nan"))
    (0.25, 0.0, 0.0)
    """
    quotient = 0.0
    if b > 0.0 or b < 0.0:
        quotient = a / b
    return quotient


@njit(inline="always", cache=True, error_model="numpy")
def fmin(a: float, b: float) -> float:
    """The lesser number; a NaN loses, whichever side it stands on; of equals the first.

    >>> fmin(2.0, 1.0), fmin(float("nan"), 1.0), fmin(1.0, float("nan"))
    (1.0, 1.0, 1.0)
    """
    least = a
    if b < a or a != a:  # only NaN differs from itself
        least = b
    return least


@njit(inline="always", cache=True, error_model="numpy")
def fmax(a: float, b: float) -> float:
    """The greater number; a NaN loses, whichever side it stands on; of equals the first.

    >>> fmax(2.0, 1.0), fmax(float("nan"), 1.0), fmax(1.0, float("nan"))
    (2.0, 1.0, 1.0)
    """
    greatest = a
    if b > a or a != a:  # only NaN differs from itself
        greatest = b
    return greatest


@njit(inline="always", cache=True, error_model="numpy")
def to_int(x: float, lo: int, hi: int) -> int:
    """Truncate toward zero, held within [lo, hi]; NaN gives `lo`. Plain `int()` of those differs between machines.

    >>> to_int(-2.9, -10, 10), to_int(1e300, -10, 10), to_int(float("nan"), -10, 10)
    (-2, 10, -10)
    """
    whole = lo
    if x >= hi:
        whole = hi
    elif x > lo:
        whole = int(x)
    return whole


@njit(inline="always", cache=True, error_model="numpy")
def sign(x: float) -> int:
    """-1, 0 or 1; NaN gives 0.

    >>> sign(-3.5), sign(0.0), sign(0.1)
    (-1, 0, 1)
    """
    side = 0
    if x > 0.0:
        side = 1
    elif x < 0.0:
        side = -1
    return side
