"""Signal sets in backtesting.py: market orders at the next open, stop and target as prices from that open."""

import os
import warnings
from collections.abc import Callable
from typing import Any

os.environ["TQDM_DISABLE"] = "1"  # no progress bar inside the run

import backtesting
import pandas as pd
from backtesting import Backtest, Strategy
from worker import serve

warnings.filterwarnings("ignore")


def given_orders(rows: pd.DataFrame) -> type[Strategy]:
    """A strategy that sends at each bar the orders that are to fill at the next bar's open, one unit each."""
    table = rows.to_dict("records")

    class Given(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            pass

        def next(self) -> None:
            if len(self.data) == len(table):
                return
            order = table[len(self.data)]
            if self.position:
                if order["exit_long"] if self.position.is_long else order["exit_short"]:
                    self.position.close()
            elif order["long"] or order["short"]:
                self.enter(order, 1 if order["long"] else -1)

        def enter(self, order: dict[str, Any], side: int) -> None:
            stop = order["open"] - side * order["stop"] if order["stop"] else None
            target = order["open"] + side * order["target"] if order["target"] else None
            (self.buy if side > 0 else self.sell)(size=1, sl=stop, tp=target)

    return Given


def trades_of(rows: pd.DataFrame) -> list[tuple[int, ...]]:
    """Closed trades of one set: set, entry bar, side, entry price, exit bar, exit price."""
    frame = rows[["open", "high", "low", "close"]].astype(float)
    frame.columns = ["Open", "High", "Low", "Close"]
    frame.index = pd.to_datetime(rows["bar"] * 60, unit="s")
    found = Backtest(frame, given_orders(rows.reset_index(drop=True)), cash=1e12, commission=0.0).run()["_trades"]
    bars = rows["bar"].tolist()
    return [
        (int(rows["set"].iloc[0]), bars[t.EntryBar], 1 if t.Size > 0 else -1, round(t.EntryPrice), bars[t.ExitBar],
         round(t.ExitPrice))
        for t in found.sort_values("EntryBar").itertuples()
    ]  # fmt: skip


def prepare(bars: pd.DataFrame, task: dict[str, Any]) -> Callable[[], Callable[[], Any]]:  # noqa: ARG001
    """One backtest per set."""

    def run() -> Callable[[], Any]:
        trades = [trade for _, rows in bars.groupby("set") for trade in trades_of(rows)]
        return lambda: {"version": backtesting.__version__, "trades": trades}

    return run


if __name__ == "__main__":
    serve(prepare)
