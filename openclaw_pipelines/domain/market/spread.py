"""Estimate of the bid-ask spread from highs and lows alone, for sources without an order book."""

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]

_K = 3 - 2 * np.sqrt(2)


def corwin_schultz_bps(highs: Column, lows: Column) -> Column:
    """Spread estimate of each bar with the one before it, in bps of the price; NaN for the first, never negative.

    The high of a bar is most likely a purchase and its low a sale, so the range holds the spread once and the
    volatility in proportion to time; two bars tell them apart. Negative estimates count as zero, as the paper does.
    There is no overnight adjustment, since these markets do not close.

    Source: S. A. Corwin, P. Schultz, "A Simple Way to Estimate Bid-Ask Spreads from Daily High and Low Prices",
    The Journal of Finance 67 (2), 2012, equations 14 and 18.

    >>> corwin_schultz_bps(np.array([101.0, 101.0]), np.array([100.0, 100.0])).round(2).tolist()
    [nan, 99.5]
    """
    ranges = np.log(highs / lows) ** 2
    beta = ranges[1:] + ranges[:-1]
    gamma = np.log(np.maximum(highs[1:], highs[:-1]) / np.minimum(lows[1:], lows[:-1])) ** 2
    alpha = (np.sqrt(2 * beta) - np.sqrt(beta)) / _K - np.sqrt(gamma / _K)
    spread = 2 * (np.exp(alpha) - 1) / (1 + np.exp(alpha))
    estimates = np.full(highs.size, np.nan)
    estimates[1:] = np.maximum(spread, 0.0) * 10_000
    return estimates
