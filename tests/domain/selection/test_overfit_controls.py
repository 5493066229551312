"""Searches without an edge are blocked, over twenty seeds; a planted edge is found again, over the same."""

from decimal import Decimal

import numpy as np
import pytest
from domain.selection.controls import noise, parameter_rows, planted, trending_bars, walk_bars

from openclaw_pipelines.domain.selection.equity import daily_returns, day_end_equity
from openclaw_pipelines.domain.selection.gate_limits import GateLimits
from openclaw_pipelines.domain.selection.gate_rules import backtest_overfitting, deflated_clustered, deflated_raw
from openclaw_pipelines.domain.selection.trials import raw_trials, sharpe_rows
from openclaw_pipelines.kernel.run.replay import Costs, replay
from openclaw_pipelines.kernel.sweep.sweep import sweep

LIMITS = GateLimits()
SEEDS = range(20)
MARKET_DAYS = 60


def luck_gates(returns: np.ndarray) -> list[bool]:
    """Raw and clustered deflated Sharpe ratio of the best row, and the overfitting of the search."""
    best = int(np.argmax(sharpe_rows(returns)))
    return [
        deflated_raw(returns, best, None, LIMITS).passed,
        deflated_clustered(returns, best, None, LIMITS).passed,
        backtest_overfitting(returns, LIMITS).passed,
    ]


def correlated(rows: int, days: int, seed: int) -> np.ndarray:
    """Rows of a sweep over neighbouring parameters: each the mean of eight of forty strategies without an edge."""
    rng = np.random.default_rng(seed)
    base = rng.normal(0, 0.01, (40, days))
    chosen = np.argsort(rng.random((rows, 40)), axis=1)[:, :8]
    return base[chosen].mean(axis=1)


def paying(rows: int, days: int, seed: int) -> np.ndarray:
    """No edge, and costs that differ by row."""
    return noise(rows, days, seed) - np.random.default_rng(seed).uniform(0, 0.02, (rows, 1))


@pytest.mark.parametrize("search", [noise, correlated, paying])
def test_the_best_of_200_without_an_edge_is_blocked_in_every_seed(search) -> None:
    passed = [seed for seed in SEEDS if all(luck_gates(search(200, MARKET_DAYS, seed)))]
    assert passed == []


def test_undeflated_the_same_bests_would_look_certain() -> None:
    """What the gates are for: with one trial instead of 200 nearly every best of noise passes."""
    fooled = 0
    for seed in SEEDS:
        returns = noise(200, MARKET_DAYS, seed)
        best = returns[int(np.argmax(sharpe_rows(returns)))]
        fooled += deflated_raw(best[None, :], 0, None, LIMITS).passed
    assert fooled >= 18


@pytest.mark.parametrize("rows", [pytest.param(200, id="200 rows"), pytest.param(2_000, id="2,000 rows")])
def test_a_planted_edge_passes(rows) -> None:
    seeds = SEEDS if rows == 200 else range(1)
    assert [seed for seed in seeds if not all(luck_gates(planted(rows, MARKET_DAYS, seed)))] == []


def test_an_edge_passes_although_the_losers_spread_far() -> None:
    """Rows that pay more and more for trading spread the ratios, which is no luck and must not hide the edge."""
    returns = planted(200, MARKET_DAYS, seed=4)
    returns[20:] -= np.linspace(0, 0.05, 180)[:, None]
    assert luck_gates(returns) == [True, True, True]
    spread = raw_trials(returns)
    assert spread.own_variance > 30 * spread.sharpe_variance


def test_a_planted_edge_is_not_seen_in_too_few_days() -> None:
    assert not all(luck_gates(planted(200, 12, 1)))


def swept(bars) -> np.ndarray:
    """Daily returns [75, D] of the kernel's own families, costs included."""
    made = sweep(bars, parameter_rows(), Costs(slippage_bps=Decimal(2)), threads=1)
    return daily_returns(made.day_equity, made.capital)


def test_the_families_on_random_walks_are_blocked_in_every_seed() -> None:
    passed = [seed for seed in SEEDS if all(luck_gates(swept(walk_bars(24 * MARKET_DAYS, seed=seed))))]
    assert passed == []


def test_the_families_on_a_market_with_an_edge_pass() -> None:
    assert [seed for seed in range(5) if not all(luck_gates(swept(trending_bars(24 * MARKET_DAYS, seed))))] == []


def test_day_ends_of_the_sweep_are_those_of_the_replay() -> None:
    bars, rows = walk_bars(24 * 5 + 7), parameter_rows()
    made = sweep(bars, rows[:3], threads=1)
    for row in range(3):
        assert day_end_equity(replay(bars, rows[row])).tolist() == made.day_equity[row].tolist()
