"""Both tasks of benchmarks/sweep.py in raptorbt: `run_single_backtest`, and `batch_single_backtest` for many rows.

RAYON_NUM_THREADS=1 holds the batch to one core. `fill_timing="next_bar_open"` fills a decision at the next open.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import raptorbt
from worker import serve

COLUMNS = ("open", "high", "low", "close", "volume")


def config_of(task: dict[str, Any]) -> Any:
    """Costs and stop."""
    config = raptorbt.BacktestConfig(
        initial_capital=task["capital"], fees=task["fees"], slippage=task["slippage"], fill_timing="next_bar_open"
    )
    if task.get("stop"):
        config.set_fixed_stop(task["stop"])
    return config


def fills_of(result: Any, times: np.ndarray) -> list[tuple[int, str, float]]:
    """Fills of the closed trades."""
    fills = []
    for trade in result.trades():
        if trade.exit_reason not in ("EndOfData", "End"):
            fills.append((int(times[trade.entry_idx]), "buy", float(trade.entry_price)))
            fills.append((int(times[trade.exit_idx]), "sell", float(trade.exit_price)))
    return fills


def prepare_signals(bars: pd.DataFrame, task: dict[str, Any]) -> Callable[[], Callable[[], Any]]:
    """Task A: signals given; out come equity, drawdown and trades."""
    arrays = [bars[name].to_numpy(dtype=np.float64) for name in COLUMNS]
    entries, exits = bars["entry"].to_numpy(), bars["exit"].to_numpy()
    times, config = bars["ts"].astype("int64").to_numpy(), config_of(task)
    stamps = times * 10**9

    def run() -> Callable[[], Any]:
        result = raptorbt.run_single_backtest(stamps, *arrays, entries, exits, 1, 1.0, "A", config)
        result.equity_curve()
        result.drawdown_curve()
        result.trades()
        return lambda: fills_of(result, times)

    return run


def prepare_sweep(bars: pd.DataFrame, task: dict[str, Any]) -> Callable[[], Callable[[], Any]]:
    """Task B: bars to the metrics of every row; each distinct average once."""
    arrays = [bars[name].to_numpy(dtype=np.float64) for name in COLUMNS]
    times, config, warm = bars["ts"].astype("int64").to_numpy(), config_of(task), task["warm_up"]
    stamps, closes = times * 10**9, arrays[3]

    def run() -> Callable[[], Any]:
        averages = {span: raptorbt.ema(closes, span) for span in {span for row in task["rows"] for span in row}}
        items = []
        for number, (fast, slow) in enumerate(task["rows"]):
            above = averages[fast] > averages[slow]
            changed = np.zeros(len(above), np.bool_)
            changed[warm:] = above[warm:] != above[warm - 1 : -1]
            items.append(raptorbt.BatchSingleItem(str(number), changed & above, changed & ~above))
        results = raptorbt.batch_single_backtest(stamps, *arrays, items, config)
        for _, result in results:
            _ = result.metrics
        return lambda: fills_of(results[task["shown"]][1], times)

    return run


def prepare(bars: pd.DataFrame, task: dict[str, Any]) -> Callable[[], Callable[[], Any]]:
    """The task that is asked for."""
    return (prepare_signals if task["kind"] == "signals" else prepare_sweep)(bars, task)


if __name__ == "__main__":
    serve(prepare)
