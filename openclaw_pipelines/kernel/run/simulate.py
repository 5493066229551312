"""Trade given entry and exit signals by the same candle rules, limits and money as everything else.

The phases are those of `step`; only the strategy is replaced by two arrays of booleans.
"""

from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.contracts.enums import ExitReason
from openclaw_pipelines.contracts.errors import KernelError
from openclaw_pipelines.kernel.account.govern import decide
from openclaw_pipelines.kernel.account.risk import worst_price
from openclaw_pipelines.kernel.account.valuation import mark
from openclaw_pipelines.kernel.base.jit import compiled
from openclaw_pipelines.kernel.base.layout import NO_LIMIT, BarState, Context, Records, State, Tick, Wanted
from openclaw_pipelines.kernel.base.money import affordable, share
from openclaw_pipelines.kernel.base.primitives import mul
from openclaw_pipelines.kernel.run.bars import Bars, Matrices
from openclaw_pipelines.kernel.run.replay import (
    Costs,
    Setup,
    Terms,
    Written,
    keep_equity,
    keep_events,
    keep_proposals,
    load_tick,
    run,
)
from openclaw_pipelines.kernel.run.result import Result
from openclaw_pipelines.kernel.run.step import propose_entry, propose_exit, settle
from openclaw_pipelines.kernel.strategy.params import PARAMS

_MISSING = int(BarState.MISSING)
_SIGNAL = int(ExitReason.SIGNAL)
_LARGEST_SHARE_BPS = 10_000


class SignalsError(KernelError):
    """Signals or fractions that do not fit the bars."""

    template = "{name} is {value}. {advice}"
    name: str
    value: Decimal | float | str | None
    advice: str


class Signals(NamedTuple):
    """What is traded in place of a strategy; the matrices are [T, S]."""

    longs: NDArray[np.bool_]
    shorts: NDArray[np.bool_]
    """[0, S] where none are given"""
    leave: NDArray[np.bool_]
    distances: NDArray[np.float64]
    """[3] stop, target and trailing stop as fractions of the close; 0 none"""
    position_bps: Any
    lots: NDArray[np.int64]
    """[S] fixed quantity; 0 sizes by `position_bps`"""


def simulate_signals(
    bars: Bars,
    entries: NDArray[np.bool_],
    exits: NDArray[np.bool_],
    *,
    short_entries: NDArray[np.bool_] | None = None,
    stop_loss: float | None = None,
    take_profit: float | None = None,
    trailing_stop: float | None = None,
    costs: Costs | None = None,
    profile: str = "strict",
    capital: Decimal = Decimal(10_000),
    position_bps: int = 10_000,
    qty: Decimal | None = None,
    limits: Records | None = None,
    account_limits: Records | None = None,
) -> Result:
    """Simulate signals known at each bar's close; they fill at the next bar's open.

    Args:
        bars: T bars of S symbols.
        entries: [T, S] or, for one symbol, [T]: go long.
        exits: the same shape: close what is held. The opposite entry closes too, and enters at a later signal.
        short_entries: the same shape: go short, perpetuals only.
        stop_loss: distance as a fraction of the close at the signal, 0.02 is two percent; hangs on the fill price.
        take_profit: the same, on the gaining side.
        trailing_stop: the same, following the best price.
        costs: fees, slippage, funding.
        profile: candle rules, one of `replay.PROFILES`.
        capital: quote currency.
        position_bps: part of the equity that an entry may cost, fee included.
        qty: what every entry buys or sells in base, a multiple of each instrument's lot; position_bps does not count
            then. An entry that cash or a limit does not allow is refused, with its code in `decisions`.
        limits: LIMITS[S]; nothing binds where not given.
        account_limits: ACCOUNT_LIMITS[1].

    Raises:
        SignalsError: another shape than the bars', a fraction outside (0, 1), or a quantity off a lot.
    """
    given = read_signals(
        bars, entries, exits, short_entries, (stop_loss, take_profit, trailing_stop), position_bps, qty
    )
    terms = Terms(costs=costs or Costs(), profile=profile, capital=capital, limits=limits,
                  account_limits=account_limits)  # fmt: skip
    return run(bars, np.zeros(1, PARAMS), np.zeros((len(bars.symbols), 1)), simulate_loop, tuple(given), terms)


def read_signals(
    bars: Bars,
    entries: NDArray[np.bool_],
    exits: NDArray[np.bool_],
    short_entries: NDArray[np.bool_] | None,
    fractions: tuple[float | None, float | None, float | None],
    position_bps: int,
    qty: Decimal | None,
) -> Signals:
    """Signals as the compiled code reads them, refused where they do not fit the bars."""
    shape = (len(bars.times), len(bars.symbols))
    none = np.zeros((0, shape[1]), np.bool_)
    shorts = none if short_entries is None else _matrix(short_entries, "short_entries", shape)
    if not 0 < position_bps <= _LARGEST_SHARE_BPS:
        raise SignalsError("position_bps", position_bps, "Give 1 to 10,000.")
    names = ("stop_loss", "take_profit", "trailing_stop")
    return Signals(
        _matrix(entries, "entries", shape),
        shorts if shorts.any() else none,
        _matrix(exits, "exits", shape),
        np.array([_fraction(value, name) for name, value in zip(names, fractions, strict=True)]),
        np.int64(position_bps),
        _whole_lots(bars, qty),
    )


