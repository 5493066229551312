"""Data-quality checks as asset checks: results per partition, findings to act on, and what blocks what."""

from typing import Any

import dagster as dg
import pytest
from dagster_scene import BTC, DAY_ONE, DAY_TWO, FIRST_DAY, Lived, Scene, failure, materialized

from openclaw_pipelines.domain.market.quality.checks import CHECKS
from openclaw_pipelines.resources.market.simulated.source import SimulatedMarket

DAYS = [FIRST_DAY, "2025-05-09", DAY_ONE, DAY_TWO]


def evaluations(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str | None], dg.AssetCheckEvaluation]:
    """Those of candles, by check and partition; the run's own has none."""
    found = [own for own in result.get_asset_check_evaluations() if own.asset_key == dg.AssetKey("candles")]
    return {(own.check_name, own.partition): own for own in found}


def executions(scene: Scene, asset: str, check: str) -> list[tuple[str, str]]:
    """What the instance tells the web UI: status and run of each stored execution."""
    key = dg.AssetCheckKey(dg.AssetKey(asset), check)
    records = scene.instance.event_log_storage.get_asset_check_execution_history(key, limit=50)
    return [(str(record.partition), record.status.value) for record in records]


def test_every_check_has_a_result_for_every_day_and_one_for_the_run(lived: Lived) -> None:
    found = evaluations(lived.market)
    assert set(found) == {(check.name, day) for check in CHECKS for day in [*DAYS, None]}


def test_no_execution_is_left_planned(lived: Lived) -> None:
    for check in CHECKS:
        kept = executions(lived.scene, "candles", check.name)
        assert {partition for partition, _ in kept} == {*DAYS, "None"}
        assert {status for _, status in kept} <= {"SUCCEEDED", "FAILED"}


def test_a_result_points_at_what_it_judged(lived: Lived) -> None:
    own = evaluations(lived.market)["gaps", DAY_ONE]
    assert own.target_materialization_data is not None
    assert own.target_materialization_data.run_id == lived.market.run_id


def test_the_same_range_can_be_checked_again(new_scene) -> None:
    scene: Scene = new_scene()
    for _ in range(2):
        result = scene.run("market_day", DAY_ONE, last=DAY_TWO)
        assert result.success, failure(result)
    assert len(executions(scene, "candles", "gaps")) == 2 * 3


def test_a_range_of_one_day_reports_the_day(new_scene) -> None:
    """A backfill of one day comes as a range."""
    scene: Scene = new_scene()
    result = scene.run("market_day", DAY_ONE, last=DAY_ONE)
    assert result.success, failure(result)
    assert set(evaluations(result)) == {(check.name, day) for check in CHECKS for day in (DAY_ONE, None)}
    assert {status for _, status in executions(scene, "candles", "ohlc")} == {"SUCCEEDED"}


def test_one_partition_reports_its_own(new_scene) -> None:
    scene: Scene = new_scene()
    result = scene.run("market_day", DAY_ONE)
    assert result.success, failure(result)
    assert set(evaluations(result)) == {(check.name, DAY_ONE) for check in CHECKS}


@pytest.mark.parametrize(
    ("spoilt", "stops"),
    [
        pytest.param(None, False, id="twin"),
        pytest.param("high = low / 2", True, id="broken-bars-block"),
        pytest.param("volume = 0, quote_volume = 0", False, id="silent-bars-warn"),
    ],
)
def test_only_errors_stop_what_stands_downstream(new_scene, spoilt: str | None, stops: bool) -> None:
    scene: Scene = new_scene()
    if spoilt:
        columns = set(scene.rows("candles").columns)
        wanted = ", ".join(part for part in spoilt.split(", ") if part.split(" ")[0] in columns)
        scene.sql(
            "market",
            # of a published bar the first value stays; a built one would follow its parts again
            f"UPDATE candles SET {wanted}, parts = NULL, parts_expected = NULL "
            "WHERE symbol = ? AND interval = '15m' AND ts::DATE = ?",
            [BTC, DAY_ONE],
        )
    result = scene.run("market_day", DAY_ONE, last=DAY_TWO)
    failed = {name for (name, day), own in evaluations(result).items() if day == DAY_ONE and not own.passed}
    assert result.success is not stops
    assert (("features", DAY_ONE) in materialized(result)) is not stops
    assert ("ohlc" in failed) is stops
    assert ("zero_volume" in failed) is ("volume" in (spoilt or ""))
    if stops:  # the run names the day, the other day passed
        own = evaluations(result)
        assert own["ohlc", DAY_TWO].passed
        assert str(own["ohlc", None].metadata["finding"].value).startswith(f"{DAY_ONE}: ")
        assert own["ohlc", None].severity is dg.AssetCheckSeverity.ERROR


class Holey(SimulatedMarket):
    """The market without one hour of one symbol."""

    def candles(self, symbol: str, interval: str, *args: Any) -> Any:
        bars = super().candles(symbol, interval, *args)
        hour = bars["ts"].dt.strftime("%Y-%m-%dT%H") == f"{DAY_TWO}T05"
        return bars.filter(~hour) if (symbol, interval) == (BTC, "15m") else bars


def test_a_gap_is_named_with_its_first_and_last_bar(new_scene) -> None:
    scene: Scene = new_scene()
    scene.sql(
        "market",
        "DELETE FROM candles WHERE symbol = ? AND interval = '15m' AND strftime(ts, '%Y-%m-%dT%H') = ?",
        [BTC, f"{DAY_TWO}T05"],
    )
    market = scene.world.market
    scene.world.market = Holey(market.seed, (BTC, "ETH/USDT:USDT"))
    result = scene.run("market_day", DAY_TWO)
    assert result.success, failure(result)
    gap = evaluations(result)["gaps", DAY_TWO]
    assert not gap.passed
    assert gap.severity is dg.AssetCheckSeverity.WARN
    cases = str(gap.metadata["cases"].value)
    row = next(line for line in cases.splitlines() if BTC in line and "05:00" in line)
    assert f"{DAY_TWO} 05:00" in row
    assert " 4 " in row  # bars
