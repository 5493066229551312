"""One tick of one sub-account: settle, observe, propose, rank, govern, order.

Each phase is compiled and can be called from Python one at a time (the paper executor does) or by `step`, which the
replay's and the sweep's loops call. Nothing is allocated here: the caller passes buffers of `EVENTS_PER_SYMBOL` and
`PROPOSALS_PER_SYMBOL` records per symbol. Candle rules are in `fills`, limit checks in `risk`.
"""

from typing import Any, NamedTuple

from numba import njit

from openclaw_pipelines.contracts.enums import Action, ExitReason, RejectCode
from openclaw_pipelines.kernel.fills import fill_bar
from openclaw_pipelines.kernel.layout import RING_SIZE, BarState, Context, Halt, Records, State, Tick
from openclaw_pipelines.kernel.money import NOTIONAL_MAX, mul_div, notional_of
from openclaw_pipelines.kernel.risk import Asked, Book, check_entry, distance_units, required_cash, size_qty
from openclaw_pipelines.kernel.signals import Signal, observe, signal

_MISSING = int(BarState.MISSING)
_HOLD, _ENTER, _EXIT = int(Action.HOLD), int(Action.ENTER), int(Action.EXIT)
_SIGNAL = int(ExitReason.SIGNAL)
_QTY_ZERO, _DUPLICATE = int(RejectCode.QTY_ZERO), int(RejectCode.DUPLICATE)
_KILL_SWITCH = int(RejectCode.KILL_SWITCH)
_HALT_ALL, _HALT_CLOSE_ONLY = int(Halt.HALT_ALL), int(Halt.CLOSE_ONLY)


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


@njit(cache=True, error_model="numpy")
def step(
    state: State, tick: Tick, limits: Records, account_limits: Records, context: Context, events: Records,
    proposals: Records, n_external: int,
) -> tuple[int, int]:  # fmt: skip
    """Take one tick through all phases. Returns the numbers of proposals and events written.

    proposals: the first `n_external` records hold proposals from outside (symbol, action, side, qty, price,
    distances, confidence, external = 1); the strategy's own follow.
    """
    n_events = settle(state, tick, account_limits, context, events, 0)
    observe_bars(state, tick, context)
    n_proposals = propose(state, tick, context, proposals, n_external)
    decide(state, tick, limits, account_limits, context, proposals, n_proposals)
    return n_proposals, n_events


@njit(cache=True, error_model="numpy")
def settle(state: State, tick: Tick, account_limits: Records, context: Context, events: Records, n: int) -> int:
    """Fill what the closed bars fill, then value the account at their closes. Returns the next free event index."""
    n = fill_bar(state, tick, account_limits, context, events, n)
    for s in range(len(state.positions)):
        _value_at_close(state.positions[s], tick.symbols[s])
    _close_books(state, tick.at, mark(state, context).equity)
    return n


@njit(cache=True, error_model="numpy")
def _value_at_close(position: Any, symbol: Any) -> None:
    if symbol.bar_state == 1:
        position.last_price = symbol.close
    if position.qty != 0:
        position.stale = 0 if symbol.bar_state == 1 else 1
        position.bars_held += 1


@njit(cache=True, error_model="numpy")
def _close_books(state: State, tick_at: int, equity: int) -> None:
    """The tick at 00:00 closes the old day: its equity is the new day's baseline."""
    account = state.account[0]
    account.equity = equity
    account.peak_equity = max(account.peak_equity, equity)
    account.last_tick = tick_at
    day = tick_at // 86_400
    if day != account.day:
        account.day = day
        account.day_open_equity = equity


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
def observe_bars(state: State, tick: Tick, context: Context) -> None:
    """Fold the closed bars into the indicators; missing bars are skipped, bars without volume are not."""
    for s in range(len(state.positions)):
        bar = tick.symbols[s]
        if bar.bar_state != _MISSING:
            observe(
                state.indicators[s],
                context.params[0],
                float(bar.open),
                float(bar.high),
                float(bar.low),
                float(bar.close),
                bar.volume,
            )


@njit(cache=True, error_model="numpy")
def propose(state: State, tick: Tick, context: Context, proposals: Records, n: int) -> int:
    """Write what the strategy wants at this tick from index `n` on. Returns the next free index.

    Nothing is proposed for a symbol whose bar is missing or whose exit is still carried, and no entry outside the
    universe. A fresh entry signal in the direction already held is recorded as HOLD, refused as DUPLICATE.
    """
    equity = state.account[0].equity
    for s in range(len(state.positions)):
        position, bar = state.positions[s], tick.symbols[s]
        if bar.bar_state == _MISSING:
            continue
        row, params = state.indicators[s], context.params[0]
        wanted = signal(row, params, 0, 0)
        if position.pending_action == 0:
            if position.qty == 0:
                if wanted.entry != 0 and bar.in_universe != 0:
                    qty = size_qty(equity, params.position_bps, wanted.size, bar.close, context.instruments[s])
                    n = propose_entry(proposals, n, s, wanted, qty, bar.close)
            else:
                side = 1 if position.qty > 0 else -1
                held = signal(row, params, side, position.bars_held)
                n = _propose_held(position, bar.close, wanted, held.exit, side, proposals, n, s)
        position.last_signal = wanted.entry
    return n


