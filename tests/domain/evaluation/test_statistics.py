"""Known answers of CONTRACTS, hand tables, and what is undefined."""

import math
import statistics as oracle
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_pipelines.domain.evaluation import statistics as stats

RESULTS = [100, 200, 50, -150, 300, -100, 80, -30]


def test_sharpe_known_answer() -> None:
    found = stats.sharpe([0.01, -0.02, 0.015, -0.005, 0.025], periods_per_year=252)
    assert found.value == pytest.approx(4.48998886412873, rel=1e-14)
    assert found.sample_size == 5


def test_sortino_known_answer() -> None:
    found = stats.sortino([-0.01, 0.02, -0.015, 0.005, -0.02], periods_per_year=252)
    assert found.value == pytest.approx(-5.273224492824493, rel=1e-14)


def test_drawdown_known_answer_counts_the_starting_balance() -> None:
    assert stats.max_drawdown(stats.curve([-0.40, -0.10])).value == pytest.approx(-0.46, abs=1e-15)


def test_drawdown_without_the_starting_balance_would_be_smaller() -> None:
    assert stats.max_drawdown(stats.curve([-0.40, -0.10])[1:]).value == pytest.approx(-0.10, abs=1e-15)


def test_expectancy_known_answer() -> None:
    assert stats.expectancy(RESULTS).value == 56.25


def test_default_year_has_365_days() -> None:
    returns = [0.01, -0.02, 0.015]
    per_day = stats.sharpe(returns, periods_per_year=1).value
    assert per_day is not None
    assert stats.sharpe(returns).value == pytest.approx(per_day * math.sqrt(365))


@pytest.mark.parametrize(
    ("found", "value"),
    [
        pytest.param(stats.profit_factor(RESULTS), 730 / 280, id="profit factor"),
        pytest.param(stats.win_rate(RESULTS), 5 / 8, id="win rate"),
        pytest.param(stats.win_rate([1, 0, 0, -1]), 0.25, id="win rate counts draws"),
        pytest.param(stats.expectancy([10, 0, 0, -2]), 2.0, id="expectancy counts draws"),
        pytest.param(stats.expectancy([Decimal("0.1"), Decimal("0.2")]), 0.15, id="only wins"),
        pytest.param(stats.expectancy([0, 0]), 0.0, id="only draws have an expectancy of zero"),
        pytest.param(stats.max_drawdown([100, 120, 90, 130, 117]), -0.25, id="peak 120 to 90"),
        pytest.param(stats.max_drawdown([100, 101, 102]), 0.0, id="never fell"),
        pytest.param(stats.max_drawdown([Decimal(100), Decimal(-20)]), -1.2, id="below zero"),
        pytest.param(stats.cagr([100.0, 110.0, 121.0], periods_per_year=2), 0.21, id="two periods of a year"),
        pytest.param(stats.cagr([Decimal(100), Decimal(100)]), 0.0, id="no growth"),
        pytest.param(stats.calmar([100.0, 50.0, 121.0], periods_per_year=2), 0.42, id="0.21 over 0.5"),
        pytest.param(stats.mean([Decimal("0.1"), Decimal("0.2")]), 0.15, id="mean"),
        pytest.param(stats.percentile([5.0, 1.0, 3.0], 0.5), 3.0, id="median"),
        pytest.param(stats.percentile([1.0, 2.0], 0.95), 1.95, id="interpolated"),
        pytest.param(stats.percentile([7.0], 0.95), 7.0, id="one observation"),
    ],
)
def test_values(found: stats.Statistic, value: float) -> None:
    assert found.value == pytest.approx(value, abs=1e-14)
    assert found.reason is None


@pytest.mark.parametrize(
    ("found", "size", "reason"),
    [
        pytest.param(stats.sharpe([]), 0, "needs at least two returns", id="sharpe of nothing"),
        pytest.param(stats.sharpe([0.01]), 1, "needs at least two returns", id="sharpe of one"),
        pytest.param(stats.sharpe([0.0, 0.0, 0.0]), 3, "the returns do not vary", id="sharpe of flat equity"),
        pytest.param(stats.sharpe([0.01, 0.01]), 2, "the returns do not vary", id="sharpe of a straight line"),
        pytest.param(
            stats.sharpe([0.01, 0.01 + 1e-17, 0.01 + 2e-17]), 3, "the returns do not vary", id="rounding is no risk"
        ),
        pytest.param(stats.sortino([0.01, 0.02]), 2, "no return is negative", id="sortino without a loss"),
        pytest.param(stats.sortino([-0.01]), 1, "needs at least two returns", id="sortino of one"),
        pytest.param(stats.max_drawdown([100]), 1, "needs the starting balance and one value after it", id="one value"),
        pytest.param(stats.max_drawdown([0, 1]), 2, "equity was never above zero", id="started at nothing"),
        pytest.param(
            stats.cagr([100, 0]), 2, "growth from or to a balance of zero or less is undefined", id="ruin has no growth"
        ),
        pytest.param(stats.cagr([1, 10_000]), 2, "the result is not a finite number", id="10,000-fold in a day"),
        pytest.param(stats.calmar([100, 101]), 2, "there was no drawdown", id="calmar without a fall"),
        pytest.param(stats.profit_factor([]), 0, "no closed trades", id="no trades"),
        pytest.param(stats.profit_factor([1, 2]), 2, "no trade lost", id="no loss"),
        pytest.param(stats.win_rate([]), 0, "no closed trades", id="win rate of nothing"),
        pytest.param(stats.expectancy([]), 0, "no closed trades", id="expectancy of nothing"),
        pytest.param(stats.mean([]), 0, "no observations", id="mean of nothing"),
        pytest.param(stats.percentile([], 0.95), 0, "no observations", id="percentile of nothing"),
    ],
)
def test_undefined_is_empty_with_a_reason(found: stats.Statistic, size: int, reason: str) -> None:
    assert found == stats.Statistic(None, size, reason)


def test_returns_of_an_account_that_was_wiped_out_are_not_defined() -> None:
    assert stats.daily_returns([Decimal(100), Decimal(0), Decimal(5)]) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=40))
def test_expectancy_is_the_mean_and_drawdown_is_within_bounds(results: list[int]) -> None:
    assert stats.expectancy(results).value == pytest.approx(oracle.fmean(results), abs=1e-9)
    equity = [1_000_000]
    for result in results:
        equity.append(equity[-1] + result)
    fall = stats.max_drawdown(equity).value
    brute = min(later / earlier - 1 for i, earlier in enumerate(equity) for later in equity[i:])
    assert fall == pytest.approx(brute, abs=1e-15)
