"""A planner outside the kernel: the families' own answers as its signals make the families' own ledger, and verify."""

import json
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from openclaw_pipelines.contracts.enums import ExitReason
from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.domain.trading.inputs import TickInput
from openclaw_pipelines.domain.trading.planned import (
    Planned,
    PlannerNameError,
    Signal,
    SignalRangeError,
    SignalSymbolError,
)
from openclaw_pipelines.domain.trading.session import Session
from openclaw_pipelines.kernel.account.risk import distance_units
from openclaw_pipelines.kernel.base.layout import WHOLE
from openclaw_pipelines.kernel.run import step
from openclaw_pipelines.kernel.strategy.signals import signal
from openclaw_pipelines.resources.store.comparison import trades_hash
from openclaw_pipelines.services.trading.verification import verify_day

BREAKOUT, MOMENTUM = "breakout_15m", "momentum_1h"
DAY_ONE, DAY_TWO = "2025-05-10", "2025-05-11"
SHA = sha256(b"").hexdigest()
LEAVES = int(ExitReason.SIGNAL)
TABLES = (
    "autopilot_ticks", "autopilot_proposals", "autopilot_decisions", "autopilot_orders", "autopilot_fills",
    "autopilot_funding_payments", "autopilot_positions", "autopilot_equity", "reconcile_events", "admin_actions",
)  # fmt: skip
FROM_BEFORE = dict.fromkeys(("momentum_lookback", "ema_slow", "target_atr", "volatility_length", "stop_atr"))
PARAMS = {
    "momentum": {"momentum_lookback": 4, "ema_slow": 4, "atr_length": 4, "stop_atr": 1.0, "max_hold_bars": 5},
    "breakout": {"channel_entry": 5, "channel_exit": 2, "atr_length": 4, "trail_atr": 2.0, "volume_length": 4},
    "reversion": {"rsi_length": 3, "rsi_low": 40.0, "rsi_high": 60.0, "bollinger_length": 5, "bollinger_width": 0.8,
                  "adx_length": 3, "adx_threshold": 60.0, "atr_length": 4},
    "ema_trend": {"ema_fast": 2, "ema_slow": 5, "adx_length": 3, "adx_threshold": 5.0, "volatility_length": 6,
                  "volatility_target": 0.5},
}  # fmt: skip


class FamilyOutside:
    """Answers as the strategy's family would, from the same bars."""

    def plan(self, session: Session, tick_input: TickInput) -> Planned:
        symbols, params = session.deployment.symbols, session.context.params[0]
        step.observe_bars(session.state, tick_input.kernel_tick(symbols), session.context)
        signals = {}
        for symbol in tick_input.closed:
            row = session.state.indicators[symbols.index(symbol)]
            wanted = signal(row, params, 0, 0)
            signals[symbol] = Signal(
                side=wanted.entry, leave_long=int(signal(row, params, 1, 0).exit == LEAVES),
                leave_short=int(signal(row, params, -1, 0).exit == LEAVES), stop=distance_units(wanted.stop),
                target=distance_units(wanted.target), trail=distance_units(wanted.trail),
                size_bps=int(params.position_bps), part=int(wanted.size * WHOLE),
                confidence=int(wanted.confidence * WHOLE), tag=41 + wanted.entry,
            )  # fmt: skip
        seen = sha256(tick_input.bars_json().encode()).hexdigest()
        return Planned("test", "family_outside", sha256(b"these lines").hexdigest(), seen, signals)


class Changed(FamilyOutside):
    """The same with a change to its answer."""

    def __init__(self, change: Callable[[dict[str, Signal]], dict[str, Any]]) -> None:
        self.change = change

    def plan(self, session: Session, tick_input: TickInput) -> Planned:
        planned = super().plan(session, tick_input)
        return Planned("test", "changed", "0" * 64, "0" * 64, self.change(dict(planned.signals)))


def _same(planned: Any, own: Any, strategy: str) -> None:
    """Every row is the family's but for who planned it, and for what was recorded of that."""
    for table in TABLES:
        known = own.rows(table, strategy)
        names = [name for name in known.columns if name not in ("planner", "rationale")]
        assert planned.rows(table, strategy).select(names).equals(known.select(names)), table
    assert trades_hash(planned.store, "paper", strategy) == trades_hash(own.store, "paper", strategy)


