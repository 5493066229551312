"""Which symbols may be entered at a tick, judged by the data alone: the quality gates of `quality`, per tick.

A mask reads only bars that are closed at the tick and only a window of fixed length before it, so that a live tick and
a backfilled day agree exactly. Lists, kill switches and limits are not judged here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from openclaw_pipelines.contracts.config.market import Quality
from openclaw_pipelines.contracts.enums import RejectCode
from openclaw_pipelines.contracts.errors import DataError
from openclaw_pipelines.contracts.time import interval_length
from openclaw_pipelines.domain.market.parts import enough_parts
from openclaw_pipelines.domain.market.quality.scale import times_off

Flags = NDArray[np.bool_]
Codes = NDArray[np.int8]
Floats = NDArray[np.float64]

_MICROSECOND = timedelta(microseconds=1)
MASKING = ("stale_flat_bars", "gap_mask_bars", "recent_bars", "min_parts_bps")
"""Thresholds of `Quality` that a mask reads; the others only list."""


class OffGridTickError(DataError):
    """A tick that is no close time of the interval."""

    template = "{tick_at} is not a close time of {interval} bars. Give ticks on multiples of the interval."
    tick_at: datetime
    interval: str


@dataclass(frozen=True)
class Slots:
    """Bars laid on the grid, bool[slot, symbol].

    present: a bar that was traded on the venue is there (synthetic ones are not, nor ones stored before they closed).
    whole: it was published, or built of enough of its parts.
    still: its open, high, low and close all equal the close of the slot before, which is present too.
    jumped_from: slot of the bar before one of another scale, int64[slot, symbol]; -1 where the scale goes on.
    """

    present: Flags
    whole: Flags
    still: Flags
    jumped_from: NDArray[np.int64]


def window_bars(quality: Quality) -> int:
    """Bars before a tick that its mask reads: one more than the longest run it looks for, for the close before it.

    >>> window_bars(Quality())
    11
    """
    return max(quality.recent_bars, quality.stale_flat_bars + 1)


def entry_masks(
    candles: pl.DataFrame,
    symbols: Sequence[str],
    first_tick: datetime,
    last_tick: datetime,
    interval: str,
    quality: Quality,
) -> Codes:
    """Codes of every tick from the first to the last, int8[tick, symbol] of `RejectCode`; NONE where entries go on.

    candles: rows of `contracts.tables.market.Candles` of one source, any order; those outside the window do not matter.

    NO_PRICE: no bar in the whole window. STALE_CANDLES: the bar that closes at the tick is absent, or a run of
    `stale_flat_bars` bars that stand still ends with it. GAP: it was built of too few of its parts, or more than
    `gap_mask_bars` of the last `recent_bars` bars are absent or were. SCALE_JUMP: the window holds a bar of another
    scale than the bar before it. The first that holds is the code.
    """
    length = interval_length(interval)
    ticks = (last_tick - first_tick) // length + 1
    for tick_at in (first_tick, last_tick):
        if (tick_at - datetime.fromtimestamp(0, tick_at.tzinfo)) % length:
            raise OffGridTickError(tick_at, interval)
    lead = window_bars(quality)
    marked = candles.with_columns(whole=enough_parts(quality.min_parts_bps))
    slots = lay_out(marked, symbols, first_tick - lead * length, lead + ticks - 1, interval)
    return codes_of(slots, quality)


def lay_out(candles: pl.DataFrame, symbols: Sequence[str], first_open: datetime, n_slots: int, interval: str) -> Slots:
    """Put the bars that open in `n_slots` slots from `first_open` on the grid; everything else is left aside.

    candles: with a column `whole`.
    """
    length = interval_length(interval)
    present, whole = (np.zeros((n_slots, len(symbols)), np.bool_) for _ in range(2))
    close, high, low = (np.full((n_slots, len(symbols)), np.nan) for _ in range(3))
    flat = np.zeros((n_slots, len(symbols)), np.bool_)
    since_us = (pl.col("ts") - first_open).dt.total_microseconds()
    length_us = length // _MICROSECOND
    bars = (
        candles.filter(
            (pl.col("interval") == interval)
            & pl.col("symbol").is_in(list(symbols))
            & ~pl.col("is_synthetic")
            & pl.col("ts").is_between(first_open, first_open + n_slots * length, "left")
            & (since_us % length_us == 0)
            & (pl.col("ingested_at") >= pl.col("ts") + length)
        )
        .unique(["symbol", "ts"], keep="first", maintain_order=True)
        .select(
            (since_us // length_us).alias("slot"),
            pl.col("symbol").replace_strict({symbol: column for column, symbol in enumerate(symbols)}).alias("column"),
            pl.col("close", "high", "low", "whole"),
            pl.all_horizontal(pl.col("open", "high", "low") == pl.col("close")).alias("flat"),
        )
    )
    at = (bars.get_column("slot").to_numpy(), bars.get_column("column").to_numpy())
    present[at] = True
    whole[at] = bars.get_column("whole").to_numpy()
    for name, own in (("close", close), ("high", high), ("low", low)):
        own[at] = bars.get_column(name).to_numpy()
    flat[at] = bars.get_column("flat").to_numpy()
    still = np.zeros_like(present)
    # NaN of an absent slot equals nothing
    still[1:] = flat[1:] & (close[1:] == close[:-1])
    return Slots(present, whole, still, _jumps(present, close, high, low))


def _jumps(present: Flags, close: Floats, high: Floats, low: Floats) -> NDArray[np.int64]:
    """Slot of the newest bar before each bar that is of another scale than that one; -1 everywhere else."""
    slots = np.arange(len(present))[:, None]
    newest = np.maximum.accumulate(np.where(present, slots, -1), axis=0)
    before = np.vstack([np.full((1, present.shape[1]), -1), newest[:-1]])
    reference = np.where(before >= 0, np.take_along_axis(close, np.maximum(before, 0), axis=0), np.nan)
    return np.where(present & (times_off(high, low, reference) > 1.0), before, -1)


def codes_of(slots: Slots, quality: Quality) -> Codes:
    """Codes of the ticks whose window lies within the slots: slot `window_bars - 1` closes at the first tick."""
    lead = window_bars(quality)
    absent = _trailing_sums(~slots.whole, quality.recent_bars)[lead - 1 :]
    seen = _trailing_sums(slots.present, lead)[lead - 1 :]
    still = _trailing_sums(slots.still, quality.stale_flat_bars)[lead - 1 :]
    stale = ~slots.present[lead - 1 :] | (still == quality.stale_flat_bars)
    gap = ~slots.whole[lead - 1 :] | (absent > quality.gap_mask_bars)
    # a jump is in the window where the bar that it leaves is: what a frame holds before the window decides nothing
    left = np.maximum.accumulate(slots.jumped_from, axis=0)[lead - 1 :]
    jump = left >= np.arange(len(left))[:, None]
    codes = np.select(
        [seen == 0, stale, gap, jump],
        [RejectCode.NO_PRICE, RejectCode.STALE_CANDLES, RejectCode.GAP, RejectCode.SCALE_JUMP],
        RejectCode.NONE,
    )
    return codes.astype(np.int8)


def _trailing_sums(flags: Flags, length: int) -> NDArray[np.int64]:
    """How many of the `length` newest slots are set, int64[slot, symbol]; fewer slots at the beginning."""
    sums = np.cumsum(flags, axis=0, dtype=np.int64)
    sums[length:] -= sums[:-length].copy()
    return sums