def _matrix(given: NDArray[np.bool_], name: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    array = np.ascontiguousarray(given)
    if array.ndim == 1 and shape[1] == 1:
        array = array[:, None]
    if array.shape != shape or array.dtype != np.bool_:
        advice = f"Give booleans of shape {shape}."
        raise SignalsError(name, f"{array.dtype} of shape {array.shape}", advice)
    return array


def _fraction(value: float | None, name: str) -> float:
    if value is None:
        return 0.0
    if not 0.0 < value < 1.0:
        raise SignalsError(name, value, "Give a fraction between 0 and 1, or None.")
    return float(value)


def _whole_lots(bars: Bars, qty: Decimal | None) -> NDArray[np.int64]:
    """`qty` in each symbol's kernel lots, zeros for None."""
    lots = np.zeros(len(bars.symbols), np.int64)
    for s, instrument in enumerate(bars.instruments if qty is not None else ()):
        whole = Decimal(qty or 0) / instrument.kernel_lot
        if whole != whole.to_integral_value() or not 0 < whole < NO_LIMIT:
            raise SignalsError(
                "qty", qty, f"Give a multiple of {instrument.kernel_lot}, the lot of {instrument.symbol}."
            )
        lots[s] = int(whole)
    return lots


@compiled
def simulate_loop(
    state: State, matrices: Matrices, times: NDArray[np.int64], setup: Setup, written: Written,
    scratch: tuple[Records, Records, Records], row: int, start: int, n_events: int, n_proposals: int,
    longs: NDArray[np.bool_], shorts: NDArray[np.bool_], leave: NDArray[np.bool_], distances: NDArray[np.float64],
    position_bps: int, lots: NDArray[np.int64],
) -> tuple[int, int, int]:  # fmt: skip
    """As `replay.replay_loop`, with signals in place of a strategy."""
    events, proposals, symbols = scratch
    context = setup.context
    last_event, last_proposal = len(written.events) - len(events), len(written.proposals) - len(proposals)
    while row < len(times) and n_events <= last_event and n_proposals <= last_proposal:
        tick = load_tick(matrices, times, row, context.interval_seconds, symbols)
        new_events = settle(state, tick, setup.account_limits, context, events, 0)
        n = 0
        for s in range(len(symbols)):
            wanted = (1 if longs[row, s] else 0) - (1 if row < len(shorts) and shorts[row, s] else 0)
            n = propose_signal(
                state, tick, setup, s, wanted, 1 if leave[row, s] else 0, distances, position_bps, lots[s], proposals, n
            )
        decide(state, tick, setup.limits, setup.account_limits, context, proposals, n)
        n_events = keep_events(written, events, new_events, n_events)
        n_proposals = keep_proposals(written, proposals, n, n_proposals, tick.at)
        keep_equity(written, state, context, tick.at, row - start)
        row += 1
    return row, n_events, n_proposals


@compiled
def propose_signal(
    state: State, tick: Tick, setup: Any, s: int, wanted: int, leave: int, distances: NDArray[np.float64],
    position_bps: int, lots: int, proposals: Records, n: int,
) -> int:  # fmt: skip
    """Turn one symbol's signals into a proposal. Long and short at once cancel out."""
    position, bar = state.positions[s], tick.symbols[s]
    if bar.bar_state == _MISSING or position.pending_action != 0:
        return n
    if position.qty != 0:
        side = 1 if position.qty > 0 else -1
        if leave != 0 or wanted == -side:
            return propose_exit(proposals, n, s, position, bar.close, _SIGNAL)
        return n
    if wanted == 0 or bar.in_universe == 0:
        return n
    close = float(bar.close)
    signal = Wanted(wanted, 0, 1.0, mul(distances[0], close), mul(distances[1], close), mul(distances[2], close), 1.0)
    qty = lots
    if qty == 0:
        qty = _affordable_now(
            state, setup.context, setup.limits[s], setup.account_limits[0], s, bar.close, position_bps
        )
    return propose_entry(proposals, n, s, signal, qty, bar.close)


@compiled
def _affordable_now(
    state: State, context: Context, limits: Any, account_limits: Any, s: int, price: int, position_bps: int
) -> int:
    now = mark(state, context)
    budget = min(now.free_cash, share(now.equity, position_bps))
    worst = worst_price(price, context.instruments[s], account_limits)
    return affordable(budget, worst, context.instruments[s], limits.leverage_bps)
