"""Candle rules `strict`: what a closed bar does to pending orders and open positions, in one fixed order.

1. Funding stamped in the bar is charged at the open on the position held before fills.
2. Exits fill at the open.
3. Entries fill at the open in recorded rank; only cash is rechecked.
4. The nearest to the market of stop, trailing stop and liquidation fills if the bar reaches it, at the open if the bar
   opens beyond it.
5. Then the target likewise, without slippage. Stop and target in one bar: the stop wins.
6. Then the trailing stop follows this bar's extreme. 4 to 6 apply to the entry bar too.
7. A bar that is missing or without volume fills nothing: entries expire, exits carry on, the position keeps its last
   price and is marked stale.

What was allowed to be ordered is decided in `risk`; valuation and the day's roll are in `step`.
"""

from typing import Any, NamedTuple

from openclaw_pipelines.contracts.enums import Action, ExitReason, Leg, RejectCode
from openclaw_pipelines.kernel.jit import compiled, inlined
from openclaw_pipelines.kernel.layout import BarState, Context, EventKind, Records, State, Tick
from openclaw_pipelines.kernel.money import (
    affordable,
    entry_cost,
    liquidation_price,
    margin_of,
    notional_of,
    rate_down,
    rate_up,
    round_price,
    slipped,
)

_TRADABLE = int(BarState.TRADABLE)
_MISSING = int(BarState.MISSING)
_ENTER, _EXIT = int(Action.ENTER), int(Action.EXIT)
_LEG_ENTRY, _LEG_EXIT = int(Leg.ENTRY), int(Leg.EXIT)
_LEG_STOP, _LEG_TARGET, _LEG_LIQUIDATION = int(Leg.STOP), int(Leg.TARGET), int(Leg.LIQUIDATION)
_STOP, _TRAILING_STOP = int(ExitReason.STOP), int(ExitReason.TRAILING_STOP)
_TARGET, _LIQUIDATION = int(ExitReason.TARGET), int(ExitReason.LIQUIDATION)
_FILL, _FUNDING = int(EventKind.FILL), int(EventKind.FUNDING)
_ENTRY_EXPIRED, _INSUFFICIENT, _REDUCED = (
    int(EventKind.ENTRY_EXPIRED),
    int(EventKind.INSUFFICIENT),
    int(EventKind.REDUCED),
)
_INSUFFICIENT_AT_FILL = int(RejectCode.INSUFFICIENT_AT_FILL)


class Order(NamedTuple):
    """An order about to fill. `base_price` is where the market is, `intended_price` where it was wanted."""

    leg: int
    reason: int
    base_price: int
    intended_price: int
    decided_at: int
    slippage_rate: int
    fee_rate: int


@compiled
def fill_bar(state: State, tick: Tick, account_limits: Records, context: Context, events: Records, n: int) -> int:
    """Apply rules 1 to 7 to all symbols; events are written from index `n` on. Returns the next free index."""
    bar_open = tick.at - context.interval_seconds
    slippage_rate = account_limits[0].slippage_rate
    n_symbols = len(state.positions)
    for s in range(n_symbols):
        if state.positions[s].qty != 0 and tick.symbols[s].funding_rate != 0:
            n = charge_funding(state, tick, context, s, bar_open, events, n)
    for s in range(n_symbols):
        if state.positions[s].pending_action == _EXIT and tick.symbols[s].bar_state == _TRADABLE:
            n = fill_exit(state, tick, slippage_rate, context, s, bar_open, events, n)
    if state.account[0].pending_entries > 0:
        n = fill_entries(state, tick, slippage_rate, context, bar_open, events, n)
    for s in range(n_symbols):
        if state.positions[s].qty != 0 and tick.symbols[s].bar_state == _TRADABLE:
            n = protect(state, tick, slippage_rate, context, s, bar_open, events, n)
    return n


@compiled
def charge_funding(state: State, tick: Tick, context: Context, s: int, bar_open: int, events: Records, n: int) -> int:
    """Rule 1. Longs pay a positive rate; what is paid rounds up, what is received rounds down."""
    position, symbol, instrument = state.positions[s], tick.symbols[s], context.instruments[s]
    if instrument.is_perp == 0:
        return n
    price = position.last_price if symbol.bar_state == _MISSING else symbol.open
    notional = notional_of(abs(position.qty), price, instrument)
    pays = (position.qty > 0) == (symbol.funding_rate > 0)
    rate = abs(symbol.funding_rate)
    received = -rate_up(notional, rate) if pays else rate_down(notional, rate)
    account = state.account[0]
    account.cash += received
    account.funding += received
    position.funding += received
    event = _write(events, n, _FUNDING, s, bar_open, position.decided_at)
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
            n = _drop_entry(state.positions[s], s, _ENTRY_EXPIRED, 0, bar_open, events, n)
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
            return _drop_entry(position, s, _INSUFFICIENT, _INSUFFICIENT_AT_FILL, bar_open, events, n)
        n = _drop_entry(position, s, _REDUCED, 0, bar_open, events, n)
    return open_position(state, context, s, qty, price, bar_open, events, n)


