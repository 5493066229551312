"""Bars that were built of lower ones follow them until a recorded tick has read them."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.resources.market.base import CANDLE_COLUMNS
from openclaw_pipelines.resources.store.built_bars import consumed_bars
from openclaw_pipelines.resources.store.market_appends import Written, append_candles
from openclaw_pipelines.resources.store.market_tables import candles, revisions
from openclaw_pipelines.resources.store.store import insert

SEVEN = datetime(2025, 5, 2, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOW, LATER = datetime(2025, 6, 1, tzinfo=UTC), datetime(2025, 6, 2, tzinfo=UTC)
SYMBOL = "BTC/USDT:USDT"
HALF, WHOLE, PUBLISHED = (2, 4, True), (4, 4, True), (None, None, True)


def hour(close: float, told: tuple, ts: datetime = SEVEN, symbol: str = SYMBOL) -> pl.DataFrame:
    parts, expected, has_open = told
    row = {"source": "s", "symbol": symbol, "interval": "1h", "ts": ts, "open": 10.0, "high": 99.0, "low": 1.0,
           "close": close, "volume": 5.0, "is_synthetic": False, "parts": parts, "parts_expected": expected,
           "has_open": has_open}  # fmt: skip
    schema = {name: TABLES["candles"].polars_schema[name] for name in CANDLE_COLUMNS}
    return pl.DataFrame([row], schema=schema)


def stored(store, symbol: str = SYMBOL) -> list[tuple]:
    window = (store, "s", [symbol], "1h", SEVEN - 9 * HOUR, SEVEN + 9 * HOUR)
    return candles(*window).select("close", "parts", "has_open").rows()


def later_values(store) -> list[float]:
    return revisions(store, "s", [SYMBOL], "1h", SEVEN, SEVEN + HOUR)["close"].to_list()


def record(store, rows, tick_at: datetime, bars: dict, *, status: str = "done", interval: str = "1h") -> None:
    """A tick whose input holds these bars."""
    about = {"tick_at": tick_at, "strategy_config_id": "s"}
    context = {"context_hash": f"c{interval}", "payload": json.dumps({"deployment": {"interval": interval}})}
    frames = {
        "tick_contexts": context,
        "tick_inputs": {**about, "context_hash": f"c{interval}", "bars": json.dumps(bars)},
        "autopilot_ticks": {**about, "status": status},
    }
    with store.write("ledger") as con:
        for name, values in frames.items():
            row = rows.sample_row(name, **values)
            insert(con, name, pl.DataFrame([row], schema=TABLES[name].polars_schema), validated=True)


TRADED, MISSING = [1, 1, 1, 1, 1, 0, 5.0], [0, 0, 0, 0, 0, 7, 0.0]


@pytest.mark.parametrize(
    ("first", "then", "written", "now", "contradicted"),
    [
        pytest.param((5.0, HALF), (7.0, WHOLE), Written(0, 0, 0, 1), (7.0, 4, True), [], id="mended parts"),
        pytest.param((5.0, HALF), (5.0, WHOLE), Written(0, 0, 0, 1), (5.0, 4, True), [], id="more parts, same value"),
        pytest.param((5.0, (3, 4, False)), (5.0, (3, 4, True)), Written(0, 0, 0, 1), (5.0, 3, True), [], id="its open"),
        pytest.param((5.0, WHOLE), (7.0, PUBLISHED), Written(0, 0, 0, 1), (7.0, None, True), [], id="the source's own"),
        pytest.param((5.0, HALF), (5.0, HALF), Written(0, 1, 0, 0), (5.0, 2, True), [], id="the same again"),
        pytest.param((5.0, WHOLE), (7.0, HALF), Written(0, 0, 1, 0), (5.0, 4, True), [7.0], id="parts that got lost"),
        pytest.param((5.0, PUBLISHED), (7.0, PUBLISHED), Written(0, 0, 1, 0), (5.0, None, True), [7.0], id="published"),
        pytest.param((5.0, PUBLISHED), (7.0, WHOLE), Written(0, 0, 1, 0), (5.0, None, True), [7.0], id="built later"),
    ],
)
def test_a_built_bar_follows_what_its_source_gives(store, first, then, written, now, contradicted):
    append_candles(store, hour(*first), NOW)
    assert append_candles(store, hour(*then), LATER) == written
    assert stored(store) == [now]
    assert later_values(store) == contradicted


def test_the_bars_beside_it_stay(store):
    both = pl.concat([hour(5.0, HALF), hour(5.0, HALF, symbol="ETH/USDT"), hour(5.0, HALF, ts=SEVEN + HOUR)])
    append_candles(store, both, NOW)
    assert append_candles(store, hour(7.0, WHOLE), LATER) == Written(0, 0, 0, 1)
    assert stored(store) == [(7.0, 4, True), (5.0, 2, True)]
    assert stored(store, "ETH/USDT") == [(5.0, 2, True)]
    assert store.table("candles").filter(pl.col("close") == 7.0)["ingested_at"].to_list() == [LATER]


@pytest.mark.parametrize(
    ("tick", "follows"),
    [
        pytest.param({"tick_at": SEVEN + HOUR, "bars": {SYMBOL: TRADED}}, False, id="read"),
        pytest.param({"tick_at": SEVEN + HOUR, "bars": {SYMBOL: MISSING}}, True, id="a tick that saw it missing"),
        pytest.param({"tick_at": SEVEN + HOUR, "bars": {"ETH/USDT": TRADED}}, True, id="another symbol"),
        pytest.param({"tick_at": SEVEN + 2 * HOUR, "bars": {SYMBOL: TRADED}}, True, id="another bar"),
        pytest.param(
            {"tick_at": SEVEN + HOUR, "bars": {SYMBOL: TRADED}, "interval": "15m"}, True, id="another interval"
        ),
        pytest.param(
            {"tick_at": SEVEN + 9 * HOUR, "status": "inception",
             "bars": {(SEVEN + HOUR).isoformat(): {SYMBOL: TRADED}}},
            False, id="warmed on",
        ),
        pytest.param(
            {"tick_at": SEVEN + 9 * HOUR, "status": "inception",
             "bars": {(SEVEN + 2 * HOUR).isoformat(): {SYMBOL: TRADED}}},
            True, id="warmed on others",
        ),
    ],
)  # fmt: skip
def test_it_stays_once_a_recorded_tick_has_read_it(store, rows, tick, follows):
    append_candles(store, hour(5.0, HALF), NOW)
    record(store, rows, **tick)
    assert set(consumed_bars(store, [(SYMBOL, "1h", SEVEN)])) == (set() if follows else {(SYMBOL, "1h", SEVEN)})
    append_candles(store, hour(7.0, WHOLE), LATER)
    assert stored(store) == [(7.0, 4, True) if follows else (5.0, 2, True)]
    assert later_values(store) == ([] if follows else [7.0])
