"""Where the next bar is that concerns a symbol: a flagged signal, or a price that reaches a protective level.

Reads the bars of one symbol, from `now` on, in blocks. The only thing changed is the trailing stop of an open position,
which is moved on over the bars that are passed. Taking the tick there belongs to `sweep_walk`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.kernel.booking import nearest_adverse, protective_level
from openclaw_pipelines.kernel.jit import compiled, inlined
from openclaw_pipelines.kernel.sweep_flags import BLOCK, ENTER, ENTER_LONG, ENTER_SHORT, LEAVE_LONG, LEAVE_SHORT

_ENTER_WORD = 0x0303030303030303  # ENTER in each of eight flags
Prices = NDArray[np.int64]


@compiled
def next_entry(flags: NDArray[np.uint8], words: NDArray[np.uint64], now: int) -> int:
    """First bar flagged for entry."""
    t, n = now, len(flags)
    while t < n and t % 8 != 0:
        if flags[t] & ENTER:
            return t
        t += 1
    word, n_words, mask = t // 8, len(words), np.uint64(_ENTER_WORD)
    while word < n_words and (words[word] & mask) == 0:
        word += 1
    t = max(t, 8 * word)
    while t < n and not flags[t] & ENTER:
        t += 1
    return t


@compiled
def next_protective(
    position: Any, lows: Prices, highs: Prices, unusual: NDArray[np.uint8], flags: NDArray[np.uint8], instrument: Any,
    now: int, last: int,
) -> int:  # fmt: skip
    """First bar before `last` at which the position may be closed; `last` where there is none.

    Whole blocks are passed by their extremes. A block that reaches a level is gone through bar by bar.
    """
    side, t = (1 if position.qty > 0 else -1), now
    leaves = (LEAVE_LONG | ENTER_SHORT) if side > 0 else (LEAVE_SHORT | ENTER_LONG)
    while t < last:
        end = min(t + BLOCK, last)
        if (
            end == t + BLOCK
            and _block_is_plain(unusual[t:end], flags[t:end], leaves)
            and _block_is_quiet(position, lows[t:end], highs[t:end], instrument, side)
        ):
            t = end
            continue
        while t < end:
            if (flags[t] & leaves) | unusual[t]:
                return t
            low, high = lows[t], highs[t]
            if not _bar_is_quiet(position, instrument, side, low if side > 0 else high, high if side > 0 else low):
                return t
            t += 1
    return last


@inlined
def _block_is_plain(unusual: NDArray[np.uint8], flags: NDArray[np.uint8], leaves: int) -> bool:
    odd, mask = np.uint8(0), np.uint8(leaves)
    for i in range(BLOCK):
        odd |= (flags[i] & mask) | unusual[i]
    return bool(odd == 0)


@compiled
def _block_is_quiet(position: Any, lows: Prices, highs: Prices, instrument: Any, side: int) -> bool:
    """Whether the block reaches no protective level; then its trailing stop has been moved on."""
    lowest, highest = lows[0], highs[0]
    for i in range(BLOCK):
        lowest = min(lowest, lows[i])
        highest = max(highest, highs[i])
    before = position.trail_stop
    if position.trail_distance > 0:
        raised = protective_level(highest if side > 0 else lowest, -side * position.trail_distance, instrument)
        position.trail_stop = nearest_adverse(side, before, raised, 0)
    # against the stop as it is after the block: nearer than at any bar of it, so that a quiet answer is certain
    level = nearest_adverse(side, position.stop, position.trail_stop, position.liquidation)
    adverse, favourable = (lowest, highest) if side > 0 else (highest, lowest)
    hit = (level > 0 and side * adverse <= side * level) or (
        position.target > 0 and side * favourable >= side * position.target
    )
    if hit:
        position.trail_stop = before
    return not hit


@inlined
def _bar_is_quiet(position: Any, instrument: Any, side: int, adverse: int, favourable: int) -> bool:
    """Whether the bar reaches no protective level; then its trailing stop has been moved on."""
    level = nearest_adverse(side, position.stop, position.trail_stop, position.liquidation)
    if level > 0 and side * adverse <= side * level:
        return False
    if position.target > 0 and side * favourable >= side * position.target:
        return False
    if position.trail_distance > 0:
        raised = protective_level(favourable, -side * position.trail_distance, instrument)
        position.trail_stop = nearest_adverse(side, position.trail_stop, raised, 0)
    return True
