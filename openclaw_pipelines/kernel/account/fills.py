"""Candle rules: what a closed bar does to pending orders and open positions, in one fixed order.

1. Funding stamped at the open is charged on the position held before fills.
2. Exits fill at the open.
3. Entries fill at the open in recorded rank; only cash is rechecked. Then funding stamped after the open and before the
   close is charged, at the open's price, on what is held now.
4. The nearest to the market of stop, trailing stop and liquidation fills if the bar reaches it, at the open if the bar
   opens beyond it.
5. Then the target likewise, without slippage. Stop and target in one bar: the stop wins. At one price the stop is named
   before the trailing stop, and that before liquidation.
6. Then the trailing stop follows this bar's extreme. 4 to 6 apply to the entry bar too.
7. A bar that is missing or without volume fills nothing: entries expire, exits carry on, the position keeps its last
   price and is marked stale. One whose beginning is missing fills no order at its open either; 4 to 6 go by what is
   known of it: what stands as its open is a later price, at which a stop that is passed fills, a target does not.

This is the profile `strict`. The profile `freqtrade` has rules of its own in the place of 4 to 6, in `fills_freqtrade`.
What was allowed to be ordered is decided in `risk`, fills are booked in `booking`; valuation and the day's roll are in
`step`.
"""

from openclaw_pipelines.contracts.enums import Action, ExitReason, Leg, RejectCode
from openclaw_pipelines.kernel.account.booking import (
    Order,
    clear_pending,
    close_position,
    drop_entry,
    nearest_adverse,
    open_position,
    protective_level,
    write_event,
)
from openclaw_pipelines.kernel.account.fills_freqtrade import protect_freqtrade
from openclaw_pipelines.kernel.base.jit import compiled
from openclaw_pipelines.kernel.base.layout import TRADED, BarState, Context, EventKind, Profile, Records, State, Tick
from openclaw_pipelines.kernel.base.money import affordable, entry_cost, funding_of, notional_of, slipped

_TRADABLE = int(BarState.TRADABLE)
_MISSING, _NO_OPEN = int(BarState.MISSING), int(BarState.NO_OPEN)
_ENTER, _EXIT = int(Action.ENTER), int(Action.EXIT)
_LEG_EXIT, _LEG_STOP = int(Leg.EXIT), int(Leg.STOP)
_LEG_TARGET, _LEG_LIQUIDATION = int(Leg.TARGET), int(Leg.LIQUIDATION)
_STOP, _TRAILING_STOP = int(ExitReason.STOP), int(ExitReason.TRAILING_STOP)
_TARGET, _LIQUIDATION = int(ExitReason.TARGET), int(ExitReason.LIQUIDATION)
_FUNDING = int(EventKind.FUNDING)
_ENTRY_EXPIRED, _INSUFFICIENT, _REDUCED = (
    int(EventKind.ENTRY_EXPIRED),
    int(EventKind.INSUFFICIENT),
    int(EventKind.REDUCED),
)
_INSUFFICIENT_AT_FILL = int(RejectCode.INSUFFICIENT_AT_FILL)
_FREQTRADE = int(Profile.FREQTRADE)


@compiled
def fill_bar(state: State, tick: Tick, account_limits: Records, context: Context, events: Records, n: int) -> int:
    """Apply rules 1 to 7 to all symbols; events are written from index `n` on. Returns the next free index."""
    bar_open = tick.at - context.interval_seconds
    slippage_rate = account_limits[0].slippage_rate
    n_symbols = len(state.positions)
    for s in range(n_symbols):
        if state.positions[s].qty != 0 and tick.symbols[s].funding_rate != 0:
            n = charge_funding(state, tick, context, s, tick.symbols[s].funding_rate, bar_open, events, n)
    for s in range(n_symbols):
        if state.positions[s].pending_action == _EXIT and tick.symbols[s].bar_state == _TRADABLE:
            n = fill_exit(state, tick, slippage_rate, context, s, bar_open, events, n)
    if state.account[0].pending_entries > 0:
        n = fill_entries(state, tick, slippage_rate, context, bar_open, events, n)
    for s in range(n_symbols):
        if state.positions[s].qty != 0 and tick.symbols[s].funding_inside != 0:
            n = charge_funding(state, tick, context, s, tick.symbols[s].funding_inside, bar_open, events, n)
    for s in range(n_symbols):
        if state.positions[s].qty != 0 and tick.symbols[s].bar_state & TRADED:
            n = protect_by_profile(state, tick, slippage_rate, context, s, bar_open, events, n)
    return n


@compiled
def charge_funding(
    state: State, tick: Tick, context: Context, s: int, rate: int, bar_open: int, events: Records, n: int
) -> int:
    """Charge the position a rate: longs pay a positive one; what is paid rounds up, what is received rounds down.

    A position has one event of a bar, to which what falls due inside the bar is added.
    """
    position, symbol, instrument = state.positions[s], tick.symbols[s], context.instruments[s]
    if instrument.is_perp == 0:
        return n
    no_open = symbol.bar_state == _MISSING or symbol.bar_state == _NO_OPEN
    price = position.last_price if no_open else symbol.open
    received = funding_of(position.qty, notional_of(abs(position.qty), price, instrument), rate)
    account = state.account[0]
    account.cash += received
    account.funding += received
    position.funding += received
    for i in range(n):
        if events[i].kind == _FUNDING and events[i].symbol == s:
            events[i].cash_change += received
            return n
    event = write_event(events, n, _FUNDING, s, bar_open, position.decided_at)
    event.qty, event.price, event.cash_change = abs(position.qty), price, received
    event.side = 1 if position.qty > 0 else -1
    event.entry_decided_at = position.decided_at
    return n + 1


