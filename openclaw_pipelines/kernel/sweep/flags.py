"""What each bar signals to one parameter row, as bytes: a fresh setup to enter, a reason to leave.

Flags only say where to look. Whatever they mark is decided by `signals.signal` on the gathered values, as in a replay;
what they leave out is what that function would answer with no entry and no exit. The family's own rules are asked by
`dispatch`, the same ones that a row is judged by.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.kernel.base import slots
from openclaw_pipelines.kernel.base.jit import compiled, streamed
from openclaw_pipelines.kernel.base.layout import ENTER_LONG, ENTER_SHORT, BarState
from openclaw_pipelines.kernel.base.primitives import mul
from openclaw_pipelines.kernel.base.windows import Row
from openclaw_pipelines.kernel.sweep.bits import Columns, Flags, Map
from openclaw_pipelines.kernel.sweep.dispatch import mark

ENTER, BLOCK = ENTER_LONG | ENTER_SHORT, 32
_MISSING = int(BarState.MISSING)
_VOLUME, _ATR, _MEAN_VOLUME = slots.VOLUME, slots.ATR, slots.MEAN_VOLUME


class Setups(NamedTuple):
    """The setup of each row and symbol at the last bar, carried from tile to tile. [R, S]."""

    side: NDArray[np.int64]
    since: NDArray[np.int64]
    """Bars observed when the setup last changed; its age is counted from there."""


@streamed
def mark_flags(
    flags: Flags, sides: Flags, columns: Columns, row_map: Map, params: Any,
    bar_state: NDArray[np.int8], seen: NDArray[np.int64], s: int, setups: Setups, r: int,
) -> None:  # fmt: skip
    """Write the flags [N] of symbol `s` for parameter row `r`; `sides` [N] is scratch."""
    n = seen.shape[1]
    ready, warm = _first_at(seen, s, params.ready_bars), _first_at(seen, s, params.warmup_bars)
    flags[:ready] = 0
    sides[:ready] = 0
    mark(flags[ready:n], sides[ready:n], columns, row_map, params, s, ready, n)
    flags[ready:warm] = 0
    _mark_fresh(flags[:n], sides[:n], columns, row_map, params, bar_state, seen, s, setups, r, warm)


@streamed
def _first_at(seen: NDArray[np.int64], s: int, least: int) -> int:
    """First bar at which `least` bars were observed; N where there is none."""
    low, high = 0, seen.shape[1]
    while low < high:
        middle = (low + high) // 2
        if seen[s, middle] >= least:
            high = middle
        else:
            low = middle + 1
    return low


@streamed
def _mark_fresh(
    flags: NDArray[np.uint8], sides: NDArray[np.uint8], columns: Columns, row_map: Map,
    params: Any, bar_state: NDArray[np.int8], seen: NDArray[np.int64], s: int, setups: Setups, r: int, warm: int,
) -> None:  # fmt: skip
    """Mark entries during the first `entry_window_bars` observed bars of each setup, and carry the last setup on."""
    n, side, since = len(flags), setups.side[r, s], setups.since[r, s]
    start = 0
    while start < n:
        end = _next_change(sides, start, side)
        if side != 0:
            _mark_run(flags, columns, row_map, params, bar_state, seen, s, side, since, start, end, warm)
        if end < n:
            side, since = int(sides[end]), seen[s, end]
            # the changed bar opens the next run
        start = end
    setups.side[r, s], setups.since[r, s] = side, since


@streamed
def _next_change(sides: NDArray[np.uint8], start: int, side: int) -> int:
    """First bar from `start` on whose side is another; N where there is none."""
    t, n, same = start, len(sides), np.uint8(side)
    while t + BLOCK <= n:
        other, block = np.uint8(0), sides[t : t + BLOCK]
        for i in range(BLOCK):
            other |= block[i] ^ same
        if other != 0:
            break
        t += BLOCK
    while t < n and sides[t] == side:
        t += 1
    return t


@streamed
def _mark_run(
    flags: NDArray[np.uint8], columns: Columns, row_map: Map, params: Any,
    bar_state: NDArray[np.int8], seen: NDArray[np.int64], s: int, side: int, since: int, start: int, end: int,
    warm: int,
) -> None:  # fmt: skip
    if side == ENTER_SHORT and params.allow_short == 0:
        return
    t = start
    while t < end and seen[s, t] - since < params.entry_window_bars:
        if t >= warm and bar_state[s, t] != _MISSING and _tradable_setup(columns, row_map, params, s, t):
            flags[t] |= side
        t += 1


@streamed
def _tradable_setup(columns: Columns, row_map: Map, params: Any, s: int, t: int) -> bool:
    """A range to hang a stop on and enough volume, as `signals` asks for."""
    if not columns[row_map[_ATR], s, t] > 0.0:
        return False
    if params.volume_ring > 0:
        enough = mul(params.volume_ratio, columns[row_map[_MEAN_VOLUME], s, t])
        return not columns[row_map[_VOLUME], s, t] < enough
    return True


@compiled
def gather(row: Row, columns: Columns, row_map: Map, s: int, t: int, seen: int) -> None:
    """Put the column values of symbol `s` at bar `t` into an indicator row, in the slots that `signal` reads."""
    for slot in range(slots.SLOTS):
        if row_map[slot] >= 0:
            row[slot] = columns[row_map[slot], s, t]
    row[slots.SEEN] = seen


@compiled
def gather_setup(row: Row, flag: int, fresh_window: int) -> None:
    """Put the setup into an indicator row: fresh where the bar is flagged for entry, else none.

    An unflagged setup is one that must not be entered, whatever its age and side.
    """
    row[slots.SETUP] = 0.0
    row[slots.SETUP_AGE] = fresh_window
    if flag & ENTER_LONG:
        row[slots.SETUP] = 1.0
        row[slots.SETUP_AGE] = 0.0
    elif flag & ENTER_SHORT:
        row[slots.SETUP] = -1.0
        row[slots.SETUP_AGE] = 0.0
