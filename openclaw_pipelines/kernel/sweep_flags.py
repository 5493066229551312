"""What each bar signals to one parameter row, as bytes: a fresh setup to enter, a reason to leave.

Flags only say where to look. Whatever they mark is decided by `signals.signal` on the gathered values, as in a replay;
what they leave out is what that function would answer with no entry and no exit. The rules of the loops below are
those of `setups` and `signals`, side by side over the bars of a tile, and tests hold the two together.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.kernel import slots
from openclaw_pipelines.kernel.jit import compiled
from openclaw_pipelines.kernel.layout import BarState
from openclaw_pipelines.kernel.primitives import mul
from openclaw_pipelines.kernel.sweep_columns import RSI_SLOT
from openclaw_pipelines.kernel.windows import Row

ENTER_LONG, ENTER_SHORT, LEAVE_LONG, LEAVE_SHORT = 1, 2, 4, 8
"""Bits of a flag."""
ENTER, BLOCK = ENTER_LONG | ENTER_SHORT, 64
_MISSING = int(BarState.MISSING)
_CLOSE, _VOLUME, _ATR, _ADX = slots.CLOSE, slots.VOLUME, slots.ATR, slots.ADX
_FAST, _SLOW, _PAST = slots.EMA_FAST, slots.EMA_SLOW, slots.PAST_CLOSE
_MIDDLE, _DEVIATION = slots.BAND_MIDDLE, slots.BAND_DEVIATION
_ENTRY_HIGH, _ENTRY_LOW, _EXIT_HIGH, _EXIT_LOW = slots.ENTRY_HIGH, slots.ENTRY_LOW, slots.EXIT_HIGH, slots.EXIT_LOW
_MEAN_VOLUME = slots.MEAN_VOLUME


class Setups(NamedTuple):
    """The setup of each row and symbol at the last bar, carried from tile to tile. [R, S]"""

    side: NDArray[np.int64]
    since: NDArray[np.int64]
    """Bars observed when the setup last changed; its age is counted from there."""


@compiled
def mark_flags(
    flags: NDArray[np.uint8], sides: NDArray[np.uint8], columns: NDArray[np.float64], row_map: NDArray[np.int32],
    params: Any, bar_state: NDArray[np.int8], seen: NDArray[np.int64], s: int, setups: Setups, r: int,
) -> None:  # fmt: skip
    """Write the flags [N] of symbol `s` for parameter row `r`; `sides` [N] is scratch."""
    n = len(flags)
    ready, warm = _first_at(seen, s, params.ready_bars), _first_at(seen, s, params.warmup_bars)
    for t in range(ready):
        sides[t] = 0
    if params.family == slots.MOMENTUM:
        _momentum(flags, sides, columns, row_map, s, ready)
    elif params.family == slots.BREAKOUT:
        _breakout(flags, sides, columns, row_map, s, ready)
    elif params.family == slots.REVERSION:
        _reversion(flags, sides, columns, row_map, s, ready, params)
    else:
        _ema_trend(flags, sides, columns, row_map, s, ready, params)
    for t in range(min(warm, n)):
        flags[t] = 0
    _mark_fresh(flags, sides, columns, row_map, params, bar_state, seen, s, setups, r, warm)


@compiled
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


@compiled
def _momentum(
    flags: NDArray[np.uint8], sides: NDArray[np.uint8], columns: NDArray[np.float64], row_map: NDArray[np.int32],
    s: int, ready: int,
) -> None:  # fmt: skip
    close, past, slow = columns[row_map[_CLOSE], s], columns[row_map[_PAST], s], columns[row_map[_SLOW], s]
    for t in range(ready, len(flags)):
        rose, fell = close[t] > past[t], close[t] < past[t]
        above, below = close[t] > slow[t], close[t] < slow[t]
        sides[t] = ENTER_LONG * (rose & above) + ENTER_SHORT * (fell & below)
        flags[t] = LEAVE_LONG * fell + LEAVE_SHORT * rose


@compiled
def _breakout(
    flags: NDArray[np.uint8], sides: NDArray[np.uint8], columns: NDArray[np.float64], row_map: NDArray[np.int32],
    s: int, ready: int,
) -> None:  # fmt: skip
    close = columns[row_map[_CLOSE], s]
    entry_high, entry_low = columns[row_map[_ENTRY_HIGH], s], columns[row_map[_ENTRY_LOW], s]
    exit_high, exit_low = columns[row_map[_EXIT_HIGH], s], columns[row_map[_EXIT_LOW], s]
    for t in range(ready, len(flags)):
        sides[t] = ENTER_LONG * (close[t] > entry_high[t]) + ENTER_SHORT * (close[t] < entry_low[t])
        flags[t] = LEAVE_LONG * (close[t] < exit_low[t]) + LEAVE_SHORT * (close[t] > exit_high[t])


@compiled
def _reversion(
    flags: NDArray[np.uint8], sides: NDArray[np.uint8], columns: NDArray[np.float64], row_map: NDArray[np.int32],
    s: int, ready: int, params: Any,
) -> None:  # fmt: skip
    close, middle = columns[row_map[_CLOSE], s], columns[row_map[_MIDDLE], s]
    deviation, rsi, adx = columns[row_map[_DEVIATION], s], columns[row_map[RSI_SLOT], s], columns[row_map[_ADX], s]
    width, low, high, quiet = params.bollinger_width, params.rsi_low, params.rsi_high, params.adx_threshold
    for t in range(ready, len(flags)):
        reach = mul(width, deviation[t])
        under = (close[t] < middle[t] - reach) & (rsi[t] < low) & (adx[t] < quiet)
        over = (close[t] > middle[t] + reach) & (rsi[t] > high) & (adx[t] < quiet)
        sides[t] = ENTER_LONG * under + ENTER_SHORT * over
        flags[t] = LEAVE_LONG * (close[t] >= middle[t]) + LEAVE_SHORT * (close[t] <= middle[t])


@compiled
def _ema_trend(
    flags: NDArray[np.uint8], sides: NDArray[np.uint8], columns: NDArray[np.float64], row_map: NDArray[np.int32],
    s: int, ready: int, params: Any,
) -> None:  # fmt: skip
    fast, slow, adx = columns[row_map[_FAST], s], columns[row_map[_SLOW], s], columns[row_map[_ADX], s]
    threshold = params.adx_threshold
    for t in range(ready, len(flags)):
        above, below = fast[t] > slow[t], fast[t] < slow[t]
        trends = adx[t] >= threshold
        sides[t] = ENTER_LONG * (above & trends) + ENTER_SHORT * (below & trends)
        flags[t] = LEAVE_LONG * below + LEAVE_SHORT * above


@compiled
def _mark_fresh(
    flags: NDArray[np.uint8], sides: NDArray[np.uint8], columns: NDArray[np.float64], row_map: NDArray[np.int32],
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


@compiled
def _next_change(sides: NDArray[np.uint8], start: int, side: int) -> int:
    """First bar from `start` on whose side is another; N where there is none."""
    t, n, same = start, len(sides), np.uint8(side)
    while t + BLOCK <= n:
        other = np.uint8(0)
        for i in range(t, t + BLOCK):
            other |= sides[i] ^ same
        if other != 0:
            break
        t += BLOCK
    while t < n and sides[t] == side:
        t += 1
    return t


@compiled
def _mark_run(
    flags: NDArray[np.uint8], columns: NDArray[np.float64], row_map: NDArray[np.int32], params: Any,
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


@compiled
def _tradable_setup(
    columns: NDArray[np.float64], row_map: NDArray[np.int32], params: Any, s: int, t: int
) -> bool:
    """A range to hang a stop on and enough volume, as `signals` asks for."""
    if not columns[row_map[_ATR], s, t] > 0.0:
        return False
    if params.volume_ring > 0:
        enough = mul(params.volume_ratio, columns[row_map[_MEAN_VOLUME], s, t])
        return not columns[row_map[_VOLUME], s, t] < enough
    return True


@compiled
def gather(row: Row, columns: NDArray[np.float64], row_map: NDArray[np.int32], s: int, t: int, seen: int) -> None:
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
