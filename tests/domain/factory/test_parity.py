"""Parity: single steps against the replay over rough bars, and a twin for each way in which two runs can differ."""

import json
from dataclasses import replace
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from domain.selection.controls import walk_frame

from openclaw_pipelines.contracts.factory import Comparison, ParityClass
from openclaw_pipelines.domain.factory.contract import RunContract, costs_payload
from openclaw_pipelines.domain.factory.parity import (
    Found,
    Report,
    compare_row,
    compare_runs,
    invalid,
    row_side,
    stale,
)
from openclaw_pipelines.kernel.base.layout import new_limits
from openclaw_pipelines.kernel.base.money import to_atoms
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.replay import Costs, Terms, replay
from openclaw_pipelines.kernel.run.stepping import step_through
from openclaw_pipelines.kernel.strategy.params import params_record, stack_params
from openclaw_pipelines.kernel.sweep.result import Sweep
from openclaw_pipelines.kernel.sweep.sweep import sweep

N, START = 500, 60
COSTS = Costs(fee_bps=Decimal(3), slippage_bps=Decimal(2))
VALUES = {"channel_entry": 12, "channel_exit": 6, "stop_atr": 2.0, "trail_atr": 3.0, "volume_ratio": 0.0}


def rough(flipped: int | None = None) -> Bars:
    """A walk with holes, bars without volume and funding; one bar's close may be another."""
    frame = walk_frame(N).with_row_index("row").filter((pl.col("row") % 41 != 7) | (pl.col("row") % N == 0))
    if flipped is not None:
        close = pl.when(pl.col("row") == flipped).then(pl.col("high")).otherwise(pl.col("close"))
        frame = frame.with_columns(close=close)
    stamps = frame.filter(pl.col("row") % 8 == 0).select("ts", "symbol").with_columns(funding_rate=pl.lit(0.0003))
    return Bars.from_frame(frame.drop("row"), interval="1h", funding=stamps)


def params(**change: float) -> np.record:
    return params_record("breakout", {**VALUES, **change}, 3_600)


def run(bars: Bars | None = None, costs: Costs = COSTS, profile: str = "strict", **change: float):
    return replay(bars or rough(), params(**change), costs, profile=profile, start=START, limits=limits())


def limits():
    own = new_limits(2)
    own.leverage_bps = 200_000  # thin margins, so that positions are liquidated too
    return own


@pytest.mark.parametrize("profile", ["strict", "freqtrade"])
@pytest.mark.parametrize("funding", [True, False], ids=["funding", "no funding"])
def test_single_steps_are_the_replay_to_the_last_bit(profile: str, funding: bool) -> None:
    costs = replace(COSTS, funding=funding)
    one = run(costs=costs, profile=profile)
    other = step_through(rough(), params(), Terms(costs=costs, profile=profile, start=START, limits=limits()))
    assert one.trades.height > 10
    assert compare_runs(one, other) == Found(
        ParityClass.EQUAL, dict.fromkeys(rough().symbols, ParityClass.EQUAL), (), None
    )
    assert one.content_hash == other.content_hash


@pytest.mark.parametrize("profile", ["strict", "freqtrade"])
def test_a_sweeps_row_is_its_replay(profile: str) -> None:
    rows = stack_params([params(), params(stop_atr=1.0)])
    found = sweep(rough(), rows, COSTS, profile=profile, start=START, limits=limits())
    for number, change in enumerate(({}, {"stop_atr": 1.0})):
        result = run(profile=profile, **change)
        assert compare_row(row_side(found, number), side_of(result, **change), result).verdict is ParityClass.EQUAL


