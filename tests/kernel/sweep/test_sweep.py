"""A sweep gives every row what its replay gives, to the bit, however it is cut into tiles, threads and shards."""

from decimal import Decimal
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel.rough_market import COSTS, SYMBOLS, rough_bars, rough_limits

from openclaw_pipelines.contracts.enums import ExitReason
from openclaw_pipelines.kernel.base import slots
from openclaw_pipelines.kernel.base.layout import (
    ENTER_LONG,
    ENTER_SHORT,
    LEAVE_LONG,
    LEAVE_SHORT,
    PROPOSAL,
    BarState,
    Context,
    EventKind,
    new_state,
    records,
)
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.replay import PROFILES, Costs, instruments_with, replay
from openclaw_pipelines.kernel.run.result import closed_trades
from openclaw_pipelines.kernel.run.ticks import TickInput, replay_ticks
from openclaw_pipelines.kernel.strategy.families import FAMILIES
from openclaw_pipelines.kernel.strategy.indicator_rows import new_indicators, observe
from openclaw_pipelines.kernel.strategy.params import params_record, stack_params
from openclaw_pipelines.kernel.strategy.signals import signal
from openclaw_pipelines.kernel.sweep import sweep as sweeps
from openclaw_pipelines.kernel.sweep.columns import fill_columns, new_carried, new_series, observe_tile, plan_columns
from openclaw_pipelines.kernel.sweep.flags import Setups, gather, gather_setup, mark_flags
from openclaw_pipelines.kernel.sweep.result import Sweep
from openclaw_pipelines.kernel.sweep.sweep import NoRowsError, load_tile, sweep

START = 40


def some_rows(count: int = 24, seed: int = 5) -> np.ndarray:
    """Rows of all four families in turn, with and without each protective order."""
    rng = np.random.default_rng(seed)
    records_ = []
    for k in range(count):
        common = {
            "atr_length": int(rng.integers(3, 20)),
            "stop_atr": float(rng.choice([0.0, 1.0, 4.0])),
            "target_atr": float(rng.choice([0.0, 2.0, 5.0])),
            "trail_atr": float(rng.choice([0.0, 1.5, 3.0])),
            "max_hold_bars": int(rng.choice([0, 7, 60])),
            "entry_window_bars": int(rng.integers(1, 4)),
            "volatility_length": int(rng.integers(5, 40)),
            "volatility_target": float(rng.choice([0.0, 0.5])),
            "volume_length": 10,
            "volume_ratio": float(rng.choice([0.0, 0.8])),
            "allow_short": bool(rng.random() < 0.8),
            "position_bps": int(rng.choice([1_000, 5_000, 20_000])),
        }
        family, own = [
            ("momentum", {"momentum_lookback": int(rng.integers(2, 40)), "ema_slow": int(rng.integers(3, 30))}),
            ("breakout", {"channel_entry": int(rng.integers(10, 40)), "channel_exit": int(rng.integers(2, 10))}),
            ("reversion", {"rsi_length": int(rng.integers(3, 15)), "rsi_low": 40.0, "rsi_high": 60.0,
                           "bollinger_length": int(rng.integers(5, 25)), "bollinger_width": 1.2, "adx_length": 7,
                           "adx_threshold": 45.0}),
            ("ema_trend", {"ema_fast": int(rng.integers(2, 8)), "ema_slow": int(rng.integers(9, 30)),
                           "adx_length": int(rng.integers(3, 9)), "adx_threshold": 15.0}),
        ][k % 4]  # fmt: skip
        records_.append(params_record(family, {**own, **common}, 60))
    return stack_params(records_)


def limits() -> dict:
    return {**rough_limits(25_000), "start": START}


@pytest.fixture(scope="module")
def bars() -> Bars:
    return rough_bars()


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return some_rows()


@pytest.fixture(scope="module")
def swept(bars, rows) -> Sweep:
    return sweep(bars, rows, COSTS, **limits())


