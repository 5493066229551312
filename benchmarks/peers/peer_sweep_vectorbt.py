"""Both tasks of benchmarks/sweep.py in vectorbt, by `Portfolio.from_signals`, the fastest entry point it has for them.

A decision on a close fills at the next open: signals are moved on by one bar and filled at that bar's open.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt
from vectorbt.portfolio.enums import StopEntryPrice
from worker import serve


def moved_on(signals: np.ndarray) -> np.ndarray:
    """Each signal one bar later."""
    later = np.zeros_like(signals)
    later[1:] = signals[:-1]
    return later


def fills_of(portfolio: Any, column: int, times: np.ndarray) -> list[tuple[int, str, float]]:
    """Fills of the closed trades of one column."""
    fills = []
    for trade in portfolio.trades.records.to_dict("records"):
        if trade["col"] == column and trade["status"] == 1:
            fills.append((int(times[trade["entry_idx"]]), "buy", float(trade["entry_price"])))
            fills.append((int(times[trade["exit_idx"]]), "sell", float(trade["exit_price"])))
    return fills


def prepare_signals(bars: pd.DataFrame, task: dict[str, Any]) -> Callable[[], Callable[[], Any]]:
    """Task A: signals given; out come equity, drawdown and trades."""
    prices = {name: bars[name].to_numpy() for name in ("open", "high", "low", "close")}
    entries, exits = moved_on(bars["entry"].to_numpy()), moved_on(bars["exit"].to_numpy())
    times = bars["ts"].astype("int64").to_numpy()

    def run() -> Callable[[], Any]:
        portfolio = vbt.Portfolio.from_signals(
            prices["close"], entries, exits, price=prices["open"], open=prices["open"], high=prices["high"],
            low=prices["low"], size=1.0, init_cash=task["capital"], fees=task["fees"], slippage=task["slippage"],
            sl_stop=task["stop"], stop_entry_price=StopEntryPrice.FillPrice,
        )  # fmt: skip
        portfolio.value()
        portfolio.drawdowns.max_drawdown()  # the number of portfolio.max_drawdown(), faster
        _ = portfolio.trades.records
        return lambda: fills_of(portfolio, 0, times)

    return run


def prepare_sweep(bars: pd.DataFrame, task: dict[str, Any]) -> Callable[[], Callable[[], Any]]:
    """Task B: bars to total return, drawdown and number of trades of every row."""
    close, opens = bars["close"], bars["open"].to_numpy()
    fast, slow = [row[0] for row in task["rows"]], [row[1] for row in task["rows"]]
    times, warm = bars["ts"].astype("int64").to_numpy(), task["warm_up"]

    def run() -> Callable[[], Any]:
        first = vbt.MA.run(close, fast, ewm=True).ma.to_numpy()
        second = vbt.MA.run(close, slow, ewm=True).ma.to_numpy()
        above = first > second
        changed = np.zeros_like(above)
        changed[warm:] = above[warm:] != above[warm - 1 : -1]
        portfolio = vbt.Portfolio.from_signals(
            np.broadcast_to(close.to_numpy()[:, None], above.shape), moved_on(changed & above),
            moved_on(changed & ~above), price=opens[:, None], size=1.0, init_cash=task["capital"],
            fees=task["fees"], slippage=task["slippage"],
        )  # fmt: skip
        portfolio.total_return()
        portfolio.max_drawdown()
        portfolio.trades.count()
        return lambda: fills_of(portfolio, task["shown"], times)

    return run


def prepare(bars: pd.DataFrame, task: dict[str, Any]) -> Callable[[], Callable[[], Any]]:
    """The task that is asked for."""
    return (prepare_signals if task["kind"] == "signals" else prepare_sweep)(bars, task)


if __name__ == "__main__":
    serve(prepare)
