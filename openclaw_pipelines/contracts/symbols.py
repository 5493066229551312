"""Names of instruments: stored and shown as ccxt writes them, normalised for keys.

`BTC/USDT` is spot and normalises to `BTCUSDT`; `BTC/USDT:USDT` is a linear perpetual and normalises to `BTCUSDT-PERP`.
A normalised name alone does not say where the base ends, so there is no way back from it.
"""

import re

from openclaw_pipelines.contracts.enums import MarketType
from openclaw_pipelines.contracts.errors import ContractError

_SYMBOL = re.compile(r"(?P<base>[A-Z0-9]+)/(?P<quote>[A-Z0-9]+)(?::(?P<settle>[A-Z0-9]+))?", re.ASCII)


class UnknownSymbolError(ContractError):
    """A symbol in a form that is neither spot nor linear perpetual."""

    template = "unknown symbol {symbol!r}: {why}. Use BASE/QUOTE for spot or BASE/QUOTE:QUOTE for a linear perpetual."
    symbol: str
    why: str


def market_type(symbol: str) -> MarketType:
    """Market type that the ccxt name states.

    >>> market_type("BTC/USDT:USDT").value
    'linear'
    """
    return MarketType.LINEAR if _parts(symbol)[2] else MarketType.SPOT


def base_and_quote(symbol: str) -> tuple[str, str]:
    """Base and quote currency of a ccxt name.

    >>> base_and_quote("BTC/USDT:USDT")
    ('BTC', 'USDT')
    """
    base, quote, _ = _parts(symbol)
    return base, quote


def normalize(symbol: str) -> str:
    """Name used in keys.

    >>> normalize("BTC/USDT"), normalize("BTC/USDT:USDT")
    ('BTCUSDT', 'BTCUSDT-PERP')
    """
    base, quote, settle = _parts(symbol)
    return f"{base}{quote}-PERP" if settle else f"{base}{quote}"


def symbol_of(base: str, quote: str, kind: MarketType) -> str:
    """Ccxt name of a pair.

    >>> symbol_of("BTC", "USDT", MarketType.LINEAR)
    'BTC/USDT:USDT'
    """
    symbol = f"{base}/{quote}:{quote}" if kind is MarketType.LINEAR else f"{base}/{quote}"
    _parts(symbol)
    return symbol


def _parts(symbol: str) -> tuple[str, str, str | None]:
    match = _SYMBOL.fullmatch(symbol)
    if match is None:
        raise UnknownSymbolError(symbol, "not of a known form")
    if match["settle"] and match["settle"] != match["quote"]:
        raise UnknownSymbolError(symbol, "settled in another currency than its quote, as inverse contracts are")
    return match["base"], match["quote"], match["settle"]
