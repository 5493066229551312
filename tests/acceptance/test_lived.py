"""Lived equals backfilled equals replayed, row by row and by hash."""

import os
from collections.abc import Callable
from datetime import timedelta

import pytest
from scenes import COMPARED, Scene, backfill, kernel_replay

from openclaw_pipelines.services.trading.verification import verify_day

DAYS = int(os.environ.get("ACCEPTANCE_DAYS", "1"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400 * DAYS)]


@pytest.mark.parametrize(
    "market",
    [
        pytest.param("simulated", id="embedded market"),
        pytest.param("halt", id="binance spot with the halt of 24 March 2023", marks=pytest.mark.shared_data),
    ],
)
def test_lived_equals_backfilled_equals_replayed(market: str, make_scene: Callable[[str, str, int], Scene]) -> None:
    lived, backfilled = make_scene(market, "lived", DAYS), make_scene(market, "backfilled", DAYS)
    lived.tick_through()
    backfill(backfilled)
    assert lived.hashes() == backfilled.hashes()
    for strategy in lived.strategies:
        replayed = kernel_replay(lived, strategy)
        for table in COMPARED:
            rows = lived.rows(strategy, table)
            assert rows.equals(backfilled.rows(strategy, table)), (strategy, table)
            assert rows.equals(replayed[table]), (strategy, table)
        assert lived.rows(strategy, "autopilot_equity").height == _ticks(lived, strategy) + 1
    assert sum(lived.rows(strategy, "autopilot_fills").height for strategy in lived.strategies) > 0


def test_an_hour_of_a_minute_strategy(make_scene: Callable[[str, str, int], Scene]) -> None:
    lived, backfilled = make_scene("minute", "lived", 1), make_scene("minute", "backfilled", 1)
    hour = lived.begin + timedelta(hours=1)
    process = lived.ticker(until=hour)
    assert process.wait() == 0
    backfill(backfilled)
    for table in COMPARED:
        rows = backfilled.rows("minute", table)
        assert lived.rows("minute", table).equals(rows.filter(rows["tick_at"] <= hour)), table
    assert lived.rows("minute", "autopilot_equity").height == 61


def test_a_perturbed_bar_is_caught(make_scene: Callable[[str, str, int], Scene]) -> None:
    subject = make_scene("simulated", "perturbed", 1)
    backfill(subject)
    strategy = "breakout_15m"
    ledger, day = subject.ledger(strategy), subject.partitions[0]
    assert verify_day(ledger, day).passed
    entry = ledger.query("SELECT * FROM autopilot_fills", "leg = 'entry'").sort("tick_at").row(0, named=True)
    recorded = next(row for row in ledger.inputs(subject.begin, subject.end) if row["tick_at"] == entry["tick_at"])
    with ledger.store.write("ledger") as con:
        con.execute(
            "UPDATE tick_inputs SET bars = replace(bars, ?, ?) WHERE strategy_config_id = ? AND tick_at = ?",
            [*_nudged(recorded["bars"], entry["symbol"]), strategy, entry["tick_at"]],
        )
    found = verify_day(ledger, day)
    assert not found.passed
    assert {"autopilot_fills", "autopilot_equity"} <= {difference.table for difference in found.differences}


def _nudged(bars: str, symbol: str) -> list[str]:
    """The recorded bar of a symbol, and the same with its open one price unit higher."""
    start = bars.index(f'"{symbol}":[') + len(f'"{symbol}":[')
    first = bars[start : bars.index(",", start)]
    return [f'"{symbol}":[{first},', f'"{symbol}":[{int(first) + 1},']


def _ticks(subject: Scene, strategy: str) -> int:
    length = subject.world().settings().strategy(strategy).interval
    return int((subject.end - subject.begin) / length)