@pytest.mark.parametrize("profile", PROFILES)
def test_every_row_is_its_replay_and_its_ticks_one_by_one(bars, rows, profile) -> None:
    swept = sweep(bars, rows, COSTS, profile=profile, **limits())
    kinds, reasons, shorts = set(), set(), 0
    for r in range(len(rows)):
        result = replay(bars, rows.view(np.recarray)[r], COSTS, profile=profile, **limits())
        replayed = Sweep.of_result(result, rows[r], swept.capital, swept.contract)
        assert replayed.bits(0) == swept.bits(r), r
        assert swept.net_equity[r] == int(result.final_equity * 10**8)
        kinds |= set(result.events.kind.tolist())
        reasons |= set(result.events.reason[result.events.kind == EventKind.FILL].tolist())
        shorts += int((result.events.side[result.events.leg == 1] < 0).sum())
    assert shorts > 50
    assert kinds >= {EventKind.FILL, EventKind.FUNDING, EventKind.ENTRY_EXPIRED}
    assert reasons >= {
        ExitReason.SIGNAL, ExitReason.STOP, ExitReason.TRAILING_STOP, ExitReason.TARGET, ExitReason.LIQUIDATION,
        ExitReason.TIME_STOP,
    }  # fmt: skip
    _compare_with_stepping(bars, rows, swept, profile, range(4))


def _compare_with_stepping(bars, rows, swept, profile, chosen) -> None:
    own = limits()
    own["account_limits"].slippage_rate = 2_000_000
    for r in chosen:
        params = rows[r : r + 1]
        indicators = new_indicators(3, rows.view(np.recarray)[r])
        for t in range(START):
            for s in range(3):
                if bars.matrices.bar_state[t, s] != BarState.MISSING:
                    prices = [float(getattr(bars.matrices, name)[t, s]) for name in ("open", "high", "low", "close")]
                    observe(indicators[s], rows.view(np.recarray)[r], *prices, bars.matrices.volume[t, s])
        state = new_state(indicators, swept.capital, int(bars.times[START]))
        given_ticks = (
            TickInput(bars.tick(t), own["limits"], own["account_limits"], records(PROPOSAL, 0))
            for t in range(START, len(bars.times))
        )
        context = Context(instruments_with(bars, COSTS), params, 60, PROFILES.index(profile))
        outputs = list(replay_ticks(state, given_ticks, context))
        ends = [out.mark.equity for out in outputs if out.tick_at % 86_400 == 0] + [outputs[-1].mark.equity]
        assert swept.day_equity[r].tolist() == ends
        fills = sum(int((out.events.kind == EventKind.FILL).sum()) for out in outputs)
        assert fills == swept.tallies.entries[r] + swept.tallies.trades[r] > 0


@pytest.mark.parametrize(("tile", "threads"), [(8, 1), (104, 3), (1_000, 2), (4_096, 1)])
def test_tiles_and_threads_change_nothing(bars, rows, swept, monkeypatch, tile, threads) -> None:
    monkeypatch.setattr(sweeps, "SHORTEST_TILE", tile)
    monkeypatch.setattr(sweeps, "LONGEST_TILE", tile)
    assert sweep(bars, rows, COSTS, threads=threads, **limits()).content_hash == swept.content_hash


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(1, 23), max_size=4), seed=st.integers(0, 99))
def test_shards_and_the_order_of_rows_change_nothing(cuts, seed) -> None:
    bars, rows = rough_bars(700), some_rows()
    whole = sweep(bars, rows, COSTS, **limits())
    order = np.random.default_rng(seed).permutation(len(rows))
    bounds = [0, *sorted(set(cuts)), len(rows)]
    parts = [sweep(bars, rows[order[low:high]], COSTS, threads=1, **limits()) for low, high in pairwise(bounds)]
    again = Sweep.concatenate(parts)
    assert again.content_hash == whole.take(order).content_hash


def test_progress_counts_every_bar(bars, rows, monkeypatch) -> None:
    monkeypatch.setattr(sweeps, "LONGEST_TILE", 1_024)
    told = []
    sweep(bars, rows[:2], COSTS, progress=told.append)
    assert [(step.bars_done, step.bars, step.rows) for step in told] == [(1_024, 2_000, 2), (2_000, 2_000, 2)]


