"""Market assets: what a run over a range writes and shows per day, and that doing it again changes nothing."""

from datetime import timedelta

import polars as pl
from dagster_scene import BTC, DAY_ONE, DAY_TWO, ETH, FIRST_DAY, Lived, Scene, failure, materialized

from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.domain.market.parts import enough_parts
from openclaw_pipelines.resources.store.comparison import table_hash

DAYS = [FIRST_DAY, "2025-05-09", DAY_ONE, DAY_TWO]


def test_a_range_is_one_run_with_metadata_for_every_day(lived: Lived) -> None:
    shown = materialized(lived.market)
    assert set(shown) == {(asset, day) for asset in ("candles", "funding_rates", "features") for day in DAYS}
    rows = lived.scene.rows("candles")
    for day in DAYS:
        stored = rows.filter(pl.col("ts").dt.strftime("%Y-%m-%d") == day).height
        candles = shown["candles", day]
        assert candles["dagster/partition_row_count"] == candles["inserted"] == sum(candles["bars"].values()) == stored
        assert set(candles["bars"]) == {f"{symbol} {interval}" for symbol in (BTC, ETH) for interval in ("15m", "1h")}
        assert candles["first"] == day_start(day).timestamp()
        enough = enough_parts(lived.scene.world.settings().config.quality.min_parts_bps)
        counted = rows.filter((pl.col("ts").dt.strftime("%Y-%m-%d") == day) & enough).height
        assert shown["features", day]["dagster/partition_row_count"] == counted
    assert shown["features", FIRST_DAY]["history_days_missing"] == "none"  # the market's first day


def test_the_instance_knows_every_day_as_materialized(lived: Lived) -> None:
    import dagster as dg

    known = lived.scene.instance.get_materialized_partitions(dg.AssetKey("features"))
    assert set(DAYS) <= known


def test_instruments_show_their_table(lived: Lived) -> None:
    ((key, shown),) = materialized(lived.instruments).items()
    assert key == ("instruments", None)
    assert shown["dagster/row_count"] == 2
    assert BTC in shown["instruments"]
    assert ETH in shown["instruments"]


def test_a_range_asked_for_again_writes_nothing(new_scene) -> None:
    scene: Scene = new_scene()
    before = table_hash(scene.world.store, "candles")
    result = scene.run("market_day", DAY_ONE, last=DAY_TWO)
    assert result.success, failure(result)
    shown = materialized(result)
    assert [shown["candles", day]["inserted"] for day in (DAY_ONE, DAY_TWO)] == [0, 0]
    assert shown["candles", DAY_ONE]["unchanged"] > 0
    assert table_hash(scene.world.store, "candles") == before
    assert scene.rows("candle_revisions").is_empty()


def test_a_live_run_asks_only_for_what_is_new(new_scene) -> None:
    scene: Scene = new_scene(market=False)
    noon = day_start(DAY_ONE) + timedelta(hours=12)
    counts = []
    for at in (noon, noon + timedelta(minutes=15)):
        scene.clock.set(at)
        result = scene.run("market_live", DAY_ONE, tags={"openclaw/live": "true"})
        assert result.success, failure(result)
        shown = materialized(result)["candles", DAY_ONE]
        counts.append((shown["inserted"], shown["unchanged"]))
    (first, none), (second, again) = counts
    assert (none, second) == (0, 2)  # a quarter of an hour later: one bar of each symbol
    assert 0 < again < first / 4  # and some before it once more
