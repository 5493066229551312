"""Prices between two steps of their instrument."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from openclaw_pipelines.contracts.config.market import Quality
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.domain.market.quality.rows import off_unit
from openclaw_pipelines.domain.market.quality.window import Window

DAY = datetime(2025, 5, 10, tzinfo=UTC)


def window(units, **changes) -> Window:
    bar = {"source": "s", "interval": "1h", "open": 10.5, "high": 11.0, "low": 10.0, "close": 10.5, "volume": 1.0}
    shared = {**bar, "is_synthetic": False, "has_open": True, "ingested_at": DAY}
    rows = [
        {**shared, "symbol": name, "ts": DAY + timedelta(hours=n)} for name in ("A/USDT", "B/USDT") for n in range(3)
    ]
    rows[1] |= changes
    candles = pl.DataFrame(rows, schema=TABLES["candles"].polars_schema, orient="row")
    day = {"symbols": ["A/USDT", "B/USDT"], "intervals": ["1h"], "start": DAY, "end": DAY + timedelta(days=1)}
    return Window(candles, **day, as_of=DAY + timedelta(days=9), quality=Quality(), price_units=units)


@pytest.mark.parametrize(
    ("unit", "changes", "found"),
    [
        pytest.param("0.1", {}, False, id="on the unit"),
        pytest.param("0.1", {"close": 10.55}, True, id="half a unit"),
        pytest.param("0.1", {"low": 9.9999}, True, id="a thousandth of a unit"),
        pytest.param("0.1", {"close": 0.1 + 0.2 + 10.0}, False, id="what a float cannot say"),
        pytest.param("0.25", {"high": 11.25}, False, id="a unit that is no power of ten"),
        pytest.param("0.25", {"high": 11.3}, True, id="off such a unit"),
        pytest.param("0.1", {"close": float("nan")}, False, id="no number at all is another check's"),
        pytest.param("0.1", {"close": -0.55}, False, id="a price below zero too"),
    ],
)
def test_bars_off_their_unit_are_listed(unit, changes, found):
    finding = off_unit(window({"A/USDT": Decimal(unit)}, **changes))
    assert finding.cases.height == int(found)
    assert finding.facts == {"off_unit_bars": int(found)}
    if found:
        row = finding.cases.row(0, named=True)
        assert (row["symbol"], row["ts"], row["price_unit"]) == ("A/USDT", DAY + timedelta(hours=1), unit)


def test_symbols_without_an_instrument_are_not_judged():
    assert off_unit(window({}, close=10.55)).cases.is_empty()
    assert off_unit(window({"B/USDT": Decimal("0.1")}, close=10.55)).cases.is_empty()


def test_most_bars_off_the_unit_mean_that_the_unit_is_wrong():
    one, all_of_it = window({"A/USDT": Decimal("0.1")}, close=10.55), window({"A/USDT": Decimal("0.3")})
    assert [off_unit(own).severity for own in (one, all_of_it)] == [None, "error"]
    assert "give A/USDT the price_unit 0.1 " in off_unit(all_of_it).sentence
