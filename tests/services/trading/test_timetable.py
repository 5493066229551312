"""What is due, what it waits for and what is missing, out of a real store."""

from datetime import datetime, timedelta

import pytest

from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.domain.trading.timing import Need
from openclaw_pipelines.services.market.features import compute_features
from openclaw_pipelines.services.market.ingest import Ingest
from openclaw_pipelines.services.trading.timetable import (
    alerts_now,
    bars_asked,
    bars_ready,
    deadline_passed,
    due_of,
    market_day,
    missing_history,
    needed_before,
    waiting_of,
)

BEFORE, DAY_ONE, DAY_TWO = "2025-05-09", "2025-05-10", "2025-05-11"
BREAKOUT, MOMENTUM = "breakout_15m", "momentum_1h"
START = day_start(DAY_ONE)
HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)


@pytest.mark.parametrize(
    ("now", "day"),
    [
        pytest.param("2025-05-11T00:00:00+00:00", "2025-05-10", id="midnight-closes-yesterday"),
        pytest.param("2025-05-11T00:00:01+00:00", "2025-05-11", id="a-second-later"),
        pytest.param("2025-05-11T23:59:59+00:00", "2025-05-11", id="last-second"),
    ],
)
def test_market_day(now: str, day: str) -> None:
    assert market_day(datetime.fromisoformat(now)) == day


def test_due_starts_at_inception_and_goes_on_after_the_newest_tick(desk) -> None:
    own = desk()
    due = due_of(own.world, MOMENTUM, START + 3 * HOUR)
    assert (due.first, due.last, due.count, due.day) == (START + HOUR, START + 3 * HOUR, 3, DAY_ONE)
    own.live(MOMENTUM, [START + HOUR, START + 2 * HOUR])
    due = due_of(own.world, MOMENTUM, START + 3 * HOUR)
    assert (due.first, due.count) == (START + 3 * HOUR, 1)
    own.strategy(MOMENTUM, enabled=False)
    assert due_of(own.world, MOMENTUM, START + 3 * HOUR) is None


def test_the_strategys_delay_counts_only_where_it_is_wanted(desk) -> None:
    own = desk()
    own.strategy(MOMENTUM, jitter_seconds=600)
    assert due_of(own.world, MOMENTUM, START + HOUR) is None
    assert due_of(own.world, MOMENTUM, START + HOUR, jittered=False).count == 1


def test_bars_are_there_once_the_source_was_asked_after_their_close(desk) -> None:
    own = desk("history")
    due = due_of(own.world, MOMENTUM, START + HOUR)
    own.ask(DAY_ONE, START + HOUR - timedelta(seconds=1))
    assert not bars_asked(own.world, due)
    assert not bars_ready(own.world, due, START + HOUR)
    assert bars_ready(own.world, due, START + HOUR + timedelta(seconds=60))  # bar_deadline_seconds
    assert not deadline_passed(own.world, due, START + HOUR + timedelta(seconds=59))
    own.ask(DAY_ONE, START + HOUR)
    assert bars_asked(own.world, due)
    assert bars_ready(own.world, due, START + HOUR)


def test_the_funding_of_a_bar_is_asked_for_too(desk) -> None:
    own = desk("history")
    due = due_of(own.world, MOMENTUM, START + HOUR)
    Ingest.of(own.world).candles_day(DAY_ONE, START + HOUR)
    assert not bars_asked(own.world, due)
    Ingest.of(own.world).funding_day(DAY_ONE, START + timedelta(minutes=1))
    assert bars_asked(own.world, due)
    with own.store.write("market") as con:
        con.execute("DELETE FROM funding_coverage WHERE day = ?", [DAY_ONE])
    own.configure(costs={"funding": False})
    assert bars_asked(own.world, due)


def test_after_an_outage_the_day_is_needed_first(desk) -> None:
    own = desk("history")
    own.live(MOMENTUM, [START + HOUR])
    for now, whole in ((START + 5 * HOUR, False), (START + 30 * HOUR, True)):
        due = due_of(own.world, MOMENTUM, now)
        waiting = waiting_of(own.world, due, now)
        assert waiting.ready
        assert waiting.needs == (Need(DAY_ONE, DAY_ONE, whole=whole),)


def test_the_first_tick_of_a_day_needs_the_features_of_the_day_before(desk) -> None:
    own = desk("recorded")
    due = due_of(own.world, MOMENTUM, day_start(DAY_TWO) + HOUR)
    assert needed_before(own.world, due) == ()
    with own.store.write("market") as con:
        con.execute("DELETE FROM features WHERE ts >= ?", [START])
    assert needed_before(own.world, due) == (Need(DAY_ONE, DAY_ONE, whole=True),)
    compute_features(own.world, DAY_ONE)
    assert needed_before(own.world, due) == ()


