"""What a strategy family wants at a closed bar: side to enter, reason to leave, distances and size.

Reads an indicator row; changes nothing. Limits, ranking and money belong to later phases of the step.

Why a family enters and leaves, and by how much an entry exceeds its rule, its own module in `families` says.
Entries are edges: a setup may be entered only during its first `entry_window_bars` bars, and only while flat.
"""

from typing import Any

from numba import njit

from openclaw_pipelines.contracts.enums import ExitReason
from openclaw_pipelines.kernel.base.layout import Wanted
from openclaw_pipelines.kernel.base.primitives import fmin, mul, to_int
from openclaw_pipelines.kernel.base.slots import ATR, MEAN_VOLUME, SEEN, SETUP, SETUP_AGE, VOLATILITY, VOLUME
from openclaw_pipelines.kernel.base.windows import Row
from openclaw_pipelines.kernel.strategy.dispatch import excess, leaves

_SIGNAL = int(ExitReason.SIGNAL)
_TIME_STOP = int(ExitReason.TIME_STOP)


@njit(cache=True, error_model="numpy")
def signal(row: Row, params: Any, side: int, bars_held: int) -> Wanted:
    """Read the row at its newest bar, given the side held (-1, 0, 1) and for how many bars.

    The entry is 0 while a position is held, the confidence 0 without an entry, else 0.5 (barely) up to 1.
    Before `warmup_bars` there is no entry, no exit by signal and no distance; the time stop always works.
    Distances and size are given with and without an entry, so that proposals from outside can use them.
    """
    warm = row[SEEN] >= params.warmup_bars
    entry = 0
    confidence = 0.0
    atr = 0.0
    size = 0.0
    if warm:
        atr = row[ATR]
        size = _size(row, params)
        if side == 0:
            entry = _entry(row, params)
    if entry != 0:
        confidence = _confidence(row, params, entry)
    leave = 0
    if side != 0:
        leave = _exit(row, params, side, bars_held, warm)
    stop = mul(params.stop_atr, atr)
    target = mul(params.target_atr, atr)
    trail = mul(params.trail_atr, atr)
    return Wanted(entry, leave, confidence, stop, target, trail, size)


@njit(inline="always", cache=True, error_model="numpy")
def _entry(row: Row, params: Any) -> int:
    """The setup's side while it is fresh, permitted, traded enough and has a range to hang a stop on."""
    entry = to_int(row[SETUP], -1, 1)
    if row[SETUP_AGE] >= params.entry_window_bars or not row[ATR] > 0.0:
        entry = 0
    if entry < 0 and params.allow_short == 0:
        entry = 0
    if params.volume_ring > 0 and row[VOLUME] < mul(params.volume_ratio, row[MEAN_VOLUME]):
        entry = 0
    return entry


@njit(inline="always", cache=True, error_model="numpy")
def _size(row: Row, params: Any) -> float:
    """Volatility target over realised volatility, at most 1; full size where no target is set or nothing moved."""
    size = 1.0
    if params.return_ring > 0 and row[VOLATILITY] > 0.0:
        size = fmin(1.0, params.volatility_target / row[VOLATILITY])
    return size


@njit(inline="always", cache=True, error_model="numpy")
def _exit(row: Row, params: Any, side: int, bars_held: int, warm: bool) -> int:  # noqa: FBT001 - compiled positional call
    return leave_reason(warm and _turned(row, params, side), params, bars_held)


@njit(inline="always", cache=True, error_model="numpy")
def leave_reason(turned: bool, params: Any, bars_held: int) -> int:  # noqa: FBT001 - compiled positional call
    """ExitReason of a position: because the reason to hold it is gone, else because of its age, else 0."""
    leave = 0
    if params.max_hold_bars > 0 and bars_held >= params.max_hold_bars:
        leave = _TIME_STOP
    if turned:
        leave = _SIGNAL
    return leave


@njit(inline="always", cache=True, error_model="numpy")
def _turned(row: Row, params: Any, side: int) -> bool:
    """Whether the family's reason to hold this side is gone."""
    long, short = leaves(row, params)
    return (side > 0 and long) or (side < 0 and short)


@njit(inline="always", cache=True, error_model="numpy")
def _confidence(row: Row, params: Any, entry: int) -> float:
    """0.5 for a setup that barely holds, nearing 1 with its excess over the rule."""
    over = excess(row, params, entry)
    return 0.5 + mul(0.5, over / (1.0 + over))
