"""Which symbols are still traded: what is delisted is not asked for, and stops nothing that is asked for the others."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

import polars as pl

from openclaw_pipelines.resources.market.base import MarketSource
from openclaw_pipelines.resources.market.ccxt.errors import SymbolNotListedError
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.store.store import Store

_LOG = logging.getLogger("openclaw.market")


class Listed:
    """The symbols of one source, as the store knows them at one time."""

    def __init__(self, store: Store, source: MarketSource, as_of: datetime) -> None:
        self.store, self.source, self.as_of = store, source, as_of
        known = market_tables.instruments(store, source.name)
        self._known = {row["symbol"] for row in known.select("symbol").to_dicts()}
        self._delisted: dict[str, datetime] = dict(known.select("symbol", "delisted_at").drop_nulls().iter_rows())

    def ask(self, symbol: str, since: datetime, ask: Callable[[], pl.DataFrame], nothing: pl.DataFrame) -> pl.DataFrame:
        """What the source answers of a symbol from `since` on; `nothing` once it is delisted.

        A symbol that the source listed and lists no more counts as delisted as of now; one that it never listed is an
        error.
        """
        if symbol in self._delisted and self._delisted[symbol] <= since:
            return nothing
        try:
            return ask()
        except SymbolNotListedError as error:
            self._delist(symbol, error)
            return nothing

    def instruments(self, symbols: Sequence[str]) -> pl.DataFrame:
        """Instruments of the symbols; of one that is listed no more the stored one, with the end of its trading."""
        try:
            return self.source.instruments(symbols, self.as_of)
        except SymbolNotListedError:
            return pl.concat([self._instrument(symbol) for symbol in symbols])

    def _instrument(self, symbol: str) -> pl.DataFrame:
        try:
            return self.source.instruments([symbol], self.as_of)
        except SymbolNotListedError as error:
            return self._delist(symbol, error)

    def _delist(self, symbol: str, error: SymbolNotListedError) -> pl.DataFrame:
        if symbol not in self._known:
            raise error
        now = pl.lit(self.as_of).cast(pl.Datetime("us", "UTC"))
        stored = market_tables.instruments(self.store, self.source.name, [symbol])
        row = stored.with_columns(delisted_at=pl.coalesce("delisted_at", now), updated_at=now)
        market_tables.upsert_instruments(self.store, row)
        self._delisted[symbol] = row["delisted_at"].item()
        _LOG.warning("%s It was listed before and counts as delisted since %s.", error, self._delisted[symbol])
        return row
