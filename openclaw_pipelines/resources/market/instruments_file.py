"""Instruments from files: the one shipped with the package and `instruments.yaml` beside an archive's bars.

Exchanges that can be asked give their own instruments (`ccxt.source`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from openclaw_pipelines.contracts.enums import InstrumentState, MarketType
from openclaw_pipelines.contracts.errors import ConfigError, MarketError
from openclaw_pipelines.contracts.symbols import base_and_quote, market_type, normalize
from openclaw_pipelines.contracts.tables import TABLES

USER_FILE = "instruments.yaml"
_SHIPPED = "the instruments file of the package"
_DECIMALS = (
    "price_unit",
    "tick",
    "lot",
    "min_qty",
    "min_notional",
    "taker_fee_rate",
    "maintenance_margin_rate",
    "liquidation_fee_rate",
)
_OTHERS = ("significant_digits", "max_leverage", "funding_interval_hours", "state", "listed_at", "delisted_at")
_SPOT_RULES: dict[str, object] = {"max_leverage": 1, "maintenance_margin_rate": "0", "liquidation_fee_rate": "0"}


class UnknownVenueError(MarketError):
    """No instruments are known for a folder."""

    template = (
        "no instruments are known for {venue!r} (known: {known}). Rename the folder after one of these or put an "
        "instruments.yaml with the units and fees of its symbols into it."
    )
    venue: str
    known: str


class UnknownInstrumentError(MarketError):
    """A symbol has no instrument."""

    template = "{venue} has no instrument {symbol!r}{hint}. Correct the symbol or add it to {file}."
    venue: str
    symbol: str
    hint: str
    file: str


class InstrumentsFileError(ConfigError):
    """An instruments file is malformed."""

    template = "{file}: {where}: {what}. Correct the file."
    file: str
    where: str
    what: str


@dataclass(frozen=True)
class Instrument:
    """Rules of one instrument; money in quote currency, quantities in base, rates as shares.

    price_unit: finest price step that any bar lies on. tick: step of orders, a multiple of it.
    significant_digits: where given, the tick follows that many digits of the price instead.
    listed_at, delisted_at: from when and until when it is traded.
    """

    symbol: str
    price_unit: Decimal
    tick: Decimal
    lot: Decimal
    min_qty: Decimal
    min_notional: Decimal
    taker_fee_rate: Decimal
    maintenance_margin_rate: Decimal
    liquidation_fee_rate: Decimal
    max_leverage: int
    significant_digits: int | None = None
    funding_interval_hours: int | None = None
    state: str = InstrumentState.TRADABLE.value
    listed_at: datetime | None = None
    delisted_at: datetime | None = None


InstrumentsBySymbol = dict[str, Instrument]


def venue_instruments(venue: str, folder: Path | None = None) -> InstrumentsBySymbol:
    """Instruments of `venue` by symbol; those of `folder`'s own instruments.yaml win.

    Raises UnknownVenueError where neither file knows any.
    """
    own = _user_instruments(folder / USER_FILE) if folder is not None and (folder / USER_FILE).is_file() else {}
    shipped = shipped_venues().get(venue, {})
    if not own and not shipped:
        raise UnknownVenueError(venue, ", ".join(sorted(shipped_venues())))
    return {**shipped, **own}


def load_instruments(
    venue: str, symbols: Sequence[str], as_of: datetime, *, source: str | None = None, folder: Path | None = None
) -> pl.DataFrame:
    """Rows of `contracts.tables.market.Instruments` for `symbols`, in their order.

    source: value of the `source` column, the venue if absent. folder: searched for instruments.yaml first.
    Raises UnknownVenueError and UnknownInstrumentError, which names the nearest known symbol.

    >>> rows = load_instruments("simulated", ["BTC/USDT:USDT"], datetime(2025, 5, 10, tzinfo=UTC))
    >>> rows["price_unit"].item()
    Decimal('0.100000000000000000')
    """
    known = venue_instruments(venue, folder)
    rows = [_row(require(known, symbol, venue), source or venue, as_of) for symbol in symbols]
    return TABLES["instruments"].frame(rows)


def require(known: InstrumentsBySymbol, symbol: str, venue: str) -> Instrument:
    """The instrument of `symbol`, or an error naming the nearest known one."""
    if symbol not in known:
        raise UnknownInstrumentError(venue, symbol, nearest(symbol, known), USER_FILE)
    return known[symbol]


def nearest(symbol: str, known: Iterable[str]) -> str:
    """Hint at the closest name, empty where none is close.

    >>> nearest("BTC/USDT", ["BTC/USDT:USDT", "ETH/USDT:USDT"])
    '; did you mean BTC/USDT:USDT?'
    """
    close = get_close_matches(symbol, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


@cache
def shipped_venues() -> dict[str, InstrumentsBySymbol]:
    """Instruments of every venue of the shipped file."""
    return {name: _by_market_type(body, f"{_SHIPPED}, {name}") for name, body in _shipped()["venues"].items()}


def known_quotes() -> frozenset[str]:
    """Currencies that may end a pair written in one word, as BTCUSDT."""
    return frozenset(_shipped()["quotes"])


@cache
def _shipped() -> dict[str, Any]:
    text = files(__package__).joinpath("data", "instruments.yaml").read_text(encoding="utf-8")
    content: dict[str, object] = yaml.safe_load(text)
    return content


def _user_instruments(path: Path) -> InstrumentsBySymbol:
    try:
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InstrumentsFileError(str(path), "the whole file", f"not YAML ({error})") from error
    return _by_market_type(body, str(path))


def _by_market_type(body: object, file: str) -> InstrumentsBySymbol:
    if not isinstance(body, dict) or not set(body) <= {kind.value for kind in MarketType}:
        raise InstrumentsFileError(file, "top level", "expected the keys `spot` or `linear` only")
    found: InstrumentsBySymbol = {}
    for kind, section in body.items():
        if not isinstance(section, dict) or not set(section) <= {"defaults", "instruments"}:
            raise InstrumentsFileError(file, kind, "expected the keys `defaults` and `instruments` only")
        defaults = section.get("defaults") or {}
        for symbol, own in (section.get("instruments") or {}).items():
            if market_type(symbol).value != kind:
                raise InstrumentsFileError(file, symbol, f"this is no {kind} symbol")
            found[symbol] = _instrument(symbol, {**defaults, **(own or {})}, file)
    return found


def _instrument(symbol: str, given: dict[str, Any], file: str) -> Instrument:
    unknown = sorted(set(given) - set(_DECIMALS) - set(_OTHERS))
    if unknown:
        hint = nearest(unknown[0], _DECIMALS + _OTHERS)
        raise InstrumentsFileError(file, symbol, f"unknown key {unknown[0]!r}{hint}")
    rules = {**_SPOT_RULES, **given} if market_type(symbol) is MarketType.SPOT else dict(given)
    rules.setdefault("tick", rules.get("price_unit"))
    rules.setdefault("min_qty", rules.get("lot"))
    missing = [key for key in (*_DECIMALS, "max_leverage") if rules.get(key) is None]
    if missing:
        raise InstrumentsFileError(file, symbol, f"lacks {', '.join(missing)}")
    money = {key: _decimal(rules[key], file, symbol, key) for key in _DECIMALS}
    _check_units(money, file, symbol)
    listed_at = _time(rules.get("listed_at"), file, symbol, "listed_at")
    delisted_at = _time(rules.get("delisted_at"), file, symbol, "delisted_at", days=1)
    if listed_at is not None and delisted_at is not None and delisted_at <= listed_at:
        raise InstrumentsFileError(file, symbol, f"delisted_at {delisted_at:%Y-%m-%d} is not after listed_at")
    return Instrument(symbol=symbol, **{**rules, **money, "listed_at": listed_at, "delisted_at": delisted_at})


def _check_units(money: dict[str, Decimal], file: str, symbol: str) -> None:
    if money["price_unit"] <= 0 or money["lot"] <= 0:
        raise InstrumentsFileError(file, symbol, "price_unit and lot must be above 0")
    if money["tick"] % money["price_unit"] != 0:
        raise InstrumentsFileError(file, symbol, f"tick {money['tick']} is no multiple of {money['price_unit']}")


def _decimal(value: object, file: str, symbol: str, key: str) -> Decimal:
    if isinstance(value, float):
        raise InstrumentsFileError(file, symbol, f"{key} must be quoted, as {str(value)!r}, to stay decimal")
    try:
        return Decimal(str(value))
    except InvalidOperation as error:
        raise InstrumentsFileError(file, symbol, f"{key} {value!r} is no number") from error


def _time(value: object, file: str, symbol: str, key: str, days: int = 0) -> datetime | None:
    """A time with its zone, or a day: its beginning, `days` later."""
    if value is None:
        return None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InstrumentsFileError(file, symbol, f"{key} {value} has no zone; write it as 2025-05-02T09:00:00Z")
        return value.astimezone(UTC)
    if not isinstance(value, date):
        raise InstrumentsFileError(file, symbol, f"{key} {value!r} is no day, as 2019-09-08")
    return datetime(value.year, value.month, value.day, tzinfo=UTC) + timedelta(days=days)


def _row(instrument: Instrument, source: str, as_of: datetime) -> dict[str, object]:
    base, quote = base_and_quote(instrument.symbol)
    return {
        **vars(instrument),
        "source": source,
        "symbol_normalized": normalize(instrument.symbol),
        "base": base,
        "quote": quote,
        "market_type": market_type(instrument.symbol).value,
        "updated_at": as_of,
    }
