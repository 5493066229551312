"""Counting trials: clusters by hand and by property, and spreads that cost differences do not inflate."""

import numpy as np
import pytest
from domain.selection.controls import noise
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_pipelines.domain.evaluation.statistics import sharpe
from openclaw_pipelines.domain.selection.trials import (
    TrialsError,
    clustered_trials,
    clusters,
    raw_trials,
    sharpe_rows,
)


def families(copies: int, days: int, seed: int, *, of: int = 3) -> np.ndarray:
    """`of` independent strategies, each traded by `copies` rows that differ little."""
    rng = np.random.default_rng(seed)
    base = np.repeat(rng.normal(0, 0.01, (of, days)), copies, axis=0)
    return base + rng.normal(0, 0.002, base.shape)


def test_rows_have_the_sharpe_ratio_of_the_ledgers_statistics() -> None:
    returns = noise(5, 30, 1)
    expected = [sharpe(row.tolist(), periods_per_year=1).value for row in returns]
    assert sharpe_rows(returns).tolist() == pytest.approx(expected)


def test_copies_are_one_trial() -> None:
    returns = families(40, 60, 7)
    labels = clusters(returns)
    assert [len(set(labels[i * 40 : (i + 1) * 40])) for i in range(3)] == [1, 1, 1]
    assert clustered_trials(returns).count == 3
    assert raw_trials(returns).count == 120


def test_the_spread_of_two_rows_by_hand_and_that_of_one_row_is_none() -> None:
    """Sharpe ratios sqrt(2) and sqrt(2) / 6, so a variance of (5 / 6)**2."""
    two = np.array([[0.01, 0.03], [0.02, -0.01]])
    assert sharpe_rows(two).tolist() == pytest.approx([2**0.5, 2**0.5 / 6])
    assert raw_trials(two).own_variance == pytest.approx(25 / 36)
    alone = raw_trials(two[:1])
    assert (alone.count, alone.own_variance, alone.sharpe_variance) == (1, 0.0, 0.0)


def test_independent_rows_are_a_trial_each() -> None:
    assert clustered_trials(noise(50, 250, 2)).count == 50


def test_opposite_rows_are_two_trials_and_idle_rows_one() -> None:
    row = noise(1, 40, 3)[0]
    returns = np.array([row, -row, np.zeros(40), 2 * row, np.zeros(40)])
    labels = clusters(returns).tolist()
    assert labels[0] == labels[3] != labels[1]
    assert labels[2] == labels[4] == 2


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(2, 30), days=st.integers(3, 40))
def test_the_order_of_the_rows_changes_nothing(seed, rows, days) -> None:
    returns = families(2, days, seed, of=rows)
    order = np.random.default_rng(seed).permutation(len(returns))
    assert clusters(returns)[order].tolist() == clusters(returns[order]).tolist()
    a, b = clustered_trials(returns), clustered_trials(returns[order])
    assert (a.count, a.sharpe_variance) == (b.count, b.sharpe_variance)
    assert 1 <= a.count <= len(returns)


def test_a_lower_threshold_never_makes_more_of_two_rows() -> None:
    returns = families(20, 30, 5)
    counts = [clustered_trials(returns, least_correlation=c).count for c in (0.1, 0.5, 0.9, 0.999)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_trials_run_before_count_at_the_same_rate() -> None:
    returns = families(40, 60, 7)
    assert raw_trials(returns, 1_200).count == 1_200
    assert clustered_trials(returns, 1_200).count == 30
    assert clustered_trials(returns, 121).count == 4  # rounded up


def test_spread_is_the_trials_own_but_no_more_than_sampling_explains() -> None:
    sampling = 1 / 59
    close = raw_trials(families(100, 60, 1, of=1))
    assert close.sharpe_variance == close.own_variance < sampling / 2
    paying = noise(200, 60, 1) - np.linspace(0, 0.05, 200)[:, None]  # rows that lose by their costs
    assert raw_trials(paying).own_variance > 10 * sampling
    assert raw_trials(paying).sharpe_variance == sampling
    assert clustered_trials(paying).sharpe_variance == sampling


@pytest.mark.parametrize(("returns", "ever_run"), [
    pytest.param(np.zeros((0, 5)), None, id="no rows"),
    pytest.param(np.zeros((5, 1)), None, id="one day"),
    pytest.param(np.zeros(5), None, id="one row without its axis"),
    pytest.param(np.zeros((5, 5)), 4, id="fewer ever run than given"),
])  # fmt: skip
def test_named_errors(returns, ever_run) -> None:
    with pytest.raises(TrialsError):
        raw_trials(returns, ever_run)
