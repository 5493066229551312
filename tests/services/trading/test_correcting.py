"""A bar that money cannot take stops nobody, and an operator may replace it while no recorded tick consumed it."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from openclaw_pipelines.contracts.enums import RejectCode
from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.resources.store import market_appends, market_tables
from openclaw_pipelines.resources.store.locks import StoreLockedError
from openclaw_pipelines.services.market.features import compute_features
from openclaw_pipelines.services.trading import correcting
from openclaw_pipelines.services.trading.correcting import BarConsumedError, NoSuchBarError, correct_candle
from openclaw_pipelines.services.trading.verification import verify_day

BREAKOUT, DAY_ONE, BTC = "breakout_15m", "2025-05-10", "BTC/USDT:USDT"
NOON = day_start(DAY_ONE) + timedelta(hours=12)
QUARTER = timedelta(minutes=15)
WHO = {"actor": "ann", "reason": "the exchange told the truth later"}
BAD = [
    pytest.param("high = 'infinity'", id="endless high"),
    pytest.param("high = 1e300", id="high beyond any price"),
    pytest.param("close = close + 0.037", id="off its price unit"),
    pytest.param("volume = 'infinity'", id="endless volume"),
]


def spoil(trading: Any, change: str, ts: datetime = NOON) -> None:
    with trading.store.write("market") as con:
        con.execute(f"UPDATE candles SET {change} WHERE symbol = ? AND interval = '15m' AND ts = ?", [BTC, ts])


def bar(trading: Any, ts: datetime = NOON) -> tuple[float, ...]:
    rows = market_tables.candles(trading.store, "simulated", [BTC], "15m", ts, ts + QUARTER)
    return rows.select("open", "high", "low", "close", "volume").row(0)


@pytest.mark.parametrize("change", BAD)
def test_one_bad_number_is_a_missing_bar_and_stops_no_tick(desk: Any, change: str) -> None:
    trading = desk()
    spoil(trading, change)
    assert trading.run().taken == 96
    inputs = {row["tick_at"]: row for row in trading.rows("tick_inputs").to_dicts()}
    there = {at: BTC in json.loads(row["bars"]) for at, row in inputs.items() if at > day_start(DAY_ONE)}
    quiet = desk()
    quiet.run()
    usual = {row["tick_at"]: BTC in json.loads(row["bars"]) for row in quiet.rows("tick_inputs").to_dicts()}
    assert {at for at, found in there.items() if found != usual[at]} == {NOON + QUARTER}
    assert json.loads(inputs[NOON + QUARTER]["masks"])["controls"][BTC] == RejectCode.STALE_CANDLES
    assert set(json.loads(inputs[NOON + QUARTER]["bars"])) == {"ETH/USDT:USDT", "SOL/USDT"}
    assert verify_day(trading.ledger(), DAY_ONE).differences == ()


def test_a_bar_that_no_tick_consumed_is_replaced_with_a_trace(desk: Any) -> None:
    trading = desk()
    true = bar(trading)
    spoil(trading, "high = 1e300")
    compute_features(trading.world, DAY_ONE)
    spoiled = trading.store.table("features")
    trading.run()  # the tick of the bar saw it missing
    done = correct_candle(trading.world, BTC, "15m", NOON, **WHO)
    assert bar(trading) == true
    [row] = trading.store.table("candle_corrections").to_dicts()
    assert (row["actor"], row["reason"], row["taken_from"]) == (*WHO.values(), "source")
    assert (row["old_high"], row["high"], row["old_close"]) == (1e300, true[1], true[3])
    assert row["corrected_at"] == trading.clock.now()
    assert done.features_of[0] == DAY_ONE
    features = trading.store.table("features")
    assert not features.drop("ingested_at").equals(spoiled.drop("ingested_at"))
    compute_features(trading.world, DAY_ONE)
    assert trading.store.table("features").drop("ingested_at").equals(features.drop("ingested_at"))
    assert verify_day(trading.ledger(), DAY_ONE).differences == ()


def test_features_follow_a_bar_though_the_chain_cannot_be_told(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The correction cannot be made twice, so nothing of it may wait for what can be told later."""
    trading = desk()
    compute_features(trading.world, DAY_ONE)
    right = trading.store.table("features").drop("ingested_at")
    spoil(trading, "high = 1e300")
    compute_features(trading.world, DAY_ONE)

    def locked(world: Any) -> None:
        raise StoreLockedError(trading.store.file("ledger"), 30.0, "a walk")

    monkeypatch.setattr(correcting, "trace_corrections", locked)
    with pytest.raises(StoreLockedError):
        correct_candle(trading.world, BTC, "15m", NOON, **WHO)
    assert trading.store.table("features").drop("ingested_at").equals(right)
    monkeypatch.undo()
    (told,) = correcting.trace_corrections(trading.world)
    assert told.subject == f"{BTC} 15m of {NOON:%Y-%m-%dT%H:%M}Z"


