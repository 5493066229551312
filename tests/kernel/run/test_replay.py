"""Replay: one-tick stepping, the interpreter and a second run agree bit for bit; one changed number does not."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest

from openclaw_pipelines.kernel.base import layout
from openclaw_pipelines.kernel.base.layout import Context, new_account_limits, new_limits, new_state, records
from openclaw_pipelines.kernel.base.money import MoneyRangeError
from openclaw_pipelines.kernel.base.state_bytes import state_hash
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.replay import (
    Costs,
    ReplayWindowError,
    UnknownProfileError,
    instruments_with,
    replay,
)
from openclaw_pipelines.kernel.run.ticks import TickInput, replay_ticks
from openclaw_pipelines.kernel.strategy.indicator_rows import new_indicators
from openclaw_pipelines.kernel.strategy.params import params_record, stack_params

PARAMS = params_record("breakout", {"channel_entry": 12, "channel_exit": 6, "allow_short": True}, 3_600)
COSTS = Costs(fee_bps=Decimal("4.5"), slippage_bps=Decimal(2))


@pytest.fixture(scope="module")
def bars(walk):
    return Bars.from_frame(walk(600), interval="1h")


@pytest.fixture(scope="module")
def result(bars):
    return replay(bars, PARAMS, COSTS)


def test_stepping_tick_by_tick_gives_the_same_bits(bars, result) -> None:
    params = stack_params([PARAMS])
    state = new_state(new_indicators(2, params[0]), 10**12, int(bars.times[0]))
    limits, account_limits = new_limits(2), new_account_limits()
    account_limits.slippage_rate = 2_000_000
    inputs = (TickInput(bars.tick(t), limits, account_limits, records(layout.PROPOSAL, 0)) for t in range(600))
    outputs = list(replay_ticks(state, inputs, Context(instruments_with(bars, COSTS), params, 3_600)))
    assert outputs[-1].state_hash == state_hash(result.state)
    assert b"".join(out.events.tobytes() for out in outputs) == result.events.tobytes()
    assert b"".join(out.proposals.tobytes() for out in outputs) == result.proposals.tobytes()
    assert [out.mark.equity for out in outputs] == result.equity_rows.equity.tolist()
    assert int(state.account[0].last_tick) == -1  # the given state is left alone


INTERPRETED = """
import json, sys
import polars as pl
from decimal import Decimal
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.strategy.params import params_record
from openclaw_pipelines.kernel.run.replay import Costs, replay
params = params_record("breakout", {"channel_entry": 12, "channel_exit": 6, "allow_short": True}, 3_600)
bars = Bars.from_frame(pl.read_ipc(sys.argv[1]), interval="1h")
result = replay(bars, params, Costs(fee_bps=Decimal("4.5"), slippage_bps=Decimal(2)))
print(result.content_hash, len(result.events))
"""


def test_without_the_compiler_the_result_is_the_same(walk, tmp_path) -> None:
    frame = walk(200)
    frame.write_ipc(tmp_path / "bars.arrow")
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", INTERPRETED, str(tmp_path / "bars.arrow")],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    compiled = replay(Bars.from_frame(frame, interval="1h"), PARAMS, COSTS)
    assert len(compiled.events) > 10
    assert done.stdout.split() == [compiled.content_hash, str(len(compiled.events))]


def test_the_hash_is_stable_and_one_flipped_bar_parameter_or_cost_changes_it(walk, bars, result) -> None:
    assert replay(bars, PARAMS, COSTS).content_hash == result.content_hash
    frame = walk(600)
    touched = frame.with_columns(
        high=pl.when(pl.int_range(pl.len()) == 300).then(pl.col("high") + 0.01).otherwise(pl.col("high"))
    )
    other = params_record("breakout", {"channel_entry": 13, "channel_exit": 6, "allow_short": True}, 3_600)
    hashes = [
        replay(Bars.from_frame(touched, interval="1h"), PARAMS, COSTS).content_hash,
        replay(bars, other, COSTS).content_hash,
        replay(bars, PARAMS, Costs(fee_bps=Decimal("4.6"), slippage_bps=Decimal(2))).content_hash,
        replay(bars, PARAMS, COSTS, capital=Decimal(10_001)).content_hash,
        replay(bars, PARAMS, COSTS, start=1).content_hash,
        replay(bars, PARAMS, COSTS, profile="freqtrade").content_hash,
    ]
    assert len({result.content_hash, *hashes}) == 7


def test_equity_is_capital_and_everything_that_moved(result) -> None:
    rows = result.equity_rows
    moved = int(result.events.cash_change.sum())
    assert int(rows.cash[-1]) == 10**12 + moved
    assert (rows.equity == rows.cash + rows.unrealized).all()  # perpetuals only
    closed = result.trades["net"].sum()
    assert result.trades.height > 20
    open_fees = sum(int(p.entry_fee) for p in result.state.positions)
    assert Decimal(int(rows.cash[-1]) + open_fees).scaleb(-8) == Decimal(10_000) + closed


def test_final_equity_is_net_of_what_closing_costs(walk) -> None:
    bars = Bars.from_frame(walk(600), interval="1h")
    for end in range(500, 600):
        last_ts = datetime.fromtimestamp(int(bars.times[end]), UTC)
        cut = Bars.from_frame(walk(600).filter(pl.col("ts") <= last_ts), interval="1h")
        result = replay(cut, PARAMS, COSTS)
        if result.equity_rows.open_positions[-1] == 1:
            break
    (position,) = [p for p in result.state.positions if p.qty != 0]
    column = [int(p.qty) != 0 for p in result.state.positions].index(True)
    spec, side = cut.instruments[column], 1 if position.qty > 0 else -1
    last, qty = int(position.last_price), abs(int(position.qty))
    slip = -(-last * 2 // 10_000)  # 2 bps rounded up
    price = last - side * slip
    fee = -(-qty * price * spec.mult * 45 // 100_000)  # 4.5 bps rounded up
    expected = int(result.equity_rows.equity[-1]) - qty * slip * spec.mult - fee
    assert result.final_equity == Decimal(expected).scaleb(-8)


def test_bars_before_the_start_only_warm_the_indicators(bars) -> None:
    late = replay(bars, PARAMS, COSTS, start=300)
    assert len(late.equity_rows) == 300
    assert int(late.proposal_ticks[0]) > int(bars.times[300])
    assert late.equity["tick_at"][0].timestamp() == int(bars.times[300]) + 3_600


@pytest.mark.parametrize(("options", "error"), [
    pytest.param({"profile": "optimistic"}, UnknownProfileError, id="profile"),
    pytest.param({"start": 600}, ReplayWindowError, id="start behind the bars"),
    pytest.param({"start": -1}, ReplayWindowError, id="start before the bars"),
    pytest.param({"capital": Decimal(10_000_001)}, MoneyRangeError, id="capital"),
    pytest.param({"costs": Costs(fee_bps=Decimal(901))}, MoneyRangeError, id="fee"),
])  # fmt: skip
def test_named_errors(bars, options, error) -> None:
    with pytest.raises(error):
        replay(bars, PARAMS, **options)


def test_frames_carry_decimals_and_utc(result) -> None:
    assert result.trades.schema["net"] == pl.Decimal(38, 18)
    assert result.fills.schema["bar_at"] == pl.Datetime("us", "UTC")
    assert result.fills.height == int((result.events.kind == 1).sum())
    assert result.decisions.height == len(result.proposals)
    assert set(result.decisions["code"]) <= {"NONE", "DUPLICATE"}


def test_costs_without_funding_ignore_it(walk) -> None:
    frame = walk(300)
    funding = frame.select("ts", "symbol", funding_rate=pl.lit(0.0005))
    charged = Bars.from_frame(frame, interval="1h", funding=funding)
    plain = Bars.from_frame(frame, interval="1h")
    without = replay(charged, PARAMS, Costs(funding=False))
    assert without.events.tobytes() == replay(plain, PARAMS).events.tobytes()
    assert int(replay(charged, PARAMS).state.account.funding[0]) != 0


def test_event_log_names_the_check_that_stopped_an_entry() -> None:
    from openclaw_pipelines.contracts.enums import RejectCode
    from openclaw_pipelines.kernel.base.layout import EventKind
    from openclaw_pipelines.kernel.run.result import _reason

    assert _reason(EventKind.INSUFFICIENT, RejectCode.INSUFFICIENT_AT_FILL) == "insufficient_at_fill"
    assert _reason(EventKind.FILL, 3) == "trailing_stop"
