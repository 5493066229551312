"""Booking of entries and exits: cash, margin, the position's record, and the event that tells it.

Which order fills at which price is decided by the candle rules in `fills` and `fills_freqtrade`; the arithmetic is in
`money`.
"""

from typing import Any, NamedTuple

from openclaw_pipelines.contracts.enums import Leg
from openclaw_pipelines.kernel.base.jit import compiled, inlined
from openclaw_pipelines.kernel.base.layout import Context, EventKind, Records, State, Tick
from openclaw_pipelines.kernel.base.money import (
    liquidation_price,
    margin_of,
    notional_of,
    rate_up,
    round_price,
    slipped,
)

_LEG_ENTRY = int(Leg.ENTRY)
_FILL = int(EventKind.FILL)


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
    position.stop = protective_level(price, -side * position.pending_stop, instrument)
    position.target = protective_level(price, side * position.pending_target, instrument)
    position.trail_distance = position.pending_trail
    position.trail_stop = protective_level(price, -side * position.pending_trail, instrument)
    event = write_event(events, n, _FILL, s, bar_open, position.decided_at)
    event.leg, event.side, event.qty, event.price = _LEG_ENTRY, side, qty, price
    event.intended_price, event.fee, event.cash_change = position.pending_price, fee, cash_change
    event.entry_decided_at = position.decided_at
    return n + 1


@compiled
def close_position(
    state: State, tick: Tick, context: Context, s: int, order: Order, bar_open: int, events: Records, n: int
) -> int:
    """Book the exit of the whole position. An isolated position loses its margin at most, whatever closes it."""
    position, instrument, account = state.positions[s], context.instruments[s], state.account[0]
    side, qty = (1, position.qty) if position.qty > 0 else (-1, -position.qty)
    price = slipped(order.base_price, -side, order.slippage_rate, instrument)
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
    event = write_event(events, n, _FILL, s, bar_open, order.decided_at)
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
def protective_level(price: int, offset: int, instrument: Any) -> int:
    """A protective price on the tick, rounded away from the market; 0 where there is no offset or no such price."""
    if offset == 0 or price + offset <= 0:
        return 0
    return round_price(price + offset, instrument, offset > 0)


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
def drop_entry(position: Any, s: int, kind: int, code: int, bar_open: int, events: Records, n: int) -> int:
    """Record that an entry did not fill in full: expired, insufficient or reduced. `reason` holds the RejectCode."""
    event = write_event(events, n, kind, s, bar_open, position.pending_decided_at)
    event.leg, event.side, event.qty = _LEG_ENTRY, position.pending_side, position.pending_qty
    event.intended_price, event.reason = position.pending_price, code
    event.entry_decided_at = position.pending_decided_at
    return n + 1


@compiled
def write_event(events: Records, n: int, kind: int, s: int, at: int, decided_at: int) -> Any:
    """The n-th event with everything zeroed that its writer may leave out."""
    event = events[n]
    event.kind, event.symbol, event.at, event.decided_at = kind, s, at, decided_at
    event.leg = event.side = event.qty = event.price = event.intended_price = 0
    event.fee = event.cash_change = event.realized = event.reason = event.entry_decided_at = 0
    return event
