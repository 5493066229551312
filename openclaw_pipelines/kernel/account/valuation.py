"""What the account is worth and what it has under way, at one moment of a tick. Read only."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.contracts.enums import Action
from openclaw_pipelines.kernel.base.jit import compiled, streamed
from openclaw_pipelines.kernel.base.layout import RING_SIZE, Context, Records, State
from openclaw_pipelines.kernel.base.money import notional_of, rate_up, slipped

_ENTER = int(Action.ENTER)


class Mark(NamedTuple):
    """The account at the last prices, in atoms. equity = cash + position_value; free_cash = cash - margin."""

    cash: int
    margin: int
    position_value: int
    """Spot at its worth, a perpetual at its unrealized PnL."""
    unrealized: int
    equity: int
    free_cash: int
    gross_exposure: int


@compiled
def mark(state: State, context: Context) -> Mark:
    """Value the account at each position's last price. An isolated position is worth minus its margin at least."""
    value, unrealized, gross = 0, 0, 0
    for s in range(len(state.positions)):
        position = state.positions[s]
        if position.qty == 0:
            continue
        instrument = context.instruments[s]
        notional = notional_of(abs(position.qty), position.last_price, instrument)
        gain = position.qty * (position.last_price - position.entry_price) * instrument.mult
        if instrument.is_perp:
            gain = max(gain, -position.margin)
            value += gain
        else:
            value += notional
        unrealized += gain
        gross += notional
    account = state.account[0]
    return Mark(
        account.cash, account.margin, value, unrealized, account.cash + value, account.cash - account.margin, gross
    )


@compiled
def exit_cost(position: Any, instrument: Any, slippage_rate: int) -> int:
    """Slippage and fee of closing now; a perpetual's loss is its margin at most, as when it is closed."""
    if position.qty == 0:
        return 0
    side, qty, last = 1 if position.qty > 0 else -1, abs(position.qty), position.last_price
    notional = notional_of(qty, slipped(last, -side, slippage_rate, instrument), instrument)
    fee, value = rate_up(notional, instrument.taker_rate), notional_of(qty, last, instrument)
    bought, floor = notional_of(qty, position.entry_price, instrument), -position.margin
    lost: int = value - notional
    if instrument.is_perp:
        lost = max(side * (value - bought), floor) - max(side * (notional - bought), floor)
    return lost + fee


def net_equities(accounts: Records, positions: Records, instruments: Records, slippage_rate: int) -> NDArray[np.int64]:
    """Equity [R] of accounts [R] with positions [R, S], less what closing the open ones would cost."""
    net = np.array(accounts.equity, np.int64)
    _take_exit_costs(net, positions, instruments, slippage_rate)
    return net


@streamed
def _take_exit_costs(net: NDArray[np.int64], positions: Records, instruments: Records, slippage_rate: int) -> None:
    for row in range(len(net)):
        for s in range(len(instruments)):
            net[row] -= exit_cost(positions[row, s], instruments[s], slippage_rate)


@compiled
def open_positions(positions: Records) -> int:
    """Positions that are open now."""
    count = 0
    for s in range(len(positions)):
        count += 1 if positions[s].qty != 0 else 0
    return count


@compiled
def symbol_orders(position: Any, proposals: Records, n: int, s: int) -> int:
    """Position, pending order and approved proposals on symbol `s`, counted together."""
    count = (1 if position.qty != 0 else 0) + (1 if position.pending_action != 0 else 0)
    for i in range(n):
        count += 1 if proposals[i].symbol == s and proposals[i].approved_qty > 0 else 0
    return count


@compiled
def group_exposure(positions: Records, instruments: Records, proposals: Records, n: int, s: int) -> int:
    """Notional of positions and approved entries on the base asset of symbol `s`."""
    exposure, group = 0, instruments[s].group
    for other in range(len(positions)):
        if instruments[other].group == group and positions[other].qty != 0:
            exposure += notional_of(abs(positions[other].qty), positions[other].last_price, instruments[other])
    for i in range(n):
        proposal = proposals[i]
        if proposal.action == _ENTER and proposal.approved_qty > 0 and instruments[proposal.symbol].group == group:
            exposure += notional_of(proposal.approved_qty, proposal.price, instruments[proposal.symbol])
    return exposure


@compiled
def recent_orders(state: State, tick_at: int, window_seconds: int, in_this_tick: int) -> int:
    """Approved orders of the last `window_seconds`, with those of this tick."""
    if window_seconds == 0:
        return 0
    count = in_this_tick
    for i in range(RING_SIZE):
        at = state.order_times[i]
        count += 1 if at >= 0 and at > tick_at - window_seconds else 0
    return count
