"""One tick of one sub-account: settle, observe, propose, rank, govern, order.

Each phase is compiled and can be called from Python one at a time (the paper executor does) or by `step`, which the
replay's and the sweep's loops call. Nothing is allocated here: the caller passes buffers of `EVENTS_PER_SYMBOL` and
`PROPOSALS_PER_SYMBOL` records per symbol. Candle rules are in `fills`, limit checks in `risk`, ranking and
judging in `govern`, worth in `valuation`.
"""

from typing import Any

from openclaw_pipelines.contracts.enums import Action, ExitReason, RejectCode
from openclaw_pipelines.kernel.account.fills import fill_bar
from openclaw_pipelines.kernel.account.govern import decide
from openclaw_pipelines.kernel.account.risk import distance_units, size_qty
from openclaw_pipelines.kernel.account.valuation import mark
from openclaw_pipelines.kernel.base.jit import compiled
from openclaw_pipelines.kernel.base.layout import TRADED, BarState, Context, Records, State, Tick, Wanted
from openclaw_pipelines.kernel.base.windows import Row
from openclaw_pipelines.kernel.strategy.indicator_rows import observe
from openclaw_pipelines.kernel.strategy.signals import signal

_MISSING = int(BarState.MISSING)
_HOLD, _ENTER, _EXIT = int(Action.HOLD), int(Action.ENTER), int(Action.EXIT)
_SIGNAL = int(ExitReason.SIGNAL)
_DUPLICATE = int(RejectCode.DUPLICATE)


@compiled
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


@compiled
def settle(state: State, tick: Tick, account_limits: Records, context: Context, events: Records, n: int) -> int:
    """Fill what the closed bars fill, then value the account at their closes. Returns the next free event index."""
    n = fill_bar(state, tick, account_limits, context, events, n)
    for s in range(len(state.positions)):
        value_at_close(state.positions[s], tick.symbols[s])
    close_books(state, tick.at, mark(state, context).equity)
    return n


@compiled
def value_at_close(position: Any, symbol: Any) -> None:
    """Mark one position at its bar's close; without a bar that could be traded it keeps its price and is stale."""
    if symbol.bar_state & TRADED:
        position.last_price = symbol.close
    if position.qty != 0:
        position.stale = 0 if symbol.bar_state & TRADED else 1
        position.bars_held += 1


@compiled
def close_books(state: State, tick_at: int, equity: int) -> None:
    """The tick at 00:00 closes the old day: its equity is the new day's baseline."""
    account = state.account[0]
    account.equity = equity
    account.peak_equity = max(account.peak_equity, equity)
    account.last_tick = tick_at
    day = tick_at // 86_400
    if day != account.day:
        account.day = day
        account.day_open_equity = equity


@compiled
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


@compiled
def propose(state: State, tick: Tick, context: Context, proposals: Records, n: int) -> int:
    """Write what the strategy wants at this tick from index `n` on. Returns the next free index.

    Nothing is proposed for a symbol whose bar is missing or whose exit is still carried, and no entry outside the
    universe. A fresh entry signal in the direction already held is recorded as HOLD, refused as DUPLICATE.
    """
    equity = state.account[0].equity
    for s in range(len(state.positions)):
        if tick.symbols[s].bar_state != _MISSING:
            n = propose_symbol(
                state.positions[s], tick.symbols[s], state.indicators[s], context, equity, proposals, n, s
            )
    return n


@compiled
def propose_symbol(
    position: Any, bar: Any, row: Row, context: Context, equity: int, proposals: Records, n: int, s: int
) -> int:
    """`propose` for one symbol whose bar is not missing, from its indicator row."""
    params = context.params[0]
    wanted, leave = signal(row, params, 0, 0), 0
    if position.pending_action == 0 and position.qty != 0:
        leave = signal(row, params, 1 if position.qty > 0 else -1, position.bars_held).exit
    return propose_wanted(position, bar, wanted, leave, params.position_bps, context, equity, proposals, n, s)


@compiled
def propose_wanted(
    position: Any, bar: Any, wanted: Wanted, leave: int, position_bps: int, context: Context, equity: int,
    proposals: Records, n: int, s: int,
) -> int:  # fmt: skip
    """What is wanted of a symbol as a proposal, the same whoever planned it.

    leave: 0 or the ExitReason of the position held. position_bps: notional of a full position, of equity.
    """
    if position.pending_action == 0:
        if position.qty == 0:
            if wanted.entry != 0 and bar.in_universe != 0:
                qty = size_qty(equity, position_bps, wanted.size, bar.close, context.instruments[s])
                n = propose_entry(proposals, n, s, wanted, qty, bar.close)
        else:
            side = 1 if position.qty > 0 else -1
            n = _propose_held(position, bar.close, wanted, leave, side, proposals, n, s)
    position.last_signal = wanted.entry
    return n


@compiled
def _propose_held(
    position: Any, price: int, wanted: Wanted, leave: int, side: int, proposals: Records, n: int, s: int
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


@compiled
def propose_entry(proposals: Records, n: int, s: int, wanted: Wanted, qty: int, price: int) -> int:
    """Write an entry of `qty` lots at the intended `price`."""
    proposal = _blank(proposals, n, s, _ENTER, price)
    proposal.side, proposal.qty, proposal.confidence = wanted.entry, qty, wanted.confidence
    proposal.stop_distance = distance_units(wanted.stop)
    proposal.target_distance = distance_units(wanted.target)
    proposal.trail_distance = distance_units(wanted.trail)
    return n + 1


@compiled
def propose_exit(proposals: Records, n: int, s: int, position: Any, price: int, reason: int) -> int:
    """Write the exit of the whole position."""
    proposal = _blank(proposals, n, s, _EXIT, price)
    proposal.side = -1 if position.qty > 0 else 1
    proposal.qty, proposal.reason = abs(position.qty), reason
    return n + 1


@compiled
def _blank(proposals: Records, n: int, s: int, action: int, price: int) -> Any:
    proposal = proposals[n]
    proposal.symbol, proposal.action, proposal.price = s, action, price
    proposal.side = proposal.qty = proposal.reason = proposal.external = 0
    proposal.stop_distance = proposal.target_distance = proposal.trail_distance = 0
    proposal.code = proposal.measured = proposal.limit = 0
    proposal.approved_qty = proposal.rank = proposal.reserved = 0
    proposal.confidence = 0.0
    return proposal
