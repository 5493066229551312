"""`score_signals` against `simulate_signals`: the same events, the same equity at every bar, the same account."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from openclaw_pipelines.kernel.base.layout import new_limits
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.replay import PROFILES, Costs
from openclaw_pipelines.kernel.run.simulate import SignalsError, simulate_signals
from openclaw_pipelines.kernel.sweep import given_signals as sweep_signals
from openclaw_pipelines.kernel.sweep.given_signals import score_signals

PROTECTION = [
    pytest.param({}, id="signals alone"),
    pytest.param({"stop_loss": 0.01}, id="stop"),
    pytest.param({"take_profit": 0.02}, id="target"),
    pytest.param({"trailing_stop": 0.015}, id="trailing stop"),
    pytest.param({"stop_loss": 0.02, "take_profit": 0.03, "trailing_stop": 0.015}, id="all three"),
]


ONE, TWO = ("BTC/USDT:USDT",), ("BTC/USDT:USDT", "ETH/USDT:USDT")


def holed(walk, symbols: tuple[str, ...], length: int = 1_500) -> Bars:
    """Bars with holes and a stretch in which the first symbol is outside the universe."""
    frame = walk(length, symbols)
    kept = np.random.default_rng(8).random(frame.height) > 0.01
    kept[::length] = kept[length - 1 :: length] = True
    universe = np.ones(length, np.bool_)
    universe[length // 3 : length // 3 + 150] = False
    return Bars.from_frame(frame.filter(kept.tolist()), interval="1h", universe={symbols[0]: universe})


@pytest.fixture(scope="module")
def bars(walk) -> Bars:
    return holed(walk, TWO)


@pytest.mark.parametrize("symbols", [ONE, TWO], ids=["one symbol", "two symbols"])
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("protection", PROTECTION)
def test_the_same_as_simulated(walk, protection, profile, symbols, monkeypatch) -> None:
    monkeypatch.setattr(sweep_signals, "_FIRST_EVENTS", 16)
    bars, rng = holed(walk, symbols), np.random.default_rng(11)
    shape = (len(bars.times), len(symbols))
    entries, exits, shorts = rng.random(shape) < 0.05, rng.random(shape) < 0.05, rng.random(shape) < 0.04
    same_as_simulated(bars, entries, exits, {**protection, "profile": profile, "short_entries": shorts}, at_least=50)


@pytest.mark.parametrize("drift", [-0.0006, 0.0, 0.0006], ids=["falling", "level", "rising"])
@pytest.mark.parametrize("protection", PROTECTION)
def test_long_holdings(walk, protection, drift) -> None:
    """Blocks of bars are passed whole, below the peak and above it; levels are reached blocks away."""
    frame = walk(6_000, ONE)
    trend = np.exp(drift * np.arange(frame.height))
    prices = [(pl.col(name) * pl.Series(trend)).round(2) for name in ("open", "high", "low", "close")]
    bars, rng = Bars.from_frame(frame.with_columns(prices), interval="1h"), np.random.default_rng(3)
    entries, exits = rng.random(6_000) < 0.008, rng.random(6_000) < 0.004
    far = {name: 5 * fraction for name, fraction in protection.items()}
    same_as_simulated(bars, entries, exits, far, at_least=8)


def same_as_simulated(bars: Bars, entries, exits, options: dict[str, Any], at_least: int) -> None:
    costs = Costs(fee_bps=Decimal(4), slippage_bps=Decimal(3))
    options = {**options, "position_bps": 4_000, "costs": costs}
    slow, fast = simulate_signals(bars, entries, exits, **options), score_signals(bars, entries, exits, **options)
    assert fast.events.tobytes() == slow.events.tobytes()
    assert fast.equity_atoms.tolist() == slow.equity_rows.equity.tolist()
    assert fast.account.tobytes() == slow.state.account.tobytes()
    assert fast.positions.tobytes() == slow.state.positions.tobytes()
    assert fast.trades.equals(slow.trades)
    assert fast.trades.height == fast.tally.trades > at_least
    equity = np.r_[10_000 * 10**8, slow.equity_rows.equity]
    peaks = np.maximum.accumulate(equity)
    assert fast.max_drawdown == ((peaks - equity) / peaks).max()


def test_what_is_kept_for_bars_follows_the_costs_and_the_capital(bars) -> None:
    rng = np.random.default_rng(5)
    entries, exits = (rng.random((len(bars.times), 2)) < 0.05 for _ in range(2))
    for capital, fee in ((10_000, 4), (10_000, 9), (20_000, 9), (10_000, 4)):
        options = {"capital": Decimal(capital), "costs": Costs(fee_bps=Decimal(fee))}
        slow, fast = (run(bars, entries, exits, **options) for run in (simulate_signals, score_signals))
        assert fast.events.tobytes() == slow.events.tobytes()
    unlimited, tight = score_signals(bars, entries, exits), new_limits(2)
    tight.max_order_notional = 2_000 * 10**8
    assert score_signals(bars, entries, exits, limits=tight).tally.entries < unlimited.tally.entries


def test_a_shifted_signal_is_seen(bars) -> None:
    rng = np.random.default_rng(2)
    entries, exits = (rng.random((len(bars.times), 2)) < 0.05 for _ in range(2))
    before = score_signals(bars, entries, exits)
    moved = entries.copy()
    at, symbol = np.argwhere(entries & (bars.matrices.bar_state == 1))[0]
    moved[at, symbol] = False
    after = score_signals(bars, moved, exits)
    assert before.events.tobytes() != after.events.tobytes()
    assert before.trades["entry_at"].min() == datetime.fromtimestamp(int(bars.times[at]), UTC) + timedelta(hours=1)


def test_wrong_signals_are_refused(bars) -> None:
    short = np.zeros((5, 2), np.bool_)
    with pytest.raises(SignalsError, match="entries"):
        score_signals(bars, short, short)
