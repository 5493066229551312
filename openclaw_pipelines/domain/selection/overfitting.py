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
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.contracts.errors import ConfigError
from openclaw_pipelines.domain.selection.equity import Floats

SPLITS = 10
_FLAT = 1e-14
_TIE = 1e-12  # ratios closer than this, relatively, are one


class SplitsError(ConfigError):
    """A number of blocks that cannot be halved."""

    template = "{splits} blocks of days cannot be halved. Give an even number from 2 to 16."
    fields = ("splits",)


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
    chosen = _halves(splits)
    overfit, lost = 0.0, 0.0
    for half in chosen:
        share_overfit, share_lost = _one_combination(blocks, half)
        overfit += share_overfit
        lost += share_lost
    return Overfitting(overfit / len(chosen), lost / len(chosen), len(chosen), rows, splits * length)


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


def _one_combination(blocks: Floats, half: NDArray[np.bool_]) -> tuple[float, float]:
    """Shares of the train set's best rows that rank at or below the median, and that lose, on the test set."""
    train, test = _performance(blocks[:, half]), _performance(blocks[:, ~half])
    best = np.flatnonzero(train >= train.max())
    return float(np.mean(relative_ranks(test)[best] <= 0.5)), float(np.mean(test[best] < 0.0))


def _performance(blocks: Floats) -> Floats:
    """Sharpe ratio per day over all blocks of each row, rounded so that what is equal up to rounding ties."""
    days = blocks.reshape(len(blocks), -1)
    mean, variance = days.mean(axis=1), days.var(axis=1, ddof=1)
    level = np.mean(days**2, axis=1)
    moved = variance > _FLAT * level
    steady = np.where(level > 0.0, np.copysign(np.inf, mean), 0.0)
    ratio = np.where(moved, mean / np.sqrt(np.where(moved, variance, 1.0)), steady)
    return _rounded(ratio)


def _rounded(values: Floats) -> Floats:
    digits = -round(math.log10(_TIE))
    return np.where(np.isfinite(values), np.round(values, digits), values)


def _halves(splits: int) -> list[NDArray[np.bool_]]:
    masks = []
    for picked in itertools.combinations(range(splits), splits // 2):
        mask = np.zeros(splits, np.bool_)
        mask[list(picked)] = True
        masks.append(mask)
    return masks


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
