"""Indicator columns that many parameter rows share: each distinct setting is computed once per tile of bars.

A column is one number per symbol and bar, the same to the bit as the slot of an indicator row after `observe`: both
call the recurrences of `indicators`, and windows add up oldest to newest as `windows` does. Only the loops are turned
inside out, so that the bars of a tile go through the processor's vector units side by side. What a parameter row makes
of its columns belongs to `flags`.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.kernel.base import slots
from openclaw_pipelines.kernel.base.jit import entered, streamed
from openclaw_pipelines.kernel.base.layout import BarState
from openclaw_pipelines.kernel.base.primitives import div, fmax, mul
from openclaw_pipelines.kernel.strategy.indicators import (
    AdxState,
    adx_step,
    ema_step,
    rsi_value,
    true_range,
    wilder_step,
)
from openclaw_pipelines.kernel.sweep.windows import deviation_ending_at, extreme_before, mean_ending_at

LAST_CLOSE, LAST_VOLUME, PAST_CLOSE = 0, 1, 2
"""Kinds of column that copy a number of some bar; a length is how many bars ago."""
HIGHEST, LOWEST, BAND_MIDDLE, BAND_DEVIATION, MEAN_VOLUME, VOLATILITY = 3, 4, 5, 6, 7, 8
"""Kinds over a window of `length` bars."""
EMA, ATR, ADX, GAIN, LOSS, RSI = 9, 10, 11, 12, 13, 14
"""Kinds that fold each bar into what they carry."""

RSI_SLOT = slots.SLOTS
"""Place of the RSI in a row's map; an indicator row holds only the averages that it is made of."""
MAP_WIDTH = slots.SLOTS + 1
_STATE = 4  # numbers that a recurrence carries from tile to tile; ADX has the most
_MISSING = int(BarState.MISSING)
_OPTIONS = (
    (slots.ATR, ATR, "atr_length"),
    (slots.EMA_FAST, EMA, "ema_fast"),
    (slots.EMA_SLOW, EMA, "ema_slow"),
    (slots.MEAN_GAIN, GAIN, "rsi_length"),
    (slots.MEAN_LOSS, LOSS, "rsi_length"),
    (RSI_SLOT, RSI, "rsi_length"),
    (slots.ADX, ADX, "adx_length"),
    (slots.ENTRY_HIGH, HIGHEST, "channel_entry"),
    (slots.ENTRY_LOW, LOWEST, "channel_entry"),
    (slots.EXIT_HIGH, HIGHEST, "channel_exit"),
    (slots.EXIT_LOW, LOWEST, "channel_exit"),
    (slots.PAST_CLOSE, PAST_CLOSE, "momentum_lookback"),
    (slots.BAND_MIDDLE, BAND_MIDDLE, "bollinger_length"),
    (slots.BAND_DEVIATION, BAND_DEVIATION, "bollinger_length"),
    (slots.VOLATILITY, VOLATILITY, "return_ring"),
    (slots.MEAN_VOLUME, MEAN_VOLUME, "volume_ring"),
)


class Plan(NamedTuple):
    """Which columns a set of parameter rows needs."""

    kinds: NDArray[np.int64]
    """[C]"""
    lengths: NDArray[np.int64]
    """[C] bars"""
    alphas: NDArray[np.float64]
    """[C] weight of the newest value of an EMA, made by the host"""
    maps: NDArray[np.int32]
    """[R, MAP_WIDTH] column of each slot of a row, -1 where the row has none"""
    annual_factor: float
    history: int
    """Observed bars before a tile that its columns may read."""


class Series(NamedTuple):
    """The observed bars of each symbol, without those missing: `history` bars, then those of the tile. [S, H + N]."""

    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    returns: NDArray[np.float64]


class Carried(NamedTuple):
    """What columns take from tile to tile."""

    states: NDArray[np.float64]
    """[C, S, 4]"""
    values: NDArray[np.float64]
    """[C, S] value at the last bar"""
    seen: NDArray[np.int64]
    """[S] bars observed"""


