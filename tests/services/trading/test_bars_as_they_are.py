"""What a tick is told of its symbols and bars: listing as of now, parts that are absent, an open that is not there."""

import json
from datetime import timedelta
from typing import Any

import pytest

from openclaw_pipelines.contracts.enums import RejectCode
from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.kernel.base.layout import BarState
from openclaw_pipelines.services.trading.verification import verify_day

MOMENTUM, DAY_ONE = "momentum_1h", "2025-05-10"
NOON = day_start(DAY_ONE) + timedelta(hours=12)
ETH = "ETH/USDT:USDT"
HOURS = f"UPDATE candles SET {{}} WHERE interval = '1h' AND symbol = '{ETH}' AND {{}}"


def change(desk: Any, sql: str, *values: Any) -> None:
    with desk.store.write("market") as con:
        con.execute(sql, list(values))


def recorded(desk: Any, column: str, part: str | None = None) -> list[Any]:
    """What the ticks of the day recorded of one symbol, in order."""
    rows = desk.rows("tick_inputs", MOMENTUM).sort("tick_at")[column][1:]
    return [(json.loads(row)[part] if part else json.loads(row))[ETH] for row in rows]


@pytest.mark.parametrize(
    "sql",
    [
        pytest.param(f"UPDATE instruments SET state = 'deprecated' WHERE symbol = '{ETH}'", id="deprecated"),
        pytest.param(
            f"UPDATE instruments SET delisted_at = '2025-05-10 12:00:00Z' WHERE symbol = '{ETH}'", id="delisted"
        ),
    ],
)
def test_a_symbol_that_is_traded_no_more_is_not_entered_from_the_next_tick_on(desk: Any, sql: str) -> None:
    trading = desk("asked")
    trading.run(MOMENTUM, DAY_ONE, NOON - timedelta(hours=1))
    change(trading, sql)
    trading.run(MOMENTUM, DAY_ONE)
    codes = recorded(trading, "masks", "controls")
    assert codes[:11] == [RejectCode.NONE] * 11
    assert codes[11:] == [RejectCode.SYMBOL_DISABLED] * 13
    assert verify_day(trading.ledger(MOMENTUM), DAY_ONE).passed


def test_a_bar_of_too_few_parts_is_masked_and_one_without_its_first_part_has_no_open(desk: Any) -> None:
    trading = desk("asked")
    change(trading, HOURS.format("parts = 30", "ts = ?"), NOON)
    change(trading, HOURS.format("parts = 59, has_open = false", "ts = ?"), NOON + timedelta(hours=3))
    trading.run(MOMENTUM, DAY_ONE)
    codes = recorded(trading, "masks", "controls")
    assert [n for n, code in enumerate(codes) if code] == [12]
    assert codes[12] == RejectCode.GAP
    states = [bar[4] for bar in recorded(trading, "bars")]
    assert states == [BarState.NO_OPEN if n == 15 else BarState.TRADABLE for n in range(24)]
    assert verify_day(trading.ledger(MOMENTUM), DAY_ONE).passed


@pytest.mark.parametrize(("parts", "bars"), [(60, 24), (54, 24), (53, 23)])
def test_the_universe_leaves_out_bars_of_too_few_parts(desk: Any, parts: int, bars: int) -> None:
    trading = desk("asked")
    change(trading, HOURS.format("parts = ?", "ts = ?"), parts, day_start(DAY_ONE) - timedelta(hours=5))
    trading.run(MOMENTUM, DAY_ONE, day_start(DAY_ONE) + timedelta(hours=1))
    (candidates,) = trading.store.table("autopilot_universe_snapshots")["candidates"].to_list()
    measured = {item["symbol"]: item["measures"]["bars_24h"] for item in json.loads(candidates)}
    assert measured[ETH] == bars
