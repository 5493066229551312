"""Where the next bar is that concerns a symbol: a flagged signal, or a price that reaches a protective level.

Reads the bars of one symbol, from `now` on, in blocks whose extremes are known beforehand. The only thing changed is
the trailing stop of an open position, which is moved on over the bars that are passed. Taking the tick there belongs
to `sweep_walk`.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.kernel.booking import nearest_adverse, protective_level
from openclaw_pipelines.kernel.jit import compiled, inlined, streamed
from openclaw_pipelines.kernel.layout import BarState, Context
from openclaw_pipelines.kernel.sweep_flags import BLOCK

_TRADABLE = int(BarState.TRADABLE)
_EVERY_FLAG = 0x0101010101010101  # a bit in each of the eight flags of a word
Prices = NDArray[np.int64]
Flags = NDArray[np.uint8]


class Blocks(NamedTuple):
    """What is known of every BLOCK bars of a tile. [S, N / BLOCK], the last one shorter where N is no multiple."""

    lowest: NDArray[np.int64]
    highest: NDArray[np.int64]
    least_close: NDArray[np.int64]
    greatest_close: NDArray[np.int64]
    unusual: NDArray[np.uint8]
    """1 where a bar of the block is unusual."""


class TileBars(NamedTuple):
    """The bars of a tile, one symbol after the other. [S, N] where nothing else is said."""

    open: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    close: NDArray[np.int64]
    bar_state: NDArray[np.int8]
    funding_rate: NDArray[np.int64]
    in_universe: NDArray[np.int8]
    unusual: NDArray[np.uint8]
    """1 where a bar cannot be traded or funding is due."""
    blocks: Blocks
    seen: NDArray[np.int64]
    """Bars observed up to this one."""
    times: NDArray[np.int64]
    """[N] opens"""


@inlined
def opens_at(bars: TileBars, context: Context, t: int) -> int:
    """When bar `t` opens, also the one after the last: bars lie on a grid without gaps."""
    at: int = bars.times[0] + t * context.interval_seconds
    return at


def new_blocks(n_symbols: int, length: int) -> Blocks:
    """Places for the blocks of `length` bars."""
    shape = (n_symbols, -(-length // BLOCK))
    lowest, highest, least, greatest = (np.empty(shape, np.int64) for _ in range(4))
    return Blocks(lowest, highest, least, greatest, np.empty(shape, np.uint8))


@streamed
def survey(bars: TileBars) -> None:
    """Write the mask of unusual bars and the blocks."""
    n = bars.unusual.shape[1]
    for s in range(bars.unusual.shape[0]):
        mask, states, rates = bars.unusual[s], bars.bar_state[s], bars.funding_rate[s]
        for t in range(n):
            mask[t] = np.uint8(0) if (states[t] == _TRADABLE) & (rates[t] == 0) else np.uint8(1)
        for block in range(n // BLOCK):
            _survey_block(bars, s, block, block * BLOCK, BLOCK)
        if n % BLOCK != 0:
            _survey_block(bars, s, n // BLOCK, n // BLOCK * BLOCK, n % BLOCK)


@inlined
def _survey_block(bars: TileBars, s: int, block: int, begin: int, length: int) -> None:
    low, high = bars.low[s, begin : begin + length], bars.high[s, begin : begin + length]
    close, mask = bars.close[s, begin : begin + length], bars.unusual[s, begin : begin + length]
    lowest, highest, least, greatest, odd = low[0], high[0], close[0], close[0], mask[0]
    for i in range(length):
        lowest = min(lowest, low[i])
        highest = max(highest, high[i])
        least = min(least, close[i])
        greatest = max(greatest, close[i])
        odd |= mask[i]
    blocks = bars.blocks
    blocks.lowest[s, block], blocks.highest[s, block] = lowest, highest
    blocks.least_close[s, block], blocks.greatest_close[s, block] = least, greatest
    blocks.unusual[s, block] = odd


@compiled
def next_flagged(flags: Flags, words: NDArray[np.uint64], now: int, last: int, bits: int) -> int:
    """First bar of [now, last) with one of these bits; `last` where there is none."""
    t = now
    while t < last and t % 8 != 0:
        if flags[t] & bits:
            return t
        t += 1
    word, n_words, mask = t // 8, -(-last // 8), np.uint64(bits * _EVERY_FLAG)
    while word + 3 < n_words and ((words[word] | words[word + 1] | words[word + 2] | words[word + 3]) & mask) == 0:
        word += 4
    while word < n_words and (words[word] & mask) == 0:
        word += 1
    t = max(t, 8 * word)
    while t < last and not flags[t] & bits:
        t += 1
    return min(t, last)


@compiled
def next_protective(position: Any, bars: TileBars, s: int, instrument: Any, now: int, last: int) -> int:
    """First bar of [now, last) at which a price, funding or a bar without trading may concern the position, or `last`.

    Blocks are passed by their extremes; those that may reach a level, and their parts, are gone through bar by bar.
    """
    side, t, blocks = (1 if position.qty > 0 else -1), now, bars.blocks
    while t < last:
        block = t // BLOCK
        end = min((block + 1) * BLOCK, last)
        # a trailing stop follows the bars that are passed, and those only; a fixed level may be held against more
        whole = position.trail_distance == 0 or end - t == BLOCK
        if (
            whole
            and blocks.unusual[s, block] == 0
            and _is_quiet(position, instrument, side, blocks.lowest[s, block], blocks.highest[s, block], BLOCK)
        ):
            t = end
            continue
        while t < end:
            if bars.unusual[s, t] or not _is_quiet(position, instrument, side, bars.low[s, t], bars.high[s, t], 1):
                return t
            t += 1
    return last


@inlined
def _is_quiet(position: Any, instrument: Any, side: int, lowest: int, highest: int, n_bars: int) -> bool:
    """Whether bars of these extremes certainly reach no protective level; then the trailing stop has been moved on.

    Several bars are held against the stop as it is after them, nearer than at any of them: so a yes is certain.
    """
    adverse, favourable = (lowest, highest) if side > 0 else (highest, lowest)
    before = after = position.trail_stop
    if position.trail_distance > 0:
        raised = protective_level(favourable, -side * position.trail_distance, instrument)
        after = nearest_adverse(side, before, raised, 0)
    level = nearest_adverse(side, position.stop, before if n_bars == 1 else after, position.liquidation)
    if (level > 0 and side * adverse <= side * level) or (
        position.target > 0 and side * favourable >= side * position.target
    ):
        return False
    position.trail_stop = after
    return True
