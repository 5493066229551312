"""Signals from outside the kernel: the families' own answers, given as whole numbers, are traded to the same bit."""

import numpy as np
import polars as pl
import pytest
from kernel.rough_market import COSTS, FIRST, MINUTE, rough_bars, rough_limits

from openclaw_pipelines.contracts.enums import ExitReason
from openclaw_pipelines.kernel.account.risk import distance_units
from openclaw_pipelines.kernel.base.jit import compiled
from openclaw_pipelines.kernel.base.layout import (
    PROPOSAL,
    SIGNAL,
    WHOLE,
    BarState,
    EventKind,
    new_state,
    records,
)
from openclaw_pipelines.kernel.base.money import MAX_BPS
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.planned import PlanError, PlanShapeError, plan_of, replay_planned
from openclaw_pipelines.kernel.run.replay import (
    PROFILES,
    Terms,
    prepare,
    replay,
)
from openclaw_pipelines.kernel.run.ticks import TickInput, replay_ticks
from openclaw_pipelines.kernel.strategy.indicator_rows import new_indicators, observe
from openclaw_pipelines.kernel.strategy.params import params_record, planned_params, stack_params
from openclaw_pipelines.kernel.strategy.signals import signal
from openclaw_pipelines.kernel.sweep.given_signals import score_planned

_SIGNAL, _MISSING = int(ExitReason.SIGNAL), int(BarState.MISSING)
COMMON = {
    "atr_length": 9, "stop_atr": 2.5, "target_atr": 4.0, "trail_atr": 3.0, "max_hold_bars": 45, "entry_window_bars": 2,
    "volatility_length": 20, "volatility_target": 0.6, "volume_length": 10, "volume_ratio": 0.6, "position_bps": 9_000,
}  # fmt: skip
FAMILIES = {
    "momentum": {"momentum_lookback": 12, "ema_slow": 15},
    "breakout": {"channel_entry": 14, "channel_exit": 6, "target_atr": 0.0, "max_hold_bars": 0},
    "reversion": {"rsi_length": 7, "rsi_low": 40.0, "rsi_high": 60.0, "bollinger_length": 14, "bollinger_width": 1.2,
                  "adx_length": 7, "adx_threshold": 45.0},
    "ema_trend": {"ema_fast": 4, "ema_slow": 15, "adx_length": 6, "adx_threshold": 15.0, "allow_short": False},
}  # fmt: skip


@pytest.fixture(scope="module")
def bars() -> Bars:
    return rough_bars(seed=8, late=300)


def _params(family: str) -> np.record:
    return params_record(family, {**COMMON, **FAMILIES[family]}, 60)


@compiled
def _answers(rows, matrices, params, signals) -> None:
    """What a family answers at each bar, in whole numbers."""
    for t in range(signals.shape[0]):
        for s in range(signals.shape[1]):
            if matrices.bar_state[t, s] == _MISSING:
                continue
            observe(
                rows[s], params, float(matrices.open[t, s]), float(matrices.high[t, s]), float(matrices.low[t, s]),
                float(matrices.close[t, s]), matrices.volume[t, s],
            )  # fmt: skip
            wanted, said = signal(rows[s], params, 0, 0), signals[t, s]
            said.side = wanted.entry
            said.leave_long = 1 if signal(rows[s], params, 1, 0).exit == _SIGNAL else 0
            said.leave_short = 1 if signal(rows[s], params, -1, 0).exit == _SIGNAL else 0
            said.stop, said.target = distance_units(wanted.stop), distance_units(wanted.target)
            said.trail, said.size_bps = distance_units(wanted.trail), params.position_bps
            said.part, said.confidence = int(wanted.size * WHOLE), int(wanted.confidence * WHOLE)


def answers(bars: Bars, params: np.record) -> np.recarray:
    signals = np.zeros((len(bars.times), len(bars.symbols)), SIGNAL).view(np.recarray)
    _answers(new_indicators(len(bars.symbols), params), bars.matrices, stack_params([params])[0], signals)
    return signals


def _binding(family: str) -> dict:
    params = _params(family)
    return {"max_hold_bars": int(params.max_hold_bars), "allow_short": bool(params.allow_short)}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_familys_answers_given_as_signals_trade_as_the_family(bars, family, profile) -> None:
    own = {"profile": profile, **rough_limits(8_000)}
    signals = answers(bars, _params(family))
    lived = replay(bars, _params(family), COSTS, **own)
    planned = replay_planned(bars, signals, COSTS, **_binding(family), **own)
    assert len(lived.events) > 40
    assert planned.events.tobytes() == lived.events.tobytes()
    assert planned.proposals.tobytes() == lived.proposals.tobytes()
    assert planned.proposal_ticks.tobytes() == lived.proposal_ticks.tobytes()
    assert planned.equity_rows.tobytes() == lived.equity_rows.tobytes()
    assert planned.state.account.tobytes() == lived.state.account.tobytes()
    assert planned.state.positions.tobytes() == lived.state.positions.tobytes()
    swept = score_planned(bars, plan_of(signals), COSTS, **_binding(family), **own)
    assert swept.events.tobytes() == lived.events.tobytes()
    assert swept.equity_atoms.tobytes() == lived.equity_rows.equity.tobytes()
    assert swept.account.tobytes() == lived.state.account.tobytes()
    assert swept.positions.tobytes() == lived.state.positions.tobytes()