def plan_columns(rows: NDArray[np.void]) -> Plan:
    """Distinct columns of the parameter rows, in the order in which they first appear."""
    found: dict[tuple[int, int], int] = {(LAST_CLOSE, 0): 0, (LAST_VOLUME, 0): 1}
    alphas: dict[int, float] = {}
    maps = np.full((len(rows), MAP_WIDTH), -1, np.int32)
    maps[:, slots.CLOSE], maps[:, slots.VOLUME] = 0, 1
    for slot, kind, name in _OPTIONS:
        lengths = rows[name].astype(np.int64)
        for length in np.unique(lengths[lengths > 0]).tolist():
            maps[lengths == length, slot] = found.setdefault((kind, length), len(found))
        if kind == EMA:
            alphas |= dict(zip(lengths.tolist(), rows[f"{name}_alpha"].tolist(), strict=True))
    kinds, lengths = (np.array(column, np.int64) for column in zip(*found, strict=True))
    weights = [alphas.get(length, 0.0) if kind == EMA else 0.0 for kind, length in found]
    return Plan(
        kinds, lengths, np.array(weights), maps, float(rows["annual_factor"][0]) if len(rows) else 0.0,
        int(lengths.max(initial=0)) + 1,
    )  # fmt: skip


def new_series(plan: Plan, n_symbols: int, tile: int) -> Series:
    """Empty series for tiles of `tile` bars."""
    return Series(*(np.zeros((n_symbols, plan.history + tile)) for _ in Series._fields))


def new_carried(plan: Plan, n_symbols: int) -> Carried:
    """Nothing observed yet."""
    columns = len(plan.kinds)
    return Carried(
        np.zeros((columns, n_symbols, _STATE)), np.zeros((columns, n_symbols)), np.zeros(n_symbols, np.int64)
    )


@entered
def observe_tile(
    series: Series, bar_state: NDArray[np.int8], prices: tuple[NDArray[np.int64], ...], volume: NDArray[np.float64],
    s: int, history: int, seen_before: int, seen: NDArray[np.int64],
) -> int:  # fmt: skip
    """Append the tile's observed bars of symbol `s`, after moving the newest `history` ones to the front.

    seen: [S, N], written: bars observed up to each bar. Returns how many the tile has.
    """
    _, highs, lows, closes = prices
    count, bars_seen = 0, seen_before
    for t in range(bar_state.shape[1]):
        if bar_state[s, t] != _MISSING:
            at = history + count
            series.high[s, at], series.low[s, at] = highs[s, t], lows[s, t]
            series.close[s, at], series.volume[s, at] = closes[s, t], volume[s, t]
            before = series.close[s, at - 1]
            series.returns[s, at] = div(series.close[s, at] - before, before)
            count += 1
            bars_seen += 1
        seen[s, t] = bars_seen
    return count


@entered
def keep_history(series: Series, s: int, history: int, count: int) -> None:
    """Move the newest `history` bars of symbol `s` to the front; `count` were appended."""
    for array in series:
        for i in range(history):
            array[s, i] = array[s, i + count]


@entered
def fill_column(
    out: NDArray[np.float64], kind: int, length: int, alpha: float, series: Series, s: int, history: int, count: int,
    state: NDArray[np.float64], carried: float, seen: int, annual_factor: float, bar_state: NDArray[np.int8],
    scratch: NDArray[np.float64],
) -> float:  # fmt: skip
    """Write one column of symbol `s` for the tile into `out` [N]; returns its last value.

    scratch: [2, H + N]. At a missing bar the column keeps its value. Before a setting has seen enough bars it is 0.
    """
    values = scratch[0]
    if kind <= PAST_CLOSE:
        _fill_copies(values, kind, length, series, s, history, count, seen)
    elif kind <= VOLATILITY:
        _fill_windows(values, kind, length, series, s, history, count, seen, annual_factor, scratch[1])
    else:
        _fill_recurrence(values, kind, length, alpha, series, s, history, count, seen, state)
    value, at = carried, 0
    for t in range(len(out)):
        if bar_state[s, t] != _MISSING:
            value = values[at]
            at += 1
        out[t] = value
    return value


@streamed
def _fill_copies(
    values: NDArray[np.float64], kind: int, length: int, series: Series, s: int, history: int, count: int, seen: int
) -> None:
    source = series.volume[s] if kind == LAST_VOLUME else series.close[s]
    for i in range(count):
        values[i] = source[history + i - length]
    for i in range(min(max(length - seen, 0), count)):
        values[i] = 0.0


