"""Confidence interval of the mean daily return by the stationary bootstrap, which keeps the days' dependence.

- Politis, D. N. and Romano, J. P. (1994), The Stationary Bootstrap, JASA 89.
- Block length: Politis, D. N. and White, H. (2004), Automatic Block-Length Selection for the Dependent Bootstrap,
  Econometric Reviews 23, as corrected by Patton, Politis and White (2009), Econometric Reviews 28.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.domain.selection.equity import Floats

LEAST_DAYS = 5
_INSIDE = 2.0  # autocorrelations within this many times sqrt(log10(n) / n) count as none


@dataclass(frozen=True)
class Interval:
    """Percentile interval of a mean. Where it is undefined, `lower` and `upper` are empty and `reason` says why."""

    lower: float | None
    upper: float | None
    mean: float | None
    confidence: float
    block_days: float | None
    sample_size: int
    reason: str | None = None


def mean_interval(returns: Floats, *, confidence: float = 0.95, resamples: int = 2_000, seed: int = 0) -> Interval:
    """Two-sided interval of the mean of float64[D] returns: equal shares of resampled means lie outside either end.

    seed: of numpy's PCG64; equal seeds give equal intervals.

    >>> mean_interval(np.array([0.01] * 4)).reason
    '4 days are fewer than 5'
    """
    n = len(returns)
    if n < LEAST_DAYS:
        return Interval(None, None, None, confidence, None, n, f"{n} days are fewer than {LEAST_DAYS}")
    if not np.isfinite(returns).all():
        return Interval(None, None, None, confidence, None, n, "a return is not a finite number")
    block = block_length(returns)
    means = np.sort(returns[resample(n, block, resamples, seed)].mean(axis=1))
    tail = (1.0 - confidence) / 2.0
    lower, upper = np.quantile(means, [tail, 1.0 - tail])
    return Interval(float(lower), float(upper), float(returns.mean()), confidence, block, n)


def resample(n: int, block_days: float, resamples: int, seed: int) -> NDArray[np.int64]:
    """Day numbers [resamples, n]: blocks of geometric length with mean `block_days`, wrapping at the end."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, n, (resamples, n))
    fresh = rng.random((resamples, n)) < 1.0 / block_days
    days = np.empty((resamples, n), np.int64)
    days[:, 0] = starts[:, 0]
    for day in range(1, n):
        days[:, day] = np.where(fresh[:, day], starts[:, day], (days[:, day - 1] + 1) % n)
    return days


def block_length(returns: Floats) -> float:
    """Mean block length in days that estimates the variance of the mean best, at least 1 and at most a third of D.

    Independent days give about 1, autocorrelated ones more, growing with the cube root of their number.
    """
    n = len(returns)
    most = float(max(1, math.ceil(min(3.0 * math.sqrt(n), n / 3.0))))
    covariances = _autocovariances(returns)
    if not covariances[0] > 0.0:
        return 1.0
    lags = _bandwidth(covariances, n)
    k = np.arange(-lags, lags + 1)
    weights = np.minimum(1.0, 2.0 * (1.0 - np.abs(k) / lags))  # Politis and Romano's flat-top window
    spread = weights * covariances[np.abs(k)]
    long_run = float(spread.sum())
    curvature = float((spread * np.abs(k)).sum())
    if not long_run > 0.0:
        return most
    best = (curvature**2 / long_run**2 * n) ** (1.0 / 3.0)
    return float(min(max(best, 1.0), most))


def _autocovariances(returns: Floats) -> Floats:
    """Lags 0 to the most that the rule may look at, divided by n."""
    n = len(returns)
    gaps = returns - returns.mean()
    reach = min(n - 1, math.ceil(math.sqrt(n)) + _run(n))
    return np.array([float(gaps[: n - lag] @ gaps[lag:]) / n for lag in range(reach + 1)])


def _run(n: int) -> int:
    return max(5, math.ceil(math.log10(n)))


def _bandwidth(covariances: Floats, n: int) -> int:
    """Twice the first lag after which a run of autocorrelations is negligible, within what was computed."""
    reach, run = len(covariances) - 1, _run(n)
    small = np.abs(covariances[1:] / covariances[0]) < _INSIDE * math.sqrt(math.log10(n) / n)
    quiet = [lag for lag in range(reach - run + 1) if small[lag : lag + run].all()]
    loud = np.flatnonzero(~small)
    last_loud = int(loud[-1]) + 1 if loud.size else 0
    first = quiet[0] if quiet else last_loud
    return min(2 * max(first, 1), reach)
