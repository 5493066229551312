"""What an account is worth between the moments at which something happens, and what is kept of that.

With one open position the account's value rises or falls with one close, so that a block of bars is judged by its
extreme closes; with several, or where every bar's value is wanted, it is added up bar by bar.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.kernel.base.jit import compiled, inlined, streamed
from openclaw_pipelines.kernel.base.layout import Context, Records, State
from openclaw_pipelines.kernel.base.money import INT64_MAX
from openclaw_pipelines.kernel.sweep.flags import BLOCK
from openclaw_pipelines.kernel.sweep.scan import Prices, TileBars, opens_at
from openclaw_pipelines.kernel.sweep.tally import note_drawdown

_DAY = 86_400


class Account(NamedTuple):
    """One row's account and what is kept of it."""

    state: State
    """Its `indicators` are the scratch row."""
    tally: Records
    """TALLY[1]"""
    symbols: Records
    """SYMBOL_TALLY[S]"""
    day_equity: NDArray[np.int64]
    """[D]"""
    kept: Records
    """EVENT[K] for the events of the run; none are kept where K is 0"""
    kept_count: NDArray[np.int64]
    """[1] how many there were, also of those that did not fit"""


class Holding(NamedTuple):
    """An account whose only open position is this one, in atoms: what `valuation.mark` makes of it at a close."""

    cash: int
    per_unit: int
    entry_price: int
    """0 for spot, which is worth its price; a perpetual is worth its gain"""
    floor: int
    """A perpetual is worth minus its margin at least"""


@compiled
def pass_quietly(
    own: Account, bars: TileBars, context: Context, keeps_worth: int, worth: Prices, now: int, at: int, day_index: int
) -> int:
    """Value the account at every close of the bars [now, at), in which nothing else happens.

    Returns the next free place in `day_equity`.
    """
    account, tally, interval = own.state.account[0], own.tally[0], context.interval_seconds
    held, s = _open_positions(own.state.positions)
    close, holding = bars.close[s], _holding(own.state.positions[s], context.instruments[s], account.cash)
    if held == 1:
        least, greatest = 0, INT64_MAX  # unknown where the values are not written
        if keeps_worth != 0:
            least, greatest = _write_worth(worth[now:at], close[now:at], holding)
        if greatest <= account.peak_equity:
            note_drawdown(tally, account.peak_equity, account.peak_equity - least)
        else:
            account.peak_equity = _fold_blocks(tally, account.peak_equity, bars, s, holding, now, at)
    elif held > 1:
        _add_positions(worth, bars.close, own.state.positions, context.instruments, account.cash, now, at)
        account.peak_equity = _fold_equity(tally, account.peak_equity, worth, now, at)
    elif keeps_worth != 0:
        _fill(worth[now:at], account.equity)
    opened, closed = opens_at(bars, context, now), opens_at(bars, context, at)
    for day in range((opened + interval - 1) // _DAY + 1, closed // _DAY + 1):
        t = now + (day * _DAY - interval - opened) // interval
        value = account.equity
        if held > 0:
            value = worth[t] if held > 1 else _worth_at(close[t], holding)
        day_index = keep_day(own, day * _DAY, value, day_index)
        account.day, account.day_open_equity = day, value
    if held > 0:
        account.equity = worth[at - 1] if held > 1 else _worth_at(close[np.uintp(at - 1)], holding)
    account.last_tick = closed
    return day_index


@inlined
def keep_day(own: Account, tick_at: int, equity: int, day_index: int) -> int:
    """Keep the equity of a tick that ends a day; returns the next free place."""
    if tick_at % _DAY != 0:
        return day_index
    own.day_equity[day_index] = equity
    return day_index + 1


@inlined
def _open_positions(positions: Records) -> tuple[int, int]:
    """How many there are and the last of them, or 0."""
    count = last = 0
    for s in range(len(positions)):
        if positions[s].qty != 0:
            count, last = count + 1, s
    return count, last


@inlined
def _holding(position: Any, instrument: Any, cash: int) -> Holding:
    per_unit = position.qty * instrument.mult
    if instrument.is_perp:
        return Holding(cash, per_unit, position.entry_price, -position.margin)
    return Holding(cash, per_unit, 0, 0)  # spot is never short, so the floor does not bind


@inlined
def _worth_at(price: int, holding: Holding) -> int:
    return holding.cash + max((price - holding.entry_price) * holding.per_unit, holding.floor)


@streamed
def _write_worth(worth: Prices, close: Prices, holding: Holding) -> tuple[int, int]:
    """Returns the least and the greatest of what it writes."""
    least = greatest = _worth_at(close[0], holding)
    for i in range(len(worth)):
        value = _worth_at(close[i], holding)
        worth[i] = value
        least, greatest = min(least, value), max(greatest, value)
    return least, greatest


@streamed
def _fill(worth: Prices, value: int) -> None:
    for i in range(len(worth)):
        worth[i] = value


@compiled
def _fold_blocks(tally: Any, peak: int, bars: TileBars, s: int, holding: Holding, now: int, at: int) -> int:
    """As `_fold_equity` for one position; blocks that change neither the peak nor the drawdown are passed."""
    lost, t, close, blocks = 0, now, bars.close[s], bars.blocks
    while t < at:
        block, end = np.uintp(t // BLOCK), min((t // BLOCK + 1) * BLOCK, at)
        one, other = (
            _worth_at(blocks.least_close[s, block], holding),
            _worth_at(blocks.greatest_close[s, block], holding),
        )
        least, greatest = min(one, other), max(one, other)
        if greatest <= peak and (end - t == BLOCK or peak - least <= lost):
            lost = max(lost, peak - least) if end - t == BLOCK else lost
        else:
            for k in range(t, end):
                value = _worth_at(close[np.uintp(k)], holding)
                if value > peak:
                    note_drawdown(tally, peak, lost)
                    peak, lost = value, 0
                else:
                    lost = max(lost, peak - value)
        t = end
    note_drawdown(tally, peak, lost)
    return peak


@streamed
def _add_positions(
    worth: Prices, close: NDArray[np.int64], positions: Records, instruments: Records, cash: int, now: int, at: int
) -> None:
    """Write the value of an account with several open positions."""
    total = worth[now:at]
    _fill(total, cash)
    for s in range(len(positions)):
        if positions[s].qty != 0:
            holding, prices = _holding(positions[s], instruments[s], 0), close[s, now:at]
            for i in range(at - now):
                total[i] += _worth_at(prices[i], holding)


@streamed
def _fold_equity(tally: Any, peak: int, worth: Prices, now: int, at: int) -> int:
    """Note the drawdowns over [now, at) and return the peak: blocks without a new one by their least value."""
    lost, i = 0, now
    while i < at:
        end = min(i + BLOCK, at)
        block, least, greatest = worth[i:end], worth[i], worth[i]
        for k in range(end - i):
            least = min(least, block[k])
            greatest = max(greatest, block[k])
        if greatest <= peak:
            lost = max(lost, peak - least)
        else:
            for k in range(i, end):
                if worth[k] > peak:
                    note_drawdown(tally, peak, lost)
                    peak, lost = worth[k], 0
                else:
                    lost = max(lost, peak - worth[k])
        i = end
    note_drawdown(tally, peak, lost)
    return peak
