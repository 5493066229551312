"""One parameter row over one tile of bars, from each moment at which something can happen to the next.

Between such moments a position only follows the close and its trailing stop only follows the extreme. At them the
phases of `step` run, by the same functions, for the symbols concerned: those with a pending order, a flagged signal,
funding due, a bar that is not an ordinary one, or a price that reaches a protective level. So every order, fill and
limit check is made by the code that a replay runs; what is skipped is only what would change nothing.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.contracts.enums import Action
from openclaw_pipelines.kernel.account.fills import charge_funding, fill_entries, fill_exit, protect_by_profile
from openclaw_pipelines.kernel.account.govern import decide
from openclaw_pipelines.kernel.account.valuation import mark
from openclaw_pipelines.kernel.base.jit import compiled, inlined
from openclaw_pipelines.kernel.base.layout import (
    ENTER_LONG,
    ENTER_SHORT,
    LEAVE_LONG,
    LEAVE_SHORT,
    TRADED,
    BarState,
    Context,
    Records,
    State,
    Tick,
)
from openclaw_pipelines.kernel.base.money import quotient
from openclaw_pipelines.kernel.base.prefetch import prefetch
from openclaw_pipelines.kernel.run.planned import Plan, propose_signal_at
from openclaw_pipelines.kernel.run.replay import Setup
from openclaw_pipelines.kernel.run.simulate import propose_signal
from openclaw_pipelines.kernel.run.step import close_books, propose_symbol, value_at_close
from openclaw_pipelines.kernel.sweep.flags import BLOCK, ENTER, gather, gather_setup
from openclaw_pipelines.kernel.sweep.scan import (
    CLOSE,
    HIGH,
    LOW,
    OPEN,
    TileBars,
    next_flagged,
    next_protective,
    opens_at,
)
from openclaw_pipelines.kernel.sweep.tally import note_drawdown, tally_events
from openclaw_pipelines.kernel.sweep.worth import Account, keep_day, pass_quietly

_MISSING, _TRADABLE = int(BarState.MISSING), int(BarState.TRADABLE)
_EXIT = int(Action.EXIT)
_LINES_AHEAD, _NUMBERS_PER_LINE = 5, 8
"""Cache lines asked for where a fill comes next, and how many numbers each holds."""


class Given(NamedTuple):
    """What is traded in place of a family: fractions of the close for stop, target and trail, and an entry's cost."""

    distances: NDArray[np.float64]
    position_bps: int
    lots: NDArray[np.int64]
    """[S] fixed quantity of an entry; 0 sizes by `position_bps`"""
    keeps_worth: int
    """1 where the account's value at every bar is wanted, not only at the days' ends"""
    plan: Plan
    """What a planner wants, in place of the fields above; empty where `planned` is 0"""
    planned: int


class Scratch(NamedTuple):
    """Buffers of one thread."""

    flags: NDArray[np.uint8]
    """[S, N]"""
    words: NDArray[np.uint64]
    """[S, N / 8] the same memory, eight flags at a time"""
    sides: NDArray[np.uint8]
    worth: NDArray[np.int64]
    """[N] value of the account being walked, at the bars where it was needed or is wanted"""
    next_at: NDArray[np.int64]
    """[S] the next bar that concerns the symbol; N where none does"""
    events: Records
    proposals: Records
    symbols: Records
    row: NDArray[np.float64]
    """[1, SLOTS]"""


@compiled
def walk(
    own: Account, bars: TileBars, setup: Setup, given: Given, scratch: Scratch, columns: NDArray[np.float64],
    row_map: NDArray[np.int32], first: int, day_index: int, stepwise: int,
) -> int:  # fmt: skip
    """Take the ticks of the tile from bar `first` on; returns the next free place in `day_equity`.

    stepwise: 1 takes every bar of an open position by the full rules, for candle profiles other than `strict`.
    """
    n, now = len(bars.times), first
    n_symbols = len(own.state.positions)
    for s in range(n_symbols):
        scratch.next_at[s] = _next_at(own.state.positions[s], bars, setup, given, scratch, s, now, stepwise)
    while now < n:
        at = n
        for s in range(n_symbols):
            at = min(at, scratch.next_at[s])
        if at < n:
            _bring_near(own.state.positions, bars, scratch.next_at, at)
        if at > now:
            day_index = pass_quietly(own, bars, setup.context, given.keeps_worth, scratch.worth, now, at, day_index)
        if at < n:
            _take_tick(own, bars, setup, given, scratch, columns, row_map, at)
            day_index = keep_day(own, opens_at(bars, setup.context, at + 1), scratch.worth[at], day_index)
            for s in range(n_symbols):
                if scratch.next_at[s] == at:
                    scratch.next_at[s] = _next_at(
                        own.state.positions[s], bars, setup, given, scratch, s, at + 1, stepwise
                    )
        now = at + 1
    for s in range(n_symbols):
        _leave_tile(own.state.positions[s], bars, setup.context, scratch.flags, s, first, given.planned)
    return day_index


