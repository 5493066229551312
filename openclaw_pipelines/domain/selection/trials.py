"""How many trials a choice was made from, and how far their Sharpe ratios spread: raw, and clustered by correlation.

**Clusters** are found by the leader algorithm (Hartigan 1975, Clustering Algorithms, chapter 3): rows are taken from
the highest Sharpe ratio down, ties by their returns; each joins the first leader with which its returns correlate at
least `least_correlation`, or becomes one. It needs no random start, no number of clusters and no matrix [R, R], gives
the same for every order of the rows, and no two leaders correlate as much as that, so it errs towards more clusters,
which is towards refusing.

**Spread.** The deflated Sharpe ratio asks what the best of N skill-less trials shows. Without skill the ratio of D days
varies by 1 / (D - 1) from sampling alone. Rows of a sweep vary by more because they trade more or less often and pay
for it, which is neither luck nor a reason to doubt the best one; a trial that loses by its costs only lowers the
maximum. Raw trials therefore take the variance of their own ratios, as the paper does, but no more than that of
sampling; clusters count as independent and take that of sampling.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.contracts.errors import ConfigError
from openclaw_pipelines.domain.selection.equity import Floats

LEAST_CORRELATION = 0.5
_FLAT = 1e-14  # variance below this share of the mean square is rounding


class TrialsError(ConfigError):
    """A sweep's returns that do not describe trials, or a count below their number."""

    template = "trials: {what}. Give returns of shape [R, D] with at least 2 days, and every trial ever run."
    what: str


@dataclass(frozen=True)
class Trials:
    """What a deflated Sharpe ratio needs to know about a search.

    count: trials. sharpe_variance: of their ratios per day, as used; `own_variance`: as found among them.
    """

    count: int
    sharpe_variance: float
    own_variance: float


def sharpe_rows(returns: Floats) -> Floats:
    """Sharpe ratio per day (ddof 1) of each row of [R, D]; 0 for a row that never moved.

    >>> sharpe_rows(np.array([[0.01, 0.03], [0.0, 0.0]])).round(6).tolist()
    [1.414214, 0.0]
    """
    mean = returns.mean(axis=1)
    variance = returns.var(axis=1, ddof=1)
    moved = variance > _FLAT * np.mean(returns**2, axis=1)
    return np.where(moved, mean / np.sqrt(np.where(moved, variance, 1.0)), 0.0)


def raw_trials(returns: Floats, ever_run: int | None = None) -> Trials:
    """Every trial by itself. ever_run: trials of this family ever run, at least the R rows given.

    Raises:
        TrialsError: no rows, fewer than two days, or a lower count than rows.
    """
    count = _count(returns, ever_run)
    own = float(sharpe_rows(returns).var(ddof=1)) if len(returns) > 1 else 0.0
    return Trials(count, min(own, _sampling_variance(returns)), own)


def clustered_trials(
    returns: Floats, ever_run: int | None = None, *, least_correlation: float = LEAST_CORRELATION
) -> Trials:
    """One trial per cluster. Trials that were run before, whose returns are not here, cluster at the same rate.

    Raises:
        TrialsError: as `raw_trials`.
    """
    count = _count(returns, ever_run)
    labels = clusters(returns, least_correlation=least_correlation)
    found = int(labels.max()) + 1
    best = np.array([sharpe_rows(returns[labels == label]).max() for label in range(found)])
    own = float(best.var(ddof=1)) if found > 1 else 0.0
    return Trials(-(-found * count // len(returns)), _sampling_variance(returns), own)


def clusters(returns: Floats, *, least_correlation: float = LEAST_CORRELATION) -> NDArray[np.int64]:
    """Cluster number of each row of [R, D], 0 for that of the highest Sharpe ratio.

    Rows that never moved are one cluster of their own, the last.

    >>> rows = np.array([[1.0, -1.0, 2.0], [2.0, -2.0, 4.1], [-1.0, 1.0, -2.0]])
    >>> clusters(rows).tolist()
    [0, 0, 1]
    """
    _count(returns, None)
    units, moved = _unit_rows(returns)
    labels = np.full(len(returns), -1, np.int64)
    leaders = np.empty((len(returns), returns.shape[1]))
    n = 0
    for row in _content_order(returns):
        if not moved[row]:
            continue
        alike = np.flatnonzero(leaders[:n] @ units[row] >= least_correlation)
        if alike.size:
            labels[row] = alike[0]
        else:
            leaders[n], labels[row], n = units[row], n, n + 1
    labels[~moved] = n
    return labels


def _content_order(returns: Floats) -> list[int]:
    """Rows from the highest Sharpe ratio down, equal ones by their returns, so that their order is no input."""
    ratios = (-sharpe_rows(returns).round(12)).tolist()
    return sorted(range(len(returns)), key=lambda row: (ratios[row], returns[row].tolist()))


def _unit_rows(returns: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Rows less their mean, of length one, and which of them moved at all."""
    gaps = returns - returns.mean(axis=1, keepdims=True)
    length = np.sqrt(np.sum(gaps**2, axis=1))
    moved = length**2 > _FLAT * np.sum(returns**2, axis=1)
    return gaps / np.where(moved, length, 1.0)[:, None], moved


def _sampling_variance(returns: Floats) -> float:
    return 1.0 / float(returns.shape[1] - 1)


def _count(returns: Floats, ever_run: int | None) -> int:
    if returns.ndim != 2 or len(returns) == 0 or returns.shape[1] < 2:
        raise TrialsError(f"returns have shape {returns.shape}")
    if ever_run is not None and ever_run < len(returns):
        raise TrialsError(f"{ever_run} were ever run, but {len(returns)} rows are given")
    return len(returns) if ever_run is None else ever_run
