"""What a candidate must beat: holding the same symbols, and entering at random, with the same exposure.

Buying and holding runs through `kernel.run.simulate` and so pays fees, slippage and funding like everything else.
Random entries are too many for that: each set only needs the money of its fills, which is in
`kernel.run.random_trades`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from openclaw_pipelines.contracts.enums import ExitReason
from openclaw_pipelines.contracts.errors import DataError
from openclaw_pipelines.domain.selection.equity import day_end_equity
from openclaw_pipelines.kernel.base.layout import Records, records
from openclaw_pipelines.kernel.base.money import (
    Atoms,
    from_atoms,
    to_atoms,
    to_rate,
)
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.random_trades import _MISSING, _TRADABLE, PLACED, column_nets, series_of
from openclaw_pipelines.kernel.run.replay import Costs, instruments_with
from openclaw_pipelines.kernel.run.result import Result
from openclaw_pipelines.kernel.run.simulate import simulate_signals

_FULL_BPS = 10_000
_INSIDE_A_BAR = tuple(
    reason.name.lower()
    for reason in (ExitReason.STOP, ExitReason.TRAILING_STOP, ExitReason.TARGET, ExitReason.LIQUIDATION)
)


class PlacementError(DataError):
    """Trades that do not lie on the bars they are said to come from."""

    template = "a trade of {symbol} from {entry_at} to {exit_at} does not lie on the bars. Give the bars of its run."
    symbol: str
    entry_at: datetime
    exit_at: datetime


@dataclass(frozen=True)
class BuyAndHold:
    """Equal parts of the capital in every symbol from the first bar on, none sold.

    day_equity: int64[D] atoms. net: of the whole window after what closing would cost, quote currency.
    """

    day_equity: Atoms
    net: Decimal
    invested_bps: int


@dataclass(frozen=True)
class RandomEntries:
    """Net results, quote currency, ascending, of `len(nets)` sets of random entries; empty with a reason."""

    nets: tuple[Decimal, ...]
    trades: int
    seed: int
    reason: str | None = None


def is_inside_a_bar(reason: str) -> bool:
    """Whether an exit for this reason happens between a bar's open and close, at a time that the bar does not tell."""
    return reason in _INSIDE_A_BAR


def exposure_bps(result: Result) -> int:
    """Mean gross exposure over equity at the ticks of a run, rounded up, at most all of it; 0 where it held nothing."""
    equity = np.asarray(result.equity_rows.equity, np.int64).astype(np.float64)
    gross = np.asarray(result.equity_rows.gross_exposure, np.int64).astype(np.float64)
    shares = np.where(equity > 0, gross / np.where(equity > 0, equity, 1.0), 0.0)
    return min(int(np.ceil(shares.mean() * _FULL_BPS)), _FULL_BPS)


def buy_and_hold(
    bars: Bars, *, capital: Decimal = Decimal(10_000), costs: Costs | None = None, invested_bps: int = _FULL_BPS
) -> BuyAndHold:
    """Buy every symbol that may ever be entered with an equal part of `invested_bps` of the capital and keep it.

    Each is bought at the open of its first tradable bar after a bar at whose close no entry is refused, as a decision
    needs one. A part that rounds to no basis point buys nothing.
    """
    states = bars.matrices.bar_state
    admitted = (states != _MISSING) & (bars.matrices.in_universe != 0) & (bars.matrices.control == 0)
    bought = admitted[:-1] & (states[1:] == _TRADABLE)
    each_bps = invested_bps // max(int(bought.any(axis=0).sum()), 1)
    entries = np.zeros((len(bars.times), len(bars.symbols)), np.bool_)
    for column in range(len(bars.symbols)) if each_bps > 0 else ():
        entries[np.flatnonzero(bought[:, column])[:1], column] = True
    result = simulate_signals(
        bars, entries, np.zeros_like(entries), costs=costs, capital=capital, position_bps=max(each_bps, 1)
    )  # fmt: skip
    return BuyAndHold(day_end_equity(result), result.final_equity - capital, invested_bps)