class TestTwins:
    @pytest.mark.parametrize(
        ("change", "field"),
        [
            pytest.param({"bars": rough(flipped=300)}, None, id="flipped bar"),
            pytest.param({"stop_atr": 1.5}, None, id="changed parameter"),
            pytest.param({"costs": replace(COSTS, slippage_bps=Decimal(3))}, "entry_price", id="changed slippage"),
            pytest.param({"costs": replace(COSTS, fee_bps=Decimal(4))}, None, id="changed fee"),
            pytest.param({"costs": replace(COSTS, funding=False)}, None, id="changed funding"),
        ],
    )
    def test_other_trades_are_named_with_both_values(self, change, field) -> None:
        left, right = run(), run(**change)
        found = compare_runs(left, right)
        assert found.verdict is ParityClass.STATE_MACHINE
        assert found.first is not None
        expected = by_hand(left, right)
        assert (found.first.symbol, found.first.at) == expected[:2]
        assert field in (None, found.first.field)
        assert found.first.left != found.first.right
        assert ParityClass.STATE_MACHINE in found.symbols.values()

    def test_equal_trades_with_another_total_name_the_total_and_its_tick(self) -> None:
        left, right = run(), run()
        right.equity_rows.equity[17] += 1
        found = compare_runs(left, right)
        assert (found.verdict, found.differing) == (ParityClass.REDUCTION_ORDER, ("equity",))
        assert found.first is not None
        assert found.first.field == "equity"
        assert int(found.first.right) - int(found.first.left) == 1
        assert set(found.symbols.values()) == {ParityClass.EQUAL}

    def test_a_flipped_bar_under_a_stolen_contract_is_still_caught_in_a_sweep(self) -> None:
        found = sweep(rough(flipped=300), stack_params([params()]), COSTS, start=START, limits=limits())
        result = run()
        compared = compare_row(row_side(found, 0), side_of(result), result)
        assert compared.verdict is ParityClass.STATE_MACHINE
        assert compared.first is not None
        assert compared.first.symbol in result.bars.symbols
        assert compared.first.left != compared.first.right

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            pytest.param({"bars_hash": "b2"}, "bars_hash", id="bars"),
            pytest.param({"code_version": "c2"}, "code_version", id="code"),
            pytest.param({"start": 1}, "start", id="warm-up"),
            pytest.param({"profile": "freqtrade"}, "profile", id="candle rules"),
            pytest.param({"costs": costs_payload(replace(COSTS, fee_bps=Decimal(4)))}, "costs", id="cost"),
            pytest.param({"symbols": ("A",)}, "symbols", id="symbols"),
            pytest.param({"limits_hash": "l2"}, "limits_hash", id="limits"),
        ],
    )
    def test_another_contract_is_no_comparison_and_names_what_differs(self, change, field) -> None:
        own = RunContract("c", "b", "w", 0, "1h", ("A", "B"), "u", "strict", "1", costs_payload(COSTS), "l")
        assert invalid(own.json, replace(own).json) is None
        found = invalid(own.json, replace(own, **change).json)
        assert found is not None
        assert (found.verdict, found.differing) == (ParityClass.INVALID_COMPARISON, (field,))


def test_reports_hash_all_they_say_and_go_stale() -> None:
    found = Found(ParityClass.EQUAL, {"A": ParityClass.EQUAL}, (), None)
    own = Report(
        comparison=Comparison.SWEEP_REPLAY, params_hash="p", sample="random", code_version="c", bars_hash="b",
        left_contract="l", right_contract="l", left_hash="h", right_hash="h", found=found,
    )  # fmt: skip
    assert own.passed
    assert own.hash == replace(own).hash
    others = [{"bars_hash": "x"}, {"right_hash": "x"}, {"found": replace(found, verdict=ParityClass.STATE_MACHINE)}]
    assert len({own.hash, *(replace(own, **change).hash for change in others)}) == 4
    assert stale("c", "b", "c", "b") is None
    assert stale("c", "b", "d", "b") == "the kernel was c and is d now"
    assert stale("c", "b", "c", "d") == "the bars were b and are d now"


def side_of(result, **change):
    capital = to_atoms(Decimal(10_000))
    return row_side(Sweep.of_result(result, params(**change), capital, "contract"), 0)


def by_hand(left, right) -> tuple[str, str]:
    """Symbol and entry of the first trade in which two lists differ, told by text alone."""
    columns = ["side", "qty", "entry_at", "exit_at", "entry_price", "exit_price", "reason", "gross", "fees", "funding"]
    firsts = []
    for symbol in left.bars.symbols:
        own = [
            [
                json.dumps(row, default=str)
                for row in result.trades.filter(pl.col("symbol") == symbol)[columns].to_dicts()
            ]
            for result in (left, right)
        ]
        place = next((i for i, (a, b) in enumerate(zip(*own, strict=False)) if a != b), min(map(len, own)))
        if own[0] != own[1]:
            longer = max((left, right), key=lambda r: r.trades.filter(pl.col("symbol") == symbol).height)
            source = left if place < len(own[0]) else longer
            trade = source.trades.filter(pl.col("symbol") == symbol).row(place, named=True)
            firsts.append((trade["entry_at"].strftime("%Y-%m-%dT%H:%M:%SZ"), symbol))
    at, symbol = min(firsts)
    return symbol, at
