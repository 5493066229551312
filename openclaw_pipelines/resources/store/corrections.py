"""Replaces single candles, each with a trace of what stood there before. Who may is decided by `services.trading`."""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import polars as pl

from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.resources.market.base import PARTS_COLUMNS
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.store.market_tables import PRICES
from openclaw_pipelines.resources.store.store import Store, insert

_PUBLISHED = {"parts": None, "parts_expected": None, "has_open": True}
MICROSECOND = timedelta(microseconds=1)


class BarKey(NamedTuple):
    """Which bar."""

    source: str
    symbol: str
    interval: str
    ts: datetime

    def __str__(self) -> str:
        """For people."""
        return f"{self.symbol} {self.interval} of {self.ts:%Y-%m-%dT%H:%MZ}"


def stored_bar(store: Store, key: BarKey) -> pl.DataFrame:
    """The candle under a key: one row of `candles`, or none."""
    return market_tables.candles(store, key.source, [key.symbol], key.interval, key.ts, key.ts + MICROSECOND)


def newest_revision(store: Store, key: BarKey) -> pl.DataFrame:
    """The value of a bar that its source gave last: one row of `candle_revisions`, or none."""
    rows = market_tables.revisions(store, key.source, [key.symbol], key.interval, key.ts, key.ts + MICROSECOND)
    return rows.tail(1)


def replace_candle(
    store: Store,
    key: BarKey,
    bar: pl.DataFrame,
    *,
    actor: str,
    reason: str,
    taken_from: Literal["source", "revision"],
    now: datetime,
) -> dict[str, object]:
    """Put `bar` in the place of the stored one, if any, in one transaction with its trace; returns the trace.

    bar: one row with open, high, low, close and volume. Raises SchemaError where it cannot be.
    """
    old = stored_bar(store, key)
    values = bar.select(PRICES).row(0, named=True)
    before = old.select(PRICES).row(0, named=True) if old.height else dict.fromkeys(PRICES)
    trace = {
        **key._asdict(), **values, "corrected_at": now, "actor": actor, "reason": reason, "taken_from": taken_from,
        **{f"old_{name}": value for name, value in before.items()},
    }  # fmt: skip
    parts = bar.select(PARTS_COLUMNS).row(0, named=True) if PARTS_COLUMNS[0] in bar.columns else _PUBLISHED
    stored = {**key._asdict(), **values, **parts, "is_synthetic": False, "ingested_at": now}
    candle = TABLES["candles"].frame([stored])
    with store.write("market") as con:
        con.execute("DELETE FROM candles WHERE source = ? AND symbol = ? AND interval = ? AND ts = ?", list(key))
        insert(con, "candles", candle)
        insert(con, "candle_corrections", TABLES["candle_corrections"].frame([trace]))
    return trace
