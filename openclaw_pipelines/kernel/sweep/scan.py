"""Where the next bar is that concerns a symbol: a flagged signal, or a price that reaches a protective level.

Reads the bars of one symbol, from `now` on, in blocks whose extremes are known beforehand. The only thing changed is
the trailing stop of an open position, which is moved on over the bars that are passed. Taking the tick there belongs
to `walk`. Numbers of bars become unsigned where they index: with a sign, each access would ask whether it counts
from the end.
"""

from typing import Any, NamedTuple, cast

import numpy as np
from numba.cpython.unsafe import numbers
from numpy.typing import NDArray

from openclaw_pipelines.kernel.account.booking import nearest_adverse, protective_level
from openclaw_pipelines.kernel.base.jit import compiled, inlined, streamed
from openclaw_pipelines.kernel.base.layout import BarState, Context
from openclaw_pipelines.kernel.base.money import INT64_MAX, quotient
from openclaw_pipelines.kernel.sweep.flags import BLOCK

_TRADABLE = int(BarState.TRADABLE)
_EVERY_FLAG = 0x0101010101010101  # a bit in each of the eight flags of a word, the first in the lowest byte
_ALL = np.uint64(2**64 - 1)
OPEN, HIGH, LOW, CLOSE = 0, 1, 2, 3
"""Places in a candle."""
UNUSUAL, EXCLUDED = 1, 2
"""Bits of what is odd about a block."""
_trailing_zeros = cast("Any", numbers.trailing_zeros)  # numba's stubs take it for a function of Python
Prices = NDArray[np.int64]


class Blocks(NamedTuple):
    """What is known of every BLOCK bars of a tile. [S, N / BLOCK], the last one shorter where N is no multiple."""

    lowest: NDArray[np.int64]
    highest: NDArray[np.int64]
    least_close: NDArray[np.int64]
    greatest_close: NDArray[np.int64]
    odd: NDArray[np.uint8]
    """Bits: UNUSUAL where a bar of the block is unusual, EXCLUDED where the symbol may not be entered at one."""


