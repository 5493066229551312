"""What the name of an archive file says: symbol, interval, kind, format and, sometimes, the market type.

Reading the file is in `readers`. Names that do not say enough are errors, never guesses.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

from openclaw_pipelines.contracts.enums import MarketType
from openclaw_pipelines.contracts.symbols import symbol_of
from openclaw_pipelines.contracts.time import INTERVALS
from openclaw_pipelines.resources.market.archive.errors import (
    AmbiguousPairError,
    UnknownFileNameError,
    UnknownMarketTypeError,
)


class Kind(StrEnum):
    """What a file holds. Only candles and funding are read."""

    CANDLES = "candles"
    FUNDING = "funding"
    OTHER = "other"


class Format(StrEnum):
    """How a file is written."""

    PARQUET = "parquet"
    BINANCE = "Binance Vision CSV"
    BINANCE_ZIP = "Binance Vision zip"
    FEATHER = "freqtrade feather"
    JSON = "freqtrade JSON"
    JSON_GZ = "freqtrade JSON, gzipped"
    KRAKEN = "Kraken CSV"


@dataclass(frozen=True)
class FileName:
    """What a name says. `market_type` is empty where only folder or setting can tell, `interval` for funding.

    holds: what a file of another kind holds.
    """

    base: str
    quote: str
    kind: Kind
    format: Format
    interval: str | None = None
    market_type: MarketType | None = None
    holds: str = ""

    def symbol(self, kind: MarketType) -> str:
        """Ccxt name of the pair in a market of that type."""
        return symbol_of(self.base, self.quote, kind)


SUFFIXES = (".parquet", ".csv", ".zip", ".feather", ".json", ".json.gz")
_PARQUET = re.compile(r"([A-Z0-9]+)-([A-Z0-9]+)_(funding|\d+[a-z]+)(?:_(\d{8})_(\d{8}))?\.parquet", re.ASCII)
_BINANCE = re.compile(r"([A-Z0-9]+)-(fundingRate|\d+[a-z]+)-(\d{4}-\d{2}(?:-\d{2})?)\.(csv|zip)", re.ASCII)
_FREQTRADE = re.compile(
    r"(?:[a-z0-9]+_)?([A-Z0-9]+)_([A-Z0-9]+)(?:_([A-Z0-9]+))?-(\d+[a-zA-Z]+)(?:-([a-z_]+))?(?:\.\w+)?\.(feather|json|json\.gz)",
    re.ASCII,
)
_KRAKEN = re.compile(r"([A-Z0-9]+)_(trades|\d+[a-z]*)(?:_(\d{8})_(\d{8}))?\.csv", re.ASCII)
_DELIVERY = re.compile(r"([A-Z0-9]+)_(\d{6}|PERP)-\w+-\d{4}-\d{2}(?:-\d{2})?\.(?:csv|zip)", re.ASCII)
_KRAKEN_MINUTES = {"1": "1m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "240": "4h", "720": "12h", "1440": "1d"}
_KRAKEN_NAMES = {"XBT": "BTC", "XDG": "DOGE"}
_FREQTRADE_FORMATS = {"feather": Format.FEATHER, "json": Format.JSON, "json.gz": Format.JSON_GZ}
_UNREAD_INTERVALS = frozenset({"1s", "3d", "1w", "2w", "1mo", "1M", "1y", "10080", "21600"})
"""Intervals that venues publish and that do not divide a UTC day into bars of whole minutes."""
_LINEAR_WORDS = frozenset({"usdm", "um", "perp", "perps", "perpetual", "linear", "futures", "swap"})
_SPOT_WORDS = frozenset({"spot"})


def parse_name(file: str, quotes: Iterable[str], known: Iterable[str] = ()) -> FileName:
    """What `file` says by its name.

    quotes: quote currencies that may end a pair written in one word. known: symbols that settle an ambiguous pair.
    Raises UnknownFileNameError.

    >>> name = parse_name("BTCUSDT-1m-2025-02.zip", ["USDT", "BTC"])
    >>> name.base, name.quote, name.interval, name.format.value
    ('BTC', 'USDT', '1m', 'Binance Vision zip')
    >>> parse_name("BTC_USDT_USDT-5m-futures.feather", []).market_type.value
    'linear'
    """
    if match := _PARQUET.fullmatch(file):
        base, quote, what = match.group(1, 2, 3)
        _refuse_impossible_days(file, match.group(4, 5))
        return _name(file, base, quote, what, Format.PARQUET)
    if match := _BINANCE.fullmatch(file):
        base, quote = split_pair(file, match[1], quotes, known)
        _refuse_impossible_days(file, [match[3] if match[3].count("-") > 1 else f"{match[3]}-01"])
        what = "funding" if match[2] == "fundingRate" else match[2]
        named = _name(file, base, quote, what, Format.BINANCE if match[4] == "csv" else Format.BINANCE_ZIP)
        # only perpetuals have funding
        return FileName(**{**vars(named), "market_type": MarketType.LINEAR}) if named.kind is Kind.FUNDING else named
    if match := _FREQTRADE.fullmatch(file):
        return _freqtrade_name(file, match)
    if match := _KRAKEN.fullmatch(file):
        base, quote = split_pair(file, _plain_kraken_pair(match[1]), quotes, known)
        _refuse_impossible_days(file, match.group(3, 4))
        if match[2] == "trades":
            return FileName(base, quote, Kind.OTHER, Format.KRAKEN, holds="trades")
        return _name(file, base, quote, _KRAKEN_MINUTES.get(match[2], match[2]), Format.KRAKEN)
    if match := _DELIVERY.fullmatch(file):
        contract = "inverse" if match[2] == "PERP" else "dated"
        return FileName(match[1], "", Kind.OTHER, Format.BINANCE, holds=f"bars of a contract that is {contract}")
    raise UnknownFileNameError(file, "symbol and interval cannot be told from the name")


def _refuse_impossible_days(file: str, days: Iterable[str | None]) -> None:
    """Days and months of a name that no calendar has, as 2025-99."""
    for day in days:
        try:
            date.fromisoformat(day or "20250101")
        except ValueError as error:
            raise UnknownFileNameError(file, f"{day} is no day: {error}") from error


def split_pair(file: str, pair: str, quotes: Iterable[str], known: Iterable[str] = ()) -> tuple[str, str]:
    """Base and quote of a pair written in one word.

    >>> split_pair("file", "NEARUSDT", ["USDT", "BTC"])
    ('NEAR', 'USDT')
    """
    splits = [
        (pair.removesuffix(quote), quote) for quote in sorted(set(quotes)) if pair.endswith(quote) and pair != quote
    ]
    if len(splits) > 1:
        names = {symbol.split(":", maxsplit=1)[0] for symbol in known}
        splits = [split for split in splits if "/".join(split) in names] or splits
    if not splits:
        raise UnknownFileNameError(file, f"{pair} reads as no pair with a known quote currency")
    if len(splits) > 1:
        raise AmbiguousPairError(file, pair, " or ".join("/".join(split) for split in splits))
    return splits[0]


def venue_quotes(venue: str, quotes: Iterable[str]) -> frozenset[str]:
    """Quote currencies of a venue's folder: Binance lists no pair in plain USD, so BTCFDUSD is no BTCFD/USD there.

    >>> sorted(venue_quotes("binance_spot", ["USD", "FDUSD"])), sorted(venue_quotes("binanceus_spot", ["USD", "BTC"]))
    (['FDUSD'], ['BTC', 'USD'])
    """
    return frozenset(quotes) - ({"USD"} if venue.startswith("binance_") else set())


def folder_market_type(folder: Path) -> MarketType | None:
    """Market type that a folder's name states.

    >>> folder_market_type(Path("binance_usdm")).value, folder_market_type(Path("freqtrade"))
    ('linear', None)
    """
    words = set(re.split(r"[^a-z0-9]+", folder.name.lower()))
    linear, spot = bool(words & _LINEAR_WORDS), bool(words & _SPOT_WORDS)
    if linear and spot:
        raise UnknownMarketTypeError(str(folder), "its name states both spot and perpetual")
    return MarketType.LINEAR if linear else MarketType.SPOT if spot else None


def agreed_market_type(
    file: str, by_folder: MarketType | None, by_name: MarketType | None, by_setting: MarketType | None
) -> MarketType:
    """The one market type that folder, name and setting state; at least one must and none may contradict.

    >>> agreed_market_type("BTC-USDT_1m.parquet", MarketType.LINEAR, None, None).value
    'linear'
    """
    sayings = {"its folder": by_folder, "its name": by_name, "market.archive_market_type": by_setting}
    stated = {where: kind for where, kind in sayings.items() if kind is not None}
    if not stated:
        raise UnknownMarketTypeError(file, "neither folder, name nor setting tells")
    if len(set(stated.values())) > 1:
        raise UnknownMarketTypeError(file, ", ".join(f"{where} says {kind.value}" for where, kind in stated.items()))
    return next(iter(stated.values()))


def _plain_kraken_pair(pair: str) -> str:
    """Kraken's own names of two currencies replaced, before the pair is split: XBTUSD also reads as XB/TUSD."""
    for own, usual in _KRAKEN_NAMES.items():
        if pair.startswith(own):
            pair = usual + pair.removeprefix(own)
        if pair.endswith(own):
            pair = pair.removesuffix(own) + usual
    return pair


