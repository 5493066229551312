"""Names of instruments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_pipelines.contracts.enums import MarketType
from openclaw_pipelines.contracts.symbols import (
    UnknownSymbolError,
    base_and_quote,
    market_type,
    normalize,
    symbol_of,
)

CODE = st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=8)
SYMBOL = st.builds(symbol_of, CODE, CODE, st.sampled_from(MarketType))


@given(base=CODE, quote=CODE)
def test_spot_and_perpetual_never_meet_in_a_key(base: str, quote: str) -> None:
    spot, perp = symbol_of(base, quote, MarketType.SPOT), symbol_of(base, quote, MarketType.LINEAR)
    assert normalize(perp) == f"{normalize(spot)}-PERP"
    assert (market_type(spot), market_type(perp)) == (MarketType.SPOT, MarketType.LINEAR)
    assert base_and_quote(spot) == base_and_quote(perp) == (base, quote)


@pytest.mark.parametrize(
    "symbol",
    [
        pytest.param("BTCUSDT", id="normalised"),
        pytest.param("btc/usdt", id="lower case"),
        pytest.param("BTC/USD:BTC", id="inverse"),
        pytest.param("BTC/USDT:USDC", id="settled elsewhere"),
        pytest.param("BTC/USDT:USDT-250627", id="dated future"),
        pytest.param("BTC/USDT\n", id="line break"),
        pytest.param(" BTC/USDT", id="space"),
        pytest.param("", id="empty"),
        pytest.param("/USDT", id="no base"),
        pytest.param("\u0412TC/USDT", id="cyrillic letter"),
        pytest.param("BTC/USDT:", id="no settle currency"),
    ],
)
def test_an_unknown_form_is_an_error(symbol: str) -> None:
    for use in (normalize, market_type, base_and_quote):
        with pytest.raises(UnknownSymbolError):
            use(symbol)
