"""Statistics of returns, equity and closed trades, as CONTRACTS defines them.

Each gives a `Statistic`: what is undefined is empty and says why, never 0, -100 or infinity. Which rows of the ledger
go in is decided in `domain.evaluation.metrics.compute`; how trades are paired is in `domain.evaluation.trades`.
"""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

DAYS_PER_YEAR = 365
_NOISE = 1e-12  # spread below this share of the mean is rounding of the returns, not risk

Number = Decimal | float


@dataclass(frozen=True)
class Statistic:
    """A value with the number of observations it rests on; where `value` is empty, `reason` says why."""

    value: float | None
    sample_size: int
    reason: str | None = None


def daily_returns(equity: Sequence[Number]) -> list[float]:
    """Return of each step of an equity series; none at all when a balance is zero or less, where none is defined.

    >>> daily_returns([Decimal(100), Decimal(110), Decimal(99)])
    [0.1, -0.1]
    """
    if any(value <= 0 for value in equity):
        return []
    return [_growth(before, after) for before, after in itertools.pairwise(equity)]


def curve(returns: Sequence[float], start: float = 1.0) -> list[float]:
    """Equity that `returns` make of `start`, the starting balance first.

    >>> [round(value, 2) for value in curve([-0.40, -0.10])]
    [1.0, 0.6, 0.54]
    """
    equity = [start]
    for value in returns:
        equity.append(equity[-1] * (1.0 + value))
    return equity


def sharpe(returns: Sequence[float], *, periods_per_year: int = DAYS_PER_YEAR) -> Statistic:
    """Mean over standard deviation (ddof=1), times the root of the periods in a year; no risk-free rate.

    Sharpe, W. F. (1994), The Sharpe Ratio, Journal of Portfolio Management 21(1).

    >>> round(sharpe([0.01, -0.02, 0.015, -0.005, 0.025], periods_per_year=252).value, 6)
    4.489989
    """
    n = len(returns)
    if n < 2:
        return Statistic(None, n, "needs at least two returns")
    mean, deviation = statistics.fmean(returns), statistics.stdev(returns)
    if deviation <= _NOISE * abs(mean):
        return Statistic(None, n, "the returns do not vary")
    return _finite(mean / deviation * math.sqrt(periods_per_year), n)


def sortino(returns: Sequence[float], *, periods_per_year: int = DAYS_PER_YEAR) -> Statistic:
    """Mean over the root of the mean square of min(return, 0) over all periods, annualised by the root of time.

    Sortino, F. A. and Price, L. N. (1994), Performance Measurement in a Downside Risk Framework.

    >>> round(sortino([-0.01, 0.02, -0.015, 0.005, -0.02], periods_per_year=252).value, 6)
    -5.273224
    """
    n = len(returns)
    if n < 2:
        return Statistic(None, n, "needs at least two returns")
    downside = math.sqrt(math.fsum(min(value, 0.0) ** 2 for value in returns) / n)
    if downside == 0.0:
        return Statistic(None, n, "no return is negative")
    return _finite(statistics.fmean(returns) / downside * math.sqrt(periods_per_year), n)


def max_drawdown(equity: Sequence[Number]) -> Statistic:
    """Deepest fall from an earlier peak, as a share of the peak: 0 or negative.

    The first value is the starting balance.

    >>> round(max_drawdown([1.0, 0.6, 0.54]).value, 12)
    -0.46
    """
    n = len(equity)
    if n < 2:
        return Statistic(None, n, "needs the starting balance and one value after it")
    peak, deepest = equity[0], 0.0
    for value in equity:
        peak = max(peak, value)
        if peak <= 0:
            return Statistic(None, n, "equity was never above zero")
        deepest = min(deepest, _growth(peak, value))
    return _finite(deepest, n)