@inlined
def _next_at(
    position: Any, bars: TileBars, setup: Setup, given: Given, scratch: Scratch, s: int, now: int, stepwise: int
) -> int:
    """First bar from `now` on that concerns the symbol. A trailing stop is moved on up to the bar before it."""
    n = len(bars.times)
    if now >= n:
        return n
    if position.pending_action != 0:
        if given.keeps_worth != 0:
            _bring_ahead_near(position, bars, scratch.worth, s, now)
        return now
    if position.qty == 0:
        return next_flagged(scratch.words[s], now, n, ENTER)
    if stepwise != 0:
        return now
    context = setup.context
    last, hold = n, context.params[0].max_hold_bars
    if hold > 0:
        entry = now - (opens_at(bars, context, now) - position.entry_at) // context.interval_seconds
        last = min(n, max(entry + hold - 1, now))
    leaves = (LEAVE_LONG | ENTER_SHORT) if position.qty > 0 else (LEAVE_SHORT | ENTER_LONG)
    last = next_flagged(scratch.words[s], now, last, leaves)
    return next_protective(position, bars, s, context.instruments[s], now, last)


@inlined
def _take_tick(
    own: Account, bars: TileBars, setup: Setup, given: Given, scratch: Scratch, columns: NDArray[np.float64],
    row_map: NDArray[np.int32], at: int,
) -> None:  # fmt: skip
    """All phases of `step` for the symbols that bar `at` concerns; the others are marked at their close."""
    state, context = own.state, setup.context
    tick_at = opens_at(bars, context, at + 1)
    for s in range(len(state.positions)):
        if scratch.next_at[s] == at:
            _load(scratch.symbols[s], bars, s, at)
            _catch_up(state.positions[s], scratch.symbols[s], bars, context, s, at)
        elif state.positions[s].qty != 0:
            state.positions[s].last_price, state.positions[s].stale = bars.close[s, at], 0
    tick = Tick(tick_at, scratch.symbols)
    n_events = _fill_concerned(state, tick, setup, scratch, at)
    for s in range(len(state.positions)):
        if scratch.next_at[s] == at:
            value_at_close(state.positions[s], scratch.symbols[s])
    close_books(state, tick_at, mark(state, context).equity)
    account, tally = state.account[0], own.tally[0]
    scratch.worth[np.uintp(at)] = account.equity
    note_drawdown(tally, account.peak_equity, account.peak_equity - account.equity)
    if n_events > 0:
        tally_events(tally, own.symbols, context.instruments, scratch.events, n_events)
        if len(own.kept) > 0:
            _keep_events(own, scratch.events, n_events)
    n = 0
    for s in range(len(state.positions)):
        if scratch.next_at[s] == at and scratch.symbols[s].bar_state != _MISSING:
            n = _propose(own, bars, setup, tick, given, scratch, columns, row_map, s, at, n)
    if n > 0:
        decide(state, tick, setup.limits, setup.account_limits, context, scratch.proposals, n)


@compiled
def _keep_events(own: Account, events: Records, n: int) -> None:
    count = own.kept_count[0]
    for i in range(n):
        if count + i < len(own.kept):
            own.kept[count + i] = events[i]
    own.kept_count[0] = count + n


@inlined
def _bring_near(positions: Records, bars: TileBars, next_at: NDArray[np.int64], at: int) -> None:
    """Ask for the prices of a tick and the bar after it while the bars before it are valued: they lie in no cache."""
    for s in range(len(positions)):
        if next_at[s] == at:
            prefetch(bars.candles, (s, at, OPEN))
            prefetch(bars.candles, (s, at + 1, CLOSE))


@inlined
def _bring_ahead_near(position: Any, bars: TileBars, worth: NDArray[np.int64], s: int, now: int) -> None:
    """Ask for where the values of the bars after a fill go, and for the closes that make them, before its tick."""
    for line in range(_LINES_AHEAD):
        prefetch(worth, (now + line * _NUMBERS_PER_LINE,))
    if position.qty == 0:  # an entry
        for line in range(_LINES_AHEAD):
            prefetch(bars.close, (s, now + line * _NUMBERS_PER_LINE))


