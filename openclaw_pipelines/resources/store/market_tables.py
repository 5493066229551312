"""Candles, funding, features and instruments in the `market` database.

The first value written for a bar stays; a later, different one goes to `candle_revisions` and never changes the past.
Fetching is in `market`, cleaning in `domain`; the connection and its lock are in `store`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from openclaw_pipelines.contracts.errors import DataError
from openclaw_pipelines.contracts.schema import Table
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import DAY, interval_length, utc
from openclaw_pipelines.domain.market.clocks import ClockReading
from openclaw_pipelines.domain.market.features import lookback_bars
from openclaw_pipelines.resources.store.engine import Connection
from openclaw_pipelines.resources.store.store import Store, checked, fetch, insert, key_text, registered, table_named

PRICES = ("open", "high", "low", "close", "volume")
_REVISION = "source, symbol, interval, ts, " + ", ".join(PRICES)


class OutsideRangeError(DataError):
    """Rows to write lie outside the range that they replace, where they would double stored ones."""

    template = "{rows} row(s) of {table} lie outside {where}. First: {first}. Write them with the range they belong to."
    table: str
    rows: int
    where: str
    first: str


@dataclass(frozen=True)
class Written:
    """What became of the rows of one call; the three add up to the rows given.

    inserted: new keys.
    unchanged: values that are stored already, as the first one or as a known revision.
    revised: new values of stored keys. Those of candles are now in `candle_revisions`; the others are only counted.
    """

    inserted: int
    unchanged: int
    revised: int


@dataclass(frozen=True)
class Upserted:
    """What became of instruments; the three add up to the rows given."""

    inserted: int
    updated: int
    unchanged: int


def append_candles(
    store: Store,
    frame: pl.DataFrame,
    now: datetime,
    coverage: pl.DataFrame | None = None,
    clock: ClockReading | None = None,
) -> Written:
    """Store closed candles, first write wins, in one transaction.

    Args:
        store: where to.
        frame: rows in `resources.market.base.CANDLE_COLUMNS`.
        now: time written to `ingested_at` and `seen_at`.
        coverage: rows of `candle_coverage`, how far the source was asked; what is stored moves forward, never back.
        clock: what the source's clock showed.

    A different value of open, high, low, close or volume is written to `candle_revisions`, once per distinct value.
    Features that were computed without a bar that comes now are taken away.

    Raises:
        SchemaError: rows break the rules of the model.
        DuplicateRowsError: a bar occurs twice in `frame`.
    """
    table = table_named("candles")
    rows = checked(table, _stamped(frame, "ingested_at", now))
    if rows.is_empty() and coverage is None:
        return Written(0, 0, 0)
    with store.write("market") as con, registered(con, rows) as incoming:
        revised = _append_revisions(con, table, rows, incoming, now) if rows.height else 0
        _forget_features(con, rows, incoming)
        inserted = _append_absent(con, table, rows, incoming) if rows.height else 0
        if coverage is not None:
            _keep_latest(con, "candle_coverage", coverage)
        if clock is not None:
            own = TABLES["source_clocks"].frame([vars(clock)])
            with registered(con, own, "clock_read") as read:
                con.execute(f"INSERT OR REPLACE INTO source_clocks BY NAME SELECT * FROM {read}")
    return Written(inserted, rows.height - inserted - revised, revised)


def _keep_latest(con: Connection, table: str, coverage: pl.DataFrame) -> None:
    with registered(con, coverage, "asked") as asked:
        con.execute(
            f"MERGE INTO {table} AS old USING {asked} AS new USING ({_names(table_named(table).key)}) "
            "WHEN MATCHED AND new.covered_until > old.covered_until "
            "THEN UPDATE SET covered_until = new.covered_until WHEN NOT MATCHED THEN INSERT BY NAME"
        )


def append_funding(store: Store, frame: pl.DataFrame, now: datetime, coverage: pl.DataFrame) -> Written:
    """Store funding, first write wins, in one transaction; `frame` is in `FUNDING_COLUMNS`.

    A later, different rate is counted as revised and not stored. The venue's own stamp may differ without meaning.
    Live ticks bring the same rates every minute: where nothing is new, nothing is opened for writing.

    coverage: rows of `funding_coverage`, how far the source was asked; what is stored moves forward, never back.
    """
    table = table_named("funding_rates")
    rows = checked(table, _stamped(frame, "ingested_at", now))
    if coverage.is_empty() and rows.is_empty():
        return Written(0, 0, 0)
    with store.sharing("market"):
        held = f"SELECT {_names(table.key)}, funding_rate AS held FROM funding_rates WHERE ts BETWEEN ? AND ?"
        known = rows.join(store.query("market", held, _span(rows)), on=table.key)
        moves = _moves(store, coverage)
    revised = known.filter(pl.col("funding_rate") != pl.col("held")).height
    inserted = 0
    if known.height < rows.height or moves:
        with store.write("market") as con, registered(con, rows) as incoming:
            inserted = _append_absent(con, table, rows, incoming)
            _keep_latest(con, "funding_coverage", coverage)
    return Written(inserted, rows.height - inserted - revised, revised)


def _moves(store: Store, coverage: pl.DataFrame) -> bool:
    """Whether a row of `funding_coverage` would become later."""
    key = table_named("funding_coverage").key
    days = coverage["day"].unique().to_list()
    stored = store.query("market", "SELECT * FROM funding_coverage WHERE list_contains(?, day)", [days])
    asked = coverage.join(stored, on=key, how="left", suffix="_held")
    held = pl.col("covered_until_held")
    return not asked.filter(held.is_null() | (pl.col("covered_until") > held)).is_empty()


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


def features(
    store: Store, source: str, symbols: Sequence[str], interval: str, start: datetime, end: datetime
) -> pl.DataFrame:
    """Features with `start <= ts < end`, by symbol and time."""
    return _bars(store, "features", source, symbols, interval, start, end)


def bars_without_features(
    store: Store, source: str, symbols: Sequence[str], intervals: Sequence[str], start: datetime, end: datetime
) -> list[tuple[str, str, datetime]]:
    """Days and symbols with candles in `start <= ts < end` that have no features, and the first such candle."""
    rows = store.query(
        "market",
        "SELECT strftime(ts, '%Y-%m-%d') AS day, symbol, min(ts) AS first FROM candles ANTI JOIN features "
        "USING (source, symbol, interval, ts) WHERE source = ? AND list_contains(?, symbol) "
        "AND list_contains(?, interval) AND ts >= ? AND ts < ? AND NOT is_synthetic GROUP BY ALL ORDER BY ALL",
        [source, list(symbols), list(intervals), start, end],
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


def newest_candle(store: Store, source: str, interval: str) -> dict[str, datetime]:
    """Open of the newest stored bar per symbol; symbols without bars are absent."""
    frame = store.query(
        "market",
        "SELECT symbol, max(ts) AS ts FROM candles WHERE source = ? AND interval = ? GROUP BY symbol ORDER BY symbol",
        [source, interval],
    )
    return dict(zip(frame["symbol"].to_list(), frame["ts"].to_list(), strict=True))


def _stamped(frame: pl.DataFrame, column: str, now: datetime) -> pl.DataFrame:
    return frame.with_columns(pl.lit(utc(now, "now")).cast(pl.Datetime("us", "UTC")).alias(column))


def _append_revisions(con: Connection, table: Table, rows: pl.DataFrame, incoming: str, now: datetime) -> int:
    """Keep values that differ from the stored first one and from every revision of it."""
    differs = " OR ".join(f"c.{name} IS DISTINCT FROM i.{name}" for name in PRICES)
    known = f"SELECT {_REVISION} FROM candle_revisions WHERE ts BETWEEN ? AND ?"
    changed = (
        f"SELECT {', '.join(f'i.{name}' for name in (*table.key, *PRICES))} FROM {incoming} i "
        f"JOIN (SELECT * FROM candles WHERE ts BETWEEN ? AND ?) c USING ({_names(table.key)}) WHERE {differs}"
    )
    later = fetch(con, f"{changed} EXCEPT {known}", [*_span(rows), *_span(rows)])
    if later.is_empty():
        return 0
    with registered(con, _stamped(later, "seen_at", now), "later") as view:
        con.execute(f"INSERT INTO candle_revisions BY NAME SELECT * FROM {view}")
    return later.height


def _forget_features(con: Connection, rows: pl.DataFrame, incoming: str) -> None:
    """Take away the features that were computed without a bar that comes only now, so that they are computed again."""
    newest = con.execute("SELECT max(ts) FROM features").fetchone()
    if rows.is_empty() or not newest or newest[0] is None or newest[0] < rows["ts"].min():
        return  # as at every live tick
    key = _names(table_named("candles").key)
    late = fetch(
        con,
        f"SELECT source, symbol, interval, min(ts) AS first, max(ts) AS last FROM {incoming} "
        f"ANTI JOIN (SELECT {key} FROM candles WHERE ts BETWEEN ? AND ?) USING ({key}) GROUP BY ALL",
        _span(rows),
    )
    read = [lookback_bars(one) * interval_length(one) + DAY for one in late["interval"]]
    spans = late.with_columns(until=pl.col("last") + pl.Series(read, dtype=pl.Duration("us")))
    with registered(con, spans, "late_bars") as bars:
        con.execute(
            f"DELETE FROM features USING {bars} AS late WHERE features.source = late.source "
            "AND features.symbol = late.symbol AND features.interval = late.interval "
            "AND features.ts >= late.first AND features.ts < late.until"
        )


def _append_absent(con: Connection, table: Table, rows: pl.DataFrame, incoming: str) -> int:
    """Insert the rows whose key is absent; the span of time lets the database skip what cannot match."""
    key = _names(table.key)
    return _append_count(
        con,
        f"INSERT INTO {table.name} BY NAME SELECT * FROM {incoming} "
        f"ANTI JOIN (SELECT {key} FROM {table.name} WHERE ts BETWEEN ? AND ?) USING ({key}) ORDER BY {key}",
        _span(rows),
    )


def _append_count(con: Connection, sql: str, params: Sequence[object] = ()) -> int:
    row = con.execute(sql, list(params)).fetchone()
    return int(row[0]) if row else 0


def _span(rows: pl.DataFrame) -> list[object]:
    return [rows["ts"].min(), rows["ts"].max()]


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
