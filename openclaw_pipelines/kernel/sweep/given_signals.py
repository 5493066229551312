"""Trade given signals at the speed of a sweep: the results of `simulate_signals`, and those of `replay_planned`.

Of a run it keeps the account's value at every bar, the events and the sums over them; a record of every proposal and
its verdict is what those two are for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import polars as pl
from numpy.typing import NDArray

from openclaw_pipelines.kernel.base import slots
from openclaw_pipelines.kernel.base.counted import counted
from openclaw_pipelines.kernel.base.jit import entered, inlined, streamed
from openclaw_pipelines.kernel.base.layout import (
    ENTER_LONG,
    ENTER_SHORT,
    EVENT,
    LEAVE_LONG,
    LEAVE_SHORT,
    BarState,
    Records,
    State,
)
from openclaw_pipelines.kernel.base.money import from_atoms
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.planned import NO_PLAN, Plan, plan_over
from openclaw_pipelines.kernel.run.replay import Costs, Prepared, Setup, Terms, prepare
from openclaw_pipelines.kernel.run.result import closed_trades
from openclaw_pipelines.kernel.run.simulate import read_signals
from openclaw_pipelines.kernel.strategy.params import PARAMS, planned_params, stack_params
from openclaw_pipelines.kernel.sweep.scan import TileBars
from openclaw_pipelines.kernel.sweep.sweep import STRICT, load_tile, new_book, new_scratch
from openclaw_pipelines.kernel.sweep.walk import Given, Scratch, walk
from openclaw_pipelines.kernel.sweep.worth import Account

_MISSING = int(BarState.MISSING)
_surveyed: "WeakKeyDictionary[Bars, dict[bool, TileBars]]" = WeakKeyDictionary()
"""One tile of all bars for bars in use, with and without funding: many sets of signals go over the same ones."""
_prepared_last: "WeakKeyDictionary[Bars, tuple[tuple[bytes, Costs, str, Decimal], Prepared]]" = WeakKeyDictionary()
_FIRST_EVENTS = 4_096
_NO_COLUMNS, _NO_MAP = np.zeros((1, 1, 1)), np.zeros(slots.SLOTS, np.int32)

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class SignalRun:
    """What came of given signals. Money is in atoms; equity_atoms: [T] at every bar's close; events: EVENT[N]."""

    bars: Bars
    equity_atoms: NDArray[np.int64]
    events: Records
    tally: np.record
    """TALLY: counts, sums, moments and drawdown"""
    account: Records
    """ACCOUNT[1] after the last bar"""
    positions: Records
    """POSITION[S]"""

    @cached_property
    def trades(self) -> pl.DataFrame:
        """Closed round trips as `Result.trades`."""
        return closed_trades(self.bars, self.events)

    @property
    def final_equity(self) -> Decimal:
        """Marked to the last close, in quote."""
        return from_atoms(int(self.equity_atoms[-1]))

    @property
    def max_drawdown(self) -> float:
        """Greatest loss from a peak, as a share of it."""
        return float(self.tally.max_drawdown)


def score_signals(
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
) -> SignalRun:
    """As `simulate_signals`, with the same arguments and errors, trade for trade and to the atom."""
    signals = read_signals(
        bars, entries, exits, short_entries, (stop_loss, take_profit, trailing_stop), position_bps, qty
    )
    terms = Terms(costs=costs or Costs(), profile=profile, capital=capital, limits=limits,
                  account_limits=account_limits)  # fmt: skip
    ready = _prepared(bars, np.zeros(1, PARAMS), terms)
    given = Given(signals.distances, int(signals.position_bps), signals.lots, 1, NO_PLAN, 0)
    longs, shorts, leave = (np.ascontiguousarray(mask.T) for mask in signals[:3])
    return _run(bars, given, ready, walk_signals, (longs, shorts, leave))


def score_planned(
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
) -> SignalRun:
    """As `replay_planned` from the first bar on, with its arguments and errors, trade for trade and to the atom."""
    plan = plan_over(bars, signals)
    params = _planned_row(bars.interval_seconds, max_hold_bars, allow_short=allow_short)
    terms = Terms(costs=costs or Costs(), profile=profile, capital=capital, limits=limits,
                  account_limits=account_limits)  # fmt: skip
    ready = _prepared(bars, params, terms)
    given = Given(np.zeros(3), 0, np.zeros(1, np.int64), 1, plan, 1)
    return _run(bars, given, ready, walk_plan, ())


@lru_cache(maxsize=64)
def _planned_row(interval_seconds: int, max_hold_bars: int, *, allow_short: bool) -> NDArray[Any]:
    """PARAMS[1], kept: making a record takes as long as walking ten thousand bars."""
    return stack_params([planned_params(interval_seconds, max_hold_bars=max_hold_bars, allow_short=allow_short)])


def _prepared(bars: Bars, params: NDArray[Any], terms: Terms) -> Prepared:
    """As `prepare`; the last one without limits is kept for each bars, as it takes a tenth of a run."""
    if terms.limits is not None or terms.account_limits is not None:
        return prepare(bars, params, terms)
    kept, wanted = _prepared_last.get(bars), (params.tobytes(), terms.costs, terms.profile, terms.capital)
    if kept is None or kept[0] != wanted:
        kept = _prepared_last[bars] = wanted, prepare(bars, params, terms)
    return kept[1]