def test_inception_needs_the_days_that_warm_the_strategy(desk) -> None:
    own = desk()
    assert missing_history(own.world, [BREAKOUT, MOMENTUM]) == []
    with own.store.write("market") as con:
        con.execute("DELETE FROM candle_coverage WHERE day = ?", [BEFORE])
    assert missing_history(own.world, [MOMENTUM]) == [BEFORE]
    due = due_of(own.world, MOMENTUM, START + HOUR)
    assert needed_before(own.world, due) == (Need(BEFORE, BEFORE, whole=True),)


FIRST = "2025-05-08"
LOST = {
    "candles": ("candle_coverage", f"day = '{FIRST}' AND symbol = 'ETH/USDT:USDT' AND interval = '15m'"),
    "funding": ("funding_coverage", f"day = '{FIRST}' AND symbol = 'ETH/USDT:USDT'"),
    "features": ("features", f"ts < '{BEFORE} 00:00:00+00' AND symbol = 'SOL/USDT' AND interval = '1h'"),
    "one bar's features": ("features", f"ts = '{FIRST} 13:00:00+00' AND symbol = 'SOL/USDT' AND interval = '1h'"),
}


@pytest.mark.parametrize(("table", "rows"), LOST.values(), ids=LOST)
def test_inception_needs_each_kind_of_each_day_and_asks_for_that_day_only(desk, table: str, rows: str) -> None:
    own = desk()
    due = due_of(own.world, MOMENTUM, START + HOUR)
    assert needed_before(own.world, due) == ()
    with own.store.write("market") as con:
        assert con.execute(f"DELETE FROM {table} WHERE {rows}").fetchone()[0] > 0
    assert missing_history(own.world, [BREAKOUT, MOMENTUM]) == [FIRST]
    assert needed_before(own.world, due) == (Need(FIRST, FIRST, whole=True),)
    own.ask(FIRST)
    compute_features(own.world, FIRST)
    assert needed_before(own.world, due) == ()


def test_funding_that_is_not_charged_is_not_needed(desk) -> None:
    own = desk(costs={"funding": False})
    with own.store.write("market") as con:
        con.execute("DELETE FROM funding_coverage")
    assert missing_history(own.world, [BREAKOUT, MOMENTUM]) == []


def test_days_between_which_nothing_is_missing_are_not_asked_for_again(desk) -> None:
    own = desk(market={"first_day": "2025-05-01"}, universe={"lookback_days": 9})
    due = due_of(own.world, MOMENTUM, START + HOUR)
    assert needed_before(own.world, due) == (Need("2025-05-01", "2025-05-07", whole=True),)
    with own.store.write("market") as con:
        con.execute("DELETE FROM funding_coverage WHERE day = ?", [BEFORE])
    wanted = (Need("2025-05-01", "2025-05-07", whole=True), Need(BEFORE, BEFORE, whole=True))
    assert needed_before(own.world, due) == wanted


def test_a_later_day_needs_the_candles_that_its_universe_is_ranked_on(desk) -> None:
    own = desk("recorded")
    due = due_of(own.world, MOMENTUM, day_start(DAY_TWO) + HOUR)
    own.configure(universe={"lookback_days": 3})
    with own.store.write("market") as con:
        con.execute("DELETE FROM candle_coverage WHERE day = ?", [BEFORE])
    assert needed_before(own.world, due) == (Need(BEFORE, BEFORE, whole=True),)


def test_alerts_name_stalled_strategies_and_a_market_that_stands_still(desk) -> None:
    own = desk("history")
    now = START + QUARTER
    own.ask(DAY_ONE, now)
    assert alerts_now(own.world, now) == []
    later = START + 6 * HOUR
    found = {(alert.kind, alert.subject) for alert in alerts_now(own.world, later)}
    assert found == {
        ("stalled_strategy", BREAKOUT),
        ("stalled_strategy", MOMENTUM),
        ("stale_market", own.world.source),
    }


def test_bars_off_the_unit_of_a_running_deployment_are_an_alert(desk) -> None:
    """An exchange may make its step finer under a deployment that was recorded with the old one."""
    own = desk("recorded")
    now = START + 25 * HOUR
    assert [alert.kind for alert in alerts_now(own.world, now) if alert.kind == "off_unit"] == []
    with own.store.write("market") as con:
        con.execute(
            "UPDATE candles SET close = close + 0.037 WHERE symbol = 'BTC/USDT:USDT' AND interval = '15m' AND ts >= ?",
            [START + 24 * HOUR],
        )
    [alert] = [alert for alert in alerts_now(own.world, now) if alert.kind == "off_unit"]
    assert (alert.subject, alert.severity) == (BREAKOUT, "warning")
    assert "the first is BTC/USDT:USDT 15m of 2025-05-11T00:00Z" in alert.message
