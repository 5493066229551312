"""Candle rules `freqtrade`: stop, ROI and trailing stop in that project's order and at its prices.

They take the place of rules 4 to 6 of `fills`; funding, entries, exits by signal and bars that fill nothing are the
same. The rules are those of freqtrade's documentation ("Backtesting", section "Assumptions made by backtesting") and,
where it is silent, of `optimize/backtesting.py` and `strategy/interface.py` of release 2026.9, for a long position:

1. A stop already in force fills if the low reaches it: the fixed stop, or the trailing stop of earlier bars.
2. If it does not, the trailing stop is raised with the bar's high, and tested against the low of the same bar.
3. Liquidation is looked at only where no stop was hit.
4. A fixed stop and liquidation win over ROI; ROI wins over a trailing stop. ROI needs a high beyond its price.
5. A stop fills at its price, also where the bar opens beyond it; only where it lies above the whole bar, at the open.
6. A trailing stop hit in the entry bar fills at open less distance: as if price ticked up, then fell at once.
7. ROI fills at its price, or at the low where the whole bar lies above it.

ROI is the position's target: one step of an ROI table, `{"0": target}`, gross of fees. Without a fixed stop, the first
trailing stop is the stop loss (`trailing_stop`); beside one, it is in force from the first profit on
(`trailing_stop_positive`). Slippage and fees are costs, not candle rules: as under `strict`.
"""

from typing import Any, NamedTuple

from openclaw_pipelines.contracts.enums import ExitReason, Leg
from openclaw_pipelines.kernel.account.booking import Order, close_position, nearest_adverse, protective_level
from openclaw_pipelines.kernel.base.jit import compiled
from openclaw_pipelines.kernel.base.layout import Context, Records, State, Tick

_LEG_STOP, _LEG_TARGET, _LEG_LIQUIDATION = int(Leg.STOP), int(Leg.TARGET), int(Leg.LIQUIDATION)
_STOP, _TRAILING_STOP = int(ExitReason.STOP), int(ExitReason.TRAILING_STOP)
_TARGET, _LIQUIDATION = int(ExitReason.TARGET), int(ExitReason.LIQUIDATION)


class StopInForce(NamedTuple):
    """The one stop that freqtrade keeps: its price, 0 for none, and whether it has been raised (1) or not (0)."""

    price: int
    raised: int


@compiled
def protect_freqtrade(
    state: State, tick: Tick, slippage_rate: int, context: Context, s: int, bar_open: int, events: Records, n: int
) -> int:
    """Rules 1 to 7 for one open position."""
    position, bar, instrument = state.positions[s], tick.symbols[s], context.instruments[s]
    side = 1 if position.qty > 0 else -1
    adverse, favourable = (bar.low, bar.high) if side > 0 else (bar.high, bar.low)
    stop = stop_in_force(position, side, instrument)
    if not _reached(side, adverse, stop.price) and position.trail_distance > 0:
        trail = protective_level(favourable, -side * position.trail_distance, instrument)
        position.trail_stop = nearest_adverse(side, position.trail_stop, trail, 0)
        stop = stop_in_force(position, side, instrument)
    stopped = _reached(side, adverse, stop.price)
    leg, reason, intended, price = 0, 0, 0, 0
    rate, fee_rate = slippage_rate, instrument.taker_rate
    if stopped and stop.raised == 0:
        leg, reason, intended = _LEG_STOP, _STOP, stop.price
        price = _inside(side, bar, favourable, stop.price)
    elif not stopped and _reached(side, adverse, position.liquidation):
        leg, reason, intended = _LEG_LIQUIDATION, _LIQUIDATION, position.liquidation
        fee_rate = instrument.liquidation_rate
        price = _inside(side, bar, favourable, position.liquidation)
    elif position.target > 0 and side * favourable > side * position.target:
        leg, reason, intended, rate = _LEG_TARGET, _TARGET, position.target, 0
        price = adverse if side * adverse > side * position.target else position.target
    elif stopped:
        leg, reason, intended = _LEG_STOP, _TRAILING_STOP, stop.price
        price = _inside(side, bar, favourable, stop.price)
        if position.entry_at == bar_open:
            price = _at_worst(position, side, bar, adverse, instrument)
    if leg == 0:
        return n
    order = Order(leg, reason, price, intended, position.decided_at, rate, fee_rate)
    return close_position(state, tick, context, s, order, bar_open, events, n)


@compiled
def stop_in_force(position: Any, side: int, instrument: Any) -> StopInForce:
    """The fixed stop until the trailing stop has left its first place and passed it."""
    first = protective_level(position.entry_price, -side * position.trail_distance, instrument)
    moved = position.trail_distance > 0 and side * position.trail_stop > side * first
    if position.stop == 0:
        return StopInForce(position.trail_stop, 1 if moved else 0)
    if moved and side * position.trail_stop > side * position.stop:
        return StopInForce(position.trail_stop, 1)
    return StopInForce(position.stop, 0)


@compiled
def _reached(side: int, adverse: int, level: int) -> bool:
    return bool(level > 0 and side * adverse <= side * level)


@compiled
def _inside(side: int, bar: Any, favourable: int, level: int) -> int:
    """Rule 5: the level's own price, or the open where the whole bar is beyond it."""
    price: int = bar.open if side * level > side * favourable else level
    return price


@compiled
def _at_worst(position: Any, side: int, bar: Any, adverse: int, instrument: Any) -> int:
    """Rule 6: never outside the bar."""
    fallen = protective_level(bar.open, -side * position.trail_distance, instrument)
    return nearest_adverse(side, adverse, fallen, 0)
