"""Signals from outside the kernel: what a planner wants at each bar, made into proposals by the function families use.

A record of integers per bar and symbol is all that a planner may say: side to enter, sides to leave, distances, size,
confidence. Quantities, limits and money are worked out after SETTLE, as for a family. The same function serves a tick,
a replay and a sweep.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.contracts.errors import KernelError
from openclaw_pipelines.kernel.account.govern import decide
from openclaw_pipelines.kernel.base.jit import compiled
from openclaw_pipelines.kernel.base.layout import (
    ENTER_LONG,
    ENTER_SHORT,
    LEAVE_LONG,
    LEAVE_SHORT,
    SIGNAL,
    WHOLE,
    BarState,
    Context,
    Records,
    State,
    Tick,
    Wanted,
)
from openclaw_pipelines.kernel.base.money import MAX_BPS
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
from openclaw_pipelines.kernel.run.step import observe_bars, propose_wanted, settle
from openclaw_pipelines.kernel.strategy.params import planned_params, stack_params
from openclaw_pipelines.kernel.strategy.signals import leave_reason

_MISSING = int(BarState.MISSING)
_PART = 1.0 / WHOLE
_DISTANCE_MAX = 2**53
_BOUNDS = {
    "side": (-1, 1), "leave_long": (0, 1), "leave_short": (0, 1), "stop": (0, _DISTANCE_MAX),
    "target": (0, _DISTANCE_MAX), "trail": (0, _DISTANCE_MAX), "size_bps": (0, MAX_BPS), "part": (0, WHOLE),
    "confidence": (0, WHOLE), "tag": (-(2**62), 2**62),
}  # fmt: skip


class PlanError(KernelError):
    """A signal that says what no planner may."""

    template = "{name} of {symbol} at bar {bar} is {value}, outside {low} .. {high}."
    name: str
    symbol: str
    bar: int
    value: int
    low: int
    high: int


class PlanShapeError(KernelError):
    """Signals that do not fit the bars."""

    template = "the signals are {given}; one SIGNAL record per bar and symbol is needed, {expected}."
    given: str
    expected: str


class Plan(NamedTuple):
    """Signals of T bars of S symbols as compiled code reads them: a byte for each, numbers where an entry is wanted."""

    flags: NDArray[np.uint8]
    """[S, T]"""
    entries: NDArray[Any]
    """SIGNAL[K] of those with a side, symbol after symbol, each in the order of its bars. A plain array, as a recarray
    takes numba ten times as long to recognise, at every call"""
    bars: NDArray[np.int64]
    """[K] bar of each"""
    first: NDArray[np.int64]
    """[S + 1] where the entries of each symbol begin"""


NO_PLAN = Plan(np.zeros((1, 1), np.uint8), np.zeros(0, SIGNAL), np.zeros(0, np.int64), np.zeros(2, np.int64))
"""Where a plan is asked for and there is none."""


def plan_of(signals: NDArray[Any], symbols: Sequence[str] = ()) -> Plan:
    """A plan out of SIGNAL[T, S]. symbols: their names, for errors.

    Raises:
        PlanError: the first number that is out of bounds.
        PlanShapeError: no such array.
    """
    _refuse(signals, symbols)
    by_symbol = signals.T
    side = by_symbol["side"]
    flags = np.where(side > 0, ENTER_LONG, 0) | np.where(side < 0, ENTER_SHORT, 0)
    flags |= by_symbol["leave_long"] * LEAVE_LONG | by_symbol["leave_short"] * LEAVE_SHORT
    column, bar = np.nonzero(side)
    first = np.searchsorted(column, np.arange(len(by_symbol) + 1))
    entries = np.ascontiguousarray(by_symbol[column, bar], SIGNAL)
    return Plan(np.ascontiguousarray(flags.astype(np.uint8)), entries, bar.astype(np.int64), first.astype(np.int64))


def plan_over(bars: Bars, signals: NDArray[Any] | Plan) -> Plan:
    """As `plan_of`, of signals for every one of these bars; a plan that is made already is taken as it is.

    Raises:
        PlanError, PlanShapeError: as their names say.
    """
    given = signals.flags.shape[::-1] if isinstance(signals, Plan) else signals.shape
    expected = (len(bars.times), len(bars.symbols))
    if given != expected:
        raise PlanShapeError(f"of shape {given}", f"an array of shape {expected}")
    return signals if isinstance(signals, Plan) else plan_of(signals, bars.symbols)


def out_of_bounds(signal: Mapping[str, object]) -> tuple[str, object, int, int] | None:
    """The first field of a signal that is not a whole number which a planner may say, its value and its bounds.

    >>> out_of_bounds({"side": 1, "size_bps": 2_500}), out_of_bounds({"side": 3})
    (None, ('side', 3, -1, 1))
    """
    for name, (low, high) in _BOUNDS.items():
        value = signal.get(name, 0)
        if not (isinstance(value, int | np.integer) and low <= value <= high):
            return name, value, low, high
    return None


def _refuse(signals: NDArray[Any], symbols: Sequence[str]) -> None:
    if signals.ndim != 2 or signals.dtype != SIGNAL:
        kind = "SIGNAL" if signals.dtype == SIGNAL else str(signals.dtype)
        raise PlanShapeError(f"{kind} of shape {signals.shape}", "in an array of two dimensions")
    for name, (low, high) in _BOUNDS.items():
        wrong = np.argwhere((signals[name] < low) | (signals[name] > high))
        if len(wrong):
            bar, column = wrong[0].tolist()
            symbol = symbols[column] if symbols else f"column {column}"
            raise PlanError(name, symbol, bar, int(signals[name][bar, column]), low, high)


def replay_planned(
    bars: Bars,
    signals: NDArray[Any] | Plan,
    costs: Costs | None = None,
    *,
    max_hold_bars: int = 0,
    allow_short: bool = True,
    profile: str = "strict",
    capital: Decimal = Decimal(10_000),
    limits: Records | None = None,
    account_limits: Records | None = None,
    start: int = 0,
) -> Result:
    """Replay signals over all bars, as `replay` does a family.

    Args:
        bars: T bars of S symbols.
        signals: SIGNAL[T, S], known at each bar's close, or the plan made of them once for many runs.
        costs: fees, slippage and whether funding is charged.
        max_hold_bars: bars after which a position is closed; 0 never.
        allow_short: whether short signals count.
        profile: candle rules, as the following as in `replay`.
        capital: quote currency.
        limits: LIMITS[S]; nothing binds where not given.
        account_limits: ACCOUNT_LIMITS[1].
        start: first bar whose tick trades.

    Raises:
        PlanError, PlanShapeError, UnknownProfileError, MoneyRangeError, ReplayWindowError: as their names say.
    """
    plan = plan_over(bars, signals)
    params = planned_params(bars.interval_seconds, max_hold_bars=max_hold_bars, allow_short=allow_short)
    terms = Terms(costs=costs or Costs(), profile=profile, capital=capital, limits=limits,
                  account_limits=account_limits, start=start)  # fmt: skip
    return run(bars, stack_params([params]), np.zeros((len(bars.symbols), 1)), planned_loop, tuple(plan), terms)


@compiled
def planned_loop(
    state: State, matrices: Matrices, times: NDArray[np.int64], setup: Setup, written: Written,
    scratch: tuple[Records, Records, Records], row: int, start: int, n_events: int, n_proposals: int,
    flags: NDArray[np.uint8], entries: NDArray[Any], bars: NDArray[np.int64], first: NDArray[np.int64],
) -> tuple[int, int, int]:  # fmt: skip
    """As `replay.replay_loop`, with signals in place of a strategy."""
    events, proposals, symbols = scratch
    context, plan = setup.context, Plan(flags, entries, bars, first)
    last_event, last_proposal = len(written.events) - len(events), len(written.proposals) - len(proposals)
    row = max(row, start)
    while row < len(times) and n_events <= last_event and n_proposals <= last_proposal:
        tick = load_tick(matrices, times, row, context.interval_seconds, symbols)
        new_events = settle(state, tick, setup.account_limits, context, events, 0)
        n = propose_planned(state, tick, plan, row, context, proposals, 0)
        decide(state, tick, setup.limits, setup.account_limits, context, proposals, n)
        n_events = keep_events(written, events, new_events, n_events)
        n_proposals = keep_proposals(written, proposals, n, n_proposals, tick.at)
        keep_equity(written, state, context, tick.at, row - start)
        row += 1
    return row, n_events, n_proposals


@compiled
def step_planned(
    state: State, tick: Tick, limits: Records, account_limits: Records, context: Context, events: Records,
    proposals: Records, n_external: int, plan: Plan,
) -> tuple[int, int]:  # fmt: skip
    """As `step.step`, with the only bar of `plan` in place of what the family would propose."""
    n_events = settle(state, tick, account_limits, context, events, 0)
    observe_bars(state, tick, context)
    n = propose_planned(state, tick, plan, 0, context, proposals, n_external)
    decide(state, tick, limits, account_limits, context, proposals, n)
    return n, n_events


@compiled
def propose_planned(
    state: State, tick: Tick, plan: Plan, row: int, context: Context, proposals: Records, n: int
) -> int:
    """Write what the plan wants at its bar `row` from index `n` on, as `step.propose` does for a family."""
    equity = state.account[0].equity
    for s in range(len(state.positions)):
        if tick.symbols[s].bar_state != _MISSING:
            n = propose_signal_at(
                state.positions[s], tick.symbols[s], plan, plan.flags[s, row], row, context, equity, proposals, n, s
            )
    return n


@compiled
def propose_signal_at(
    position: Any, bar: Any, plan: Plan, flag: int, row: int, context: Context, equity: int, proposals: Records,
    n: int, s: int,
) -> int:  # fmt: skip
    """`propose_planned` for one symbol whose bar is not missing."""
    params, leave = context.params[0], 0
    if position.qty != 0:
        turned = (flag & (LEAVE_LONG if position.qty > 0 else LEAVE_SHORT)) != 0
        leave = leave_reason(turned, params, position.bars_held)
    entry = 0
    if flag & ENTER_LONG:
        entry = 1
    elif flag & ENTER_SHORT and params.allow_short != 0:
        entry = -1
    wanted, size_bps = Wanted(0, 0, 0.0, 0.0, 0.0, 0.0, 0.0), 0
    if entry != 0:
        record = plan.entries[_entry_at(plan, s, row)]
        size_bps = record.size_bps
        wanted = Wanted(
            entry, 0, mul(float(record.confidence), _PART), float(record.stop), float(record.target),
            float(record.trail), mul(float(record.part), _PART),
        )  # fmt: skip
    return propose_wanted(position, bar, wanted, leave, size_bps, context, equity, proposals, n, s)


@compiled
def _entry_at(plan: Plan, s: int, row: int) -> int:
    """Index of the entry of symbol `s` at bar `row`, which is flagged."""
    low: int = plan.first[s]
    high = plan.first[s + 1]
    while low < high:
        middle = (low + high) // 2
        if plan.bars[middle] < row:
            low = middle + 1
        else:
            high = middle
    return low