def random_entries(
    bars: Bars, trades: pl.DataFrame, *, costs: Costs | None = None, sets: int = 500, seed: int = 0
) -> RandomEntries:
    """Nets of random trade sets: the same number, symbols, sides, notionals and holding times, placed at random.

    trades: frame of `Result.trades` over `bars`. Each symbol's trades are shuffled and laid on its tradable bars one
    after the other with random gaps, every arrangement without overlap being as likely; an exit inside a bar counts as
    held to its end. The quantity is what the trade's notional buys at the random entry.

    Raises:
        PlacementError: a trade is not on the bars.
    """
    costs = costs or Costs()
    if trades.is_empty():
        return RandomEntries((), 0, seed, "there is no trade to place")
    plans = [_plan(bars, trades, symbol) for symbol in sorted(set(trades["symbol"]))]
    if any(plan.slack < 0 for plan in plans):
        return RandomEntries((), trades.height, seed, "the trades fill the bars; there is nowhere else to place them")
    instruments = instruments_with(bars, costs)
    rate = to_rate(costs.slippage_bps / 10_000, "slippage")
    series = [series_of(bars, plan.column, with_funding=costs.funding) for plan in plans]
    rng = np.random.default_rng(seed)
    totals = []
    for _ in range(sets):
        total = 0
        for plan, column in zip(plans, series, strict=True):
            placed = _arrange(plan, column.opens, int(instruments[plan.column].mult), rng)
            total += int(column_nets(column, placed, instruments[plan.column], rate, np.zeros_like(plan.held)).sum())
        totals.append(total)
    return RandomEntries(tuple(from_atoms(total) for total in sorted(totals)), trades.height, seed)


@dataclass(frozen=True)
class _Plan:
    """One symbol's trades as they are to be placed: notional in atoms, side, bars held; `slack` bars are free."""

    column: int
    rows: NDArray[np.int64]
    sides: NDArray[np.int64]
    notionals: NDArray[np.int64]
    held: NDArray[np.int64]
    slack: int


def _plan(bars: Bars, trades: pl.DataFrame, symbol: str) -> _Plan:
    column = bars.symbols.index(symbol)
    rows = np.flatnonzero(bars.matrices.bar_state[:, column] == _TRADABLE)
    own = trades.filter(pl.col("symbol") == symbol)
    held = np.array([_bars_held(trade, bars, rows) for trade in own.iter_rows(named=True)], np.int64)
    sides = np.array([1 if side == "buy" else -1 for side in own["side"]], np.int64)
    notionals = np.array(
        [to_atoms(qty * price) for qty, price in zip(own["qty"], own["entry_price"], strict=True)], np.int64
    )
    # an entry needs a bar before it to be decided on, an exit a bar to fill in
    return _Plan(column, rows, sides, notionals, held, len(rows) - 2 - int(held.sum()))


def _bars_held(trade: dict[str, Any], bars: Bars, rows: NDArray[np.int64]) -> int:
    """Tradable bars from the entry's open to the exit; at least the one bar of a trade that ends inside it."""
    stamps = bars.times[rows]
    entry, leave = (int(trade[name].timestamp()) for name in ("entry_at", "exit_at"))
    first, last = np.searchsorted(stamps, [entry, leave]).tolist()
    if last >= len(stamps) or stamps[first] != entry or stamps[last] != leave:
        raise PlacementError(trade["symbol"], trade["entry_at"], trade["exit_at"])
    return int(last - first) + int(is_inside_a_bar(trade["reason"]))


def _arrange(plan: _Plan, opens: NDArray[np.int64], mult: int, rng: np.random.Generator) -> Records:
    """The symbol's trades in random order with random gaps."""
    order = rng.permutation(len(plan.held))
    gaps = np.diff(np.r_[0, np.sort(rng.integers(0, plan.slack + 1, len(order)))])
    held = plan.held[order]
    entries = 1 + np.cumsum(gaps) + np.r_[0, np.cumsum(held)[:-1]]
    placed = records(PLACED, len(order))
    placed.symbol, placed.side = plan.column, plan.sides[order]
    placed.entry, placed.exit = plan.rows[entries], plan.rows[entries + held]
    placed.qty = np.maximum(plan.notionals[order] // (opens[placed.entry] * mult), 1)
    return placed


def share_not_below(nets: Sequence[Decimal], net: Decimal) -> float:
    """Share of random sets that did at least as well, counting the candidate itself as one of them.

    >>> share_not_below([Decimal(1), Decimal(2), Decimal(3)], Decimal(3))
    0.5
    """
    return (1 + sum(value >= net for value in nets)) / (1 + len(nets))