def test_a_sweep_over_nothing_is_refused(bars, rows) -> None:
    with pytest.raises(NoRowsError):
        sweep(bars, rows[:0])


def _flipped_bar() -> Bars:
    bars = rough_bars()
    close = bars.matrices.close.copy()
    close[1_500, 0] += 1
    assert close[1_500, 0] < bars.matrices.high[1_500, 0]
    return Bars(
        symbols=bars.symbols, interval=bars.interval, instruments=bars.instruments, times=bars.times,
        matrices=bars.matrices._replace(close=close),
    )  # fmt: skip


def test_one_flipped_bar_parameter_or_cost_is_seen(bars, rows, swept) -> None:
    flipped = sweep(_flipped_bar(), rows, COSTS, **limits())
    assert flipped.bars_hash != swept.bars_hash
    assert sum(flipped.bits(r) != swept.bits(r) for r in range(len(rows))) > 0
    changed = rows.copy()
    changed["stop_atr"][0] += 1e-3
    other = sweep(bars, changed, COSTS, **limits())
    assert other.row_hashes[0] != swept.row_hashes[0]
    assert other.row_hashes[1:] == swept.row_hashes[1:]
    dearer = sweep(bars, rows, Costs(fee_bps=Decimal("3.1"), slippage_bps=Decimal(2)), **limits())
    assert dearer.contract != swept.contract
    assert all(dearer.bits(r) != swept.bits(r) for r in range(len(rows)) if swept.tallies.trades[r])


def test_sums_and_moments_are_those_of_the_trades(bars, rows, swept) -> None:
    for r in range(0, len(rows), 5):
        result = replay(bars, rows.view(np.recarray)[r], COSTS, **limits())
        trades = closed_trades(bars, result.events)
        nets = [float(net) for net in trades["net"]]
        tally = swept.tallies[r]
        assert tally.trades == trades.height > 0
        assert tally.wins == sum(net > 0 for net in nets)
        assert Decimal(int(tally.gross_profit - tally.gross_loss)).scaleb(-8) == sum(trades["net"])
        assert tally.held_seconds == (trades["exit_at"] - trades["entry_at"]).dt.total_seconds().sum()
        assert [tally.net_1, tally.net_2, tally.net_3, tally.net_4] == pytest.approx(
            [sum(net**power for net in nets) for power in (1, 2, 3, 4)]
        )
        by_symbol = dict(trades.group_by("symbol").agg(pl.col("net").sum()).iter_rows())
        for s, symbol in enumerate(SYMBOLS):
            assert Decimal(int(swept.symbol_tallies.net[r, s])).scaleb(-8) == by_symbol.get(symbol, 0)
        equity = np.r_[10_000.0, [float(value) for value in result.equity["equity"]]]
        peaks = np.maximum.accumulate(equity)
        assert tally.max_drawdown == pytest.approx(((peaks - equity) / peaks).max())


def test_the_frame_shows_money_as_decimals(swept, rows) -> None:
    frame = swept.frame
    assert frame.height == len(rows)
    assert frame.schema["net"] == pl.Decimal(38, 18)
    assert frame["net"][0] == Decimal(int(swept.net_equity[0]) - swept.capital).scaleb(-8)
    best = frame.filter(pl.col("gross_loss") > 0).row(0, named=True)
    assert best["profit_factor"] == pytest.approx(float(best["gross_profit"] / best["gross_loss"]))


