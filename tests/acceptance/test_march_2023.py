"""March 2023 as it was: Binance's halt and Kraken's silent minutes are reported, and nothing fills in them."""

from collections.abc import Callable

import polars as pl
import pytest
from scenes import Scene, backfill

from openclaw_pipelines.domain.market.quality.window import CheckResult
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.services.market.examination import examine_candles

pytestmark = [pytest.mark.slow, pytest.mark.shared_data, pytest.mark.timeout(1800)]


@pytest.mark.parametrize(
    ("market", "reported"),
    [
        pytest.param("halt", {"gaps", "stale_flat_runs"}, id="binance spot, the halt of 24 March"),
        pytest.param("depeg", {"gaps"}, id="kraken spot, minutes without a trade"),
    ],
)
def test_holes_are_reported_and_nothing_fills_in_them(
    market: str, reported: set[str], make_scene: Callable[[str, str, int], Scene]
) -> None:
    subject = make_scene(market, "held", 1)
    backfill(subject)
    results = {result.name: result for result in examine_candles(subject.world(), subject.partitions[0])}
    assert {name for name, result in results.items() if not result.passed} >= reported
    assert _missing(results["gaps"]) > 0
    for strategy in subject.strategies:
        fills = subject.rows(strategy, "autopilot_fills").filter(pl.col("qty") > 0)
        traded = _traded_bars(subject, strategy)
        assert fills.join(traded, on=["symbol", "bar_at"], how="anti").is_empty()
    decided = sum(subject.rows(strategy, "autopilot_decisions").height for strategy in subject.strategies)
    assert decided > 0


def _missing(gaps: CheckResult) -> int:
    return int(gaps.facts["missing_bars"])


def _traded_bars(subject: Scene, strategy: str) -> pl.DataFrame:
    """Bars of the strategy's interval in which something was traded."""
    world = subject.world()
    own = world.settings().strategy(strategy)
    args = (world.store, world.source, own.symbols, own.own.interval)
    candles = market_tables.candles(*args, subject.begin, subject.end).filter(pl.col("volume") > 0)
    return candles.select("symbol", bar_at="ts")
