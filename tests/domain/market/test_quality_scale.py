"""Bars of another scale than those before them."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from openclaw_pipelines.domain.market.quality.scale import jumps

START = datetime(2025, 5, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def bars(*middles: float, **changes: float) -> pl.DataFrame:
    """A bar an hour, a hundredth wide; `changes` replaces values of the second."""
    rows = [
        {"ts": START + n * HOUR, "open": at, "high": at * 1.01, "low": at / 1.01, "close": at}
        for n, at in enumerate(middles)
    ]
    rows[1:2] = [{**row, **changes} for row in rows[1:2]]
    return pl.DataFrame(rows)


def stored(**closes: float) -> pl.DataFrame:
    """Closes by hour after the start: h1 is 01:00, b1 the hour before it."""
    at = {name: START + int(name[1:]) * HOUR * (-1 if name[0] == "b" else 1) for name in closes}
    rows = sorted((at[name], close) for name, close in closes.items())
    return pl.DataFrame(rows, schema={"ts": pl.Datetime("us", "UTC"), "close": pl.Float64}, orient="row")


@pytest.mark.parametrize(
    ("given", "before", "refused"),
    [
        pytest.param(bars(100, 101), stored(), [], id="nothing stored, in scale"),
        pytest.param(bars(100, 101), stored(b1=99), [], id="goes on"),
        pytest.param(bars(100, 101), stored(b1=0.1), [0, 1], id="a thousand times the stored"),
        pytest.param(bars(100, 101), stored(b1=100_000), [0, 1], id="a thousandth of the stored"),
        pytest.param(bars(100, 102_000, 103), stored(b1=99), [1], id="one bar of another scale"),
        pytest.param(bars(100, 0.1, 0.1), stored(b1=99), [1, 2], id="another scale from a bar on"),
        pytest.param(bars(100, 9, 8.9), stored(b1=99), [1, 2], id="a tenth, without having passed through"),
        pytest.param(bars(100, 9, 8.9, high=101), stored(b1=99), [], id="a crash reaches back to the close before"),
        pytest.param(bars(100, 900), stored(b1=99), [], id="nine times is a move"),
        pytest.param(bars(100, 101, high=99_000), stored(b1=99), [], id="a wick of 990 times"),
        pytest.param(bars(100, 101, high=101_000), stored(b1=99), [1], id="a wick of 1,010 times"),
        pytest.param(bars(100, 101, low=0.09), stored(b1=99), [1], id="a wick down to a thousandth"),
        pytest.param(bars(100, 0.1, 0.1), stored(b1=99, h1=0.1), [], id="a stored bar vouches for its scale"),
        pytest.param(bars(100, 0.1, 100), stored(b1=99, h1=0.1), [2], id="and the old scale is then the other one"),
    ],
)
def test_bars_of_another_scale_are_found(given: pl.DataFrame, before: pl.DataFrame, refused: list[int]) -> None:
    assert [own.row for own in jumps(given, before)] == refused


def test_a_jump_says_how_far_and_from_where() -> None:
    [jump] = jumps(bars(100, 100_000, 100), stored(b1=99))
    assert jump.before == 100
    assert jump.factor == pytest.approx(100_000 / 1.01 / 100)
