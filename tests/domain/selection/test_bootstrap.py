"""Bootstrap: block lengths against theory, coverage against simulation, and seeds that decide everything."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_pipelines.domain.selection.bootstrap import block_length, mean_interval, resample


def autoregressive(n: int, rho: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = np.zeros(n)
    values[0] = rng.normal()
    for i in range(1, n):
        values[i] = rho * values[i - 1] + rng.normal()
    return values


@pytest.mark.parametrize("rho", [pytest.param(0.3, id="weak"), pytest.param(0.7, id="strong")])
def test_block_length_of_an_autoregression_is_near_its_theory(rho) -> None:
    """For an AR(1) the best mean block is (2 rho / (1 - rho^2))^(2/3) n^(1/3) (Politis and White 2004, section 3)."""
    n = 5_000
    theory = (2 * rho / (1 - rho**2)) ** (2 / 3) * n ** (1 / 3)
    found = np.mean([block_length(autoregressive(n, rho, seed)) for seed in range(10)])
    assert found == pytest.approx(theory, rel=0.12)


def test_independent_days_need_short_blocks() -> None:
    rng = np.random.default_rng(1)
    lengths = [block_length(rng.normal(size=250)) for _ in range(40)]
    assert np.median(lengths) < 4
    assert block_length(np.zeros(30)) == 1.0


def test_blocks_have_their_length_and_wrap() -> None:
    days = resample(50, 5.0, 400, seed=3)
    follows = np.diff(days, axis=1) % 50 == 1
    assert 1 - follows.mean() == pytest.approx(1 / 5 * 49 / 50, abs=0.01)  # a fresh start follows by chance 1 in 50
    assert resample(50, 1e12, 10, seed=3)[:, :3].tolist() == [
        [first, (first + 1) % 50, (first + 2) % 50] for first in resample(50, 1e12, 10, seed=3)[:, 0].tolist()
    ]


def test_the_interval_holds_the_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    held = 0
    for seed in range(200):
        interval = mean_interval(rng.normal(0.001, 0.01, 100), confidence=0.9, resamples=400, seed=seed)
        held += interval.lower <= 0.001 <= interval.upper
    assert held / 200 == pytest.approx(0.9, abs=0.07)


def test_clustered_days_widen_it() -> None:
    values = autoregressive(400, 0.8, 2) * 0.01
    shuffled = np.random.default_rng(0).permutation(values)
    together, apart = mean_interval(values), mean_interval(shuffled)
    assert together.upper - together.lower > 1.5 * (apart.upper - apart.lower)


def test_equal_seeds_give_equal_intervals() -> None:
    values = np.random.default_rng(0).normal(size=30)
    assert mean_interval(values, seed=4) == mean_interval(values, seed=4)
    assert mean_interval(values, seed=4) != mean_interval(values, seed=5)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(5, 60), shift=st.floats(-1, 1))
def test_it_contains_its_mean_moves_with_it_and_grows_with_confidence(seed, n, shift) -> None:
    values = np.random.default_rng(seed).normal(size=n)
    narrow, wide = (mean_interval(values, confidence=c, resamples=200) for c in (0.5, 0.99))
    assert wide.lower <= narrow.lower <= narrow.upper <= wide.upper
    moved = mean_interval(values + shift, confidence=0.5, resamples=200)
    assert moved.lower == pytest.approx(narrow.lower + shift, abs=1e-9)
    assert 1.0 <= narrow.block_days <= max(1, n)


@pytest.mark.parametrize(("values", "reason"), [
    pytest.param([0.1] * 4, "4 days are fewer than 5", id="few days"),
    pytest.param([0.1] * 5 + [float("nan")], "a return is not a finite number", id="no number"),
])  # fmt: skip
def test_undefined_says_why(values, reason) -> None:
    interval = mean_interval(np.array(values))
    assert (interval.lower, interval.upper, interval.reason) == (None, None, reason)