@compiled
def fill_exit(
    state: State, tick: Tick, slippage_rate: int, context: Context, s: int, bar_open: int, events: Records, n: int
) -> int:
    """Rule 2: the pending exit fills at the open."""
    position, price = state.positions[s], tick.symbols[s].open
    order = Order(
        _LEG_EXIT,
        position.pending_reason,
        price,
        position.pending_price,
        position.pending_decided_at,
        slippage_rate,
        context.instruments[s].taker_rate,
    )
    return close_position(state, tick, context, s, order, bar_open, events, n)


@compiled
def fill_entries(
    state: State, tick: Tick, slippage_rate: int, context: Context, bar_open: int, events: Records, n: int
) -> int:
    """Rule 3, over all pending entries in ascending rank. None stays pending."""
    for _ in range(state.account[0].pending_entries):
        s = _next_entry(state.positions)
        if tick.symbols[s].bar_state == _TRADABLE:
            n = fill_entry(state, tick, slippage_rate, context, s, bar_open, events, n)
        else:
            n = drop_entry(state.positions[s], s, _ENTRY_EXPIRED, 0, bar_open, events, n)
        clear_pending(state.positions[s])
    state.account[0].pending_entries = 0
    return n


@compiled
def _next_entry(positions: Records) -> int:
    """Column of the pending entry of lowest rank."""
    best = -1
    for s in range(len(positions)):
        if positions[s].pending_action == _ENTER and (
            best < 0 or positions[s].pending_rank < positions[best].pending_rank
        ):
            best = s
    return best


@compiled
def fill_entry(
    state: State, tick: Tick, slippage_rate: int, context: Context, s: int, bar_open: int, events: Records, n: int
) -> int:
    """Fill one entry at the open, reduced to what free cash affords; refuse it below the instrument's minimum."""
    position, instrument, account = state.positions[s], context.instruments[s], state.account[0]
    price = slipped(tick.symbols[s].open, position.pending_side, slippage_rate, instrument)
    free_cash = account.cash - account.margin
    qty, leverage_bps = position.pending_qty, position.pending_leverage_bps
    if entry_cost(notional_of(qty, price, instrument), instrument, leverage_bps) > free_cash:
        qty = affordable(free_cash, price, instrument, leverage_bps)
        if qty < max(instrument.min_qty, 1) or notional_of(qty, price, instrument) < instrument.min_notional:
            return drop_entry(position, s, _INSUFFICIENT, _INSUFFICIENT_AT_FILL, bar_open, events, n)
        n = drop_entry(position, s, _REDUCED, 0, bar_open, events, n)
    return open_position(state, context, s, qty, price, bar_open, events, n)


@compiled
def protect_by_profile(
    state: State, tick: Tick, slippage_rate: int, context: Context, s: int, bar_open: int, events: Records, n: int
) -> int:
    """Rules 4 to 6, or those that the profile has in their place."""
    if context.profile == _FREQTRADE:
        return protect_freqtrade(state, tick, slippage_rate, context, s, bar_open, events, n)
    return protect(state, tick, slippage_rate, context, s, bar_open, events, n)


@compiled
def protect(
    state: State, tick: Tick, slippage_rate: int, context: Context, s: int, bar_open: int, events: Records, n: int
) -> int:
    """Rules 4 to 6 for one open position."""
    position, bar, instrument = state.positions[s], tick.symbols[s], context.instruments[s]
    side = 1 if position.qty > 0 else -1
    adverse, favourable = (bar.low, bar.high) if side > 0 else (bar.high, bar.low)
    level = nearest_adverse(side, position.stop, position.trail_stop, position.liquidation)
    if level > 0 and side * adverse <= side * level:
        price = bar.open if side * bar.open < side * level else level
        leg, reason, fee_rate = _LEG_STOP, _STOP, instrument.taker_rate
        if level != position.stop:
            if level == position.trail_stop:
                reason = _TRAILING_STOP
            else:
                leg, reason, fee_rate = _LEG_LIQUIDATION, _LIQUIDATION, instrument.liquidation_rate
        order = Order(leg, reason, price, level, position.decided_at, slippage_rate, fee_rate)
        return close_position(state, tick, context, s, order, bar_open, events, n)
    target = position.target
    if target > 0 and side * favourable >= side * target:
        better = bar.bar_state == _TRADABLE and side * bar.open > side * target
        price = bar.open if better else target
        order = Order(_LEG_TARGET, _TARGET, price, target, position.decided_at, 0, instrument.taker_rate)
        return close_position(state, tick, context, s, order, bar_open, events, n)
    if position.trail_distance > 0:
        raised = protective_level(favourable, -side * position.trail_distance, instrument)
        position.trail_stop = nearest_adverse(side, position.trail_stop, raised, 0)
    return n
