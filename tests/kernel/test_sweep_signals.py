"""`score_signals` against `simulate_signals`: the same events, the same equity at every bar, the same account."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from openclaw_pipelines.kernel import sweep_signals
from openclaw_pipelines.kernel.bars import Bars
from openclaw_pipelines.kernel.replay import PROFILES, Costs
from openclaw_pipelines.kernel.simulate import SignalsError, simulate_signals
from openclaw_pipelines.kernel.sweep_signals import score_signals

PROTECTION = [
    pytest.param({}, id="signals alone"),
    pytest.param({"stop_loss": 0.01}, id="stop"),
    pytest.param({"take_profit": 0.02}, id="target"),
    pytest.param({"trailing_stop": 0.015}, id="trailing stop"),
    pytest.param({"stop_loss": 0.02, "take_profit": 0.03, "trailing_stop": 0.015}, id="all three"),
]


@pytest.fixture(scope="module")
def bars(walk) -> Bars:
    frame = walk(1_500)
    holes = np.random.default_rng(8).random(frame.height) > 0.01
    holes[[0, 1_499, 1_500, -1]] = True
    return Bars.from_frame(frame.filter(holes.tolist()), interval="1h")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("protection", PROTECTION)
def test_the_same_as_simulated(bars, protection, profile, monkeypatch) -> None:
    monkeypatch.setattr(sweep_signals, "_FIRST_EVENTS", 16)
    rng = np.random.default_rng(11)
    shape = (len(bars.times), len(bars.symbols))
    entries, exits, shorts = rng.random(shape) < 0.05, rng.random(shape) < 0.05, rng.random(shape) < 0.04
    options = {
        **protection, "short_entries": shorts, "profile": profile, "position_bps": 4_000,
        "costs": Costs(fee_bps=Decimal(4), slippage_bps=Decimal(3)),
    }  # fmt: skip
    slow, fast = simulate_signals(bars, entries, exits, **options), score_signals(bars, entries, exits, **options)
    assert fast.events.tobytes() == slow.events.tobytes()
    assert fast.equity_atoms.tolist() == slow.equity_rows.equity.tolist()
    assert fast.account.tobytes() == slow.state.account.tobytes()
    assert fast.positions.tobytes() == slow.state.positions.tobytes()
    assert fast.trades.equals(slow.trades)
    assert fast.trades.height == fast.tally.trades > 50
    equity = np.r_[10_000 * 10**8, slow.equity_rows.equity]
    peaks = np.maximum.accumulate(equity)
    assert fast.max_drawdown == ((peaks - equity) / peaks).max()


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
