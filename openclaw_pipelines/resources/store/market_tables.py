"""Candles, funding, features and instruments in the `market` database.

The first value written for a bar stays; a later, different one goes to `candle_revisions` and never changes the past.
Fetching is in `market`, cleaning in `domain`; the connection and its lock are in `store`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import polars as pl

from openclaw_pipelines.contracts.bounds import FIRST_TIME, LEAST_PRICE, MOST_PRICE
from openclaw_pipelines.contracts.errors import DataError
from openclaw_pipelines.contracts.time import DAY, utc
from openclaw_pipelines.resources.store.store import Store, checked, insert, key_text, registered, table_named

PRICES = ("open", "high", "low", "close", "volume")


class OutsideRangeError(DataError):
    """Rows to write lie outside the range that they replace, where they would double stored ones."""

    template = "{rows} row(s) of {table} lie outside {where}. First: {first}. Write them with the range they belong to."
    table: str
    rows: int
    where: str
    first: str


@dataclass(frozen=True)
class Upserted:
    """What became of instruments; the three add up to the rows given."""

    inserted: int
    updated: int
    unchanged: int


def replace_features(
    store: Store,
    frame: pl.DataFrame,
    *,
    source: str,
    symbols: Sequence[str],
    intervals: Sequence[str],
    start: datetime,
    end: datetime,
) -> int:
    """Replace the features of these symbols and intervals with `start <= ts < end`; returns the rows now there.

    Features can be computed again from candles, so the newest computation wins. `frame` holds all columns of the model.

    Raises:
        OutsideRangeError: a row of `frame` lies outside what is replaced.
    """
    rows = checked(table_named("features"), frame)
    outside = rows.filter(
        ~(
            (pl.col("source") == source)
            & pl.col("symbol").is_in(list(symbols))
            & pl.col("interval").is_in(list(intervals))
            & pl.col("ts").is_between(utc(start, "start"), utc(end, "end"), closed="left")
        )
    )
    if outside.height:
        where = f"{source}, {', '.join(symbols)}, {', '.join(intervals)}, {start.isoformat()} to {end.isoformat()}"
        first = key_text(outside.select("source", "symbol", "interval", "ts").row(0, named=True))
        raise OutsideRangeError("features", outside.height, where, first)
    with store.write("market") as con:
        con.execute(
            "DELETE FROM features WHERE source = ? AND list_contains(?, symbol) AND list_contains(?, interval) "
            "AND ts >= ? AND ts < ?",
            [source, list(symbols), list(intervals), start, end],
        )
        return insert(con, "features", rows)


def upsert_instruments(store: Store, frame: pl.DataFrame) -> Upserted:
    """Write instruments over their stored rows. One that did not change keeps its `updated_at`."""
    table = table_named("instruments")
    rows = checked(table, frame)
    if rows.is_empty():
        return Upserted(0, 0, 0)
    values = [name for name in table.names if name not in table.key]
    changed = " OR ".join(f"t.{name} IS DISTINCT FROM i.{name}" for name in table.hashed if name not in table.key)
    with store.write("market") as con, registered(con, rows) as incoming:
        done = con.execute(
            f"MERGE INTO instruments AS t USING {incoming} AS i "
            f"ON ({' AND '.join(f't.{name} = i.{name}' for name in table.key)}) "
            f"WHEN MATCHED AND ({changed}) THEN UPDATE SET {', '.join(f'{name} = i.{name}' for name in values)} "
            f"WHEN NOT MATCHED THEN INSERT ({_names(table.names)}) VALUES ({', '.join(f'i.{n}' for n in table.names)}) "
            "RETURNING merge_action"
        ).fetchall()
    actions = [action for (action,) in done]
    inserted, updated = actions.count("INSERT"), actions.count("UPDATE")
    return Upserted(inserted, updated, rows.height - inserted - updated)


def candles(
    store: Store, source: str, symbols: Sequence[str], interval: str, start: datetime, end: datetime
) -> pl.DataFrame:
    """Candles with `start <= ts < end`, by symbol and time, in all columns of the model."""
    return _bars(store, "candles", source, symbols, interval, start, end)


def newest_before(
    store: Store, source: str, symbols: Sequence[str], intervals: Sequence[str], start: datetime, since: datetime
) -> pl.DataFrame:
    """The newest candle of every series with `since <= ts < start`, in all columns of the model."""
    return store.query(
        "market",
        "SELECT * FROM candles WHERE source = ? AND list_contains(?, symbol) AND list_contains(?, interval) "
        "AND ts >= ? AND ts < ? QUALIFY row_number() OVER (PARTITION BY symbol, interval ORDER BY ts DESC) = 1 "
        "ORDER BY interval, symbol",
        [source, list(symbols), list(intervals), since, start],
    )


def closes(store: Store, source: str, starts: Mapping[tuple[str, str], datetime], end: datetime) -> pl.DataFrame:
    """Stored closes of each series from its start to `end`, and the newest before it: symbol, interval, ts, close.

    All of a series is looked through only where the week before its start holds none.
    """
    recent = min(starts.values()) - 7 * DAY
    found = _closes(store, source, starts, recent, end)
    led = {(symbol, interval) for symbol, interval, ts, _ in found.iter_rows() if ts < starts[symbol, interval]}
    alone = {series: start for series, start in starts.items() if series not in led}
    if not alone:
        return found
    older = _closes(store, source, alone, FIRST_TIME, recent)
    return pl.concat([older, found]).sort("symbol", "interval", "ts")


def _closes(
    store: Store, source: str, starts: Mapping[tuple[str, str], datetime], first: datetime, end: datetime
) -> pl.DataFrame:
    symbols, intervals = [symbol for symbol, _ in starts], [interval for _, interval in starts]
    asked = "(SELECT unnest(?) AS symbol, unnest(?) AS interval, unnest(?) AS start) AS asked"
    own = f"FROM candles JOIN {asked} USING (symbol, interval) WHERE source = ? AND close BETWEEN ? AND ?"
    bound = [symbols, intervals, list(starts.values()), source, LEAST_PRICE, MOST_PRICE, first, end]
    return store.query(
        "market",
        f"SELECT symbol, interval, ts, close {own} AND ts >= ? AND ts < ? AND ts >= start UNION ALL "
        f"SELECT symbol, interval, max(ts), arg_max(close, ts) {own} AND ts >= ? AND ts < ? AND ts < start "
        "GROUP BY symbol, interval ORDER BY symbol, interval, ts",
        [*bound, *bound],
    )


def refused_answers(store: Store, source: str, symbols: Sequence[str], day: str) -> pl.DataFrame:
    """What a source answered for a day and was refused, by symbol and series."""
    return store.query(
        "market",
        "SELECT * FROM refused_answers WHERE source = ? AND list_contains(?, symbol) AND day = ? "
        "ORDER BY symbol, series",
        [source, list(symbols), day],
    )


def elsewhere(store: Store, source: str, symbols: Sequence[str], start: datetime, end: datetime) -> pl.DataFrame:
    """Per series with bars outside `start <= ts < end`: symbol, interval, last_before, first_after."""
    return store.query(
        "market",
        "SELECT symbol, interval, max(ts) FILTER (ts < $start) AS last_before, "
        "min(ts) FILTER (ts >= $end) AS first_after FROM candles "
        "WHERE source = $source AND list_contains($symbols, symbol) AND (ts < $start OR ts >= $end) GROUP BY ALL",
        {"source": source, "symbols": list(symbols), "start": start, "end": end},
    )


def features(
    store: Store, source: str, symbols: Sequence[str], interval: str, start: datetime, end: datetime
) -> pl.DataFrame:
    """Features with `start <= ts < end`, by symbol and time."""
    return _bars(store, "features", source, symbols, interval, start, end)


def bars_without_features(
    store: Store, source: str, symbols: Sequence[str], intervals: Sequence[str], start: datetime, end: datetime,
    min_parts_bps: int,
) -> list[tuple[str, str, datetime]]:  # fmt: skip
    """Days and symbols with candles in `start <= ts < end` that have no features, and the first such candle.

    Bars that features skip need none: synthetic ones and those built of too few of their parts, `domain.market.parts`.
    """
    rows = store.query(
        "market",
        "SELECT strftime(ts, '%Y-%m-%d') AS day, symbol, min(ts) AS first FROM candles ANTI JOIN features "
        "USING (source, symbol, interval, ts) WHERE source = ? AND list_contains(?, symbol) "
        "AND list_contains(?, interval) AND ts >= ? AND ts < ? AND NOT is_synthetic "
        "AND (parts IS NULL OR parts * 10000 >= parts_expected * ?) GROUP BY ALL ORDER BY ALL",
        [source, list(symbols), list(intervals), start, end, min_parts_bps],
    )
    return list(rows.iter_rows())


def revisions(
    store: Store, source: str, symbols: Sequence[str], interval: str, start: datetime, end: datetime
) -> pl.DataFrame:
    """Later values of candles with `start <= ts < end`, by symbol, time and the moment they were seen."""
    return _bars(store, "candle_revisions", source, symbols, interval, start, end).sort("symbol", "ts", "seen_at")


def funding_rates(store: Store, source: str, symbols: Sequence[str], start: datetime, end: datetime) -> pl.DataFrame:
    """Funding with `start <= ts < end`, by symbol and time."""
    return store.query(
        "market",
        "SELECT * FROM funding_rates WHERE source = ? AND list_contains(?, symbol) AND ts >= ? AND ts < ? "
        "ORDER BY symbol, ts",
        [source, list(symbols), start, end],
    )


def instruments(store: Store, source: str, symbols: Sequence[str] | None = None) -> pl.DataFrame:
    """Instruments of a source by symbol; all of them without `symbols`."""
    frame = store.query("market", "SELECT * FROM instruments WHERE source = ? ORDER BY symbol", [source])
    return frame if symbols is None else frame.filter(pl.col("symbol").is_in(list(symbols)))


def price_units(store: Store, source: str) -> dict[str, Decimal]:
    """Finest price step of every instrument of a source."""
    return dict(instruments(store, source).select("symbol", "price_unit").iter_rows())


def newest_candle(store: Store, source: str, interval: str) -> dict[str, datetime]:
    """Open of the newest stored bar per symbol; symbols without bars are absent."""
    frame = store.query(
        "market",
        "SELECT symbol, max(ts) AS ts FROM candles WHERE source = ? AND interval = ? GROUP BY symbol ORDER BY symbol",
        [source, interval],
    )
    return dict(zip(frame["symbol"].to_list(), frame["ts"].to_list(), strict=True))


def _bars(
    store: Store, table: str, source: str, symbols: Sequence[str], interval: str, start: datetime, end: datetime
) -> pl.DataFrame:
    return store.query(
        "market",
        f"SELECT * FROM {table} WHERE source = ? AND list_contains(?, symbol) AND interval = ? AND ts >= ? AND ts < ? "
        "ORDER BY symbol, ts",
        [source, list(symbols), interval, start, end],
    )


def _names(names: Sequence[str]) -> str:
    return ", ".join(names)
