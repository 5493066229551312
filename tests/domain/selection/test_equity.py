"""Day-end equities: the tick at midnight closes yesterday, ruin is ruin, and whole rows agree with one."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from domain.selection.controls import FIRST, walk_bars

from openclaw_pipelines.domain.evaluation.statistics import daily_returns as decimal_returns
from openclaw_pipelines.domain.selection.equity import EquityShapeError, daily_returns, day_end_equity
from openclaw_pipelines.kernel.run.replay import replay
from openclaw_pipelines.kernel.strategy.params import params_record


def test_day_end_is_the_equity_of_the_tick_at_midnight() -> None:
    result = replay(walk_bars(24 * 3 + 5), params_record("breakout", {"channel_entry": 12, "channel_exit": 6}, 3_600))
    frame = result.equity
    ends = [FIRST + timedelta(days=d) for d in (1, 2, 3)]
    expected = [frame.filter(pl.col("tick_at") == end)["equity"][0] for end in ends] + [frame["equity"][-1]]
    assert [Decimal(int(atoms)).scaleb(-8) for atoms in day_end_equity(result)] == expected
    assert len(set(expected)) > 1


def test_returns_are_those_of_the_ledgers_statistics() -> None:
    equity = np.array([[110, 99, 120], [100, 100, 90]], np.int64)
    for row in range(2):
        expected = decimal_returns([Decimal(100), *map(Decimal, equity[row].tolist())])
        assert daily_returns(equity, 100)[row].tolist() == pytest.approx(expected, abs=1e-15)
        assert daily_returns(equity[row], 100).tolist() == daily_returns(equity, 100)[row].tolist()


@pytest.mark.parametrize("equity", [
    pytest.param(np.array([1.0, 2.0]), id="floats"),
    pytest.param(np.zeros((2, 0), np.int64), id="no days"),
    pytest.param(np.zeros((1, 1, 1), np.int64), id="a cube"),
])  # fmt: skip
def test_named_error(equity) -> None:
    with pytest.raises(EquityShapeError):
        daily_returns(equity, 100)
