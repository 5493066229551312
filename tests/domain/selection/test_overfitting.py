"""PBO: a hand table, a naive second implementation, ties, refusals, and what noise and skill must give."""

import itertools
import statistics

import numpy as np
import pytest
from domain.selection.controls import noise, planted
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_pipelines.domain.selection.overfitting import SplitsError, overfitting, relative_ranks


def naive(returns: np.ndarray, splits: int) -> float:
    """The paper's steps for rows without ties, one number at a time."""
    rows, days = returns.shape
    length = days // splits
    used = returns[:, days - length * splits :]
    blocks = [list(range(i * length, (i + 1) * length)) for i in range(splits)]
    overfit = 0
    halves = list(itertools.combinations(range(splits), splits // 2))
    for half in halves:
        inside = [d for b in half for d in blocks[b]]
        outside = [d for b in range(splits) if b not in half for d in blocks[b]]

        def ratio(row, chosen):
            values = [float(used[row, d]) for d in chosen]
            return statistics.fmean(values) / statistics.stdev(values)

        best = max(range(rows), key=lambda row: ratio(row, inside))
        outer = [ratio(row, outside) for row in range(rows)]
        rank = sum(value <= outer[best] for value in outer)
        overfit += rank / (rows + 1) <= 0.5
    return overfit / len(halves)


@pytest.mark.parametrize(("rows", "days", "splits"), [
    pytest.param(2, 8, 4, id="two rows"),
    pytest.param(7, 20, 4, id="odd rows"),
    pytest.param(12, 43, 6, id="days left over"),
    pytest.param(9, 40, 2, id="one halving and its mirror"),
])  # fmt: skip
def test_agrees_with_the_papers_steps(rows, days, splits) -> None:
    for seed in range(4):
        returns = noise(rows, days, seed)
        assert overfitting(returns, splits=splits).probability == naive(returns, splits)


def test_hand_table() -> None:
    """Two rows, two blocks: each is best on one block only, so the best of either is the worst of the other."""
    turns = np.array([[0.02, 0.03, -0.03, -0.02], [-0.02, -0.03, 0.02, 0.03]])
    result = overfitting(turns, splits=2)
    assert (result.probability, result.loss_probability, result.combinations, result.days) == (1.0, 1.0, 2, 4)
    stays = np.array([[0.02, 0.03, 0.02, 0.03], [-0.02, -0.03, -0.02, -0.03]])
    assert (overfitting(stays, splits=2).probability, overfitting(stays, splits=2).loss_probability) == (0.0, 0.0)


def test_ranks_of_ties_are_shared() -> None:
    assert relative_ranks(np.array([5.0, 5.0, 5.0])).tolist() == [0.5, 0.5, 0.5]
    assert relative_ranks(np.array([-1.0, 0.0, 0.0, 2.0])).tolist() == [0.2, 0.5, 0.5, 0.8]


def test_tied_bests_count_in_equal_shares() -> None:
    """Rows 0 and 1 tie on either block; on the other one of them is best and one is worst."""
    block = [0.02, 0.03]
    worse = [-0.02, -0.03]
    returns = np.array([block + block, block + worse, worse + block])
    # train on block one: rows 0, 1 tie; on block two row 0 ties for best (0.625), row 1 is worst: half. Mirror: half.
    assert overfitting(returns, splits=2).probability == 0.5


def test_of_noise_it_is_about_a_half() -> None:
    found = [overfitting(noise(40, 60, seed)).probability for seed in range(40)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.07)


def test_of_skill_it_is_small() -> None:
    found = [overfitting(planted(60, 60, seed, skilled=5)).probability for seed in range(10)]
    assert max(found) < 0.1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(2, 15), copies=st.integers(0, 3))
def test_the_order_of_the_rows_changes_nothing(seed, rows, copies) -> None:
    returns = noise(rows, 24, seed)
    returns = np.concatenate([returns, np.repeat(returns[:1], copies, axis=0), np.zeros((1, 24))])
    order = np.random.default_rng(seed).permutation(len(returns))
    a, b = overfitting(returns, splits=4), overfitting(returns[order], splits=4)
    assert a.probability == pytest.approx(b.probability, abs=1e-12)
    assert 0.0 <= a.probability <= 1.0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.floats(0.1, 10))
def test_size_does_not_matter(seed, factor) -> None:
    returns = noise(8, 24, seed)
    assert overfitting(returns * factor, splits=4).probability == overfitting(returns, splits=4).probability


def test_a_row_that_never_traded_is_neither_the_best_nor_no_number() -> None:
    """Its ratio is 0: below a row that gains in every half, above one that loses in every half."""
    gains, loses, flat = [0.02, 0.03] * 8, [-0.03, -0.02] * 8, [0.0] * 16
    assert overfitting(np.array([gains, flat]), splits=4).probability == 0.0
    both = overfitting(np.array([flat, loses]), splits=4)
    assert (both.probability, both.loss_probability) == (0.0, 0.0)  # to gain nothing is not to lose


@pytest.mark.parametrize(("returns", "reason"), [
    pytest.param(noise(1, 40, 1), "one row leaves nothing to choose", id="one row"),
    pytest.param(noise(5, 19, 1), "19 days are fewer than 20, two for each of 10 blocks", id="few days"),
    pytest.param(np.repeat(noise(1, 40, 1), 5, axis=0), "all rows are the same", id="one row five times"),
    pytest.param(np.zeros((5, 40)), "all rows are the same", id="nobody traded"),
    pytest.param(np.full((5, 40), np.nan), "a return is not a finite number", id="no numbers"),
])  # fmt: skip
def test_undefined_says_why(returns, reason) -> None:
    result = overfitting(returns)
    assert (result.probability, result.reason) == (None, reason)


@pytest.mark.parametrize("splits", [3, 0, 18])
def test_blocks_that_cannot_be_halved(splits) -> None:
    with pytest.raises(SplitsError):
        overfitting(noise(5, 40, 1), splits=splits)