@pytest.mark.parametrize("family", FAMILIES)
def test_single_ticks_with_the_recorded_signals(bars, family) -> None:
    params, own = _params(family), rough_limits(8_000)
    signals = answers(bars, params)
    lived = replay(bars, params, COSTS, **own)
    binding = planned_params(60, **_binding(family))
    ready = prepare(bars, stack_params([binding]), Terms(costs=COSTS, **own))
    state = new_state(new_indicators(3, binding), ready.cash, int(bars.times[0]))
    inputs = [
        TickInput(bars.tick(t), ready.setup.limits, ready.setup.account_limits, records(PROPOSAL, 0), signals[t])
        for t in range(len(bars.times))
    ]
    outputs = list(replay_ticks(state, inputs, ready.setup.context))
    assert b"".join(one.events.tobytes() for one in outputs) == lived.events.tobytes()
    assert b"".join(one.proposals.tobytes() for one in outputs) == lived.proposals.tobytes()
    assert [one.mark.equity for one in outputs] == lived.equity_rows.equity.tolist()


def test_a_window_of_the_bars(bars) -> None:
    """Trading from a later bar on, a family that is warm by then and its answers agree."""
    signals, own = answers(bars, _params("breakout")), {**rough_limits(8_000), "start": 700}
    planned = replay_planned(bars, signals, COSTS, **_binding("breakout"), **own)
    assert planned.events.tobytes() == replay(bars, _params("breakout"), COSTS, **own).events.tobytes()


# ---- by hand


def _flat_bars(prices: list[int]) -> Bars:
    """One spot market at whole prices; each bar opens where the one before closed."""
    opens = [prices[0], *prices[:-1]]
    frame = pl.DataFrame({
        "ts": [FIRST + i * MINUTE for i in range(len(prices))], "symbol": ["SOL/USDT"] * len(prices),
        "open": [float(p) for p in opens], "close": [float(p) for p in prices],
        "high": [float(max(pair)) for pair in zip(opens, prices, strict=True)],
        "low": [float(min(pair)) for pair in zip(opens, prices, strict=True)], "volume": [1e6] * len(prices),
    })  # fmt: skip
    return Bars.from_frame(frame, interval="1m")


def _said(bars: Bars, **by_bar: dict[str, int]) -> np.recarray:
    """Signals of one symbol; keys are `at_N`, an entry is whole and of 50 % of the equity unless said otherwise."""
    signals = np.zeros((len(bars.times), 1), SIGNAL).view(np.recarray)
    for name, said in by_bar.items():
        for field, value in {"part": WHOLE, "confidence": WHOLE, "size_bps": 5_000, **said}.items():
            signals[field][int(name.removeprefix("at_")), 0] = value
    return signals


def test_an_entry_is_sized_and_filled_at_the_next_open_and_left_when_told() -> None:
    bars = _flat_bars([100, 100, 110, 120, 120])
    result = replay_planned(bars, _said(bars, at_0={"side": 1, "tag": 7}, at_2={"leave_long": 1}))
    entry, exit_ = result.trades.row(0, named=True), result.trades.row(-1, named=True)
    assert result.trades.height == 1
    assert (entry["qty"], entry["entry_price"], exit_["exit_price"]) == (50, 100, 110)  # 50 % of 10 000 at 100


def test_part_of_a_full_position_and_what_was_sure() -> None:
    bars = _flat_bars([100, 100, 100])
    said = {"side": 1, "part": WHOLE // 4, "confidence": 3 * WHOLE // 4}
    result = replay_planned(bars, _said(bars, at_0=said))
    proposal = result.proposals[0]
    assert float(proposal.confidence) == 0.75
    assert int(result.state.positions[0].qty) * 4 == int(
        replay_planned(bars, _said(bars, at_0={"side": 1})).state.positions[0].qty
    )


def test_the_age_that_ends_a_position_and_shorts_that_do_not_count() -> None:
    bars = _flat_bars([100] * 8)
    held = replay_planned(bars, _said(bars, at_0={"side": 1}), max_hold_bars=3)
    reasons = [int(event.reason) for event in held.events if event.kind == EventKind.FILL]
    assert reasons == [0, int(ExitReason.TIME_STOP)]
    shorts = _said(bars, at_0={"side": -1})
    assert len(replay_planned(bars, shorts, allow_short=False).proposals) == 0
    assert len(replay_planned(bars, shorts).proposals) == 1  # refused on a spot market, not left out
    assert len(score_planned(bars, shorts, allow_short=False).events) == 0


# ---- what no planner may say


@pytest.mark.parametrize(
    ("field", "value"),
    [("side", 2), ("side", -2), ("leave_long", 2), ("leave_short", -1), ("stop", -1), ("target", 2**53 + 1),
     ("trail", -5), ("size_bps", -1), ("size_bps", MAX_BPS + 1), ("part", WHOLE + 1), ("confidence", -1)],
)  # fmt: skip
def test_a_number_out_of_bounds_is_refused_by_name(field, value) -> None:
    bars = _flat_bars([100] * 4)
    signals = _said(bars)
    signals[field][2, 0] = value
    for engine in (replay_planned, score_planned):
        with pytest.raises(PlanError, match=rf"^{field} of SOL/USDT at bar 2 is {value}, outside "):
            engine(bars, signals)
    with pytest.raises(PlanError, match=rf"^{field} of column 0 at bar 2 is {value}, outside "):
        plan_of(signals)


def test_signals_of_another_shape_are_refused() -> None:
    bars = _flat_bars([100] * 4)
    with pytest.raises(PlanShapeError, match=r"of shape \(3, 1\); .* an array of shape \(4, 1\)"):
        replay_planned(bars, _said(bars)[:3])
    with pytest.raises(PlanShapeError, match=r"of shape \(3, 1\); .* an array of shape \(4, 1\)"):
        score_planned(bars, plan_of(_said(bars)[:3]))
    for other, kind in ((np.zeros((4, 1)), "float64"), (_said(bars)[:, 0], "SIGNAL")):
        with pytest.raises(PlanShapeError, match=f"the signals are {kind} of shape .* in an array of two dimensions"):
            plan_of(other)
