"""Finer candles: the same bars give the same bits, exits by signal the same trades, exits inside a bar other ones."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from domain.selection.controls import FIRST, SYMBOLS, walk_bars, walk_frame

from openclaw_pipelines.domain.selection.baselines import is_inside_a_bar
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.finer import FinerBarsError, replay_on_finer
from openclaw_pipelines.kernel.run.replay import Costs, replay
from openclaw_pipelines.kernel.strategy.params import params_record

COSTS = Costs(fee_bps=Decimal("4.5"), slippage_bps=Decimal(2))
FEW = {"channel_entry": 8, "channel_exit": 4, "atr_length": 3, "volume_ratio": 0.0}


def params(**values):
    return params_record("breakout", FEW | values, 3_600)


@pytest.fixture(scope="module")
def views() -> tuple[Bars, Bars]:
    """The same walk in hours and in quarters of an hour."""
    fine = walk_frame(1_600).with_columns(
        ts=FIRST + (pl.col("ts") - FIRST) / 4, volume=pl.lit(2.0), symbol=pl.col("symbol")
    )
    coarse = (
        fine.sort("symbol", "ts")
        .group_by_dynamic("ts", every="1h", group_by="symbol")
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )
    )
    whole = Bars.from_frame(coarse, interval="1h")
    return whole, Bars.from_frame(fine, interval="15m", instruments=whole.instruments)


def rows(result) -> list[tuple]:
    return result.trades.select(
        "symbol", "side", "qty", "entry_at", "exit_at", "entry_price", "exit_price", "reason", "net"
    ).rows()  # fmt: skip


@pytest.mark.parametrize("start", [0, 100])
def test_the_same_bars_give_the_same_bits(start) -> None:
    bars = walk_bars(500)
    same = replay_on_finer(bars, bars, params(max_hold_bars=9), COSTS, start=start)
    whole = replay(bars, params(max_hold_bars=9), COSTS, start=start)
    assert len(whole.events) > 50
    for name in ("events", "proposals", "proposal_ticks", "equity_rows"):
        assert getattr(same, name).tobytes() == getattr(whole, name).tobytes()


@pytest.mark.parametrize("start", [0, 40])
def test_exits_by_signal_and_time_are_the_same_trades(views, start) -> None:
    coarse, fine = views
    plain = params(stop_atr=0.0, trail_atr=0.0, max_hold_bars=5)
    found = replay_on_finer(coarse, fine, plain, COSTS, start=start)
    expected = replay(coarse, plain, COSTS, start=start)
    assert {"signal", "time_stop"} == set(expected.trades["reason"])
    assert rows(found) == rows(expected)
    assert found.final_equity == expected.final_equity
    hourly = found.equity.filter(pl.col("tick_at").dt.minute() == 0)
    assert hourly["equity"].to_list() == expected.equity["equity"].to_list()


def test_what_came_first_inside_a_bar_is_seen(views) -> None:
    """Stop and target in one bar: coarse takes the stop; the quarters know which was first, and a scan agrees."""
    coarse, fine = views
    tight, costs = params(stop_atr=0.3, target_atr=0.3, trail_atr=0.0), Costs()
    expected, found = replay(coarse, tight, costs).trades, replay_on_finer(coarse, fine, tight, costs).trades
    keys = ["symbol", "side", "entry_at"]
    both = expected.join(found, on=keys, suffix="_fine")
    won = both.filter((pl.col("reason") == "stop") & (pl.col("reason_fine") == "target"))
    assert won.height >= 3
    for trade in won.iter_rows(named=True):
        column, side = coarse.symbols.index(trade["symbol"]), 1 if trade["side"] == "buy" else -1
        target = int(trade["exit_price_fine"] / coarse.instruments[column].price_unit)
        stop = int(trade["exit_price"] / coarse.instruments[column].price_unit)
        high = fine.matrices.high[:, column] if side > 0 else fine.matrices.low[:, column]
        low = fine.matrices.low[:, column] if side > 0 else fine.matrices.high[:, column]
        since = int(np.searchsorted(fine.times, int(trade["entry_at"].timestamp())))
        hit_target = int(np.flatnonzero(side * high[since:] >= side * target)[0])
        hit_stop = int(np.flatnonzero(side * low[since:] <= side * stop)[0])
        assert hit_target < hit_stop
        assert trade["net_fine"] > trade["net"]
    lost = both.filter((pl.col("reason") == "target") & (pl.col("reason_fine") == "stop"))
    assert lost.height == 0  # what reaches the target alone in an hour does so in its quarters


def test_a_trailing_stop_follows_the_quarters(views) -> None:
    coarse, fine = views
    trailing = params(stop_atr=0.0, trail_atr=1.0)
    expected, found = replay(coarse, trailing, COSTS), replay_on_finer(coarse, fine, trailing, COSTS)
    assert rows(expected) != rows(found)
    inside = [is_inside_a_bar(reason) for reason in found.trades["reason"]]
    assert any(inside)
    first = [result.trades.filter(pl.col("symbol") == SYMBOLS[0]).row(0, named=True) for result in (expected, found)]
    assert first[0]["entry_at"] == first[1]["entry_at"]
    assert first[1]["exit_at"] - timedelta(minutes=first[1]["exit_at"].minute) <= first[0]["exit_at"]


@pytest.mark.parametrize("change", [
    pytest.param(lambda coarse, fine: (fine, coarse), id="the coarser one as the finer"),
    pytest.param(lambda coarse, fine: (walk_bars(400, ("ADA/USDT:USDT",)), fine), id="other symbols"),
    pytest.param(lambda coarse, fine: (walk_bars(100, instruments=coarse.instruments), fine), id="another time"),
])  # fmt: skip
def test_candles_that_do_not_fit(views, change) -> None:
    with pytest.raises(FinerBarsError):
        replay_on_finer(*change(*views), params())
