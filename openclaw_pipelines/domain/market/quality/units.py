"""Bars that exact money cannot take: which they are, and what to say of them.

Every tick, mask, replay and sweep leaves them out as missing, by `usable`; the checks `off_unit` and `ohlc` list them.
"""

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from openclaw_pipelines.contracts.errors import DataError
from openclaw_pipelines.domain.market.quality.bounds import BROKEN_BAR, PRICES
from openclaw_pipelines.kernel.base import money

FINEST_DECIMALS = 12
"""Decimals up to which a finer unit is looked for."""


class OffUnitError(DataError):
    """Bars that are stored, and that no tick can take."""

    template = "{source} gave {bars} bar(s) off their price unit; {words}."
    source: str
    bars: int
    words: str


def usable(bars: pl.DataFrame, price_units: Mapping[str, Decimal]) -> pl.DataFrame:
    """The bars that contradict nothing and lie on their price unit; the others are missing."""
    return bars.filter(on_unit(bars, price_units) & ~pl.any_horizontal(BROKEN_BAR.values()))


def on_unit(bars: pl.DataFrame, price_units: Mapping[str, Decimal]) -> pl.Series:
    """Which bars lie on the price unit of their symbol with all four prices; a symbol without one is not judged."""
    fits = np.ones(bars.height, dtype=bool)
    symbols = bars["symbol"].to_numpy()
    for symbol in bars["symbol"].unique():
        if symbol in price_units:
            own = symbols == symbol
            for name in PRICES:
                fits[own] &= _on(bars[name].to_numpy()[own], price_units[symbol])
    return pl.Series("on_unit", fits)


def off_unit_words(bars: pl.DataFrame, price_units: Mapping[str, Decimal]) -> str:
    """The first of bars that are off their unit, and what to do: symbol, time, price, unit and a unit that would do.

    bars: at least one, each off the unit of its symbol.
    """
    row = bars.row(0, named=True)
    symbol, unit = row["symbol"], price_units[row["symbol"]]
    price = next(row[name] for name in PRICES if not _on(np.array([row[name]]), unit)[0])
    own = bars.filter(pl.col("symbol") == symbol)
    prices = np.concatenate([own[name].to_numpy() for name in PRICES])
    finer = (Decimal(1).scaleb(-decimals) for decimals in range(FINEST_DECIMALS + 1))
    fitting = next((f"{one:f}" for one in finer if one < unit and _on(prices, one).all()), None)
    finer_unit = f"give {symbol} the price_unit {fitting} (an archive: in its instruments.yaml), or " if fitting else ""
    bar = f"{symbol} {row['interval']} of {row['ts']:%Y-%m-%dT%H:%MZ}"
    return (
        f"the first is {bar}: its price {price!r} is no multiple of the price unit {unit.normalize():f}. "
        f"They count as missing: {finer_unit}use `openclaw candles correct`"
    )


def _on(prices: NDArray[np.float64], unit: Decimal) -> NDArray[np.bool_]:
    return money.nearest_units(prices, unit)[1]
