"""The bits of a flag, and how they are made of truth values: what the loops over a tile's bars are written with.

Those run over slices from 0 on and choose between bytes: written so, and only so, are they vectorized.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.kernel.base.jit import inlined
from openclaw_pipelines.kernel.base.layout import ENTER_LONG, ENTER_SHORT, LEAVE_LONG, LEAVE_SHORT

Flags = NDArray[np.uint8]
Columns = NDArray[np.float64]
Map = NDArray[np.int32]


@inlined
def part(columns: Columns, column: int, s: int, first: int, n: int) -> Any:
    """The bars [first, n) of a column, from 0 on."""
    return columns[column, s][first:n]


@inlined
def entering(long: bool, short: bool) -> Any:  # noqa: FBT001 - compiled positional call
    """Bit of the side that would be entered; where both would, the long one's."""
    return _byte(ENTER_LONG, long) | _byte(ENTER_SHORT, short & (not long))


@inlined
def leaving(long: bool, short: bool) -> Any:  # noqa: FBT001 - as above
    """Bits of the sides that are to be left."""
    return _byte(LEAVE_LONG, long) | _byte(LEAVE_SHORT, short)


@inlined
def _byte(bit: int, holds: bool) -> Any:  # noqa: FBT001 - as above
    return np.uint8(bit) if holds else np.uint8(0)