@njit(cache=True, error_model="numpy")
def _propose_held(
    position: Any, price: int, wanted: Signal, leave: int, side: int, proposals: Records, n: int, s: int
) -> int:
    """Exit by rule or because the opposite entry is signalled; the reversal's entry comes at a later decision."""
    reason = leave
    if reason == 0 and wanted.entry == -side:
        reason = _SIGNAL
    if reason != 0:
        return propose_exit(proposals, n, s, position, price, reason)
    if wanted.entry == side and position.last_signal != side:
        proposal = _blank(proposals, n, s, _HOLD, price)
        proposal.side, proposal.confidence = side, wanted.confidence
        proposal.code, proposal.measured = _DUPLICATE, 1
        return n + 1
    return n


@njit(cache=True, error_model="numpy")
def propose_entry(proposals: Records, n: int, s: int, wanted: Signal, qty: int, price: int) -> int:
    """Write an entry of `qty` lots at the intended `price`."""
    proposal = _blank(proposals, n, s, _ENTER, price)
    proposal.side, proposal.qty, proposal.confidence = wanted.entry, qty, wanted.confidence
    proposal.stop_distance = distance_units(wanted.stop)
    proposal.target_distance = distance_units(wanted.target)
    proposal.trail_distance = distance_units(wanted.trail)
    return n + 1


@njit(cache=True, error_model="numpy")
def propose_exit(proposals: Records, n: int, s: int, position: Any, price: int, reason: int) -> int:
    """Write the exit of the whole position."""
    proposal = _blank(proposals, n, s, _EXIT, price)
    proposal.side = -1 if position.qty > 0 else 1
    proposal.qty, proposal.reason = abs(position.qty), reason
    return n + 1


@njit(cache=True, error_model="numpy")
def _blank(proposals: Records, n: int, s: int, action: int, price: int) -> Any:
    proposal = proposals[n]
    proposal.symbol, proposal.action, proposal.price = s, action, price
    proposal.side = proposal.qty = proposal.reason = proposal.external = 0
    proposal.stop_distance = proposal.target_distance = proposal.trail_distance = 0
    proposal.code = proposal.measured = proposal.limit = 0
    proposal.approved_qty = proposal.rank = proposal.reserved = 0
    proposal.confidence = 0.0
    return proposal


@njit(cache=True, error_model="numpy")
def decide(
    state: State, tick: Tick, limits: Records, account_limits: Records, context: Context, proposals: Records, n: int
) -> None:
    """Rank, govern and order the first `n` proposals."""
    if n > 0:
        rank(proposals, n)
        govern(state, tick, limits, account_limits, context, proposals, n)
        order(state, tick, limits, account_limits, proposals, n)


@njit(cache=True, error_model="numpy")
def rank(proposals: Records, n: int) -> None:
    """Number proposals from 0: exits first, then entries by confidence, then holds; ties by symbol, then position."""
    for i in range(n):
        if not proposals[i].confidence >= 0.0:  # NaN has no place in an order
            proposals[i].confidence = 0.0
    for i in range(n):
        place = 0
        for j in range(n):
            if j != i and _before(proposals[j], j, proposals[i], i):
                place += 1
        proposals[i].rank = place


@njit(cache=True, error_model="numpy")
def _before(a: Any, a_index: int, b: Any, b_index: int) -> bool:
    # HOLD 0, ENTER 1, EXIT 2: the higher action goes first
    if a.action != b.action:
        return bool(a.action > b.action)
    if a.action == _ENTER and a.confidence != b.confidence:
        return bool(a.confidence > b.confidence)
    if a.symbol != b.symbol:
        return bool(a.symbol < b.symbol)
    return a_index < b_index


@njit(cache=True, error_model="numpy")
def govern(
    state: State, tick: Tick, limits: Records, account_limits: Records, context: Context, proposals: Records, n: int
) -> None:
    """Judge proposals in rank order; each approval counts against those after it. Writes code, numbers, quantity."""
    for i in range(n):
        proposals[i].approved_qty = proposals[i].reserved = 0
    now = mark(state, context)
    reserved, exposure, entries, orders = 0, 0, 0, 0
    for place in range(n):
        i = _at_rank(proposals, n, place)
        proposal = proposals[i]
        s = proposal.symbol
        if proposal.action == _EXIT:
            _judge_exit(state, account_limits, proposals, n, i)
        elif proposal.action == _ENTER:
            book = Book(
                now.equity,
                now.free_cash - reserved,
                now.gross_exposure + exposure,
                group_exposure(state.positions, context.instruments, proposals, n, s),
                open_positions(state.positions) + entries,
                symbol_orders(state.positions[s], proposals, n, s),
                recent_orders(state, tick.at, account_limits[0].window_seconds, orders),
                tick.at if orders > 0 else state.account[0].last_order_at,
            )
            _judge_entry(state, tick, limits[s], account_limits[0], context.instruments[s], proposal, book)
            if proposal.approved_qty > 0:
                reserved += proposal.reserved
                exposure += notional_of(proposal.approved_qty, proposal.price, context.instruments[s])
                entries += 1
        orders += 1 if proposal.approved_qty > 0 else 0