def _freqtrade_name(file: str, match: re.Match[str]) -> FileName:
    base, quote, settle, interval, candle_type, suffix = match.groups()
    form = _FREQTRADE_FORMATS[suffix]
    if (candle_type is None) != (settle is None):
        raise UnknownFileNameError(
            file, "freqtrade names perpetuals as BTC_USDT_USDT-5m-futures and spot as BTC_USDT-5m"
        )
    if settle is not None and settle != quote:
        raise UnknownFileNameError(
            file, f"settled in {settle}, not in its quote {quote}: inverse contracts are refused"
        )
    kind = MarketType.SPOT if settle is None else MarketType.LINEAR
    if candle_type == "funding_rate":
        return FileName(base, quote, Kind.FUNDING, form, None, kind)
    if candle_type not in (None, "futures"):
        return FileName(base, quote, Kind.OTHER, form, None, kind, holds=f"prices of the kind {candle_type}")
    named = _name(file, base, quote, interval, form)
    return FileName(**{**vars(named), "market_type": kind})


def _name(file: str, base: str, quote: str, what: str, form: Format) -> FileName:
    if what == "funding":
        return FileName(base, quote, Kind.FUNDING, form, None, MarketType.LINEAR)
    if what in _UNREAD_INTERVALS:
        return FileName(base, quote, Kind.OTHER, form, holds=f"bars of {what}")
    if what not in INTERVALS:
        raise UnknownFileNameError(file, f"interval {what!r} is none of {', '.join(INTERVALS)}")
    return FileName(base, quote, Kind.CANDLES, form, what)
