"""From proposals to orders: rank them, judge each against the limits and the approvals before it, remember the entries.

The limit checks themselves are in `risk`; what a proposal wants comes from `step.propose`, a model or an operator.
"""

from typing import Any

from openclaw_pipelines.contracts.enums import Action, RejectCode
from openclaw_pipelines.kernel.account.risk import Asked, Book, check_entry, required_cash
from openclaw_pipelines.kernel.account.valuation import (
    group_exposure,
    mark,
    open_positions,
    recent_orders,
    symbol_orders,
)
from openclaw_pipelines.kernel.base.jit import compiled, inlined
from openclaw_pipelines.kernel.base.layout import RING_SIZE, Context, Halt, Records, State, Tick
from openclaw_pipelines.kernel.base.money import NOTIONAL_MAX, mul_div, notional_of

_ENTER, _EXIT = int(Action.ENTER), int(Action.EXIT)
_QTY_ZERO, _DUPLICATE = int(RejectCode.QTY_ZERO), int(RejectCode.DUPLICATE)
_KILL_SWITCH = int(RejectCode.KILL_SWITCH)
_HALT_ALL, _HALT_CLOSE_ONLY = int(Halt.HALT_ALL), int(Halt.CLOSE_ONLY)


@compiled
def decide(
    state: State, tick: Tick, limits: Records, account_limits: Records, context: Context, proposals: Records, n: int
) -> None:
    """Rank, govern and order the first `n` proposals."""
    if n > 0:
        rank(proposals, n)
        govern(state, tick, limits, account_limits, context, proposals, n)
        order(state, tick, limits, account_limits, proposals, n)


@compiled
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


@compiled
def _before(a: Any, a_index: int, b: Any, b_index: int) -> bool:
    # HOLD 0, ENTER 1, EXIT 2: the higher action goes first
    if a.action != b.action:
        return bool(a.action > b.action)
    if a.action == _ENTER and a.confidence != b.confidence:
        return bool(a.confidence > b.confidence)
    if a.symbol != b.symbol:
        return bool(a.symbol < b.symbol)
    return a_index < b_index


@compiled
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
        if proposal.approved_qty > 0 and _counts(proposal, account_limits[0]):
            orders += 1


@compiled
def _at_rank(proposals: Records, n: int, place: int) -> int:
    for i in range(n):
        if proposals[i].rank == place:
            return i
    return 0


@compiled
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


@compiled
def _judge_entry(
    state: State, tick: Tick, limits: Any, account_limits: Any, instrument: Any, proposal: Any, book: Book
) -> None:
    s = proposal.symbol
    qty = proposal.qty if proposal.qty < 0 else mul_div(proposal.qty, limits.size_bps, 10_000)
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


@compiled
def order(state: State, tick: Tick, limits: Records, account_limits: Records, proposals: Records, n: int) -> None:
    """Write approved proposals as pending orders and remember the times of entries."""
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
        if _counts(proposal, account_limits[0]):
            state.order_times[account.order_count % RING_SIZE] = tick.at
            account.order_count += 1
            account.last_order_at = tick.at


@inlined
def _counts(proposal: Any, account_limits: Any) -> bool:
    """Whether an order counts against those per window and the gap: entries do."""
    return bool(proposal.action == _ENTER or account_limits.first_rules)


@inlined
def _becomes_order(proposal: Any, executes: int) -> bool:
    """Exits reduce risk and always go out; entries wait for an operator or stay in the shadow as configured."""
    return bool(proposal.action == _EXIT or executes == 2 or (executes == 1 and proposal.external == 1))
