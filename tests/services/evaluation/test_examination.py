"""Examination of stored days: the clean day passes, and each defect is found where it is."""

from datetime import timedelta

from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.domain.market.quality.checks import CHECKS
from openclaw_pipelines.services.evaluation.examination import examine_day
from openclaw_pipelines.services.market.examination import examine_candles
from openclaw_pipelines.services.trading.examination import LEDGER_CHECKS, examine_ledger
from openclaw_pipelines.services.trading.verification import verify_day

DAY_ONE, MOMENTUM = "2025-05-10", "momentum_1h"


def test_a_day_is_examined_in_full(desk) -> None:
    own = desk("recorded")
    found = examine_day(own.world, DAY_ONE)
    candles = [result.name for asset, _, result in found if asset == "candles"]
    assert candles == [check.name for check in CHECKS]
    partitions = {partition for asset, partition, _ in found if asset == "equity"}
    assert partitions == {f"{DAY_ONE}|breakout_15m", f"{DAY_ONE}|{MOMENTUM}"}


def test_errors_of_candles_name_the_bar(desk) -> None:
    own = desk()
    own.clock.set(day_start(DAY_ONE) + timedelta(days=1))
    assert [r.name for r in examine_candles(own.world, DAY_ONE) if not r.passed and r.severity == "error"] == []
    with own.store.write("market") as con:
        con.execute(
            "DELETE FROM candles WHERE interval = '1h' AND symbol = 'SOL/USDT' AND ts = ?",
            [day_start(DAY_ONE) + timedelta(hours=7)],
        )
    gaps = next(r for r in examine_candles(own.world, DAY_ONE) if r.name == "gaps")
    assert not gaps.passed
    assert ("SOL/USDT", "1h") in set(gaps.cases.select("symbol", "interval").iter_rows())


def test_ledger_checks_count_what_is_due_by_the_clock(desk) -> None:
    own = desk("history")
    first = day_start(DAY_ONE)
    own.live(MOMENTUM, [first + timedelta(hours=n) for n in range(1, 4)])
    by_name = {
        result.name: result for result in examine_ledger(own.world, verify_day(own.world.ledger(MOMENTUM), DAY_ONE))
    }
    assert list(by_name) == list(LEDGER_CHECKS)
    assert all(result.passed for result in by_name.values())
    assert by_name["day_complete"].facts == {"recorded": 3, "expected": 3}
    own.clock.set(first + timedelta(hours=5))
    late = {
        result.name: result for result in examine_ledger(own.world, verify_day(own.world.ledger(MOMENTUM), DAY_ONE))
    }
    assert late["day_complete"].facts == {"recorded": 3, "expected": 5}
    assert not late["day_complete"].passed


def test_a_changed_row_is_told_by_its_replay(desk) -> None:
    own = desk("recorded")
    with own.store.write("ledger") as con:
        con.execute("UPDATE autopilot_equity SET equity = equity + 1 WHERE hour(tick_at) = 9")
    replay = next(
        r
        for r in examine_ledger(own.world, verify_day(own.world.ledger(MOMENTUM), DAY_ONE))
        if r.name == "recorded_ticks_replay"
    )
    assert (replay.passed, replay.severity) == (False, "error")
    assert replay.cases["table"].to_list() == ["autopilot_equity"]
    assert replay.cases["column"].to_list() == ["equity"]
