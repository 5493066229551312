"""Instruments out of the store's rows."""

from dataclasses import replace
from decimal import Decimal as Dec
from typing import Any

import pytest

from openclaw_pipelines.domain.market.instruments import Instrument, MissingInstrumentError, instruments_of


@pytest.fixture
def rows(instrument: Any) -> list[dict[str, Any]]:
    return [{**instrument(symbol).payload(), "source": "simulated"} for symbol in ("AAA/USDT:USDT", "BBB/USDT")]


def test_in_the_order_asked_for(rows: list[dict[str, Any]], instrument: Any) -> None:
    found = instruments_of("simulated", ["BBB/USDT", "AAA/USDT:USDT"], rows)
    assert found == tuple(replace(instrument(name), source="simulated") for name in ("BBB/USDT", "AAA/USDT:USDT"))
    assert [item.is_perp for item in found] == [False, True]


@pytest.mark.parametrize(
    ("source", "symbol"),
    [pytest.param("simulated", "CCC/USDT", id="symbol"), pytest.param("ccxt", "BBB/USDT", id="source")],
)
def test_a_missing_one_is_named(rows: list[dict[str, Any]], source: str, symbol: str) -> None:
    with pytest.raises(MissingInstrumentError, match=f"{source} has no instrument '{symbol}'"):
        instruments_of(source, [symbol], rows)


def test_text_becomes_decimals(instrument: Any) -> None:
    values = {
        name: str(value) if isinstance(value, Dec) else value
        for name, value in instrument("BBB/USDT").payload().items()
    }
    assert Instrument.from_payload(values) == instrument("BBB/USDT")
