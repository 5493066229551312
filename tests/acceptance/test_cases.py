"""Small inputs made after public reports on comparable systems, each with the value that is right."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.domain.market.quality.scale import ScaleJumpError
from openclaw_pipelines.resources.clock import ReplayedClock
from openclaw_pipelines.resources.execution.paper import PaperExecutor
from openclaw_pipelines.resources.world import World, open_market, open_store
from openclaw_pipelines.services.market.examination import examine_candles
from openclaw_pipelines.services.market.ingest import Ingest
from openclaw_pipelines.services.trading.correcting import correct_candle
from openclaw_pipelines.settings import load_settings

pytestmark = pytest.mark.shared_data
LATER = "2025-06-01"


@pytest.fixture
def case(tmp_path: Path, shared_cases: Path) -> Callable[..., World]:
    """An autopilot over the files of a case, which has asked for some days of them."""

    def opened(name: str, *days: str) -> World:
        folder = tmp_path / name
        shutil.copytree(shared_cases / name, folder)
        environ = {"OPENCLAW_DATA_DIR": str(folder / "data")}

        def settings() -> object:
            return load_settings(environ, path=folder / "c.yaml")

        now = settings()
        world = World(settings, open_store(now), open_market(now), ReplayedClock(day_start(LATER)), PaperExecutor())
        Ingest.of(world).instruments(world.clock.now())
        for day in days:
            Ingest.of(world).candles_day(day, world.clock.now())
        return world

    return opened


def test_a_price_that_is_a_thousand_times_higher_from_midnight_on(case) -> None:
    """Its bars are not stored. An operator who knows the coin's new scale lets the first one in, and it is listed."""
    world = case("jump-at-midnight", "2025-05-01")
    near, midnight = "NEAR/USDT:USDT", day_start("2025-05-02")
    with pytest.raises(ScaleJumpError, match=rf"{near} 1h of 2025-05-02T00:00:00.* times off the 0.01345 before it"):
        Ingest.of(world).candles_day("2025-05-02", world.clock.now())
    correct_candle(world, near, "1h", midnight, actor="ann", reason="the coin was cut into a thousand")
    assert Ingest.of(world).candles_day("2025-05-02", world.clock.now()).inserted > 0
    found = {result.name: result for result in examine_candles(world, "2025-05-02")}["outlier_moves"]
    assert not found.passed
    bar = found.cases.row(0, named=True)
    assert (bar["symbol"], bar["ts"], bar["close"]) == (near, midnight, 13.50102)
    assert bar["move_bps"] == pytest.approx((13.50102 / 0.01345 - 1) * 10_000, abs=0.01)


def test_bars_of_an_older_price_step_are_named_with_the_unit_that_holds_them(case) -> None:
    world = case("older-price-step", "2021-03-02")
    found = {result.name: result for result in examine_candles(world, "2021-03-02")}["off_unit"]
    assert (found.passed, found.severity) == (False, "error")
    first = (
        "the first is BTC/USDT:USDT 15m of 2021-03-02T00:00Z: its price 49681.98 is no multiple of the price unit 0.1"
    )
    assert first in found.sentence
    assert "give BTC/USDT:USDT the price_unit 0.01 (an archive: in its instruments.yaml)" in found.sentence
    refused = Ingest.of(world).candles_day("2021-03-02", world.clock.now()).refused[0]
    assert first in str(refused.problem)
