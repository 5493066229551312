"""The grid of ticks, and what a walk keeps to commit."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from openclaw_pipelines.services.trading.walk import ticks_between

MIDNIGHT = datetime(2025, 5, 10, tzinfo=UTC)
QUARTER, HOUR = timedelta(minutes=15), timedelta(hours=1)


@pytest.mark.parametrize(
    ("after", "until", "length", "expected"),
    [
        pytest.param(timedelta(0), timedelta(days=1), HOUR, 24, id="a day: the last one at the next midnight"),
        pytest.param(timedelta(0), timedelta(0), HOUR, 0, id="nothing has closed"),
        pytest.param(timedelta(0), HOUR - timedelta(seconds=1), HOUR, 0, id="the bar is still open"),
        pytest.param(timedelta(0), HOUR, HOUR, 1, id="it closes now"),
        pytest.param(timedelta(minutes=20), HOUR, QUARTER, 3, id="after a time off the grid"),
        pytest.param(HOUR, HOUR / 2, QUARTER, 0, id="the clock went back"),
    ],
)
def test_ticks(after: timedelta, until: timedelta, length: timedelta, expected: int) -> None:
    ticks = ticks_between(MIDNIGHT + after, MIDNIGHT + until, length)
    assert len(ticks) == expected
    assert all(
        MIDNIGHT + after < tick <= MIDNIGHT + until and (tick - MIDNIGHT) % length == timedelta(0) for tick in ticks
    )
    assert {later - earlier for earlier, later in pairwise(ticks)} <= {length}


def test_the_inception_is_recorded_with_the_bars_it_was_warmed_on(desk: Any) -> None:
    trading = desk("recorded")
    first = trading.rows("autopilot_ticks", "momentum_1h").sort("tick_at").row(0, named=True)
    recorded = trading.rows("tick_inputs", "momentum_1h").sort("tick_at").row(0, named=True)
    warm = trading.ledger("momentum_1h").head().deployment.warmup_bars
    assert (first["status"], first["tick_at"]) == ("inception", MIDNIGHT)
    assert recorded["bars"].count("+00:00") == warm
    assert recorded["bars_hash"] != "0" * 64