@inlined
def _load(symbol: Any, bars: TileBars, s: int, at: int) -> None:
    t = np.uintp(at)
    symbol.open, symbol.high, symbol.low, symbol.close = (
        bars.candles[s, t, OPEN], bars.candles[s, t, HIGH], bars.candles[s, t, LOW], bars.candles[s, t, CLOSE],
    )  # fmt: skip
    symbol.bar_state, symbol.in_universe, symbol.control = _TRADABLE, 1, 0
    symbol.funding_rate = symbol.funding_inside = 0
    if bars.blocks.odd[s, np.uintp(at // BLOCK)] != 0:  # to read five arrays less: each may be a cache miss
        symbol.bar_state, symbol.funding_rate = bars.bar_state[s, t], bars.funding_rate[s, t]
        symbol.funding_inside = bars.funding_inside[s, t]
        symbol.in_universe, symbol.control = bars.in_universe[s, t], bars.control[s, t]


@inlined
def _catch_up(position: Any, symbol: Any, bars: TileBars, context: Context, s: int, at: int) -> None:
    """Bring an open position to the end of the bar before `at`, where `symbol` is loaded from `at`."""
    if position.qty != 0:
        position.bars_held = quotient(opens_at(bars, context, at) - position.entry_at, context.interval_seconds)
        # an ordinary bar marks the position at its own close
        if symbol.bar_state != _TRADABLE and at > 0 and bars.unusual[s, at - 1] == 0:
            position.last_price, position.stale = bars.close[s, at - 1], 0


@inlined
def _fill_concerned(state: State, tick: Tick, setup: Setup, scratch: Scratch, at: int) -> int:
    """The candle rules in the order of `fills.fill_bar`; symbols that are not concerned have nothing to fill."""
    context, events, n = setup.context, scratch.events, 0
    bar_open, slippage_rate = tick.at - context.interval_seconds, setup.account_limits[0].slippage_rate
    for s in range(len(state.positions)):
        if scratch.next_at[s] == at and state.positions[s].qty != 0 and tick.symbols[s].funding_rate != 0:
            n = charge_funding(state, tick, context, s, tick.symbols[s].funding_rate, bar_open, events, n)
    for s in range(len(state.positions)):
        if (
            scratch.next_at[s] == at
            and state.positions[s].pending_action == _EXIT
            and tick.symbols[s].bar_state == _TRADABLE
        ):
            n = fill_exit(state, tick, slippage_rate, context, s, bar_open, events, n)
    if state.account[0].pending_entries > 0:
        n = fill_entries(state, tick, slippage_rate, context, bar_open, events, n)
    for s in range(len(state.positions)):
        if scratch.next_at[s] == at and state.positions[s].qty != 0 and tick.symbols[s].funding_inside != 0:
            n = charge_funding(state, tick, context, s, tick.symbols[s].funding_inside, bar_open, events, n)
    for s in range(len(state.positions)):
        if scratch.next_at[s] == at and state.positions[s].qty != 0 and tick.symbols[s].bar_state & TRADED:
            n = protect_by_profile(state, tick, slippage_rate, context, s, bar_open, events, n)
    return n


@inlined
def _propose(
    own: Account, bars: TileBars, setup: Setup, tick: Tick, given: Given, scratch: Scratch,
    columns: NDArray[np.float64], row_map: NDArray[np.int32], s: int, at: int, n: int,
) -> int:  # fmt: skip
    flag, params, state = scratch.flags[s, np.uintp(at)], setup.context.params[0], own.state
    if params.family == 0 and given.planned != 0:
        return propose_signal_at(
            state.positions[s], tick.symbols[s], given.plan, flag, at, setup.context, state.account[0].equity,
            scratch.proposals, n, s,
        )  # fmt: skip
    if params.family == 0:
        wanted = (1 if flag & ENTER_LONG else 0) - (1 if flag & ENTER_SHORT else 0)
        leave = 1 if flag & (LEAVE_LONG | LEAVE_SHORT) else 0
        return propose_signal(
            state,
            tick,
            setup,
            s,
            wanted,
            leave,
            given.distances,
            given.position_bps,
            given.lots[s],
            scratch.proposals,
            n,
        )
    row = scratch.row[0]
    gather(row, columns, row_map, s, at, bars.seen[s, at])
    gather_setup(row, flag, params.entry_window_bars)
    return propose_symbol(
        state.positions[s], tick.symbols[s], row, setup.context, state.account[0].equity, scratch.proposals, n, s
    )


@compiled
def _leave_tile(
    position: Any, bars: TileBars, context: Context, flags: NDArray[np.uint8], s: int, first: int, planned: int
) -> None:
    """Bring a symbol to the end of the tile."""
    n = len(bars.times)
    if position.qty != 0:
        position.bars_held = (opens_at(bars, context, n) - position.entry_at) // context.interval_seconds
        if bars.unusual[s, n - 1] == 0:
            position.last_price, position.stale = bars.close[s, n - 1], 0
    else:
        t = n - 1
        while t >= first and not bars.bar_state[s, t] & TRADED:
            t -= 1
        if t >= first:
            position.last_price = bars.close[s, t]
    if context.params[0].family != 0 or planned != 0:
        t = n - 1
        while t >= first and bars.bar_state[s, t] == _MISSING:
            t -= 1
        if t >= first:
            flag = flags[s, t]
            position.last_signal = (1 if flag & ENTER_LONG else 0) - (1 if flag & ENTER_SHORT else 0)
