"""Whether a Sharpe ratio could be luck: moments, probabilistic and deflated Sharpe ratio, in returns per day.

Nothing is annualised. Ratios by themselves are in `domain.evaluation.statistics`, how many trials there were in
`trials`.

- Bailey, D. H. and Lopez de Prado, M. (2012), The Sharpe Ratio Efficient Frontier, Journal of Risk 15(2).
- Bailey, D. H. and Lopez de Prado, M. (2014), The Deflated Sharpe Ratio, Journal of Portfolio Management 40(5).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from openclaw_pipelines.domain.evaluation.statistics import Statistic, sharpe
from openclaw_pipelines.domain.selection.equity import Floats

EULER_MASCHERONI = 0.5772156649015329
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Moments:
    """Sharpe ratio per period (ddof 1) with the shape of the returns it rests on.

    skew and kurtosis are the plain moments (population, 0 and 3 for a normal distribution).
    """

    sharpe: float
    skew: float
    kurtosis: float
    n: int


def moments(returns: Floats | Sequence[float]) -> Moments | Statistic:
    """Moments of float64[D] returns; a `Statistic` without a value says why there are none.

    >>> result = moments([0.01, -0.02, 0.015, -0.005, 0.025])
    >>> round(result.sharpe, 6), round(result.skew, 6), round(result.kurtosis, 6)
    (0.282843, -0.379473, 1.828)
    """
    values = np.asarray(returns, np.float64)
    if not np.isfinite(values).all():
        return Statistic(None, len(values), "a return is not a finite number")
    ratio = sharpe(values.tolist(), periods_per_year=1)
    if ratio.value is None:
        return ratio
    gaps = values - values.mean()
    second, third, fourth = (float(np.mean(gaps**power)) for power in (2, 3, 4))
    return Moments(ratio.value, third / second**1.5, fourth / second**2, len(values))


def probabilistic_sharpe(measured: Moments, benchmark: float = 0.0) -> Statistic:
    """Probability that the true Sharpe ratio per period is above `benchmark`.

    Bailey and Lopez de Prado (2012): 24 monthly returns with a Sharpe ratio of 0.458 look certain enough, but their
    skew and kurtosis take that away.

    >>> round(probabilistic_sharpe(Moments(0.458, 0.0, 3.0, 24)).value, 3)
    0.982
    >>> round(probabilistic_sharpe(Moments(0.458, -2.448, 10.164, 24)).value, 3)
    0.913
    """
    ratio, n = measured.sharpe, measured.n
    if n < 2:
        return Statistic(None, n, "needs at least two returns")
    variance = 1.0 - measured.skew * ratio + (measured.kurtosis - 1.0) / 4.0 * ratio * ratio
    if not variance > 0.0:
        return Statistic(None, n, "skew and kurtosis leave the Sharpe ratio no sampling error")
    return Statistic(_NORMAL.cdf((ratio - benchmark) * math.sqrt(n - 1) / math.sqrt(variance)), n)


def expected_maximum(trials: int) -> float:
    """Expected greatest of `trials` independent standard normal draws, 0 for a single one.

    The approximation of the 2014 paper. Never falls with more trials.

    >>> round(expected_maximum(10), 2)  # Bailey et al. (2014), Pseudo-Mathematics and Financial Charlatanism
    1.57
    """
    if trials <= 1:
        return 0.0
    outer, inner = _NORMAL.inv_cdf(1.0 - 1.0 / trials), _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return max((1.0 - EULER_MASCHERONI) * outer + EULER_MASCHERONI * inner, 0.0)


def deflated_sharpe(measured: Moments, trials: int, sharpe_variance: float) -> Statistic:
    """Probability that the true Sharpe ratio is above what the best of `trials` skill-less ones was expected to show.

    trials: number of independent trials among which this one was the best. sharpe_variance: variance of their Sharpe
    ratios, per period as all else here.

    The paper's example, a ratio of 2.5 a year from 1,250 days found in 100 trials of variance 1/2 a year:

    >>> best = Moments(2.5 / math.sqrt(250), -3.0, 10.0, 1_250)
    >>> round(deflated_sharpe(best, 100, 0.5 / 250).value, 4)
    0.9004
    """
    if not sharpe_variance >= 0.0:
        return Statistic(None, measured.n, "the variance of the trials' Sharpe ratios is not known")
    return probabilistic_sharpe(measured, math.sqrt(sharpe_variance) * expected_maximum(trials))
