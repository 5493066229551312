"""Whether bars go on in the scale of those before them, or as if the coin had been cut into a thousand."""

from datetime import datetime
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from openclaw_pipelines.contracts.errors import DataError

Floats = NDArray[np.float64]

SCALE_JUMP = 10.0
"""A bar that lies with every price this many times above or below the close before it is of another scale. A crash of
that size has its first bar reach back to the close before, so it passes."""

PRICE_JUMP = 1_000.0
"""No single price of a bar lies this many times off the close before it, whatever the others say."""


class ScaleJumpError(DataError):
    """Bars of another scale than those stored before them."""

    template = (
        "{source} gave {symbol} {interval} of {ts} {factor:,.0f} times off the {before} before it; {bars} such bar(s) "
        "were not stored and are missing. If the source is wrong, wait or change it. If the coin has a new scale now, "
        "run `openclaw candles correct {symbol} {interval} {ts}`: the bars after it are then taken."
    )
    source: str
    symbol: str
    interval: str
    ts: datetime
    factor: float
    before: float
    bars: int


class Jump(NamedTuple):
    """A bar of another scale: its row, how many times it is off, and the close before it."""

    row: int
    factor: float
    before: float


def jumps(bars: pl.DataFrame, stored: pl.DataFrame) -> list[Jump]:
    """Bars of another scale than the last bar in scale before each; what is stored counts as in scale.

    Args:
        bars: one series as a source gave it, ascending: ts, open, high, low, close.
        stored: ts and close of the series' stored bars, ascending: the newest before `bars`, and those among them.
    """
    known: dict[datetime, float] = dict(stored.select("ts", "close").iter_rows())
    among = set(bars["ts"])
    before = next((close for ts, close in reversed(known.items()) if ts not in among), None)
    found = []
    for row, (ts, high, low, close) in enumerate(bars.select("ts", "high", "low", "close").iter_rows()):
        if ts in known:
            before = known[ts]
            continue
        if before is not None and (factor := _times_off(high, low, before)) > 1.0:
            found.append(Jump(row, factor, before))
        else:
            before = close
    return found


def times_off(high: Floats, low: Floats, before: Floats) -> Floats:
    """How many times bars are off the closes before them; 1 where one is in scale or nothing is before it (NaN).

    >>> times_off(np.array([101.0, 1_010.0, 101.0]), np.array([99.0, 990.0, 0.05]), np.array([100.0, 100.0, 100.0]))
    array([1.e+00, 1.e+00, 2.e+03])
    """
    whole = np.maximum(low / before, before / high)
    single = np.maximum(high / before, before / low)
    off = np.where(whole >= SCALE_JUMP, whole, np.where(single >= PRICE_JUMP, single, 1.0))
    return np.where(np.isnan(before), 1.0, off)


def _times_off(high: float, low: float, before: float) -> float:
    """The same of one bar."""
    return float(times_off(np.array([high]), np.array([low]), np.array([before]))[0])