@compiled
def open_position(
    state: State, context: Context, s: int, qty: int, price: int, bar_open: int, events: Records, n: int
) -> int:
    """Book the entry and hang its stop, target and trailing stop on the fill price."""
    position, instrument, account = state.positions[s], context.instruments[s], state.account[0]
    side, notional = position.pending_side, notional_of(qty, price, instrument)
    fee = rate_up(notional, instrument.taker_rate)
    cash_change = -fee
    position.margin = position.liquidation = 0
    if instrument.is_perp:
        position.margin = margin_of(notional, position.pending_leverage_bps)
        position.liquidation = liquidation_price(side, qty, price, position.margin, instrument)
    else:
        cash_change -= notional
    account.cash += cash_change
    account.margin += position.margin
    account.fees += fee
    position.qty, position.entry_price, position.entry_at = side * qty, price, bar_open
    position.decided_at, position.entry_fee = position.pending_decided_at, fee
    position.funding = position.bars_held = position.stale = 0
    position.stop = _level(price, -side * position.pending_stop, instrument)
    position.target = _level(price, side * position.pending_target, instrument)
    position.trail_distance = position.pending_trail
    position.trail_stop = _level(price, -side * position.pending_trail, instrument)
    event = _write(events, n, _FILL, s, bar_open, position.decided_at)
    event.leg, event.side, event.qty, event.price = _LEG_ENTRY, side, qty, price
    event.intended_price, event.fee, event.cash_change = position.pending_price, fee, cash_change
    event.entry_decided_at = position.decided_at
    return n + 1


@compiled
def _level(price: int, offset: int, instrument: Any) -> int:
    """A protective price on the tick, rounded away from the market; 0 where there is no offset or no such price."""
    if offset == 0 or price + offset <= 0:
        return 0
    return round_price(price + offset, instrument, offset > 0)


@compiled
def close_position(
    state: State, tick: Tick, context: Context, s: int, order: Order, bar_open: int, events: Records, n: int
) -> int:
    """Book the exit of the whole position. An isolated position loses its margin at most, whatever closes it."""
    position, instrument, account = state.positions[s], context.instruments[s], state.account[0]
    side, qty = (1, position.qty) if position.qty > 0 else (-1, -position.qty)
    price = order.base_price
    if order.slippage_rate > 0:
        price = slipped(price, -side, order.slippage_rate, instrument)
    notional = notional_of(qty, price, instrument)
    fee = rate_up(notional, order.fee_rate)
    realized = side * (notional - notional_of(qty, position.entry_price, instrument))
    cash_change = notional - fee
    if instrument.is_perp:
        realized = max(realized, -position.margin)
        cash_change = realized - fee
    account.cash += cash_change
    account.margin -= position.margin
    account.realized += realized
    account.fees += fee
    event = _write(events, n, _FILL, s, bar_open, order.decided_at)
    event.leg, event.side, event.qty, event.price = order.leg, -side, qty, price
    event.intended_price, event.fee, event.cash_change = order.intended_price, fee, cash_change
    event.realized, event.reason, event.entry_decided_at = realized, order.reason, position.decided_at
    _flatten(position, tick.at)
    return n + 1


@compiled
def _flatten(position: Any, tick_at: int) -> None:
    position.qty = position.entry_price = position.margin = 0
    position.stop = position.target = position.trail_stop = position.trail_distance = position.liquidation = 0
    position.entry_at = position.decided_at = position.bars_held = position.stale = 0
    position.entry_fee = position.funding = 0
    position.last_exit_at = tick_at
    clear_pending(position)


@compiled
def clear_pending(position: Any) -> None:
    """Forget the pending order."""
    position.pending_action = position.pending_side = position.pending_qty = position.pending_price = 0
    position.pending_stop = position.pending_target = position.pending_trail = 0
    position.pending_rank = position.pending_reason = position.pending_decided_at = 0
    position.pending_reserved = position.pending_leverage_bps = 0


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
        price = bar.open if side * bar.open > side * target else target
        order = Order(_LEG_TARGET, _TARGET, price, target, position.decided_at, 0, instrument.taker_rate)
        return close_position(state, tick, context, s, order, bar_open, events, n)
    if position.trail_distance > 0:
        raised = _level(favourable, -side * position.trail_distance, instrument)
        position.trail_stop = nearest_adverse(side, position.trail_stop, raised, 0)
    return n


@inlined
def nearest_adverse(side: int, first: int, second: int, third: int) -> int:
    """The price of a losing move that comes first: the highest for a long, the lowest above 0 for a short.

    >>> nearest_adverse(1, 90, 95, 0), nearest_adverse(-1, 110, 105, 0)
    (95, 105)
    """
    level = first
    if second > 0 and (level == 0 or side * second > side * level):
        level = second
    if third > 0 and (level == 0 or side * third > side * level):
        level = third
    return level


@compiled
def _drop_entry(position: Any, s: int, kind: int, code: int, bar_open: int, events: Records, n: int) -> int:
    """Record that an entry did not fill in full: expired, insufficient or reduced. `reason` holds the RejectCode."""
    event = _write(events, n, kind, s, bar_open, position.pending_decided_at)
    event.leg, event.side, event.qty = _LEG_ENTRY, position.pending_side, position.pending_qty
    event.intended_price, event.reason = position.pending_price, code
    event.entry_decided_at = position.pending_decided_at
    return n + 1


@compiled
def _write(events: Records, n: int, kind: int, s: int, at: int, decided_at: int) -> Any:
    """The n-th event with everything zeroed that its writer may leave out."""
    event = events[n]
    event.kind, event.symbol, event.at, event.decided_at = kind, s, at, decided_at
    event.leg = event.side = event.qty = event.price = event.intended_price = 0
    event.fee = event.cash_change = event.realized = event.reason = event.entry_decided_at = 0
    return event
