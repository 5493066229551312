"""Sharpe statistics against the papers' worked examples, and the directions in which they must move."""

import math
import statistics as standard

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_pipelines.domain.evaluation.statistics import Statistic
from openclaw_pipelines.domain.selection.sharpe import (
    Moments,
    deflated_sharpe,
    expected_maximum,
    moments,
    probabilistic_sharpe,
)


@pytest.mark.parametrize(("sharpe", "skew", "kurtosis", "n", "published"), [
    pytest.param(0.458, 0.0, 3.0, 24, 0.982, id="normal"),
    pytest.param(0.458, -2.448, 10.164, 24, 0.913, id="hedge fund's skew and kurtosis"),
])  # fmt: skip
def test_probabilistic_sharpe_of_bailey_and_lopez_de_prado_2012(sharpe, skew, kurtosis, n, published) -> None:
    assert round(probabilistic_sharpe(Moments(sharpe, skew, kurtosis, n)).value, 3) == published


@pytest.mark.parametrize(("trials", "skew", "kurtosis", "published"), [
    pytest.param(100, -3.0, 10.0, 0.9004, id="100 trials"),
    pytest.param(46, -3.0, 10.0, 0.9505, id="46 trials would have passed"),
    pytest.param(88, 0.0, 3.0, 0.9505, id="88 with normal returns"),
])  # fmt: skip
def test_deflated_sharpe_of_bailey_and_lopez_de_prado_2014(trials, skew, kurtosis, published) -> None:
    best = Moments(2.5 / math.sqrt(250), skew, kurtosis, 1_250)
    assert round(deflated_sharpe(best, trials, 0.5 / 250).value, 4) == published


def test_expected_maximum_of_the_papers() -> None:
    assert round(math.sqrt(0.5 / 250) * expected_maximum(100), 4) == 0.1132  # the 2014 paper's SR0
    assert round(expected_maximum(10), 2) == 1.57  # Pseudo-Mathematics and Financial Charlatanism, section 4
    # the same paper: five years of data allow at most 45 trials before a Sharpe ratio of 1 a year is expected by luck
    assert expected_maximum(45) ** 2 < 5 < expected_maximum(46) ** 2


def test_expected_maximum_is_that_of_a_simulation() -> None:
    draws = np.random.default_rng(5).standard_normal((20_000, 50)).max(axis=1)
    assert expected_maximum(50) == pytest.approx(draws.mean(), abs=0.03)


def test_moments_of_a_hand_table() -> None:
    """1, 2, 3, 10: mean 4, gaps -3 -2 -1 6, squares 50, cubes 180, fourths 1394."""
    found = moments([1.0, 2.0, 3.0, 10.0])
    assert found.sharpe == pytest.approx(4 / standard.stdev([1, 2, 3, 10]))
    assert found.skew == pytest.approx(45 / 12.5**1.5)
    assert found.kurtosis == pytest.approx(348.5 / 12.5**2)
    assert found.n == 4


@pytest.mark.parametrize(("returns", "reason"), [
    pytest.param([], "needs at least two returns", id="none"),
    pytest.param([0.01], "needs at least two returns", id="one"),
    pytest.param([0.01, 0.01, 0.01], "the returns do not vary", id="constant"),
    pytest.param([0.0, 0.0], "the returns do not vary", id="never traded"),
])  # fmt: skip
def test_undefined_moments_say_why(returns, reason) -> None:
    assert moments(returns) == Statistic(None, len(returns), reason)


def test_undefined_probabilities_say_why() -> None:
    coin = Moments(1.0, 2.0, 5.0, 10)  # two values: 1 - 2 + 1 leaves no sampling error
    assert probabilistic_sharpe(coin).value is None
    assert deflated_sharpe(Moments(1.0, 0.0, 3.0, 10), 10, float("nan")).value is None


shape = st.builds(Moments, st.floats(-1, 1), st.floats(-1, 1), st.floats(3, 10), st.integers(10, 400))


@settings(max_examples=60, deadline=None)
@given(measured=shape, trials=st.integers(1, 5_000), more=st.integers(1, 5_000), variance=st.floats(1e-4, 1.0))
def test_more_trials_or_more_spread_never_help(measured, trials, more, variance) -> None:
    base = deflated_sharpe(measured, trials, variance).value
    assert deflated_sharpe(measured, trials + more, variance).value <= base
    assert deflated_sharpe(measured, trials, variance * 2).value <= base
    assert base <= probabilistic_sharpe(measured).value
    assert deflated_sharpe(measured, 1, variance).value == probabilistic_sharpe(measured).value


@settings(max_examples=60, deadline=None)
@given(sharpe=st.floats(0.05, 0.9), skew=st.floats(-1, 0.9), kurtosis=st.floats(3, 9), n=st.integers(10, 400))
def test_a_better_ratio_a_longer_record_and_milder_tails_help(sharpe, skew, kurtosis, n) -> None:
    base = probabilistic_sharpe(Moments(sharpe, skew, kurtosis, n)).value
    assert probabilistic_sharpe(Moments(sharpe, skew, kurtosis, 2 * n)).value >= base
    assert probabilistic_sharpe(Moments(sharpe, skew + 0.1, kurtosis, n)).value >= base
    assert probabilistic_sharpe(Moments(sharpe, skew, kurtosis + 1, n)).value <= base


def test_the_probability_is_calibrated_where_there_is_no_skill() -> None:
    """Of 2,000 records without skill a twentieth looks better than 95 % sure."""
    rng = np.random.default_rng(3)
    sure = [probabilistic_sharpe(moments(rng.normal(0, 0.01, 60))).value > 0.95 for _ in range(2_000)]
    assert sum(sure) / 2_000 == pytest.approx(0.05, abs=0.015)