@pytest.mark.parametrize("family", PARAMS)
def test_a_familys_answers_from_outside_make_its_ledger(desk: Any, family: str) -> None:
    own, planned = desk("asked"), desk("asked")
    for trading in (own, planned):
        trading.strategy(MOMENTUM, family=family, interval="15m", params={**FROM_BEFORE, **PARAMS[family]})
    own.run(MOMENTUM)
    planned.run(MOMENTUM, planner=FamilyOutside())
    assert own.rows("autopilot_fills", MOMENTUM).height >= 4
    _same(planned, own, MOMENTUM)
    result = verify_day(planned.ledger(MOMENTUM), DAY_ONE)
    assert (result.ticks, result.differences) == (96, ())


def test_what_planned_is_recorded_and_shown(desk: Any) -> None:
    trading = desk("asked")
    trading.run(planner=FamilyOutside())
    recorded = [json.loads(row) for row in trading.rows("tick_inputs")["signals"].drop_nulls()]
    assert len(recorded) == 96
    assert {(one["kind"], one["planner_id"], len(one["seen_hash"])) for one in recorded} == {
        ("test", "family_outside", 64)
    }
    proposals = trading.rows("autopilot_proposals")
    assert set(proposals["planner"]) == {"test:family_outside"}
    entry = proposals.filter(pl.col("action") == "enter").row(0, named=True)
    tag = 41 + {"buy": 1, "sell": -1}[entry["side"]]
    assert entry["rationale"].startswith("test:family_outside: fresh ")
    assert entry["rationale"].endswith(f", tag {tag}")
    assert set(trading.rows("autopilot_decisions")["planner"]) == {"test:family_outside"}


def test_lived_with_a_planner_and_backfilled_with_it_agree(desk: Any) -> None:
    lived, backfilled = desk("history"), desk("asked")
    hours = [day_start(DAY_ONE) + timedelta(hours=n, seconds=5) for n in range(1, 24)]
    assert sum(report.taken for report in lived.live(MOMENTUM, hours, FamilyOutside())) == 23
    backfilled.run(MOMENTUM, until=hours[-1], planner=FamilyOutside())
    for table in ("tick_inputs", *TABLES):
        assert lived.rows(table, MOMENTUM).equals(backfilled.rows(table, MOMENTUM)), table


def test_a_strategy_goes_from_its_family_to_a_planner_and_back(desk: Any) -> None:
    """Indicators are kept up while another plans, so that the family goes on as if it had planned all along."""
    own, mixed = desk("asked"), desk("asked")
    for day, planner in ((DAY_ONE, FamilyOutside()), (DAY_TWO, None)):
        own.run(day=day)
        mixed.run(day=day, planner=planner)
    _same(mixed, own, BREAKOUT)
    assert verify_day(mixed.ledger(), DAY_TWO).passed
    assert set(mixed.rows("autopilot_proposals")["planner"]) == {"test:family_outside", "heuristic"}


# ---- gates


def test_a_changed_recorded_signal_is_caught(desk: Any) -> None:
    trading = desk("asked")
    trading.run(planner=FamilyOutside())
    rows = trading.rows("tick_inputs").filter(pl.col("signals").is_not_null())
    entry = trading.rows("autopilot_proposals").filter(pl.col("action") == "enter").row(0, named=True)
    recorded = json.loads(rows.filter(pl.col("tick_at") == entry["tick_at"])["signals"][0])
    recorded["signals"][entry["symbol"]][0] *= -1
    with trading.store.write("ledger") as con:
        con.execute(
            "UPDATE tick_inputs SET signals = ? WHERE strategy_config_id = ? AND tick_at = ?",
            [json.dumps(recorded, sort_keys=True, separators=(",", ":")), BREAKOUT, entry["tick_at"]],
        )
    found = verify_day(trading.ledger(), DAY_ONE)
    assert {"autopilot_proposals", "autopilot_decisions"} <= {difference.table for difference in found.differences}


def test_a_planner_that_leaves_a_symbol_out_or_invents_one_is_refused_and_nothing_is_written(desk: Any) -> None:
    trading = desk("asked")
    without = Changed(lambda signals: {name: own for name, own in signals.items() if name != "ETH/USDT:USDT"})
    with pytest.raises(SignalSymbolError, match="gave no signal for ETH/USDT:USDT and one too many for none"):
        trading.run(planner=without)
    with pytest.raises(SignalSymbolError, match="gave no signal for none and one too many for DOGE/USDT"):
        trading.run(planner=Changed(lambda signals: {**signals, "DOGE/USDT": Signal()}))
    assert trading.counts()["autopilot_ticks"] == 0


