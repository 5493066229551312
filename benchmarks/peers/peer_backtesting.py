"""The EMA-cross task in backtesting.py, by `Backtest.run()`, its only entry point for one run."""

import os
import warnings
from collections.abc import Callable
from typing import Any

os.environ["TQDM_DISABLE"] = "1"  # no progress bar inside the timed run

import pandas as pd
from backtesting import Backtest, Strategy
from worker import Trade, serve

warnings.filterwarnings("ignore", message="Some trades remain open")


def ema(closes: Any, span: int) -> Any:
    """Exponential average; backtesting.py ships no indicators and its documentation takes them from pandas."""
    return pd.Series(closes).ewm(span=span, adjust=False).mean()


def cross_strategy(task: dict[str, Any]) -> type[Strategy]:
    """The task as a strategy: long from a cross above until a cross below."""

    class Cross(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            self.fast = self.I(ema, self.data.Close, task["fast"], plot=False)
            self.slow = self.I(ema, self.data.Close, task["slow"], plot=False)

        def next(self) -> None:
            if len(self.data) <= task["warm_up"]:
                return
            above, was_above = self.fast[-1] > self.slow[-1], self.fast[-2] > self.slow[-2]
            if above and not was_above and not self.position:
                self.buy(size=1)
            elif was_above and not above and self.position:
                self.position.close()

    return Cross


def prepare(bars: pd.DataFrame, task: dict[str, Any]) -> Callable[[], Callable[[], list[Trade]]]:
    """Build the backtest; one whole unit a trade, as sizes are whole numbers there, and cash for it."""
    frame = bars.set_index("ts")[["open", "high", "low", "close", "volume"]]
    frame.columns = ["Open", "High", "Low", "Close", "Volume"]
    backtest = Backtest(frame, cross_strategy(task), cash=1e9, commission=0.0)
    opened = [int(stamp.timestamp()) for stamp in frame.index]

    def run() -> Callable[[], list[Trade]]:
        trades = backtest.run()["_trades"]

        def listed() -> list[Trade]:
            fills = []
            for row in trades.itertuples():
                fills.append((opened[row.EntryBar], "buy", float(row.EntryPrice)))
                fills.append((opened[row.ExitBar], "sell", float(row.ExitPrice)))
            return fills

        return listed

    return run


if __name__ == "__main__":
    serve(prepare)
