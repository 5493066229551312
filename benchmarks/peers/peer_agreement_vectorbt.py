"""Signal sets in vectorbt, by `Portfolio.from_signals`.

Each bar is two rows: its open alone, which carries the orders, then the whole bar, on which stops are looked at. A
distance is a fraction of the fill there, so it is given as distance / open; that of a trailing stop is a fraction of
the best price so far, and kept at its distance by the function that vectorbt offers for adjusting stops.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt
from numba import njit
from vectorbt.portfolio.enums import OppositeEntryMode, StopEntryPrice, StopExitPrice
from worker import serve

TOUCH = 1e-6
"""Part of a price unit by which every level is nearer, so that an exact touch is one in spite of float rounding."""


@njit  # type: ignore[misc]
def fixed_distance(context: Any, distance: Any) -> Any:
    """The stop as a fraction of the best price so far, where it trails; as it is, where it does not."""
    if context.curr_trail and context.position_now != 0:
        return distance[context.init_i] / context.curr_price, True
    return context.curr_stop, context.curr_trail


def two_rows(values: pd.Series, *, second: Any) -> np.ndarray:
    """The value on the open-only row, `second` on the row of the whole bar."""
    doubled = np.empty(2 * len(values), dtype=values.to_numpy().dtype if np.ndim(second) else type(second))
    doubled[0::2], doubled[1::2] = values, second
    return doubled


def distances(rows: pd.DataFrame, name: str, touch: float) -> np.ndarray:
    """[2T] price distance of an entry on the open-only row, NaN where there is none."""
    return two_rows(rows[name].astype(float).where(rows[name] > 0) - touch, second=np.nan)


def trades_of(rows: pd.DataFrame, touch: float) -> list[tuple[int, ...]]:
    """Closed trades of one set: set, entry bar, side, entry price, exit bar, exit price."""
    prices = {
        name: two_rows(rows["open"].astype(float), second=rows[name].astype(float)) for name in ("high", "low", "close")
    }
    opens = two_rows(rows["open"].astype(float), second=rows["open"].astype(float))
    stop, trail, target = (distances(rows, name, touch) for name in ("stop", "trail", "target"))
    trailing = bool((rows["trail"] > 0).any())
    portfolio = vbt.Portfolio.from_signals(
        prices["close"], open=opens, high=prices["high"], low=prices["low"],
        entries=two_rows(rows["long"], second=False), exits=two_rows(rows["exit_long"], second=False),
        short_entries=two_rows(rows["short"], second=False), short_exits=two_rows(rows["exit_short"], second=False),
        size=1.0, init_cash=1e12, upon_opposite_entry=OppositeEntryMode.Close,
        sl_stop=(trail if trailing else stop) / opens, sl_trail=trailing, tp_stop=target / opens,
        stop_entry_price=StopEntryPrice.FillPrice, stop_exit_price=StopExitPrice.StopLimit,
        adjust_sl_func_nb=fixed_distance, adjust_sl_args=(trail,), use_stops=True,
    )  # fmt: skip
    bars, number = rows["bar"].to_numpy(), int(rows["set"].iloc[0])
    return [
        (number, int(bars[int(t["entry_idx"]) // 2]), 1 if t["direction"] == 0 else -1, round(t["entry_price"]),
         int(bars[int(t["exit_idx"]) // 2]), round(t["exit_price"]))
        for t in portfolio.trades.records.to_dict("records") if t["status"] == 1
    ]  # fmt: skip


def prepare(bars: pd.DataFrame, task: dict[str, Any]) -> Callable[[], Callable[[], Any]]:
    """One portfolio per set."""

    def run() -> Callable[[], Any]:
        touch = task.get("touch", TOUCH)
        trades = [trade for _, rows in bars.groupby("set") for trade in trades_of(rows, touch)]
        return lambda: {"version": vbt.__version__, "trades": trades}

    return run


if __name__ == "__main__":
    serve(prepare)
