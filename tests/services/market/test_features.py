"""Features of a day: replaced as a whole, the same however often, and honest about the history they lacked."""

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
