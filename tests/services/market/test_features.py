"""Features of a day: replaced as a whole, the same however often, and honest about the history they lacked."""

from datetime import timedelta

import polars as pl

from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.domain.market.parts import enough_parts
from openclaw_pipelines.resources.store.comparison import frame_hash
from openclaw_pipelines.services.market.features import compute_features

DAY_ONE = "2025-05-10"


def test_computed_again_they_are_the_same_rows(desk) -> None:
    own = desk("history")
    own.ask(DAY_ONE)
    first = compute_features(own.world, DAY_ONE)
    stored = own.store.table("features")
    own.clock.set(day_start("2025-06-01"))
    again = compute_features(own.world, DAY_ONE)
    assert first.rows.drop("ingested_at").equals(again.rows.drop("ingested_at"))
    assert frame_hash("features", own.store.table("features")) == frame_hash("features", stored)
    assert first.rows.height == first.regimes["bars"].sum()


LACKING = [("BTC/USDT:USDT", "15m", 13)]


def test_they_are_one_per_stored_bar_of_the_day_that_has_enough_of_its_parts(desk) -> None:
    own = desk()
    result = compute_features(own.world, DAY_ONE)
    bars = own.store.table("candles").filter(pl.col("ts").dt.strftime("%Y-%m-%d") == DAY_ONE)
    lacking = bars.filter(~enough_parts(9_000))
    assert lacking.select("symbol", "interval", "parts").rows() == LACKING
    bars = bars.join(lacking, on=["symbol", "interval", "ts"], how="anti")
    key = ["symbol", "interval", "ts"]
    assert result.rows.select(key).sort(key).equals(bars.select(key).sort(key))
    assert set(result.latest["interval"]) == {"1h"}
    assert result.latest.height == 3


def test_days_that_nobody_asked_for_are_named(desk) -> None:
    own = desk()
    assert compute_features(own.world, DAY_ONE).history_missing == []
    with own.store.write("market") as con:
        con.execute("DELETE FROM candle_coverage WHERE day = '2025-05-09'")
    assert compute_features(own.world, DAY_ONE).history_missing == ["2025-05-09"]


def test_a_bar_that_comes_later_takes_the_values_away_that_were_computed_without_it(desk) -> None:
    """Else a day that was computed while its history was still loading would stay less warm for good."""
    own = desk("history")
    own.ask(DAY_ONE)
    compute_features(own.world, DAY_ONE)
    whole = own.store.table("features").drop("ingested_at")
    late = "symbol = 'SOL/USDT' AND interval = '15m' AND ts = '2025-05-09 12:00:00+00'"
    with own.store.write("market") as con:
        con.execute(f"DELETE FROM candles WHERE {late}")
    compute_features(own.world, "2025-05-09")
    compute_features(own.world, DAY_ONE)
    assert not own.store.table("features").drop("ingested_at").equals(whole)
    own.ask("2025-05-09")
    without = whole.join(own.store.table("features"), on=["symbol", "interval", "ts"], how="anti")
    assert set(without.select("symbol", "interval").rows()) == {("SOL/USDT", "15m")}
    assert without["ts"].min() == day_start("2025-05-09") + timedelta(hours=12)
    assert without["ts"].max() == day_start(DAY_ONE) + timedelta(hours=23, minutes=45)
    for day in ("2025-05-09", DAY_ONE):
        compute_features(own.world, day)
    assert own.store.table("features").drop("ingested_at").equals(whole)


def test_bars_that_follow_take_nothing_away(desk) -> None:
    own = desk("history")
    before = own.store.table("features")
    own.ask(DAY_ONE)
    own.ask("2025-05-09")
    assert own.store.table("features").equals(before)