@streamed
def _fill_windows(
    values: NDArray[np.float64], kind: int, length: int, series: Series, s: int, history: int, count: int, seen: int,
    annual_factor: float, scratch: NDArray[np.float64],
) -> None:  # fmt: skip
    needs = length - 1  # bars that must have been observed before this one
    if kind == BAND_MIDDLE:
        mean_ending_at(values, series.close[s], history, count, length)
    elif kind == MEAN_VOLUME:
        mean_ending_at(values, series.volume[s], history, count, length)
    elif kind == BAND_DEVIATION:
        deviation_ending_at(values, series.close[s], history, count, length, 0, scratch)
    else:
        needs = length
        if kind == HIGHEST:
            extreme_before(values, series.high[s], 1.0, history, count, length, scratch)
        elif kind == LOWEST:
            extreme_before(values, series.low[s], -1.0, history, count, length, scratch)
        else:
            deviation_ending_at(values, series.returns[s], history, count, length, 1, scratch)
            for i in range(count):
                values[i] = mul(values[i], annual_factor)
    for i in range(min(max(needs - seen, 0), count)):
        values[i] = 0.0


@streamed
def _fill_recurrence(
    values: NDArray[np.float64], kind: int, length: int, alpha: float, series: Series, s: int, history: int,
    count: int, seen: int, state: NDArray[np.float64],
) -> None:  # fmt: skip
    if kind == EMA:
        average = state[0]
        for i in range(count):
            average = ema_step(average, seen + i, series.close[s, history + i], length, alpha)
            values[i] = average
        state[0] = average
    elif kind == ATR:
        average = state[0]
        for i in range(count):
            at = history + i
            if seen + i > 0:
                ranged = true_range(series.close[s, at - 1], series.high[s, at], series.low[s, at])
                average = wilder_step(average, seen + i - 1, ranged, length)
            values[i] = average
        state[0] = average
    elif kind == ADX:
        _fill_adx(values, length, series, s, history, count, seen, state)
    else:
        _fill_strength(values, kind, length, series, s, history, count, seen, state)


@streamed
def _fill_strength(
    values: NDArray[np.float64], kind: int, length: int, series: Series, s: int, history: int, count: int, seen: int,
    state: NDArray[np.float64],
) -> None:  # fmt: skip
    gain, loss = state[0], state[1]
    for i in range(count):
        at = history + i
        if seen + i > 0:
            change = series.close[s, at] - series.close[s, at - 1]
            gain = wilder_step(gain, seen + i - 1, fmax(change, 0.0), length)
            loss = wilder_step(loss, seen + i - 1, fmax(-change, 0.0), length)
        if kind == GAIN:
            values[i] = gain
        elif kind == LOSS:
            values[i] = loss
        else:
            values[i] = rsi_value(gain, loss)
    state[0], state[1] = gain, loss


@streamed
def _fill_adx(
    values: NDArray[np.float64], length: int, series: Series, s: int, history: int, count: int, seen: int,
    state: NDArray[np.float64],
) -> None:  # fmt: skip
    now = AdxState(state[0], state[1], state[2], state[3])
    for i in range(count):
        at = history + i
        if seen + i > 0:
            now = adx_step(
                now, seen + i - 1, series.high[s, at - 1], series.low[s, at - 1], series.close[s, at - 1],
                series.high[s, at], series.low[s, at], length,
            )  # fmt: skip
        values[i] = now.adx
    state[0], state[1], state[2], state[3] = now.plus_dm, now.minus_dm, now.true_range, now.adx


def fill_columns(
    plan: Plan, series: Series, carried: Carried, columns: NDArray[np.float64], size: int, counts: Iterable[int],
    bar_state: NDArray[np.int8], scratch: NDArray[np.float64], which: Iterable[int],
) -> None:  # fmt: skip
    """Fill the columns numbered `which` [C, S, N] for the tile of `size` bars that `observe_tile` has appended."""
    tallies = list(enumerate(counts))
    for c in which:
        for s, count in tallies:
            carried.values[c, s] = fill_column(
                columns[c, s, :size], plan.kinds[c], plan.lengths[c], plan.alphas[c], series, s, plan.history, count,
                carried.states[c, s], carried.values[c, s], carried.seen[s], plan.annual_factor, bar_state, scratch,
            )  # fmt: skip
