"""Probability of backtest overfitting: how often the best of one half of the days is below the median of the other.

Combinatorially symmetric cross-validation, Bailey, D. H., Borwein, J. M., Lopez de Prado, M. and Zhu, Q. J. (2015), The
Probability of Backtest Overfitting, Journal of Computational Finance 20(4). The days are cut into S blocks of equal
length (the oldest days that do not fill one are left out), every choice of S/2 of them is a train set and the rest its
test set; rows are ranked by Sharpe ratio per day.

Ties share: rows of equal performance get the mean of their ranks, and where several are best on the train set each
counts with an equal share, so that the order of the rows never matters. A row that never moved performs 0.

About 0.5 means that choosing by the backtest was as good as choosing blindly, whatever the rows earn.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from openclaw_pipelines.contracts.errors import ConfigError
from openclaw_pipelines.domain.selection.equity import Floats

SPLITS = 10
_FLAT = 1e-13  # variance below this share of the mean square is rounding
_DIGITS = 11  # ratios that agree to so many decimals are one
_AT_ONCE = 256


class SplitsError(ConfigError):
    """A number of blocks that cannot be halved."""

    template = "{splits} blocks of days cannot be halved. Give an even number from 2 to 16."
    splits: int


@dataclass(frozen=True)
class Overfitting:
    """The probability over `combinations` of train and test; where it is undefined, `reason` says why.

    loss_probability: how often the row that was best on the train set lost money on the test set.
    """

    probability: float | None
    loss_probability: float | None
    combinations: int
    rows: int
    days: int
    reason: str | None = None


def overfitting(returns: Floats, *, splits: int = SPLITS) -> Overfitting:
    """Probability of overfitting of a search that gave daily returns float64[R, D].

    splits: S, even, at most 16.

    Raises:
        SplitsError: S is odd or out of range.

    >>> always_best_by_far = np.array([[0.02, 0.03] * 4, [-0.03, -0.02] * 4])
    >>> overfitting(always_best_by_far, splits=4).probability
    0.0
    """
    if splits % 2 or not 2 <= splits <= 16:
        raise SplitsError(splits)
    rows, days = returns.shape
    reason = _undefined(returns, splits)
    if reason is not None:
        return Overfitting(None, None, 0, rows, days, reason)
    length = days // splits
    blocks = returns[:, days - splits * length :].reshape(rows, splits, length)
    sums, squares = blocks.sum(axis=2).T, (blocks**2).sum(axis=2).T
    halves = _halves(splits)
    overfit, lost = 0.0, 0.0
    for first in range(0, len(halves), _AT_ONCE):
        train = halves[first : first + _AT_ONCE]
        inside = _performance(train @ sums, train @ squares, splits * length // 2)
        outside = _performance((1.0 - train) @ sums, (1.0 - train) @ squares, splits * length // 2)
        for on_train, on_test in zip(inside, outside, strict=True):
            best = np.flatnonzero(on_train == on_train.max())
            overfit += float(np.mean(relative_ranks(on_test)[best] <= 0.5))
            lost += float(np.mean(on_test[best] < 0.0))
    n = len(halves)
    return Overfitting(overfit / n, lost / n, n, rows, splits * length)


def relative_ranks(performance: Floats) -> Floats:
    """Rank of each row from the worst up over R + 1, ties sharing the mean of theirs, float64[R] in (0, 1).

    >>> relative_ranks(np.array([3.0, 1.0, 3.0])).tolist()
    [0.625, 0.25, 0.625]
    """
    ordered = np.sort(performance)
    below = np.searchsorted(ordered, performance, side="left")
    up_to = np.searchsorted(ordered, performance, side="right")
    shares: Floats = (below + 1 + up_to) / 2.0 / (len(performance) + 1)
    return shares


def _performance(sums: Floats, squares: Floats, days: int) -> Floats:
    """Sharpe ratio per day from sums over `days` days, rounded so that what is equal up to rounding ties."""
    mean, level = sums / days, squares / days
    variance = (level - mean**2) * (days / (days - 1))
    moved = variance > _FLAT * level
    steady = np.where(level > 0.0, np.copysign(np.inf, mean), 0.0)
    ratio = np.where(moved, mean / np.sqrt(np.where(moved, variance, 1.0)), steady)
    return np.where(np.isfinite(ratio), np.round(ratio, _DIGITS), ratio)


def _halves(splits: int) -> Floats:
    """Every choice of half of the blocks as a row of zeros and ones."""
    chosen = list(itertools.combinations(range(splits), splits // 2))
    halves = np.zeros((len(chosen), splits))
    halves[np.arange(len(chosen))[:, None], np.array(chosen)] = 1.0
    return halves


def _undefined(returns: Floats, splits: int) -> str | None:
    rows, days = returns.shape
    if rows < 2:
        return "one row leaves nothing to choose"
    if days < 2 * splits:
        return f"{days} days are fewer than {2 * splits}, two for each of {splits} blocks"
    if not np.isfinite(returns).all():
        return "a return is not a finite number"
    if (returns == returns[0]).all():
        return "all rows are the same"
    return None
