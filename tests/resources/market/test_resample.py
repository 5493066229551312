from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from openclaw_pipelines.contracts.time import INTERVALS
from openclaw_pipelines.resources.market.base import CANDLE_COLUMNS, PARTS_COLUMNS, published
from openclaw_pipelines.resources.market.resample import best_of, divides, parts_window, resample

T0 = datetime(2025, 5, 10, tzinfo=UTC)
LATER = T0 + timedelta(days=9)


def minutes(*rows: tuple) -> pl.DataFrame:
    """Rows of minute, open, high, low, close, volume and, if it is, synthetic."""
    names = [name for name in CANDLE_COLUMNS if name not in PARTS_COLUMNS]
    kinds = [pl.String] * 3 + [pl.Datetime("us", "UTC")] + [pl.Float64] * 5 + [pl.Boolean]
    bars = pl.DataFrame(
        [("s", "BTC/USDT", "1m", T0 + timedelta(minutes=row[0]), *row[1:6], len(row) > 6) for row in rows],
        schema=dict(zip(names, kinds, strict=True)),
        orient="row",
    )
    return published(bars)


TABLE = minutes(
    (0, 10.0, 12.0, 9.0, 11.0, 1.0),
    (1, 11.0, 15.0, 11.0, 14.0, 2.0),
    (4, 14.0, 14.0, 8.0, 9.0, 0.5),
    # 5 to 9 absent
    (12, 7.0, 7.0, 7.0, 7.0, 0.0, True),
    (16, 6.0, 6.5, 5.0, 5.5, 3.0),
    (17, 5.5, 5.5, 5.5, 5.5, 0.0, True),
)


@pytest.mark.parametrize(
    ("interval", "as_of_minute", "expected"),
    [
        pytest.param(
            "5m",
            60,
            [
                (0, 10.0, 15.0, 8.0, 9.0, 3.5, False),
                (10, 7.0, 7.0, 7.0, 7.0, 0.0, True),
                (15, 6.0, 6.5, 5.0, 5.5, 3.0, False),
            ],
            id="a bar without parts is absent",
        ),
        pytest.param(
            "15m",
            60,
            [(0, 10.0, 15.0, 7.0, 7.0, 3.5, False), (15, 6.0, 6.5, 5.0, 5.5, 3.0, False)],
            id="a bar is built from the parts that exist",
        ),
        pytest.param("15m", 29, [(0, 10.0, 15.0, 7.0, 7.0, 3.5, False)], id="an open bar is left out"),
        pytest.param(
            "15m",
            30,
            [(0, 10.0, 15.0, 7.0, 7.0, 3.5, False), (15, 6.0, 6.5, 5.0, 5.5, 3.0, False)],
            id="a bar is there when it closes",
        ),
        pytest.param("1h", 59, [], id="nothing is closed"),
    ],
)
def test_resample_equals_a_hand_table(interval, as_of_minute, expected):
    built = resample(TABLE, interval, T0 + timedelta(minutes=as_of_minute))
    assert built.columns == CANDLE_COLUMNS
    assert set(built["interval"]) <= {interval}
    rows = built.select("ts", "open", "high", "low", "close", "volume", "is_synthetic").rows()
    assert rows == [(T0 + timedelta(minutes=row[0]), *row[1:]) for row in expected]


def test_resampling_twice_equals_once():
    assert resample(resample(TABLE, "5m", LATER), "15m", LATER).equals(resample(TABLE, "15m", LATER))


HOUR = [(5 * n, 180.0, 181.0, 146.57 if n == 6 else 176.04, 180.0 + n, 1.0) for n in range(12)]


@pytest.mark.parametrize(
    ("absent", "told", "open_", "low"),
    [
        pytest.param((), (12, 12, True), 180.0, 146.57, id="whole"),
        pytest.param((0,), (11, 12, False), 180.0, 146.57, id="without the first there is no open"),
        pytest.param((6,), (11, 12, True), 180.0, 176.04, id="without the extreme it says so"),
        pytest.param((11,), (11, 12, True), 180.0, 146.57, id="without the last"),
        pytest.param(range(1, 12), (1, 12, True), 180.0, 176.04, id="the first alone"),
    ],
)
def test_an_hour_says_how_many_of_its_parts_are_there(absent, told, open_, low):
    parts = minutes(*[row for n, row in enumerate(HOUR) if n not in absent]).with_columns(interval=pl.lit("5m"))
    built = resample(parts, "1h", LATER)
    assert built.select(PARTS_COLUMNS).rows() == [told]
    assert built.select("open", "low").rows() == [(open_, low)]


def test_a_synthetic_part_is_none():
    told = resample(TABLE, "5m", LATER).select(PARTS_COLUMNS).rows()
    assert told == [(3, 5, True), (0, 5, False), (1, 5, False)]


def test_of_two_ways_to_build_a_bar_the_one_with_most_of_its_parts_is_taken():
    lacking = resample(minutes(*HOUR[:3]).with_columns(interval=pl.lit("5m")), "1h", LATER)
    quarters = [(15 * n, 180.0, 181.0, 146.57, 180.0, 3.0) for n in range(4)]
    whole = resample(minutes(*quarters).with_columns(interval=pl.lit("15m")), "1h", LATER)
    assert best_of([lacking, whole]).equals(whole)
    assert best_of([whole.with_columns(volume=1.0), whole])["volume"].to_list() == [1.0]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        pytest.param(0, 60, (0, 60), id="on the grid"),
        pytest.param(1, 61, (15, 75), id="a bar opens in the window and closes after it"),
        pytest.param(1, 2, (15, 15), id="no bar opens in the window"),
    ],
)
def test_parts_window(start, end, expected):
    window = parts_window("15m", T0 + timedelta(minutes=start), T0 + timedelta(minutes=end))
    assert window == tuple(T0 + timedelta(minutes=minute) for minute in expected)


def test_every_interval_is_tiled_by_minutes_and_by_itself():
    assert all(divides("1m", interval) and divides(interval, interval) for interval in INTERVALS)
    assert {lower for lower in INTERVALS if divides(lower, "1h")} == {"1m", "3m", "5m", "15m", "30m", "1h"}
