"""Names of instruments, there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_pipelines.contracts.enums import MarketType
from openclaw_pipelines.contracts.symbols import (
    UnknownSymbolError,
    base_and_quote,
    denormalize,
    market_type,
    normalize,
    symbol_of,
)

CODE = st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=8)
SYMBOL = st.builds(symbol_of, CODE, CODE, st.sampled_from(MarketType))


@given(known=st.lists(SYMBOL, min_size=1, max_size=8, unique=True), at=st.integers(0, 7))
def test_there_and_back_over_the_known_instruments(known: list[str], at: int) -> None:
    """The one instrument, or an error where two share a name; never another one."""
    symbol = known[at % len(known)]
    twins = [other for other in known if normalize(other) == normalize(symbol)]
    if len(twins) == 1:
        assert denormalize(normalize(symbol), known) == symbol
    else:
        with pytest.raises(UnknownSymbolError, match="several instruments have it"):
            denormalize(normalize(symbol), known)


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


def test_a_name_that_no_instrument_has() -> None:
    with pytest.raises(UnknownSymbolError, match="no known instrument has this name"):
        denormalize("BTCUSDT", ["BTC/USDT:USDT"])
