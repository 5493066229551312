"""Instruments in Decimal, and their integer form for the kernel."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import polars as pl

from openclaw_pipelines.contracts.enums import InstrumentState, MarketType
from openclaw_pipelines.contracts.errors import DataError


class MissingInstrumentError(DataError):
    """A configured symbol has no instrument."""

    template = "{source} has no instrument {symbol!r}. Materialize `instruments`, or remove the symbol."
    source: str
    symbol: str


class Listing(NamedTuple):
    """Whether a symbol can be entered, as its source says now."""

    state: str
    listed_at: datetime | None
    delisted_at: datetime | None

    def refusal(self, at: datetime) -> str:
        """Why it may not be entered at a time, or nothing."""
        if self.delisted_at is not None and self.delisted_at <= at:
            return f"delisted since {self.delisted_at:%Y-%m-%dT%H:%MZ}"
        return "" if self.state == InstrumentState.TRADABLE else f"instrument is {self.state}"


def listings(instruments: pl.DataFrame) -> dict[str, Listing]:
    """Listing by symbol, of rows of `contracts.tables.market.Instruments`."""
    return {row["symbol"]: Listing(*(row[name] for name in Listing._fields)) for row in instruments.to_dicts()}


def untradable(known: dict[str, Listing], symbols: Iterable[str], at: datetime) -> frozenset[str]:
    """Those of the symbols that may not be entered at a time."""
    return frozenset(symbol for symbol in symbols if symbol in known and known[symbol].refusal(at))


@dataclass(frozen=True)
class Instrument:
    """One instrument, as recorded with each tick that used it. Money is in quote, quantities in base currency."""

    symbol: str
    base: str
    quote: str
    market_type: MarketType
    price_unit: Decimal
    significant_digits: int | None
    tick: Decimal
    lot: Decimal
    min_qty: Decimal
    min_notional: Decimal
    taker_fee_rate: Decimal
    max_leverage: int
    maintenance_margin_rate: Decimal
    liquidation_fee_rate: Decimal
    funding_interval_hours: int | None
    state: InstrumentState
    source: str | None = None
    """Market source that gave it; None in the first ledgers, which did not know theirs"""

    @property
    def is_perp(self) -> bool:
        """Whether it is a linear perpetual."""
        return self.market_type is MarketType.LINEAR

    def payload(self) -> dict[str, object]:
        """Plain values for canonical JSON."""
        return asdict(self)

    @classmethod
    def from_payload(cls, values: dict[str, Any]) -> "Instrument":
        """The instrument that `payload` was made from, also after JSON."""
        decimals = {
            name: Decimal(str(values[name]))
            for name in (
                "price_unit",
                "tick",
                "lot",
                "min_qty",
                "min_notional",
                "taker_fee_rate",
                "maintenance_margin_rate",
                "liquidation_fee_rate",
            )
        }
        kinds = {"market_type": MarketType(values["market_type"]), "state": InstrumentState(values["state"])}
        plain = {name: values[name] for name in cls.__dataclass_fields__ if name != "source"}
        return cls(**{**plain, **decimals, **kinds, "source": values.get("source")})


def instruments_of(source: str, symbols: list[str], rows: list[dict[str, object]]) -> tuple[Instrument, ...]:
    """Instruments of `symbols` in their order out of rows of the `instruments` table."""
    by_symbol = {row["symbol"]: row for row in rows if row["source"] == source}
    missing = [symbol for symbol in symbols if symbol not in by_symbol]
    if missing:
        raise MissingInstrumentError(source, missing[0])
    return tuple(Instrument.from_payload(by_symbol[symbol]) for symbol in symbols)