@pytest.mark.parametrize(
    ("field", "value"), [("side", 2), ("size_bps", -1), ("stop", 1.5), ("confidence", WHOLE + 1), ("part", np.nan)]
)
def test_a_signal_that_no_planner_may_say_is_refused_by_symbol_and_field(desk: Any, field: str, value: Any) -> None:
    trading = desk("asked")
    planner = Changed(lambda signals: {**signals, "SOL/USDT": Signal(**{field: value})})
    with pytest.raises(SignalRangeError, match=f"test:changed says {field} {value} of SOL/USDT, where a whole number"):
        trading.run(planner=planner)
    assert trading.counts()["autopilot_ticks"] == 0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            ("Big Model", "x", SHA, SHA),
            "planner 'Big Model:x' gives kind as 'Big Model', where a word in small letters",
        ),
        (("model", " ", SHA, SHA), "gives planner_id as ' ', where a name is needed"),
        (("model", "x", "v1", SHA), "planner 'model:x' gives source_hash as 'v1', where a SHA-256"),
        (("model", "x", SHA, SHA.upper()), "gives seen_hash as 'E3B0"),
    ],
)
def test_a_planner_that_cannot_be_found_again_is_refused(fields: tuple[str, str, str, str], said: str) -> None:
    with pytest.raises(PlannerNameError) as refused:
        Planned(*fields, {})
    assert said in str(refused.value)


def test_numbers_of_numpy_are_whole_numbers_and_recorded_as_such(desk: Any) -> None:
    plain, numpy = desk("asked"), desk("asked")
    plain.run(planner=Changed(lambda signals: dict.fromkeys(signals, Signal(side=1, size_bps=500, stop=90))))
    of_numpy = Signal(*(np.int64(value) for value in Signal(side=1, size_bps=500, stop=90)))
    numpy.run(planner=Changed(lambda signals: dict.fromkeys(signals, of_numpy)))
    assert plain.rows("autopilot_orders").height > 0
    assert plain.hash() == numpy.hash()


def test_a_planner_is_asked_once_a_tick_though_the_tick_is_taken_again(desk: Any) -> None:
    """A kill switch that is thrown during a tick takes it again; what was planned is not planned anew."""
    trading, asked = desk("asked"), []

    class Throws:
        def plan(self, session: Session, tick_input: TickInput) -> None:
            asked.append(tick_input.at)
            if len(asked) == 3:
                trading.configure(kill_switch="close_only")

    trading.run(planner=Throws())
    assert asked == trading.ticks()
    switches = trading.rows("autopilot_ticks").sort("tick_at")["kill_switch"][1:].to_list()
    assert switches == ["off"] * 2 + ["close_only"] * 94
    assert set(trading.rows("autopilot_proposals")["planner"]) <= {"heuristic"}


def test_limits_bind_a_planner_as_a_family(desk: Any) -> None:
    """It may want all: what is more than the account has is cut or refused by the governor, with its reason."""
    trading = desk("asked")
    all_in = Changed(lambda signals: dict.fromkeys(signals, Signal(side=1, size_bps=1_000_000)))
    trading.run(planner=all_in)
    decisions = trading.rows("autopilot_decisions").filter(pl.col("action") == "enter")
    assert decisions.height > 0
    assert (decisions["approved_qty"] < decisions["proposed_qty"]).all()
    equity = trading.rows("autopilot_equity")
    assert (equity["gross_exposure"] <= equity["equity"] * 5).all()
    assert verify_day(trading.ledger(), DAY_ONE).passed


def test_the_planner_of_the_page_on_extending(desk: Any) -> None:
    page = (Path(__file__).parents[3] / "docs" / "extending.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    block = next(part for part in page.split("```python\n")[1:] if "class GreenBar" in part).partition("```")[0]
    exec(compile(block, "docs/extending.md", "exec"), names)
    trading = desk("asked")
    trading.run(MOMENTUM, planner=names["GreenBar"]())
    bars = {row["tick_at"]: json.loads(row["bars"]) for row in trading.rows("tick_inputs", MOMENTUM).to_dicts()}
    entries = trading.rows("autopilot_proposals", MOMENTUM).filter(pl.col("action") == "enter")
    assert entries.height > 5
    for row in entries.iter_rows(named=True):
        open_, _, _, close = bars[row["tick_at"]][row["symbol"]][:4]
        assert close > open_
        assert row["rationale"].endswith(f"tag {close - open_}")
    assert verify_day(trading.ledger(MOMENTUM), DAY_ONE).passed