@pytest.mark.parametrize("ts", [NOON, day_start(DAY_ONE) - QUARTER], ids=["at its tick", "in the warm-up"])
def test_a_bar_that_a_recorded_tick_consumed_stays(desk: Any, ts: datetime) -> None:
    trading = desk("recorded")
    spoil(trading, "high = 1e300", ts)
    spoiled = bar(trading, ts)
    with pytest.raises(
        BarConsumedError, match=rf"{BTC} 15m of {ts:%Y-%m-%dT%H:%M}Z was consumed by the tick of breakout"
    ):
        correct_candle(trading.world, BTC, "15m", ts, **WHO)
    assert bar(trading, ts) == spoiled
    assert trading.store.table("candle_corrections").is_empty()


def test_a_revision_may_take_the_place(desk: Any) -> None:
    trading = desk()
    true = bar(trading)
    told = market_tables.candles(trading.store, "simulated", [BTC], "15m", NOON, NOON + QUARTER)
    spoil(trading, "high = 1e300, parts = NULL, parts_expected = NULL")  # a built one would follow its parts
    market_appends.append_candles(trading.store, told.drop("ingested_at"), trading.clock.now())
    correct_candle(trading.world, BTC, "15m", NOON, **WHO, revised=True)
    assert bar(trading) == true
    assert trading.store.table("candle_corrections")["taken_from"].to_list() == ["revision"]


def test_a_bar_that_was_never_stored_is_let_in(desk: Any) -> None:
    """As one whose scale was refused, though the coin has that scale now."""
    trading = desk()
    true = bar(trading)
    with trading.store.write("market") as con:
        con.execute("DELETE FROM candles WHERE symbol = ? AND ts = ?", [BTC, NOON])
    correct_candle(trading.world, BTC, "15m", NOON, **WHO)
    assert bar(trading) == true
    [row] = trading.store.table("candle_corrections").to_dicts()
    assert (row["old_open"], row["old_volume"]) == (None, None)


@pytest.mark.parametrize(
    ("symbol", "interval", "ts", "more", "why"),
    [
        pytest.param(BTC, "15m", NOON, {}, "it is stored as the source has it", id="right already"),
        pytest.param(BTC, "15m", NOON, {"revised": True}, "candle_revisions has no other value", id="no revision"),
        pytest.param(BTC, "15m", NOON + QUARTER / 3, {}, "no bar of 15m opens then", id="off the grid"),
        pytest.param("DOGE/USDT", "15m", NOON, {}, "configured are BTC/USDT:USDT, ", id="unknown symbol"),
        pytest.param(BTC, "5m", NOON, {}, "at 15m, 1h", id="unknown interval"),
        pytest.param(BTC, "15m", day_start("2025-06-02"), {}, "it has not closed yet", id="to come"),
    ],
)
def test_what_cannot_be_corrected_is_named(
    desk: Any, symbol: str, interval: str, ts: datetime, more: dict[str, bool], why: str
) -> None:
    trading = desk()
    with pytest.raises(NoSuchBarError, match=why):
        correct_candle(trading.world, symbol, interval, ts, **WHO, **more)
    assert trading.store.table("candle_corrections").is_empty()
