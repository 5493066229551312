"""Market regime of a bar, from measures that look back a fixed number of bars. The measures themselves are `features`.

The first rule that holds names the regime, so that every bar has exactly one:

1. `unknown`: a measure is not warm yet.
2. `thin`: hardly anything trades, so nothing else measured here means much.
3. `high_volatility`: volatility near the top of its own recent range; risk outranks direction.
4. `trend_up`, `trend_down`: directional strength, with the fast average above or below the slow one.
5. `low_volatility`: volatility near the bottom of its own recent range.
6. `range`: none of these.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from openclaw_pipelines.contracts.enums import Regime

Column = NDArray[np.float64]

THIN_ZERO_VOLUME_SHARE = 0.2
"""Share of recent bars without trades above which a market is thin."""

THIN_VOLUME_SHARE = 0.1
"""Recent quote volume below this share of its own trailing median makes a market thin."""

HIGH_VOLATILITY_RANK = 0.9
"""Volatility above this share of its trailing values is high."""

LOW_VOLATILITY_RANK = 0.1
"""Volatility above no more than this share of its trailing values is low."""

TREND_ADX = 25.0
"""ADX above which a market trends, after Wilder (1978)."""


@dataclass(frozen=True)
class Measures:
    """Columns of one symbol, one value per bar, NaN until warm.

    zero_volume_share: share of recent bars without trades.
    volume_to_median: recent quote volume over its trailing median, 0 where that is zero.
    volatility_rank: share of the trailing volatilities that lie below this bar's, ties counted half.
    """

    zero_volume_share: Column
    volume_to_median: Column
    volatility_rank: Column
    adx: Column
    ema_fast: Column
    ema_slow: Column


def classify(measures: Measures) -> list[str]:
    """Name of the regime of each bar."""
    thin = (measures.zero_volume_share > THIN_ZERO_VOLUME_SHARE) | (measures.volume_to_median < THIN_VOLUME_SHARE)
    trending = measures.adx > TREND_ADX
    rules = [
        (~_warm(measures), Regime.UNKNOWN),
        (thin, Regime.THIN),
        (measures.volatility_rank > HIGH_VOLATILITY_RANK, Regime.HIGH_VOLATILITY),
        (trending & (measures.ema_fast > measures.ema_slow), Regime.TREND_UP),
        (trending & (measures.ema_fast < measures.ema_slow), Regime.TREND_DOWN),
        (measures.volatility_rank < LOW_VOLATILITY_RANK, Regime.LOW_VOLATILITY),
    ]
    names = np.select([rule for rule, _ in rules], [regime.value for _, regime in rules], Regime.RANGE.value)
    return [str(name) for name in names]


def _warm(measures: Measures) -> NDArray[np.bool_]:
    columns = np.stack(list(vars(measures).values()))
    return np.asarray(np.isfinite(columns).all(axis=0))


def trailing_rank(values: Column, length: int) -> Column:
    """Share of the `length` newest values, the bar's own included, that lie below it; ties count half.

    >>> trailing_rank(np.array([3.0, 1.0, 2.0]), 3).round(3).tolist()
    [nan, nan, 0.5]
    """
    ranks = np.full(values.size, np.nan)
    if values.size < length:
        return ranks
    windows = np.lib.stride_tricks.sliding_window_view(values, length)
    own = windows[:, -1:]
    below = (windows < own).sum(axis=1) + 0.5 * (windows == own).sum(axis=1)
    ranks[length - 1 :] = np.where(np.isfinite(windows).all(axis=1), below / length, np.nan)
    return ranks


def to_trailing_median(values: Column, length: int) -> Column:
    """Each value over the median of the `length` newest, its own included; 0 where that median is 0.

    >>> to_trailing_median(np.array([4.0, 2.0, 1.0]), 3).tolist()
    [nan, nan, 0.5]
    """
    medians = pl.Series(values).fill_nan(None).rolling_median(length).fill_null(np.nan).to_numpy()
    shares: Column = np.divide(values, medians, out=np.where(np.isnan(medians), np.nan, 0.0), where=~(medians == 0))
    return shares