def cagr(equity: Sequence[Number], *, periods_per_year: int = DAYS_PER_YEAR) -> Statistic:
    """Growth per year that leads from the first to the last balance.

    >>> cagr([100.0, 121.0], periods_per_year=1).value
    0.21
    """
    n = len(equity)
    if n < 2:
        return Statistic(None, n, "needs the starting balance and one value after it")
    if equity[0] <= 0 or equity[-1] <= 0:
        return Statistic(None, n, "growth from or to a balance of zero or less is undefined")
    years = Decimal(n - 1) / periods_per_year
    return _finite(float((_decimal(equity[-1]) / _decimal(equity[0])) ** (1 / years) - 1), n)


def calmar(equity: Sequence[Number], *, periods_per_year: int = DAYS_PER_YEAR) -> Statistic:
    """CAGR over the absolute maximum drawdown.

    Young, T. W. (1991), Calmar Ratio: A Smoother Tool, Futures 20(1).

    >>> calmar([100.0, 50.0, 121.0], periods_per_year=2).value
    0.42
    """
    growth, fall = cagr(equity, periods_per_year=periods_per_year), max_drawdown(equity)
    if growth.value is None or fall.value is None:
        return Statistic(None, len(equity), growth.reason or fall.reason)
    if fall.value == 0.0:
        return Statistic(None, len(equity), "there was no drawdown")
    return _finite(growth.value / abs(fall.value), len(equity))


def profit_factor(results: Sequence[Number]) -> Statistic:
    """Sum of wins over the absolute sum of losses.

    >>> profit_factor([100, 200, 50, -150, 300, -100, 80, -30]).value == 730 / 280
    True
    """
    gain = _total([value for value in results if value > 0])
    loss = -_total([value for value in results if value < 0])
    if not results:
        return Statistic(None, 0, "no closed trades")
    if loss == 0:
        return Statistic(None, len(results), "no trade lost")
    return _finite(float(gain / loss), len(results))


def win_rate(results: Sequence[Number]) -> Statistic:
    """Share of results above zero; draws stay in the denominator.

    >>> win_rate([1, 0, -1, 2]).value
    0.5
    """
    if not results:
        return Statistic(None, 0, "no closed trades")
    return Statistic(sum(value > 0 for value in results) / len(results), len(results))


def expectancy(results: Sequence[Number]) -> Statistic:
    """Win rate times average win less loss rate times average loss, draws in the denominator.

    >>> expectancy([100, 200, 50, -150, 300, -100, 80, -30]).value
    56.25
    """
    if not results:
        return Statistic(None, 0, "no closed trades")
    n = len(results)
    wins = [value for value in results if value > 0]
    losses = [value for value in results if value < 0]
    gained = Decimal(len(wins)) / n * _total(wins) / len(wins) if wins else Decimal(0)
    lost = Decimal(len(losses)) / n * -_total(losses) / len(losses) if losses else Decimal(0)
    return _finite(float(gained - lost), n)


def mean(values: Sequence[Number]) -> Statistic:
    """Arithmetic mean, exact for Decimals until the last step."""
    if not values:
        return Statistic(None, 0, "no observations")
    return _finite(float(_total(values) / len(values)), len(values))


def percentile(values: Sequence[float], share: float) -> Statistic:
    """Value below which `share` of the observations lie, interpolated linearly between the two nearest.

    >>> percentile([1.0, 2.0, 3.0, 4.0, 5.0], 0.95).value
    4.8
    """
    if not values:
        return Statistic(None, 0, "no observations")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return _finite(ordered[below] + (ordered[above] - ordered[below]) * (place - below), len(ordered))


def _decimal(value: Number) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(repr(value))


def _growth(before: Number, after: Number) -> float:
    return float(_decimal(after) / _decimal(before) - 1)


def _total(values: Sequence[Number]) -> Decimal:
    return sum((_decimal(value) for value in values), Decimal(0))


def _finite(value: float, sample_size: int) -> Statistic:
    if not math.isfinite(value):
        return Statistic(None, sample_size, "the result is not a finite number")
    return Statistic(value, sample_size)