@njit(cache=True, error_model="numpy")
def _at_rank(proposals: Records, n: int, place: int) -> int:
    for i in range(n):
        if proposals[i].rank == place:
            return i
    return 0


@njit(cache=True, error_model="numpy")
def _judge_exit(state: State, account_limits: Records, proposals: Records, n: int, i: int) -> None:
    """An exit closes the whole position. Only a missing position, an exit already under way or halt_all refuses it."""
    proposal = proposals[i]
    position = state.positions[proposal.symbol]
    proposal.qty = abs(position.qty)
    proposal.side = -1 if position.qty > 0 else 1
    proposal.code = proposal.measured = proposal.limit = 0
    others = symbol_orders(position, proposals, n, proposal.symbol) - (1 if position.qty != 0 else 0)
    if position.qty == 0:
        proposal.code, proposal.limit = _QTY_ZERO, 1
    elif others > 0:
        proposal.code, proposal.measured = _DUPLICATE, others
    elif account_limits[0].halt == _HALT_ALL:
        proposal.code, proposal.measured, proposal.limit = _KILL_SWITCH, _HALT_ALL, _HALT_CLOSE_ONLY
    else:
        proposal.approved_qty = proposal.qty


@njit(cache=True, error_model="numpy")
def _judge_entry(
    state: State, tick: Tick, limits: Any, account_limits: Any, instrument: Any, proposal: Any, book: Book
) -> None:
    s = proposal.symbol
    qty = mul_div(proposal.qty, limits.size_bps, 10_000)
    notional, required = NOTIONAL_MAX + 1, 0
    # the division keeps the product in range; a price that is not positive is refused by its own check
    if qty < 0 or proposal.price <= 0:
        notional = 0
    elif qty <= NOTIONAL_MAX // (proposal.price * instrument.mult):
        notional = notional_of(qty, proposal.price, instrument)
        required = required_cash(qty, proposal.price, instrument, limits.leverage_bps, account_limits)
    asked = Asked(proposal.side, qty, proposal.price, notional, required)
    check = check_entry(
        asked, book, tick.symbols[s], state.positions[s], instrument, limits, state.account[0], account_limits, tick.at
    )
    proposal.code, proposal.measured, proposal.limit = check.code, check.measured, check.limit
    if check.code == 0:
        proposal.approved_qty, proposal.reserved = qty, required


@njit(cache=True, error_model="numpy")
def open_positions(positions: Records) -> int:
    """Positions that are open now."""
    count = 0
    for s in range(len(positions)):
        count += 1 if positions[s].qty != 0 else 0
    return count


@njit(cache=True, error_model="numpy")
def symbol_orders(position: Any, proposals: Records, n: int, s: int) -> int:
    """Position, pending order and approved proposals on symbol `s`, counted together."""
    count = (1 if position.qty != 0 else 0) + (1 if position.pending_action != 0 else 0)
    for i in range(n):
        count += 1 if proposals[i].symbol == s and proposals[i].approved_qty > 0 else 0
    return count


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
def recent_orders(state: State, tick_at: int, window_seconds: int, in_this_tick: int) -> int:
    """Approved orders of the last `window_seconds`, with those of this tick."""
    if window_seconds == 0:
        return 0
    count = in_this_tick
    for i in range(RING_SIZE):
        at = state.order_times[i]
        count += 1 if at >= 0 and at > tick_at - window_seconds else 0
    return count


@njit(cache=True, error_model="numpy")
def order(state: State, tick: Tick, limits: Records, account_limits: Records, proposals: Records, n: int) -> None:
    """Write approved proposals as pending orders and remember their times."""
    account = state.account[0]
    for i in range(n):
        proposal = proposals[i]
        if proposal.approved_qty == 0 or not _becomes_order(proposal, account_limits[0].executes):
            continue
        position = state.positions[proposal.symbol]
        position.pending_action, position.pending_side = proposal.action, proposal.side
        position.pending_qty, position.pending_price = proposal.approved_qty, proposal.price
        position.pending_stop, position.pending_target = proposal.stop_distance, proposal.target_distance
        position.pending_trail, position.pending_rank = proposal.trail_distance, proposal.rank
        position.pending_reason, position.pending_decided_at = proposal.reason, tick.at
        position.pending_reserved = proposal.reserved
        position.pending_leverage_bps = limits[proposal.symbol].leverage_bps
        account.pending_entries += 1 if proposal.action == _ENTER else 0
        state.order_times[account.order_count % RING_SIZE] = tick.at
        account.order_count += 1
        account.last_order_at = tick.at


@njit(inline="always", cache=True, error_model="numpy")
def _becomes_order(proposal: Any, executes: int) -> bool:
    """Exits reduce risk and always go out; entries wait for an operator or stay in the shadow as configured."""
    return bool(proposal.action == _EXIT or executes == 2 or (executes == 1 and proposal.external == 1))