@pytest.mark.parametrize("family", range(4))
def test_flags_and_columns_are_what_observe_and_signal_say(bars, rows, family) -> None:
    """Bar by bar against the one-step code, for a row of each family."""
    row = rows[family : family + 1]
    params = row.view(np.recarray)[0]
    plan, n = plan_columns(row), 600
    series, carried = new_series(plan, 3, n), new_carried(plan, 3)
    columns, scratch = np.zeros((len(plan.kinds), 3, n)), np.zeros((2, plan.history + n))
    tile, volume = load_tile(bars, bars.matrices, 0, n)
    prices = (tile.open, tile.high, tile.low, tile.close)
    counts = [observe_tile(series, tile.bar_state, prices, volume, s, plan.history, 0, tile.seen) for s in range(3)]
    fill_columns(plan, series, carried, columns, n, counts, tile.bar_state, scratch, range(len(plan.kinds)))
    setups, sides = Setups(np.zeros((1, 3), np.int64), np.zeros((1, 3), np.int64)), np.zeros(n, np.uint8)
    flagged = 0
    for s in range(3):
        flags, indicators = np.zeros(n, np.uint8), new_indicators(1, params)[0]
        mark_flags(flags, sides, columns, plan.maps[0], params, tile.bar_state, tile.seen, s, setups, 0)
        for t in range(n):
            if tile.bar_state[s, t] == BarState.MISSING:
                assert flags[t] & (ENTER_LONG | ENTER_SHORT) == 0
                continue
            observe(indicators, params, *(float(array[s, t]) for array in prices), volume[s, t])
            entry = signal(indicators, params, 0, 0).entry
            assert bool(flags[t] & ENTER_LONG) == (entry == 1), (s, t)
            assert bool(flags[t] & ENTER_SHORT) == (entry == -1), (s, t)
            for side, bit in ((1, LEAVE_LONG), (-1, LEAVE_SHORT)):
                assert bool(flags[t] & bit) == (signal(indicators, params, side, 1).exit == ExitReason.SIGNAL), (s, t)
            flagged += entry != 0
            gathered = np.zeros(slots.SLOTS)
            gather(gathered, columns, plan.maps[0], s, t, tile.seen[s, t])
            gather_setup(gathered, flags[t], params.entry_window_bars)
            if tile.seen[s, t] >= params.warmup_bars:
                for side in (0, 1, -1):
                    assert signal(gathered, params, side, 3) == signal(indicators, params, side, 3), (s, t, side)
    assert flagged > 5


def test_every_family_is_among_the_rows(rows) -> None:
    assert set(rows["family"].tolist()) == {spec.number for spec in FAMILIES.values()}


@pytest.mark.parametrize("number", [0, 5, -1])
def test_the_number_of_no_family_trades_nothing(bars, rows, swept, number) -> None:
    unknown = rows.copy()
    unknown["family"] = number
    assert swept.tallies.trades.min() > 0
    idle = sweep(bars, unknown, COSTS, **limits())
    assert not idle.tallies.trades.any()
    assert set(idle.net_equity.tolist()) == {idle.capital}


@pytest.mark.parametrize(
    ("knob", "dearer"),
    [
        pytest.param("fee_bps", Costs(fee_bps=Decimal(9), slippage_bps=Decimal(2)), id="fee"),
        pytest.param("slippage_bps", Costs(fee_bps=Decimal(3), slippage_bps=Decimal(12)), id="slippage"),
    ],
)
def test_dearer_costs_leave_less(bars, rows, knob, dearer) -> None:
    cheap = Costs(fee_bps=Decimal(3), slippage_bps=Decimal(2))
    assert getattr(dearer, knob) > getattr(cheap, knob)
    # without limits that react to equity every row makes the same entries, so the sums can be compared
    before, after = (sweep(bars, _unlevered(rows), costs) for costs in (cheap, dearer))
    assert after.accounts.fees.sum() >= before.accounts.fees.sum() or knob == "slippage_bps"
    assert np.median(after.net_equity - before.net_equity) < 0
    assert (after.net_equity < before.net_equity).mean() > 0.9


def _unlevered(rows: np.ndarray) -> np.ndarray:
    small = rows.copy()
    small["position_bps"] = 1_000
    return small


def test_funding_and_liquidation_fees_move_the_account_their_way(bars, rows) -> None:
    with_funding, without = (sweep(bars, rows, Costs(funding=on), **limits()) for on in (True, False))
    assert not without.accounts.funding.any()
    assert with_funding.accounts.funding.any()
    free, charged = (sweep(bars, rows, Costs(liquidation_fee_bps=Decimal(bps)), **limits()) for bps in (0, 100))
    hit = free.tallies.liquidations > 0
    assert hit.any()
    assert (charged.net_equity[hit] < free.net_equity[hit]).all()
    assert (charged.net_equity[~hit] == free.net_equity[~hit]).all()
