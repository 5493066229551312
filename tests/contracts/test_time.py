"""Time words."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_pipelines.contracts.time import (
    DAY,
    INTERVALS,
    NaiveTimeError,
    UnknownDayError,
    UnknownIntervalError,
    day_start,
    floor_to,
    interval_length,
    partition_of,
    utc,
)

TIMES = st.integers(0, 4_102_444_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@pytest.mark.parametrize("interval", INTERVALS)
def test_every_interval_divides_a_day(interval: str) -> None:
    assert DAY % interval_length(interval) == timedelta(0)
    number, unit = int(interval[:-1]), {"m": 60, "h": 3_600, "d": 86_400}[interval[-1]]
    assert interval_length(interval).total_seconds() == number * unit


@pytest.mark.parametrize("interval", ["7m", "1H", "", "1w"])
def test_an_unknown_interval(interval: str) -> None:
    with pytest.raises(UnknownIntervalError, match="Known: 1m, 3m, 5m"):
        interval_length(interval)


@given(at=TIMES, interval=st.sampled_from(sorted(INTERVALS)))
def test_floor(at: datetime, interval: str) -> None:
    length = interval_length(interval)
    floor = floor_to(at, length)
    assert floor <= at < floor + length
    assert int(floor.timestamp()) % int(length.total_seconds()) == 0


@pytest.mark.parametrize(
    ("tick", "interval", "day"),
    [
        pytest.param("2025-05-11T00:00", "1h", "2025-05-10", id="00:00 closes yesterday"),
        pytest.param("2025-05-11T00:15", "15m", "2025-05-11", id="the first tick of a day"),
        pytest.param("2025-05-11T23:59", "1m", "2025-05-11", id="the last but one"),
        pytest.param("2025-05-12T00:00", "1d", "2025-05-11", id="a whole day"),
        pytest.param("2025-01-01T00:00", "1h", "2024-12-31", id="a year's end"),
    ],
)
def test_partition_of_a_tick(tick: str, interval: str, day: str) -> None:
    assert partition_of(datetime.fromisoformat(tick).replace(tzinfo=UTC), interval) == day


@pytest.mark.parametrize("day", ["2025-5-1x", "20250510", "2025-05-32", "2025-5-1", ""])
def test_a_day_that_is_none(day: str) -> None:
    with pytest.raises(UnknownDayError, match="is not a day"):
        day_start(day)


def test_utc() -> None:
    there = datetime(2025, 5, 10, 5, tzinfo=timezone(timedelta(hours=2)))
    assert utc(there, "here").isoformat() == "2025-05-10T03:00:00+00:00"
    with pytest.raises(NaiveTimeError, match="here holds"):
        utc(datetime(2025, 5, 10), "here")  # noqa: DTZ001
