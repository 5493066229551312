"""What a cycle reads of the store is what ticks would read of it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from factory_scene import RECIPE, SYMBOLS

from openclaw_pipelines.domain.trading.inputs import bars_by_tick
from openclaw_pipelines.kernel.base.layout import BarState
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.services.factory.cycle import Cycle

NOON = datetime(2025, 3, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("change", ["close = close + 0.00001", "high = 'infinity'", "volume = 'infinity'"])
def test_a_bar_that_money_cannot_take_is_missing_in_a_sweep_as_it_is_in_ticks(edge_market, copy, change) -> None:
    scene, spoiled = copy(edge_market), SYMBOLS[0]
    where = "WHERE symbol = ? AND interval = '1h' AND ts = ?"
    scene.sql("market", f"UPDATE candles SET {change} {where}", [spoiled, NOON])
    data = Cycle(scene.world, RECIPE).data
    bars = data.bars(0)
    first = datetime.fromtimestamp(int(bars.times[0]), UTC)
    args = (scene.world.store, data.source, SYMBOLS)
    stored = market_tables.candles(*args, "1h", first, data.whole.end)
    ticks = bars_by_tick(stored, market_tables.funding_rates(*args, first, data.whole.end).clear(), data.deployment)
    missing = bars.matrices.bar_state == BarState.MISSING
    absent = np.array(
        [[name not in ticks.get(first + (n + 1) * HOUR, {}) for name in bars.symbols] for n in range(len(bars.times))]
    )
    assert np.array_equal(missing, absent)
    assert [bars.symbols[column] for column in np.flatnonzero(missing[(NOON - first) // HOUR])] == [spoiled]
