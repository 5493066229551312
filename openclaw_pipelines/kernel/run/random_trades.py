"""The money of trades placed at random: to the atom what a run with exits by signal books at 1x, as the tests compare.

Placing them is in `domain.selection.baselines`. Protective exits and the cash check are left out, which random trades
of a candidate's own size and number do not need.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.kernel.base.jit import compiled
from openclaw_pipelines.kernel.base.layout import TRADED, BarState, Records
from openclaw_pipelines.kernel.base.money import Atoms, funding_of, notional_of, rate_up, slipped
from openclaw_pipelines.kernel.run.bars import Bars

_MISSING, _TRADABLE, _NO_OPEN = int(BarState.MISSING), int(BarState.TRADABLE), int(BarState.NO_OPEN)

PLACED = np.dtype([(name, np.int64) for name in ("symbol", "side", "qty", "entry", "exit")])
"""One trade: column, 1 or -1, lots, and the rows of the bars at whose opens it is entered and left."""


class Series(NamedTuple):
    """One symbol's bars [T] for the compiled loop; `funded` are the rows whose rates are charged, ascending."""

    opens: NDArray[np.int64]
    closes: NDArray[np.int64]
    states: NDArray[np.int8]
    rates: NDArray[np.int64]
    inside: NDArray[np.int64]
    funded: NDArray[np.int64]


def series_of(bars: Bars, column: int, *, with_funding: bool) -> Series:
    """The bars of one column; without funding no rate is charged."""
    known = bars.matrices
    return Series(
        np.ascontiguousarray(known.open[:, column]),
        np.ascontiguousarray(known.close[:, column]),
        np.ascontiguousarray(known.bar_state[:, column]),
        np.ascontiguousarray(known.funding_rate[:, column]),
        np.ascontiguousarray(known.funding_inside[:, column]),
        np.flatnonzero(known.funding_rate[:, column] | known.funding_inside[:, column])
        if with_funding
        else np.empty(0, np.int64),
    )


def trade_nets(
    bars: Bars, placed: Records, instruments: Records, slippage_rate: int, *, with_funding: bool = True
) -> Atoms:
    """Net atoms of each PLACED trade: both fills at opens, slipped and charged, and the funding held through."""
    nets = np.zeros(len(placed), np.int64)
    for column in np.unique(placed.symbol).tolist():
        rows = np.flatnonzero(placed.symbol == column)
        series = series_of(bars, column, with_funding=with_funding)
        nets[rows] = column_nets(series, placed[rows], instruments[column], slippage_rate, np.zeros_like(rows))
    return nets


@compiled
def column_nets(
    series: Series, placed: Records, instrument: Any, slippage_rate: int, nets: NDArray[np.int64]
) -> NDArray[np.int64]:
    """`trade_nets` of one symbol."""
    opens, funded = series.opens, series.funded
    for i in range(len(placed)):
        trade = placed[i]
        side, qty = trade.side, trade.qty
        bought = notional_of(qty, slipped(opens[trade.entry], side, slippage_rate, instrument), instrument)
        sold = notional_of(qty, slipped(opens[trade.exit], -side, slippage_rate, instrument), instrument)
        net = side * (sold - bought) - rate_up(bought, instrument.taker_rate) - rate_up(sold, instrument.taker_rate)
        if instrument.is_perp != 0:
            first, last = np.searchsorted(funded, trade.entry, "left"), np.searchsorted(funded, trade.exit, "right")
            for k in range(first, last):
                row = funded[k]
                if row > trade.entry:
                    net += _funding(series, row, series.rates[row], side, qty, instrument)
                if row < trade.exit:
                    net += _funding(series, row, series.inside[row], side, qty, instrument)
        nets[i] = net
    return nets


@compiled
def _funding(series: Series, row: int, rate: int, side: int, qty: int, instrument: Any) -> int:
    """As `kernel.account.fills.charge_funding`: at the open, or where the bar has none at the last traded close."""
    price = series.opens[row]
    if series.states[row] == _MISSING or series.states[row] == _NO_OPEN:
        row -= 1
        while not series.states[row] & TRADED:
            row -= 1
        price = series.closes[row]
    received: int = funding_of(side, notional_of(qty, price, instrument), rate)
    return received
