"""What no bar, rate and time can be: the rules that files, exchanges and the checks of the store share."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from openclaw_pipelines.contracts.bounds import MOST_FUNDING_RATE
from openclaw_pipelines.contracts.schema import SchemaError
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.domain.market.quality.bounds import BROKEN_BAR, BROKEN_RATE, broken, out_of_time
from openclaw_pipelines.domain.market.quality.units import off_unit_words, usable
from openclaw_pipelines.kernel.base import money

NOW = datetime(2025, 5, 10, 13, tzinfo=UTC)
BAR = {"open": 100.0, "high": 101.0, "low": 99.0, "close": 100.5, "volume": 1.0}
INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        pytest.param({}, None, id="ordinary"),
        pytest.param({"volume": 0.0}, None, id="no trades"),
        pytest.param({"open": 1e12, "high": 1e12, "low": 1e-12, "close": 1e-12}, None, id="the very bounds"),
        pytest.param({"high": INF}, "no finite number", id="endless high"),
        pytest.param({"low": NAN}, "no finite number", id="no number"),
        pytest.param({"volume": INF}, "no finite number", id="endless volume"),
        pytest.param({"low": 0.0}, "not above 0", id="price of zero"),
        pytest.param({"low": -1.0}, "not above 0", id="price below zero"),
        pytest.param({"high": 1e300}, "outside 1e-12 to 1e", id="beyond any price"),
        pytest.param({"low": 1e-300}, "outside 1e-12 to 1e", id="below any price"),
        pytest.param({"volume": -1.0}, "volume is negative", id="negative volume"),
        pytest.param({"volume": 1e19}, "volume is above", id="more than any coin has"),
        pytest.param({"high": 100.2}, "high is not the highest", id="high below close"),
        pytest.param({"low": 100.2}, "low is not the lowest", id="low above open"),
    ],
)
def test_a_bar_that_cannot_be_is_named_and_no_table_takes_it(change: dict[str, float], what: str | None) -> None:
    found = broken(pl.DataFrame([BAR, {**BAR, **change}]), BROKEN_BAR)
    assert (found is None) == (what is None)
    row = {**BAR, **change, "source": "s", "symbol": "A/B", "interval": "1h", "ts": NOW, "is_synthetic": False,
           "has_open": True}  # fmt: skip
    if found is None:
        assert TABLES["candles"].frame([{**row, "ingested_at": NOW}]).height == 1
    else:
        assert (found.row, what in found.what) == (1, True)
        with pytest.raises(SchemaError):
            TABLES["candles"].frame([{**row, "ingested_at": NOW}])


@pytest.mark.parametrize(
    ("rate", "holds"),
    [(0.09, True), (-0.09, True), (0.0, True), (0.0901, False), (-0.12, False), (1e6, False), (NAN, False)],
)
def test_a_funding_rate_is_what_the_kernel_can_charge(rate: float, holds: bool) -> None:
    assert (broken(pl.DataFrame({"funding_rate": [rate]}), BROKEN_RATE) is None) == holds


def test_the_largest_rate_is_the_kernels() -> None:
    assert Decimal(str(MOST_FUNDING_RATE)) == money.MAX_RATE * money.RATE_UNIT


@pytest.mark.parametrize(
    ("at", "row"),
    [
        pytest.param(NOW, None, id="now"),
        pytest.param(NOW + timedelta(hours=30), None, id="tomorrow, by a clock that is ahead"),
        pytest.param(datetime(2025, 5, 12, tzinfo=UTC), 1, id="the day after"),
        pytest.param(datetime(2090, 1, 1, tzinfo=UTC), 1, id="2090"),
        pytest.param(datetime(2009, 1, 2, tzinfo=UTC), 1, id="before the first block"),
    ],
)
def test_a_time_is_one_that_there_was(at: datetime, row: int | None) -> None:
    assert out_of_time(pl.Series([NOW, at], dtype=pl.Datetime("us", "UTC")), NOW) == row


def test_usable_bars_lie_on_their_unit_and_contradict_nothing() -> None:
    rows = [BAR, {**BAR, "close": 100.55}, {**BAR, "high": INF}, {**BAR, "volume": INF}, {**BAR, "high": 100.0}]
    frame = pl.DataFrame(rows).with_columns(symbol=pl.lit("A/B"))
    assert usable(frame, {"A/B": Decimal("0.1")}).rows() == frame.head(1).rows()
    assert usable(frame, {}).rows() == frame.head(2).rows()  # without an instrument no unit is judged


@pytest.mark.parametrize(
    ("price", "unit", "says"),
    [
        pytest.param(49681.98, "0.1", r"49681\.98 is no .* price unit 0\.1\..*unit 0\.01 ", id="older step"),
        pytest.param(7.123e-06, "1e-8", r"7\.123e-06 .* unit 0\.00000001\..*unit 0\.000000001 ", id="nine decimals"),
        pytest.param(100 / 3, "0.1", r"33\.3333.*missing: use `openclaw candles correct`", id="an average"),
    ],
)
def test_what_is_said_of_bars_off_their_unit(price: float, unit: str, says: str) -> None:
    bar = {**BAR, **dict.fromkeys(("open", "high", "low", "close"), price), "symbol": "A/B"}
    frame = pl.DataFrame([bar]).with_columns(interval=pl.lit("15m"), ts=pl.lit(NOW))
    words = off_unit_words(frame, {"A/B": Decimal(unit)})
    assert words.startswith("the first is A/B 15m of 2025-05-10T13:00Z: its price")
    assert re.search(says, words)