class TileBars(NamedTuple):
    """The bars of a tile, one symbol after the other. [S, N] where nothing else is said."""

    open: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    close: NDArray[np.int64]
    candles: NDArray[np.int64]
    """[S, N, 4] the same side by side: what is read of one bar then lies on one page of memory, not on four."""
    bar_state: NDArray[np.int8]
    funding_rate: NDArray[np.int64]
    funding_inside: NDArray[np.int64]
    in_universe: NDArray[np.int8]
    control: NDArray[np.int8]
    """RejectCode that refuses entries at the bar's close, or 0"""
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
        mask, states, rates, inside = bars.unusual[s], bars.bar_state[s], bars.funding_rate[s], bars.funding_inside[s]
        for t in range(n):
            mask[t] = np.uint8(0) if (states[t] == _TRADABLE) & (rates[t] | inside[t] == 0) else np.uint8(1)
        for block in range(n // BLOCK):
            _survey_block(bars, s, block, block * BLOCK, BLOCK)
        if n % BLOCK != 0:
            _survey_block(bars, s, n // BLOCK, n // BLOCK * BLOCK, n % BLOCK)


@inlined
def _survey_block(bars: TileBars, s: int, block: int, begin: int, length: int) -> None:
    low, high = bars.low[s, begin : begin + length], bars.high[s, begin : begin + length]
    close, mask = bars.close[s, begin : begin + length], bars.unusual[s, begin : begin + length]
    included, control = bars.in_universe[s, begin : begin + length], bars.control[s, begin : begin + length]
    lowest, highest, least, greatest, odd = low[0], high[0], close[0], close[0], np.uint8(0)
    for i in range(length):
        lowest = min(lowest, low[i])
        highest = max(highest, high[i])
        least = min(least, close[i])
        greatest = max(greatest, close[i])
        odd |= mask[i] | (np.uint8(0) if (included[i] != 0) & (control[i] == 0) else np.uint8(EXCLUDED))
    blocks = bars.blocks
    blocks.lowest[s, block], blocks.highest[s, block] = lowest, highest
    blocks.least_close[s, block], blocks.greatest_close[s, block] = least, greatest
    blocks.odd[s, block] = odd


@compiled
def next_flagged(words: NDArray[np.uint64], now: int, last: int, bits: int) -> int:
    """First bar of [now, last) with one of these bits; `last` where there is none."""
    if now >= last:
        return last
    first, mask = now // 8, np.uint64(bits * _EVERY_FLAG)
    ahead = words[first : -(-last // 8)]
    found, word = ahead[0] & mask & (_ALL << np.uint64(8 * (now % 8))), 0
    if found == 0:
        word = _next_word(ahead, mask)
        if word == len(ahead):
            return last
        found = ahead[word] & mask
    return min(8 * (first + word) + quotient(_trailing_zeros(found), 8), last)


@compiled
def _next_word(words: NDArray[np.uint64], mask: Any) -> int:
    """First word after word 0 with a bit of the mask; how many words there are where none has."""
    n = len(words)
    begin = max(n - 3, 1)
    for word in range(1, n - 3, 4):
        if ((_at(words, word) | _at(words, word + 1) | _at(words, word + 2) | _at(words, word + 3)) & mask) != 0:
            begin = word
            break
    for word in range(begin, n):
        if _at(words, word) & mask != 0:
            return word
    return n


@inlined
def _at(words: NDArray[np.uint64], word: int) -> Any:
    return words[np.uintp(word)]


@compiled
def next_protective(position: Any, bars: TileBars, s: int, instrument: Any, now: int, last: int) -> int:
    """First bar of [now, last) at which a price, funding or a bar without trading may concern the position, or `last`.

    Blocks are passed by their extremes; those that may reach a level, and their parts, are gone through bar by bar.
    """
    side = 1 if position.qty > 0 else -1
    if position.trail_distance > 0:
        return _next_trailed(position, bars, s, instrument, side, now, last)
    adverse = nearest_adverse(side, position.stop, position.trail_stop, position.liquidation)
    under, over = (adverse, position.target) if side > 0 else (position.target, adverse)
    return _next_outside(bars, s, under, over if over > 0 else INT64_MAX, now, last)


@compiled
def _next_outside(bars: TileBars, s: int, under: int, over: int, now: int, last: int) -> int:
    """First bar of [now, last) that is unusual or reaches one of two fixed prices; none is as low as 0."""
    candles, unusual = bars.candles[s], bars.unusual[s]
    lowest, highest, odd = bars.blocks.lowest[s], bars.blocks.highest[s], bars.blocks.odd[s]
    t = now
    while t < last:
        block, end = np.uintp(t // BLOCK), (t // BLOCK + 1) * BLOCK
        if lowest[block] <= under or highest[block] >= over or odd[block] & UNUSUAL:
            for k in range(t, min(end, last)):
                bar = np.uintp(k)
                if candles[bar, LOW] <= under or candles[bar, HIGH] >= over or unusual[bar] != 0:
                    return k
        t = end
    return last


@compiled
def _next_trailed(position: Any, bars: TileBars, s: int, instrument: Any, side: int, now: int, last: int) -> int:
    """As `_next_outside` for a trailing stop, which follows the bars that are passed."""
    t, blocks = now, bars.blocks
    while t < last:
        block = t // BLOCK
        end = min((block + 1) * BLOCK, last)
        if (
            end - t == BLOCK
            and blocks.odd[s, block] & UNUSUAL == 0
            and _is_quiet(position, instrument, side, blocks.lowest[s, block], blocks.highest[s, block], BLOCK)
        ):
            t = end
            continue
        while t < end:
            low, high = bars.candles[s, t, LOW], bars.candles[s, t, HIGH]
            if bars.unusual[s, t] or not _is_quiet(position, instrument, side, low, high, 1):
                return t
            t += 1
    return last


@inlined
def _is_quiet(position: Any, instrument: Any, side: int, lowest: int, highest: int, n_bars: int) -> bool:
    """Whether bars of these extremes certainly reach no protective level; then the trailing stop has been moved on.

    Several bars are held against the stop as it is after them, nearer than at any of them: so a yes is certain.
    """
    adverse, favourable = (lowest, highest) if side > 0 else (highest, lowest)
    before = position.trail_stop
    after = nearest_adverse(side, before, protective_level(favourable, -side * position.trail_distance, instrument), 0)
    level = nearest_adverse(side, position.stop, before if n_bars == 1 else after, position.liquidation)
    if (level > 0 and side * adverse <= side * level) or (
        position.target > 0 and side * favourable >= side * position.target
    ):
        return False
    position.trail_stop = after
    return True