def _run(bars: Bars, given: Given, ready: Prepared, walker: Callable[..., None], own: tuple[Any, ...]) -> SignalRun:
    """Walk with `walker` and its `own` arguments, with as much room for events as it takes."""
    capacity = _FIRST_EVENTS
    while True:
        run, count = _run_within(bars, given, ready, np.empty(capacity, EVENT), walker, own)
        if count <= capacity:
            return run
        capacity = count


def _run_within(
    bars: Bars, given: Given, ready: Prepared, kept: NDArray[Any], walker: Callable[..., None], own: tuple[Any, ...]
) -> tuple[SignalRun, int]:
    n_symbols, total = len(bars.symbols), len(bars.times)
    book = new_book(1, bars, ready.cash, 0, _days(bars))
    equity = np.empty(total, np.int64)
    scratch = new_scratch(n_symbols, -(-total // 8) * 8, equity)
    # rows of plain arrays: to take one out of a recarray takes a hundred times as long
    positions, symbols = np.asarray(book.positions)[0], np.asarray(book.symbol_tallies)[0]
    account = Account(
        State(book.accounts, positions, scratch.row, book.order_times[0]), book.tallies, symbols, book.day_equity[0],
        kept, np.zeros(1, np.int64),
    )  # fmt: skip
    stepwise = 0 if ready.setup.context.profile == STRICT else 1
    walker(
        account, _tile_of(bars, ready), ready.setup, given, scratch, _NO_COLUMNS, _NO_MAP, stepwise,
        None if n_symbols == 1 else n_symbols, *own,
    )  # fmt: skip
    count = int(account.kept_count[0])
    run = SignalRun(
        bars=bars, equity_atoms=equity, events=kept[:count].view(np.recarray), tally=book.tallies[0],
        account=book.accounts, positions=book.positions[0],
    )  # fmt: skip
    return run, count


def _tile_of(bars: Bars, ready: Prepared) -> TileBars:
    kept = _surveyed.setdefault(bars, {})
    if ready.funding not in kept:
        kept[ready.funding], _ = load_tile(bars, ready.matrices, 0, len(bars.times))
    return kept[ready.funding]


def _days(bars: Bars) -> int:
    """Places for day-end equities; here they are not read."""
    return int(bars.times[-1] - bars.times[0]) // 86_400 + 2


@entered
def walk_signals(
    own: Account, tile: TileBars, setup: Setup, given: Given, scratch: Scratch, columns: NDArray[np.float64],
    row_map: NDArray[np.int32], stepwise: int, several: int | None, longs: Mask, shorts: Mask, leave: Mask,
) -> None:  # fmt: skip
    """Walk one account over all bars; the masks are [S, N]. Its value at every bar is left in `scratch.worth`.

    several: None for one symbol, which is walked with a fifth fewer instructions; else S.
    """
    for s in range(longs.shape[0]):
        _flag(scratch.flags[s], longs[s], shorts[s], leave[s])
    walk(_counted(own, several), tile, setup, given, scratch, columns, row_map, 0, 0, stepwise)


@entered
def walk_plan(
    own: Account, tile: TileBars, setup: Setup, given: Given, scratch: Scratch, columns: NDArray[np.float64],
    row_map: NDArray[np.int32], stepwise: int, several: int | None,
) -> None:  # fmt: skip
    """As `walk_signals`, with the plan in `given`."""
    counts = LEAVE_LONG | LEAVE_SHORT | ENTER_LONG
    if setup.context.params[0].allow_short != 0:
        counts |= ENTER_SHORT
    for s in range(given.plan.flags.shape[0]):
        _flag_planned(scratch.flags[s], given.plan.flags[s], tile.bar_state[s], np.uint8(counts))
    walk(_counted(own, several), tile, setup, given, scratch, columns, row_map, 0, 0, stepwise)


@inlined
def _counted(own: Account, several: int | None) -> Account:
    state = own.state
    positions = counted(state.positions, several)
    return Account(
        State(state.account, positions, state.indicators, state.order_times), own.tally, own.symbols, own.day_equity,
        own.kept, own.kept_count,
    )  # fmt: skip


@streamed
def _flag_planned(
    flags: NDArray[np.uint8], planned: NDArray[np.uint8], bar_state: NDArray[Any], counts: np.uint8
) -> None:
    """What is said of a bar that is not there counts for nothing, as in `propose_planned`."""
    for t in range(len(planned)):
        flags[t] = planned[t] & counts if bar_state[t] != _MISSING else np.uint8(0)


@streamed
def _flag(flags: NDArray[np.uint8], longs: Mask, shorts: Mask, leave: Mask) -> None:
    """Long and short at once cancel out. `shorts` are empty where none are given."""
    for t in range(len(longs)):
        flag = np.uint8(LEAVE_LONG | LEAVE_SHORT) if leave[t] else np.uint8(0)
        flags[t] = flag | (np.uint8(ENTER_LONG) if longs[t] else np.uint8(0))
    for t in range(len(shorts)):
        flags[t] ^= np.uint8(ENTER_LONG) if shorts[t] & longs[t] else np.uint8(0)
        flags[t] |= np.uint8(ENTER_SHORT) if shorts[t] & (not longs[t]) else np.uint8(0)
